//! The plots of a back end.

use super::html::figure;
use super::plots::{self, Axis, Look, Marker, Part, Series, INK};
use crate::bench::results::{Configuration, Run};
use crate::bench::table;
use anyhow::Result;
use plotters::style::RGBColor;

/// How a method is drawn, with other dashes for each of its variants.
fn look(method: &str, variant: usize) -> Look {
    Look { dashes: [None, Some((14, 8)), Some((5, 8)), Some((24, 8))][variant % 4], ..plots::method_look(method) }
}

/// Stages in the order of the computation under a letter each; what belongs together is one. The colours are Paul
/// Tol's muted scheme; `true` marks those that need a light letter.
const PARTS: [(char, &str, &[&str], RGBColor, bool); 12] = [
    ('A', "hash_codes", &["hash_codes"], RGBColor(0xcc, 0x66, 0x77), false),
    (
        'B',
        "K-means in Hamming space",
        &["initial_centroids", "hamming_assign", "hamming_update"],
        RGBColor(0x33, 0x22, 0x88),
        true,
    ),
    ('C', "group_by_cluster", &["group_by_cluster"], RGBColor(0xdd, 0xcc, 0x77), false),
    ('D', "centroid_means", &["centroid_means"], RGBColor(0x11, 0x77, 0x33), true),
    ('E', "metric_assign", &["metric_assign"], RGBColor(0x88, 0xcc, 0xee), false),
    ('F', "centroid_logits", &["centroid_logits"], RGBColor(0x88, 0x22, 0x55), true),
    ('G', "top_k", &["top_k"], RGBColor(0x44, 0xaa, 0x99), false),
    ('H', "remainder", &["remainder", "group_remainder"], RGBColor(0x99, 0x99, 0x33), false),
    ('I', "refine_top_k", &["refine_top_k"], RGBColor(0xaa, 0x44, 0x99), true),
    ('J', "window", &["stitch_window", "group_window"], RGBColor(0xdd, 0xdd, 0xdd), false),
    ('K', "exact_attention", &["exact_attention"], RGBColor(0xbb, 0xbb, 0xbb), false),
    ('L', "metrics and samples", &["covariance", "sample_means", "key_spread"], RGBColor(0x66, 0x99, 0xcc), false),
];
/// Letters on dark and on light parts; unlike `INK` they stay as they are in the dark.
const LETTERS: (RGBColor, RGBColor) = (RGBColor(0xfe, 0xfe, 0xfe), RGBColor(0x11, 0x11, 0x11));

/// Dots of the measured memory.
const DOTS: (i32, i32) = (2, 10);

/// Runs that differ in nothing but the length, from short to long.
struct Line<'a> {
    name: String,
    look: Look,
    runs: Vec<&'a Run>,
}

/// Groups the runs of a back end into lines. A name holds the options that there is a choice of.
fn group<'a>(runs: &[&'a Run]) -> Vec<Line<'a>> {
    let mut lines: Vec<Line> = Vec::new();
    for run in runs {
        let of_line = |line: &&mut Line| line.runs[0].configuration.same_but_length(&run.configuration);
        match lines.iter_mut().find(of_line) {
            Some(line) => line.runs.push(run),
            None => {
                let configuration = &run.configuration;
                let variant = lines.iter().filter(|line| line.runs[0].configuration.method == configuration.method);
                let look = look(configuration.method, variant.count());
                lines.push(Line { name: name(configuration, runs), look, runs: vec![run] });
            }
        }
    }
    lines
}

/// An option of a configuration.
type Choice = fn(&Configuration) -> Option<usize>;

fn name(configuration: &Configuration, runs: &[&Run]) -> String {
    let same = |of: Choice| {
        let others = runs.iter().filter(|run| run.configuration.method == configuration.method);
        others.map(|run| of(&run.configuration)).all(|value| value == of(configuration))
    };
    let mut name = configuration.method.to_owned();
    let options: [(&str, Choice); 6] = [
        ("heads", |c| Some(c.heads)),
        ("width", |c| Some(c.width)),
        ("C", |c| c.clusters),
        ("k", |c| c.top_k),
        ("w", |c| c.window),
        ("G", |c| c.key_groups),
    ];
    for (option, of) in options {
        if !same(of) {
            name += &of(configuration).map_or(format!(", no {option}"), |value| format!(", {option} {value}"));
        }
    }
    if runs.iter().any(|run| run.configuration.element != configuration.element) {
        name += &format!(", {}", configuration.element);
    }
    if runs.iter().any(|run| run.configuration.precision != configuration.precision) {
        name += &format!(", {}", configuration.precision);
    }
    name
}

