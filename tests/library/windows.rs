//! Windows and causal masks on every back end: random shapes against dense float64, edges, rows of a sample, errors.

use crate::common::case::Case;
use crate::common::{assert_holds, engines, gpu_engines, reference, relative_difference, stitched_forms, Engine};
use clustered_attention::{Error, ExactRows, Inputs, Layout, Method, Problem, Rows, Shape};
use proptest::prelude::*;

const CASES: u32 = 24;
/// Width and value width; each pair has kernels of its own.
const WIDTHS: [(usize, usize); 3] = [(13, 40), (64, 64), (72, 100)];

fn cases() -> impl Strategy<Value = Case> {
    let sizes = (0..WIDTHS.len(), 1usize..=3, 1usize..=2, 1usize..=3, 1usize..=300, 1usize..=300, any::<bool>());
    let bound = || prop::option::of(prop_oneof![0usize..4, 0usize..90, Just(Method::MAX_WINDOW)]);
    let options = (bound(), bound(), 0usize..40, any::<bool>(), any::<bool>(), any::<u64>());
    (sizes, options, prop::collection::vec(0.0f64..1.3, 6)).prop_map(|(sizes, options, shares)| {
        let (width, batch, key_heads, group, queries, keys, square) = sizes;
        let (left, right, sinks, causal, length_first, seed) = options;
        let ((width, value_width), keys) = (WIDTHS[width], if square { queries } else { keys });
        let shape = Shape::self_attention(batch, key_heads * group, queries, width)
            .with_key_heads(key_heads)
            .with_keys(keys)
            .with_value_width(value_width);
        let method = Method::sliding_window(left, right).with_sinks(sinks);
        let problem = Problem::new(shape, method).and_then(|problem| problem.with_causal(causal)).expect("a problem");
        let problem = problem.with_layout(if length_first { Layout::LengthFirst } else { Layout::HeadsFirst });
        let share = |length: usize, share: f64| ((length as f64 * share) as usize).min(length) as u32;
        let query_lengths: Vec<u32> = (0..batch).map(|batch| share(queries, shares[batch])).collect();
        let key_lengths: Vec<u32> = (0..batch).map(|batch| share(keys, shares[3 + batch])).collect();
        Case::new(problem, seed).with_lengths(&query_lengths, &key_lengths)
    })
}

#[test]
fn windows_are_what_dense_masks_give() {
    let engines = engines();
    assert_holds(CASES, 20_070_483, &cases(), |case| {
        for engine in &engines {
            let named = |error: String| format!("{}: {:?}: {error}", engine.name, case.problem);
            reference::check_output(&case, None, &case.run(engine)).map_err(named)?;
        }
        Ok(())
    });
}

/// A problem of one head, long enough for several blocks of keys.
fn long(method: Method, causal: bool) -> Case {
    let mut case = Case::of(Shape::self_attention(1, 1, 3000, 8), method, 5);
    case.problem = case.problem.with_causal(causal).expect("a causal problem");
    case
}

#[test]
fn a_window_that_holds_everything_is_exact_attention() {
    for engine in engines() {
        let exact = long(Method::Exact, false).run(&engine);
        // Nothing is hidden: the same kernel, the same bits.
        let open = Method::sliding_window(None, None).with_sinks(7);
        assert_eq!(long(open, false).run(&engine), exact, "{}", engine.name);
        for method in [Method::sliding_window(2999, 2999), Method::sliding_window(0, 0).with_sinks(3000)] {
            let output = long(method, false).run(&engine);
            let worst = exact.iter().zip(&output).fold(0.0f32, |worst, (a, b)| worst.max((a - b).abs()));
            assert!(worst < 1e-6, "{}, {method:?}: {worst}", engine.name);
        }
        // A window of the position alone copies the value.
        let alone = long(Method::sliding_window(0, 0), false);
        assert_eq!(alone.run(&engine), alone.values, "{}", engine.name);
    }
}

