//! Plots as SVG, drawn by `plotters`. Colours are the report's style sheet's to change: it goes by the values in here.

use anyhow::{anyhow, Result};
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::ops::Range;

/// Twice as large as it is shown, since `plotters` places everything at whole pixels.
const SIZE: (u32, u32) = (920, 640);
const FONT: (&str, i32) = ("sans-serif", 32);
const LINE: u32 = 4;
const MARKER: i32 = 9;

/// Text and axes; white in the dark.
pub const INK: RGBColor = RGBColor(0, 0, 0);
/// Lines behind the data.
const GRID: RGBColor = RGBColor(0xd9, 0xd9, 0xd9);

/// How the points of a series look, so that it can be told apart without its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    Square,
    Triangle,
    Cross,
    Circle,
    None,
}

/// How a series is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    pub color: RGBColor,
    pub marker: Marker,
    /// Lengths of dashes and gaps; a whole line if there are none.
    pub dashes: Option<(i32, i32)>,
}

/// Okabe and Ito's palette, and a marker for each method.
pub fn method_look(method: &str) -> Look {
    let (color, marker) = match method {
        "exact" => (INK, Marker::Square),
        "clustered" => (RGBColor(0x00, 0x9e, 0x73), Marker::Triangle),
        "improved" => (RGBColor(0xd5, 0x5e, 0x00), Marker::Cross),
        "auto" => (RGBColor(0xcc, 0x79, 0xa7), Marker::Square),
        _ => (RGBColor(0x00, 0x72, 0xb2), Marker::Circle),
    };
    Look { color, marker, dashes: None }
}

/// Points that belong together.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What the legend says.
    pub name: String,
    pub look: Look,
    pub points: Vec<(f64, f64)>,
    /// Text beside some of the points.
    pub labels: Vec<(f64, f64, String)>,
    /// Ends of a thin line beside them, such as a fit.
    pub guide: Option<[(f64, f64); 2]>,
}

/// An axis, linear or logarithmic.
pub struct Axis {
    title: String,
    logarithmic: bool,
    range: Range<f64>,
    ticks: Vec<f64>,
    /// Lines without labels.
    minor: Vec<f64>,
    label: Box<dyn Fn(f64) -> String>,
}

impl Axis {
    /// From 0 to a little more than the largest value.
    pub fn linear(title: &str, values: impl Iterator<Item = f64>) -> Self {
        let largest = values.filter(|value| value.is_finite()).fold(0.0, f64::max).max(1e-9) * 1.1;
        let step = [0.02, 0.05, 0.1, 0.2, 0.5, 1.0].map(|step| step * 10f64.powf(largest.log10().ceil()));
        let step = step.into_iter().find(|step| largest / step <= 6.0).unwrap_or(largest);
        let ticks = (0..=(largest / step) as usize).map(|i| i as f64 * step).collect();
        let label = Box::new(move |value: f64| if step < 0.1 { format!("{value:.2}") } else { format!("{value:.1}") });
        Self { title: title.to_owned(), logarithmic: false, range: 0.0..largest, ticks, minor: Vec::new(), label }
    }

    /// Around all positive values, with a tick at every power of ten, and at twice and five times those where they are few.
    pub fn decades(title: &str, values: impl Iterator<Item = f64>, label: impl Fn(f64) -> String + 'static) -> Self {
        let (low, high) = bounds(values);
        let (low, high) = (low.log10() - 0.1, high.log10() + 0.1);
        // On to the next power of ten where it is near, and where there would be no tick otherwise.
        let low = if low - low.floor() < 0.35 || low.ceil() > high.floor() { low.floor() } else { low };
        let high = if high.ceil() - high < 0.35 { high.ceil() } else { high };
        let labelled: &[u32] = if high - low < 1.5 { &[1, 2, 5] } else { &[1] };
        let parts =
            (low.floor() as i32..=high.floor() as i32).flat_map(|decade| (1..10).map(move |part| (decade, part)));
        let (mut ticks, mut minor) = (Vec::new(), Vec::new());
        for (decade, part) in parts {
            let tick = f64::from(decade) + f64::from(part).log10();
            if (low..=high).contains(&tick) {
                if labelled.contains(&part) { &mut ticks } else { &mut minor }.push(tick);
            }
        }
        // One digit is all that a tick has; the power alone would be 2.0000000000000004.
        let digit = |value: f64| format!("{value:.0e}").parse().unwrap_or(value);
        let label = Box::new(move |exponent| label(digit(10f64.powf(exponent))));
        Self { title: title.to_owned(), logarithmic: true, range: low..high, ticks, minor, label }
    }

    /// Around all lengths, with a tick at each of a choice of them.
    pub fn lengths(lengths: &[usize]) -> Self {
        let (low, high) = bounds(lengths.iter().map(|&length| length as f64));
        let margin = 0.04 * (high.log10() - low.log10()).max(0.5);
        let step = lengths.len().div_ceil(8).max(1);
        let ticks = lengths.iter().rev().step_by(step).map(|&length| (length as f64).log10()).collect();
        Self {
            title: "length".to_owned(),
            logarithmic: true,
            range: low.log10() - margin..high.log10() + margin,
            ticks,
            minor: Vec::new(),
            label: Box::new(|exponent| short_length(10f64.powf(exponent).round() as usize)),
        }
    }