/// All plots of a back end.
pub fn all(runs: &[&Run], on_gpu: bool) -> Result<String> {
    let lines = group(runs);
    let mut lengths: Vec<usize> = runs.iter().map(|run| run.configuration.length).collect();
    lengths.sort_unstable();
    lengths.dedup();
    let plots = [times(&lines, &lengths)?, errors(&lines)?, shares(runs)?, scratch(&lines, &lengths, on_gpu)?].concat();
    Ok(format!("<div class=plots>\n{plots}</div>\n"))
}

fn series(line: &Line, name: String, value: impl Fn(&Run) -> (f64, f64)) -> Series {
    let points = line.runs.iter().map(|run| value(run)).collect();
    Series { name, look: line.look, points, labels: Vec::new(), guide: None }
}

fn legend(series: &[Series]) -> Result<Vec<(String, String)>> {
    series.iter().map(|series| Ok((plots::swatch(&series.look)?, series.name.clone()))).collect()
}

fn length_of(run: &Run) -> f64 {
    run.configuration.length as f64
}

fn times(lines: &[Line], lengths: &[usize]) -> Result<String> {
    let mut all = Vec::new();
    for line in lines {
        let mut series = series(line, line.name.clone(), |run| (length_of(run), run.seconds.median));
        if let Some((slope, at_one)) = fit(&series.points) {
            series.name += &format!(", slope {slope:.2}");
            let ends = [series.points.first(), series.points.last()];
            series.guide = ends[0]
                .zip(ends[1])
                .map(|(first, last)| [first.0, last.0].map(|length| (length, (at_one + slope * length.ln()).exp())));
        }
        all.push(series);
    }
    let seconds = all.iter().flat_map(|series| series.points.iter().map(|point| point.1));
    let y = Axis::decades("time of a call", seconds, duration);
    let plot = plots::lines("Time of a call against length, both axes logarithmic", &Axis::lengths(lengths), &y, &all)?;
    let remark =
        "Medians. A slope of 1 is linear in the length, one of 2 quadratic; each is a least-squares line through the \
                  logarithms at all lengths (dotted).";
    Ok(figure("time", "Time against length", &plot, &legend(&all)?, remark))
}

fn errors(lines: &[Line]) -> Result<String> {
    let place = |run: &Run| (run.seconds.median, run.relative_error);
    let one_length = lines.iter().all(|line| line.runs.len() == 1);
    let mut all: Vec<Series> = Vec::new();
    for line in lines {
        let mut series = series(line, line.name.clone(), place);
        let label = |run: &&Run, text: String| (run.seconds.median, run.relative_error, text);
        if one_length {
            // The choices of a method make a line.
            let (method, choice) = line.name.split_once(", ").unwrap_or((&line.name, ""));
            series.labels.extend(line.runs.iter().map(|run| label(run, choice.to_owned())));
            match all.iter_mut().find(|other| other.name == method) {
                Some(other) => {
                    other.points.append(&mut series.points);
                    other.labels.append(&mut series.labels);
                }
                None => all.push(Series { name: method.to_owned(), ..series }),
            }
            continue;
        }
        let mut ends = vec![line.runs[0], line.runs[line.runs.len() - 1]];
        ends.truncate(line.runs.len());
        let length = |run: &Run| plots::short_length(run.configuration.length);
        series.labels.extend(ends.iter().map(|run| label(run, length(run))));
        all.push(series);
    }
    let points = || all.iter().flat_map(|series| series.points.iter());
    let x = Axis::decades("time of a call", points().map(|point| point.0), duration);
    let y = Axis::linear("relative error", points().map(|point| point.1));
    let plot = plots::lines("Relative error against the time of a call", &x, &y, &all)?;
    let remark = if one_length {
        "L2, relative to exact attention; lower left is better. A line joins the options of a method."
    } else {
        "L2, relative to exact attention; lower left is better. A line joins the lengths of a method, its ends are named. More clusters \
         lower the error of longer sequences."
    };
    Ok(figure("error", "Error against time", &plot, &legend(&all)?, remark))
}