#[test]
fn keys_that_are_not_seen_change_nothing() {
    for engine in engines() {
        let case = long(Method::sliding_window(20, 0).with_sinks(4), true);
        let before = case.run(&engine);
        let mut changed = case.clone();
        let (key, width) = (1500, 8);
        changed.keys[key * width..][..width].fill(3.0);
        changed.values[key * width..][..width].fill(-7.0);
        let after = changed.run(&engine);
        for (position, (before, after)) in before.chunks(width).zip(after.chunks(width)).enumerate() {
            let sees = (key..=key + 20).contains(&position);
            assert_eq!(before != after, sees, "{}: position {position}", engine.name);
        }
    }
}

#[test]
fn long_rows_are_cut_and_go_on() {
    // Just too many products for one dispatch, so that tiles go on in a second one, with keys that some of their queries do not see.
    let mut case = Case::of(Shape::self_attention(1, 1, 4600, 64), Method::sliding_window(4000, 0).with_sinks(70), 13);
    case.problem = case.problem.with_causal(true).expect("a causal problem");
    let expected = case.run(&engines()[0]);
    for engine in gpu_engines() {
        let difference = relative_difference(&case.run(&engine), &expected);
        assert!(difference < 1e-5, "{}: {difference}", engine.name);
    }
}

#[test]
fn sampled_rows_stand_where_they_stood() {
    let shape = Shape::self_attention(2, 4, 170, 16).with_key_heads(2).with_keys(210).with_value_width(12);
    for engine in engines() {
        for layout in [Layout::HeadsFirst, Layout::LengthFirst] {
            let problem = Problem::new(shape, Method::Exact).and_then(|problem| problem.with_causal(true));
            let problem = problem.expect("a causal problem").with_layout(layout);
            let case = Case::new(problem, 9).with_lengths(&[170, 91], &[210, 60]);
            let output = case.run(&engine);
            for rows in [Rows::All, Rows::Sample { per_head: 20, seed: 3 }] {
                let exact = ExactRows::compute_blocking(&engine.attention, &case.problem, &case.inputs(), rows);
                let accuracy = exact.and_then(|exact| exact.compare(&output)).expect("a comparison");
                // Rows before the first key are zeros on both sides.
                assert!(accuracy.max_row_error < 1e-5, "{}, {rows:?}: {accuracy:?}", engine.name);
            }
        }
    }
}

#[test]
fn lengths_of_the_keys_alone_move_nothing() {
    let shape = Shape::self_attention(1, 1, 50, 8);
    for engine in engines() {
        for (method, causal) in [(Method::sliding_window(3, 2), false), (Method::Exact, true)] {
            let mut case = Case::of(shape, method, 11);
            case.problem = case.problem.with_causal(causal).expect("a causal problem");
            let whole = case.run(&engine);
            let padded = case.with_lengths(&[50], &[30]).run(&engine);
            // Queries that see no padding see what they saw.
            assert_eq!(padded[..27 * 8], whole[..27 * 8], "{}, {method:?}", engine.name);
        }
    }
}

#[test]
fn what_cannot_be_is_named() {
    let shape = Shape::self_attention(1, 1, 100, 8);
    let beyond = Method::MAX_WINDOW + 1;
    for (argument, method) in [
        ("left", Method::sliding_window(beyond, 0)),
        ("right", Method::sliding_window(0, beyond)),
        ("sinks", Method::sliding_window(0, 0).with_sinks(beyond)),
    ] {
        let result = Problem::new(shape, method);
        assert!(matches!(result, Err(Error::OutOfRange { argument: named, .. }) if named == argument), "{result:?}");
    }
    let [stitched, hamming] = stitched_forms(5);
    for method in [Method::clustered(5), Method::improved(5), stitched, hamming] {
        let result = Problem::new(shape, method).expect("a valid problem").with_causal(true);
        assert!(matches!(result, Err(Error::Unsupported { .. })), "{result:?}");
    }
    // The faster of exact and stitched attention is then exact attention.
    let Engine { attention, .. } = &engines()[0];
    let auto = Problem::new(shape, Method::auto(5)).and_then(|problem| problem.with_causal(true)).expect("a problem");
    assert_eq!(*attention.plan(&auto).expect("a plan").method(), Method::Exact);
    let data = vec![0.25; shape.query_elements()];
    assert!(attention.run_blocking(&auto, &Inputs::new(&data, &data, &data)).is_ok());
}
