//! Results as tables for people and as JSON for machines.

use crate::{device, files};
use anyhow::Result;
use burn::tensor::Device;
use comfy_table::{presets::UTF8_FULL_CONDENSED, CellAlignment, Table};
use serde_json::{json, Value};
use std::path::Path;

/// A table whose first column is of words and all others of numbers.
pub fn table<const COLUMNS: usize>(header: [&str; COLUMNS], rows: Vec<[String; COLUMNS]>) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(header).add_rows(rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

/// A time in a unit that suits it.
pub fn seconds(seconds: f64) -> String {
    if seconds < 1.0 {
        format!("{:.2} ms", seconds * 1e3)
    } else {
        format!("{seconds:.2} s")
    }
}

/// The middle value; the mean of the two in the middle where their number is even; 0 of none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        count if count % 2 == 1 => sorted[middle],
        _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
    }
}

/// The mean; 0 of none.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The cosine of the angle between two vectors of one length; 0 where one is nothing.
pub fn cosine(first: &[f32], second: &[f32]) -> f64 {
    let product = |first: &[f32], second: &[f32]| -> f64 {
        first.iter().zip(second).map(|(&first, &second)| f64::from(first) * f64::from(second)).sum()
    };
    let norms = (product(first, first) * product(second, second)).sqrt();
    if norms > 0.0 {
        product(first, second) / norms
    } else {
        0.0
    }
}

/// The L2 norm of the difference of two vectors of one length, relative to that of the second; 0 of none.
pub fn relative_error(values: &[f32], truth: &[f32]) -> f64 {
    relative_error_of([(values, truth)])
}

/// [`relative_error`] of pairs of vectors, all together.
pub fn relative_error_of<'a>(pairs: impl IntoIterator<Item = (&'a [f32], &'a [f32])>) -> f64 {
    let (mut difference, mut norm) = (0.0, 0.0);
    for (values, truth) in pairs {
        for (&value, &truth) in values.iter().zip(truth) {
            difference += (f64::from(value) - f64::from(truth)).powi(2);
            norm += f64::from(truth).powi(2);
        }
    }
    if norm > 0.0 {
        (difference / norm).sqrt()
    } else {
        0.0
    }
}

/// What results are read with: version, device, and whether the program was built with optimisation.
pub fn origin(device: &Device) -> Value {
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "device": device::describe(device),
        "profile": if cfg!(debug_assertions) { "dev" } else { "release" },
    })
}

/// Writes a document as JSON.
///
/// # Errors
/// The file cannot be written.
pub fn write_json(path: &Path, document: &Value) -> Result<()> {
    files::write(path, &format!("{document:#}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_relative() {
        assert_eq!(relative_error(&[3.0, 0.0], &[0.0, 4.0]), 1.25);
        assert_eq!(relative_error(&[], &[]), 0.0);
    }

    #[test]
    fn medians_and_means() {
        assert_eq!((median(&[3.0, 1.0, 2.0]), median(&[4.0, 1.0, 2.0, 3.0]), median(&[])), (2.0, 2.5, 0.0));
        assert_eq!((mean(&[1.0, 2.0]), mean(&[])), (1.5, 0.0));
    }
}