    fn place(&self, value: f64) -> f64 {
        if self.logarithmic {
            value.log10()
        } else {
            value
        }
    }

    fn coordinates(&self) -> Ticks {
        Ticks { range: self.range.clone(), ticks: self.ticks.clone(), minor: self.minor.clone() }
    }
}

/// Coordinates whose ticks are given.
struct Ticks {
    range: Range<f64>,
    ticks: Vec<f64>,
    minor: Vec<f64>,
}

impl Ranged for Ticks {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (begin, end): (i32, i32)) -> i32 {
        let part = (value - self.range.start) / (self.range.end - self.range.start);
        begin + (part * f64::from(end - begin)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() {
            self.minor.clone()
        } else {
            self.ticks.clone()
        }
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let usable = values.filter(|value| value.is_finite() && *value > 0.0);
    let (low, high) = usable.fold((f64::MAX, 0.0f64), |(low, high), value| (low.min(value), high.max(value)));
    if high > 0.0 {
        (low, high)
    } else {
        (1.0, 1.0)
    }
}

/// Such as `512`, `8k` or `131k`.
pub fn short_length(length: usize) -> String {
    match length {
        1024.. if length.is_multiple_of(1024) => format!("{}k", length / 1024),
        10_000.. => format!("{}k", length / 1000),
        _ => length.to_string(),
    }
}

/// A chart with room for titles and labels.
fn framed<'a, 'b>(area: &'a Area<'b>) -> ChartBuilder<'a, 'b, SVGBackend<'b>> {
    let mut chart = ChartBuilder::on(area);
    chart.margin(8).margin_top(24).margin_right(60).x_label_area_size(88).y_label_area_size(142);
    chart
}

/// Least and greatest x, least and greatest y.
type Rectangular = [i32; 4];

fn around((x, y): (i32, i32), half_width: i32, half_height: i32) -> Rectangular {
    [x - half_width, x + half_width, y - half_height, y + half_height]
}

fn apart(one: &Rectangular, other: &Rectangular) -> bool {
    one[1] <= other[0] || other[1] <= one[0] || one[3] <= other[2] || other[3] <= one[2]
}

/// Half of the width of a text, by digits that are three fifths as wide as high.
fn half_width(text: &str) -> i32 {
    3 * FONT.1 * text.chars().count() as i32 / 10
}

fn label_at(middle: (i32, i32), text: &str) -> Rectangular {
    around(middle, half_width(text), 3 * FONT.1 / 8)
}

/// Where the middle of a point's label may be: above it, below, on the right, on the left.
fn beside((x, y): (i32, i32), text: &str) -> [(i32, i32); 4] {
    let (across, along) = (MARKER + FONT.1 / 2, MARKER + 4 + half_width(text));
    [(x, y - across), (x, y + across), (x + along, y), (x - along, y)]
}

/// Draws series of points connected by lines. What has no place on a logarithmic axis is left out, and so is a label that would cover
/// a point or another label.
pub fn lines(description: &str, x: &Axis, y: &Axis, series: &[Series]) -> Result<String> {
    draw(SIZE, description, |area| {
        let mut chart = framed(area).build_cartesian_2d(x.coordinates(), y.coordinates())?;
        chart
            .configure_mesh()
            .label_style(FONT)
            .axis_desc_style(FONT)
            .axis_style(INK.stroke_width(2))
            .bold_line_style(GRID.stroke_width(2))
            .light_line_style(GRID.mix(0.45).stroke_width(1))
            .x_label_formatter(&|value| (x.label)(*value))
            .y_label_formatter(&|value| (y.label)(*value))
            .x_desc(&x.title)
            .y_desc(&y.title)
            .draw()?;
        let place =
            |&(a, b): &(f64, f64)| Some((x.place(a), y.place(b))).filter(|at| at.0.is_finite() && at.1.is_finite());
        for Series { look, points, guide, .. } in series {
            let placed: Vec<(f64, f64)> = points.iter().filter_map(place).collect();
            if let Some(ends) = guide {
                let ends: Vec<(f64, f64)> = ends.iter().filter_map(place).collect();
                chart.draw_series(DashedLineSeries::new(ends, 3, 7, look.color.mix(0.7).stroke_width(2)))?;
            }
            match look.dashes {
                None => {
                    chart.draw_series(LineSeries::new(placed.iter().copied(), look.color.stroke_width(LINE)))?;
                }
                Some((dash, gap)) => {
                    let style = look.color.stroke_width(LINE);
                    chart.draw_series(DashedLineSeries::new(placed.iter().copied(), dash, gap, style))?;
                }
            }
            for at in &placed {
                draw_marker(area, chart.backend_coord(at), look)?;
            }
        }
        // After all markers, which they keep clear of.
        let place = |a, b| place(&(a, b)).map(|at| chart.backend_coord(&at));
        let markers = series.iter().flat_map(|one| &one.points).filter_map(|&(a, b)| place(a, b));
        let mut taken: Vec<Rectangular> = markers.map(|at| around(at, MARKER, MARKER)).collect();
        let style = FONT.into_font().color(&INK).pos(Pos::new(HPos::Center, VPos::Center));
        for (a, b, text) in series.iter().flat_map(|one| &one.labels) {
            let Some(at) = place(*a, *b) else { continue };
            let free = |middle: &(i32, i32)| {
                let label = label_at(*middle, text);
                taken.iter().all(|other| apart(&label, other))
            };
            if let Some(middle) = beside(at, text).into_iter().find(free) {
                taken.push(label_at(middle, text));
                area.draw(&Text::new(text.as_str(), middle, style.clone()))?;
            }
        }
        Ok(())
    })
}

