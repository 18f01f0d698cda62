//! The results as a page that needs nothing else; pieces and plots are those of the benchmark of `headless`.

#[path = "../../../headless/bench/page/html.rs"]
mod html;
#[allow(dead_code)] // bars and lengths are the benchmark's alone
#[path = "../../../headless/bench/page/plots.rs"]
mod plots;

use crate::results::{headings, rows, Configuration, Results, Task};
use anyhow::Result;
use html::escape;
use plots::{Axis, Look, Series};

const METHODS: [&str; 4] = ["exact", "clustered", "improved", "stitched"];

/// The page.
pub fn render(results: &Results) -> Result<String> {
    let mut page = String::from("<h1>clustered-attention: accuracy in pretrained models</h1>\n");
    let origin = |name: &str| results.origin[name].as_str().unwrap_or_default().to_owned();
    let machine = &results.machine;
    page += &html::facts(&[
        ("version", origin("version")),
        ("device", origin("device")),
        ("machine", format!("{}, {} threads, {}", machine.processor, machine.threads, machine.system)),
        ("built as", origin("profile")),
        ("date", results.date.clone()),
        ("seeds", format!("{:?}, means over them; times are medians", results.seeds)),
    ]);
    if let Some(warning) = machine.warning() {
        page += &format!("<p class=warning>{}</p>\n", escape(&warning));
    }
    for task in &results.tasks {
        page += &section(task)?;
    }
    Ok(html::page("accuracy in pretrained models", &page))
}

fn section(task: &Task) -> Result<String> {
    let mut page = format!("<h2>{}</h2>\n<p>{}.</p>\n<div class=plots>\n", escape(&task.title), escape(&task.data));
    let time = format!("seconds of {}", task.seconds);
    let error = plot(task, "error", "relative error", Configuration::error)?;
    let numbers = "Numbers are clusters; on dashed lines, top-k.";
    let remark = format!("Error {}, L2, relative to exact attention. Time: {time}. {numbers}", task.error);
    page += &html::figure("error", "Error against time", &error.0, &error.1, &remark);
    let metric = plot(task, "metric", task.metric_axis, Configuration::metric)?;
    let remark = format!("{}. Time: {time}. {numbers}", capitalised(task.metric));
    page += &html::figure("metric", "The task's own measure against time", &metric.0, &metric.1, &remark);
    page += "</div>\n";
    Ok(page + &html::table(&headings(task), &rows(task), 1))
}

/// A curve for each method over its clusters, and a dashed one over its top-k.
fn plot(
    task: &Task,
    name: &str,
    title: &str,
    value: fn(&Configuration) -> f64,
) -> Result<(String, Vec<(String, String)>)> {
    let mut series = Vec::new();
    for method in METHODS {
        let of_method = task.configurations.iter().filter(|one| one.method.name() == method);
        let (by_clusters, by_top_k): (Vec<&Configuration>, Vec<&Configuration>) =
            of_method.partition(|one| method == "exact" || method == "clustered" || one.method.top_k() == 32);
        let clusters = |one: &Configuration| one.method.clustering().map_or(0, |clustering| clustering.clusters);
        let top_k = |one: &Configuration| one.method.top_k();
        let middle = by_clusters.iter().copied().find(|one| clusters(one) == 25);
        series.extend(curve(method, "", by_clusters, None, value, clusters));
        if !by_top_k.is_empty() {
            let all = by_top_k.into_iter().chain(middle).collect();
            series.extend(curve(method, ", 25 clusters, top-k swept", all, Some((10, 8)), value, top_k));
        }
    }
    let values = |of: fn(&(f64, f64)) -> f64| series.iter().flat_map(move |one: &Series| one.points.iter().map(of));
    let x = Axis::decades("attention", values(|point| point.0), |seconds| format!("{seconds} s"));
    let y = Axis::linear(title, values(|point| point.1));
    let plot = plots::lines(&format!("{name} of {} against time", task.title), &x, &y, &series)?;
    let mut legend = Vec::new();
    for one in &series {
        legend.push((plots::swatch(&one.look)?, one.name.clone()));
    }
    Ok((plot, legend))
}

fn curve(
    method: &str,
    suffix: &str,
    mut configurations: Vec<&Configuration>,
    dashes: Option<(i32, i32)>,
    value: fn(&Configuration) -> f64,
    size: impl Fn(&Configuration) -> usize,
) -> Option<Series> {
    configurations.sort_by_key(|one| size(one));
    let points: Vec<(f64, f64)> = configurations.iter().map(|one| (one.attention_seconds(), value(one))).collect();
    let label = |(point, one): (&(f64, f64), &&Configuration)| (point.0, point.1, size(one).to_string());
    // Where the curve over the top-k crosses that over the clusters, the latter's label stands.
    let crosses = |one: &Configuration| dashes.is_some() && one.method.top_k() == 32;
    let labelled = |(_, one): &(_, &&Configuration)| method != "exact" && !crosses(one);
    let labels = points.iter().zip(&configurations).filter(labelled).map(label).collect();
    let look = Look { dashes, ..plots::method_look(method) };
    (!points.is_empty()).then(|| Series { name: format!("{method}{suffix}"), look, points, labels, guide: None })
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(points: Vec<(f64, f64)>) -> String {
        let x = Axis::decades("time", points.iter().map(|point| point.0), |seconds| format!("{seconds} s"));
        let y = Axis::linear("error", points.iter().map(|point| point.1));
        let labels = points.iter().enumerate().map(|(index, point)| (point.0, point.1, format!("p{index}"))).collect();
        let look = plots::method_look("stitched");
        plots::lines("", &x, &y, &[Series { name: String::new(), look, points, labels, guide: None }]).expect("a plot")
    }

    #[test]
    fn a_short_axis_has_more_ticks_than_powers_of_ten() {
        let short = plot(vec![(0.2, 1.0), (1.9, 2.0)]);
        for tick in ["0.2 s", "0.5 s", "1 s", "2 s"] {
            assert!(short.contains(tick), "{tick}");
        }
        let long = plot(vec![(0.01, 1.0), (9.0, 2.0)]);
        assert!(long.contains("0.1 s") && !long.contains("0.2 s") && !long.contains("0.5 s"));
    }

    #[test]
    fn labels_do_not_cover_one_another() {
        let labels = |plot: String| (0..5).filter(|index| plot.contains(&format!("p{index}"))).count();
        let apart = plot((0..5).map(|index| (1.0, f64::from(index))).collect());
        assert_eq!(labels(apart), 5);
        // Above, below and on both sides of one place there is room for four.
        assert_eq!(labels(plot(vec![(1.0, 1.0); 5])), 4);
    }
}
