//! Queries that disagree with their centroid, while their window holds nearly all that the centroid attends to: what is left after taking
//! the window back is small, and must not be rounding (`docs/method.md`, "Evaluation in linear time").

use crate::common::case::Case;
use crate::common::reference::{self, Errors};
use crate::common::{shared_engines, stitched_forms};
use clustered_attention::{Method, Shape, Supplied};

/// One cluster whose centroid looks along the first axis, and some queries that look the other way: for keys along it, their own logits
/// lie `gap` below the centroid's. Keys at the end have low logits for the centroid and are all that windows leave to it.
fn disagreeing(method: Method, gap: f32, length: usize, window: usize, top_k: usize) -> Case {
    let method = method.with_top_k(top_k).with_window(Some(window));
    let shape = Shape::self_attention(1, 1, length, 12).with_value_width(20);
    let mut case = Case::of(shape, method, 41).with_scale(1.0);
    for (position, query) in case.queries.chunks_mut(12).enumerate() {
        query.iter_mut().for_each(|value| *value *= 0.05);
        // The mean is near gap/2: eight queries in nine agree with it.
        query[0] = if position % 9 == 4 { -gap / 2.0 } else { 0.625 * gap };
    }
    for (position, key) in case.keys.chunks_mut(12).enumerate() {
        key.iter_mut().for_each(|value| *value *= 0.05);
        key[0] = if position < length * 3 / 4 { 1.0 } else { -0.5 };
    }
    case
}

#[test]
fn what_a_window_leaves_to_the_centroid_keeps_its_digits() {
    let mut findings = Vec::new();
    for (engine, method) in shared_engines().iter().flat_map(|engine| stitched_forms(1).map(|method| (engine, method)))
    {
        let mut worst: f64 = 0.0;
        for gap in (0..40).chain([60, 100]) {
            for (length, window, top_k) in [(40, 30, 0), (64, 50, 0), (200, 150, 0), (200, 150, 3), (60, 3, 0)] {
                let case = disagreeing(method, gap as f32, length, window, top_k);
                let trace = case.trace(engine, &Supplied::default());
                let truth = reference::output::<f64>(&case, Some(&trace));
                let largest = truth.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
                let errors = Errors::new(trace.output.iter().map(|&value| value.into()), &truth);
                worst = worst.max(errors.largest / largest);
                // These inputs are made to hurt; the tolerance is that of the reference cases.
                if errors.largest > 1e-5 * largest {
                    let off = errors.largest / largest;
                    let place = format!("{method}: gap {gap}, {length} keys, window {window}, top {top_k}");
                    findings.push(format!("{}: {place}: off by {off:.1e}", engine.name));
                }
            }
        }
        println!("{}: {method}: worst {worst:.1e} of the largest value", engine.name);
    }
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}