fn shares(runs: &[&Run]) -> Result<String> {
    let Some(longest) = table::longest_stitched(runs) else { return Ok(String::new()) };
    let chosen = runs.iter().filter(|run| run.configuration.same_but_length(&longest.configuration));
    let mut used = Vec::new();
    let bars: Vec<(String, Vec<Part>)> = chosen
        .map(|run| {
            let parts = PARTS.iter().filter_map(|&(letter, _, stages, color, dark)| {
                let of_part = run.stages.iter().filter(|stage| stages.contains(&stage.name));
                let share: f64 = of_part.map(|stage| stage.share).sum();
                if share > 0.0 && !used.contains(&letter) {
                    used.push(letter);
                }
                let letter_color = if dark { LETTERS.0 } else { LETTERS.1 };
                (share > 0.0).then_some(Part { share, letter, color, letter_color })
            });
            (plots::short_length(run.configuration.length), parts.collect())
        })
        .collect();
    let plot = plots::bars("Shares of the stages in the time of a call, by length", "share of the time", &bars)?;
    let legend: Vec<(String, String)> = PARTS
        .iter()
        .filter(|(letter, ..)| used.contains(letter))
        .map(|&(letter, name, _, RGBColor(red, green, blue), dark)| {
            let ink = if dark { "#fefefe" } else { "#111" };
            let key =
                format!("<b class=key style=\"background:#{red:02x}{green:02x}{blue:02x};color:{ink}\">{letter}</b>");
            (key, name.to_owned())
        })
        .collect();
    let title = format!("Stages of {}", name(&longest.configuration, runs));
    let options = table::options(&longest.configuration);
    Ok(figure("shares", &title, &plot, &legend, &format!("From traced calls ({options}).")))
}

fn scratch(lines: &[Line], lengths: &[usize], on_gpu: bool) -> Result<String> {
    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let mut all = Vec::new();
    for line in lines {
        if line.runs.iter().any(|run| run.memory.scratch_bytes > 0) {
            let name = format!("{}, planned", line.name);
            all.push(series(line, name, |run| (length_of(run), mebibytes(run.memory.scratch_bytes))));
        }
    }
    let planned = all.len();
    // The heap of the host says little of what a device holds.
    for line in lines.iter().filter(|_| !on_gpu) {
        let mut peak = series(line, String::new(), |run| (length_of(run), mebibytes(run.memory.peak_heap_bytes)));
        peak.look.dashes = Some(DOTS);
        all.push(peak);
    }
    let mut entries = legend(&all[..planned])?;
    if !on_gpu {
        let dotted = Look { color: INK, marker: Marker::None, dashes: Some(DOTS) };
        entries.push((plots::swatch(&dotted)?, "the same markers on dots: peak of the heap".into()));
    }
    if let Some(line) = lines.iter().max_by_key(|line| line.runs.len()) {
        let mut tensors =
            series(line, "inputs and output".into(), |run| (length_of(run), mebibytes(run.memory.tensor_bytes)));
        tensors.look = Look { color: INK, marker: Marker::None, dashes: Some((24, 8)) };
        entries.extend(legend(std::slice::from_ref(&tensors))?);
        all.push(tensors);
    }
    let y = Axis::decades("memory", all.iter().flat_map(|series| series.points.iter().map(|point| point.1)), |value| {
        format!("{value} MiB")
    });
    let plot = plots::lines("Scratch memory against length, both axes logarithmic", &Axis::lengths(lengths), &y, &all)?;
    let remark = if on_gpu {
        "Scratch memory on the device as planned before the call, beside the tensors of the caller."
    } else {
        "Scratch memory as planned before the call; the most that a warm call held on the heap, counted by the allocator; and the \
         tensors of the caller."
    };
    Ok(figure("scratch", "Scratch memory against length", &plot, &entries, remark))
}

/// Slope and intercept of the least-squares line through the logarithms; at least two different lengths are needed.
fn fit(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    let count = points.len() as f64;
    let mean = |of: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(&|point| point.0.ln()), mean(&|point| point.1.ln()));
    let spread = mean(&|point| (point.0.ln() - x).powi(2));
    let slope = mean(&|point| (point.0.ln() - x) * (point.1.ln() - y)) / spread;
    slope.is_finite().then_some((slope, y - slope * x))
}

/// A power of ten of a second.
fn duration(seconds: f64) -> String {
    match seconds {
        ..0.9e-3 => format!("{:.0} µs", seconds * 1e6),
        ..0.9 => format!("{:.0} ms", seconds * 1e3),
        _ => format!("{seconds:.0} s"),
    }
}
