//! One row of the attention matrix, by the formulas of `docs/method.md`: what a query gives to each key.
//!
//! The kernels never form a row, since they need none; a page wants one to look at. It takes `O(S·E)` operations, less than a round trip to
//! the GPU, so it is computed where the page is.

use crate::page_input::{row, Input};
use crate::settings::{MethodName, Settings};
use clustered_attention::{Trace, NO_KEY};

/// Weights of all keys for one query of a head; they sum to 1.
///
/// `trace` is of stitched attention with the same settings, the window apart; exact attention looks at nothing in it.
pub fn weights(
    input: &Input,
    trace: &Trace,
    method: MethodName,
    settings: &Settings,
    head: usize,
    position: usize,
) -> Vec<f32> {
    let shape = input.shape;
    let (queries, keys, _) = input.head(head);
    let scale = 1.0 / (shape.width as f64).sqrt();
    let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let logits =
        |query: &[f32]| -> Vec<f64> { keys.chunks_exact(shape.width).map(|key| scale * product(query, key)).collect() };
    let query = row(queries, position, shape.width);
    let own = logits(query);
    if method == MethodName::Exact {
        return softmax(own);
    }
    let cluster = trace.assignment[head * shape.queries + position] as usize;
    let of_head = head * settings.clusters + cluster;
    let centroid = row(&trace.centroids, of_head, shape.width);
    let of_centroid = logits(centroid);
    let listed = settings.top_k.min(shape.keys);
    let is_top: Vec<bool> = {
        let mut is_top = vec![false; shape.keys];
        let top_keys = row(&trace.top_keys, of_head, listed);
        top_keys.iter().filter(|&&key| key != NO_KEY).for_each(|&key| is_top[key as usize] = true);
        is_top
    };
    match method {
        MethodName::Exact | MethodName::Clustered => softmax(of_centroid),
        MethodName::Improved => {
            // The top keys share the centroid's mass of them as the query sees them.
            let mut weights = softmax(of_centroid);
            let mass: f32 = weights.iter().zip(&is_top).filter(|(_, &top)| top).map(|(weight, _)| weight).sum();
            let top_logits = own.iter().zip(&is_top).map(|(&logit, &top)| if top { logit } else { f64::NEG_INFINITY });
            for ((weight, share), &top) in weights.iter_mut().zip(softmax(top_logits.collect())).zip(&is_top) {
                if top {
                    *weight = mass * share;
                }
            }
            weights
        }
        MethodName::Stitched => {
            let near = |key: usize| settings.window.is_some_and(|window| key.abs_diff(position) <= window);
            // How much more each group of keys gets from this query than from its centroid.
            let lean: Vec<f64> = (0..settings.key_groups)
                .map(|group| row(&trace.pseudo_keys, of_head * settings.key_groups + group, shape.width))
                .map(|pseudo_key| scale * (product(query, pseudo_key) - product(centroid, pseudo_key)))
                .collect();
            let key_groups = trace.key_groups.chunks_exact(shape.keys).nth(head);
            let leaned = |key: usize| key_groups.map_or(0.0, |groups| lean[groups[key] as usize]);
            let stitched = (0..shape.keys).map(|key| match is_top[key] || near(key) {
                true => own[key],
                false => of_centroid[key] + leaned(key),
            });
            softmax(stitched.collect())
        }
    }
}

/// Shares that sum to 1; zeros where no logit is finite.
fn softmax(logits: Vec<f64>) -> Vec<f32> {
    let maximum = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if maximum == f64::NEG_INFINITY {
        return vec![0.0; logits.len()];
    }
    let exponentials: Vec<f64> = logits.into_iter().map(|logit| (logit - maximum).exp()).collect();
    let total: f64 = exponentials.iter().sum();
    exponentials.into_iter().map(|value| (value / total) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clustered_attention::{Attention, Backend, Problem, Supplied};

    /// Rows times values are what the kernels' twins compute, whatever is clustered, listed or near.
    #[test]
    fn rows_are_those_of_the_methods() {
        let attention = Attention::new_blocking(Backend::Cpu).expect("the CPU");
        let tensors = crate::synthetic::mixture(83, 3, 20, 5).expect("little memory");
        let input = Input::of(tensors).expect("self-attention");
        let shape = input.shape;
        for (top_k, window, clusters, key_groups) in [
            (7, Some(3), 5, 4),
            (7, Some(3), 5, 0),
            (0, None, 4, 6),
            (0, None, 4, 0),
            (200, Some(0), 3, 2),
            (5, Some(500), 90, 16),
        ] {
            let settings = Settings { top_k, window, clusters, key_groups, ..Settings::stitched() };
            let trace_of = |settings: &Settings, method: MethodName| {
                let problem = Problem::new(shape, method.with(settings)).expect("a valid problem");
                attention.trace_blocking(&problem, &input.inputs(), &Supplied::default()).expect("a result")
            };
            let groups = trace_of(&settings.grouping(), MethodName::Stitched);
            for method in MethodName::ALL {
                let expected = trace_of(&settings, method).output;
                for (head, position) in [(0, 0), (1, 40), (2, 82)] {
                    let weights = weights(&input, &groups, method, &settings, head, position);
                    assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-5);
                    let (_, _, values) = input.head(head);
                    for column in 0..shape.value_width {
                        let sum: f32 = weights
                            .iter()
                            .enumerate()
                            .map(|(key, weight)| weight * values[key * shape.value_width + column])
                            .sum();
                        let kernel = expected[(head * shape.queries + position) * shape.value_width + column];
                        assert!(
                            (sum - kernel).abs() < 3e-5,
                            "{method:?} {settings:?} {head} {position}: {sum} {kernel}"
                        );
                    }
                }
            }
        }
    }
}