/// A sample of a series for a legend.
pub fn swatch(look: &Look) -> Result<String> {
    draw((88, 32), "", |area| {
        let line = [(4, 16), (84, 16)];
        let style = look.color.stroke_width(LINE);
        match look.dashes {
            None => area.draw(&PathElement::new(line, style))?,
            Some((dash, gap)) => area.draw(&DashedPathElement::new(line, dash, gap, style))?,
        }
        draw_marker(area, (44, 16), look)
    })
}

/// A part of a bar: its share, its letter, its colour and that of the letter.
pub struct Part {
    pub share: f64,
    pub letter: char,
    pub color: RGBColor,
    pub letter_color: RGBColor,
}

/// Bars from top to bottom, each cut into parts from left to right.
pub fn bars(description: &str, title: &str, bars: &[(String, Vec<Part>)]) -> Result<String> {
    let count = bars.len();
    let ticks: Vec<f64> = (0..count).map(|bar| bar as f64 + 0.5).collect();
    draw(SIZE, description, |area| {
        let mut chart = framed(area)
            .build_cartesian_2d(0.0..100.0, Ticks { range: 0.0..count as f64, ticks, minor: Vec::new() })?;
        let name =
            |at: &f64| bars.get(count.saturating_sub(1 + *at as usize)).map_or(String::new(), |bar| bar.0.clone());
        chart
            .configure_mesh()
            .disable_mesh()
            .label_style(FONT)
            .axis_desc_style(FONT)
            .axis_style(INK.stroke_width(2))
            .x_labels(6)
            .x_label_formatter(&|percent| format!("{percent:.0} %"))
            .y_label_formatter(&name)
            .x_desc(title)
            .y_desc("length")
            .draw()?;
        for (index, (_, parts)) in bars.iter().enumerate() {
            let bottom = (count - 1 - index) as f64;
            let mut left = 0.0;
            for part in parts {
                let right = left + 100.0 * part.share;
                let corners = [(left, bottom + 0.1), (right, bottom + 0.9)];
                chart.draw_series([Rectangle::new(corners, part.color.filled())])?;
                if part.share > 0.03 {
                    let style = FONT.into_font().color(&part.letter_color).pos(Pos::new(HPos::Center, VPos::Center));
                    let middle = ((left + right) / 2.0, bottom + 0.5);
                    chart.draw_series([Text::new(part.letter.to_string(), middle, style)])?;
                }
                left = right;
            }
        }
        Ok(())
    })
}

fn draw_marker(area: &Area, at: (i32, i32), look: &Look) -> Drawn {
    let (filled, drawn) = (look.color.filled(), look.color.stroke_width(LINE));
    match look.marker {
        Marker::Square => {
            let corners = [(at.0 + 1 - MARKER, at.1 + 1 - MARKER), (at.0 + MARKER - 1, at.1 + MARKER - 1)];
            area.draw(&Rectangle::new(corners, filled))
        }
        Marker::Triangle => area.draw(&TriangleMarker::new(at, MARKER + 3, filled)),
        Marker::Cross => area.draw(&Cross::new(at, MARKER, drawn)),
        Marker::Circle => area.draw(&Circle::new(at, MARKER, filled)),
        Marker::None => Ok(()),
    }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn = std::result::Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// Draws on a picture of a size; the description is for those who cannot see it.
fn draw(size: (u32, u32), description: &str, paint: impl FnOnce(&Area) -> Drawn) -> Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        paint(&area).and_then(|()| area.present()).map_err(|error| anyhow!("a plot cannot be drawn: {error}"))?;
    }
    // The style sheet decides how large it is shown.
    let (width, height) = size;
    let fixed = format!("width=\"{width}\" height=\"{height}\" ");
    let label = if description.is_empty() {
        "aria-hidden=\"true\" ".to_owned()
    } else {
        format!("role=\"img\" aria-label=\"{}\" ", super::html::escape(description))
    };
    Ok(svg.replacen(&fixed, &label, 1))
}
