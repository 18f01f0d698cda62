//! The edge cases of `docs/method.md`, on the CPU and on every adapter.

mod key_groups;

use crate::common::case::{row_offset, transposed, Case};
use crate::common::reference::{check_output, within_twice_plain};
use crate::common::{reference, shared_engines, stitched_forms, Engine};
use clustered_attention::{Layout, Method, Shape, Space, Stitched, Supplied};

/// Small self-attention; most tests share its widths, and so its kernels.
fn small(batch: usize, heads: usize, length: usize) -> Shape {
    Shape::self_attention(batch, heads, length, 12).with_value_width(20)
}

/// All four methods, both forms of stitched, and each without a window.
fn methods(clusters: usize, top_k: usize, window: usize) -> [Method; 7] {
    let [stitched, hamming] = stitched_forms(clusters).map(|method| method.with_top_k(top_k));
    [
        Method::Exact,
        Method::clustered(clusters),
        Method::improved(clusters).with_top_k(top_k),
        stitched.with_window(Some(window)),
        stitched.with_window(None),
        hamming.with_window(Some(window)),
        hamming.with_window(None),
    ]
}

/// Runs a case on a back end and holds its output against float64 for the clusters that were chosen.
fn checked(case: &Case, engine: &Engine) -> Vec<f32> {
    let clustered = case.problem.method().clustering().is_some();
    let output = if clustered {
        let trace = case.trace(engine, &Supplied::default());
        check_output(case, Some(&trace), &trace.output).unwrap_or_else(|error| panic!("{}: {error}", engine.name));
        trace.output
    } else {
        let output = case.run(engine);
        check_output(case, None, &output).unwrap_or_else(|error| panic!("{}: {error}", engine.name));
        output
    };
    assert_eq!(bits(&output), bits(&case.run(engine)), "{}: a trace and a run differ", engine.name);
    output
}

/// Holds a result against exact attention in float64.
fn assert_exact(case: &Case, engine: &Engine, output: &[f32]) {
    let exact = case.with_method(Method::Exact);
    let (truth, plain) = (reference::output::<f64>(&exact, None), reference::output::<f32>(&exact, None));
    within_twice_plain(output, &plain, &truth)
        .unwrap_or_else(|error| panic!("{}, {:?}: {error}", engine.name, case.problem));
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn more_clusters_than_queries_leaves_the_surplus_empty() {
    for engine in shared_engines() {
        for method in methods(40, 5, 2) {
            let case = Case::of(small(2, 2, 30), method, 1).with_lengths(&[30, 7], &[30, 30]);
            checked(&case, engine);
            if method.clustering().is_some() {
                let trace = case.trace(engine, &Supplied::default());
                assert!(trace.counts.chunks(40).all(|counts| counts.contains(&0)), "{}", engine.name);
                assert!(trace.counts[2 * 40..].chunks(40).all(|counts| counts[7..].iter().all(|&count| count == 0)));
            }
        }
    }
}

#[test]
fn top_k_beyond_the_keys_is_exact_attention() {
    for engine in shared_engines() {
        for method in &methods(5, 1000, 3)[2..] {
            let case = Case::of(small(2, 2, 50), *method, 2).with_lengths(&[50, 41], &[33, 50]);
            assert_exact(&case, engine, &checked(&case, engine));
        }
    }
}

#[test]
fn a_window_over_all_keys_is_exact_attention() {
    for engine in shared_engines() {
        for (window, method) in [49, 50, 1 << 28].into_iter().flat_map(|window| stitched_forms(5).map(|m| (window, m)))
        {
            let method = method.with_top_k(3).with_window(Some(window));
            let case = Case::of(small(2, 2, 50), method, 3).with_lengths(&[50, 41], &[33, 50]);
            assert_exact(&case, engine, &checked(&case, engine));
        }
    }
}

#[test]
fn without_top_k_and_window_all_methods_are_clustered_attention() {
    for engine in shared_engines() {
        let stitched = Method::Stitched(Stitched::hamming(6)).with_top_k(0).with_window(None);
        let clustering = *stitched.clustering().expect("clusters");
        let case = Case::of(small(1, 3, 61), stitched, 4).with_lengths(&[58], &[61]);
        let clustered = case.with_method(Method::clustered(1).with_clustering(|options| *options = clustering));
        let expected = checked(&clustered, engine);
        let trace = clustered.trace(engine, &Supplied::default());
        let (truth, plain) =
            (reference::output::<f64>(&clustered, Some(&trace)), reference::output::<f32>(&clustered, Some(&trace)));
        for method in [stitched, Method::improved(1).with_clustering(|options| *options = clustering).with_top_k(0)] {
            let output = checked(&case.with_method(method), engine);
            within_twice_plain(&output, &plain, &truth).unwrap_or_else(|error| panic!("{}: {error}", engine.name));
        }
        assert!(expected.iter().any(|&value| value != 0.0));
    }
}

#[test]
fn auto_is_the_method_that_it_takes() {
    for engine in shared_engines() {
        let short = Case::of(small(1, 2, 40), Method::auto(3), 16);
        let long = Case::of(small(1, 8, 4500), Method::auto(3), 16).with_lengths(&[4499], &[4500]);
        let cross = Case::of(small(1, 8, 4500).with_keys(4400), Method::auto(3), 16);
        let without_window = Method::stitched(3).with_window(None);
        for (case, expected) in [(short, Method::Exact), (long, Method::stitched(3)), (cross, without_window)] {
            let plan = engine.attention.plan(&case.problem).expect("a plan");
            assert_eq!(*plan.method(), expected, "{}", engine.name);
            let (auto, taken) = (case.run(engine), case.with_method(expected).run(engine));
            assert_eq!(bits(&auto), bits(&taken), "{}: {}", engine.name, expected.name());
            let trace = case.trace(engine, &Supplied::default());
            assert_eq!(bits(&auto), bits(&trace.output), "{}: {}", engine.name, expected.name());
            assert_eq!(trace.assignment.is_empty(), expected == Method::Exact);
        }
    }
}

#[test]
fn sequences_without_keys_or_queries_give_zeros() {
    for engine in shared_engines() {
        for method in methods(4, 6, 2) {
            for lengths in [([0, 40, 0, 17], [40, 0, 0, 40]), ([0; 4], [0; 4])] {
                let case = Case::of(small(4, 2, 40), method, 5).with_lengths(&lengths.0, &lengths.1);
                let output = checked(&case, engine);
                for (batch, head) in case.slices().filter(|(batch, _)| *batch < 3) {
                    let rows = case.output_of(&output, batch, head);
                    assert!(rows.iter().all(|&value| value == 0.0), "{} {method:?} {batch}", engine.name);
                }
                let last = case.output_of(&output, 3, 0);
                assert_eq!(last[..20].iter().any(|&value| value != 0.0), lengths.1[3] > 0, "{}", engine.name);
                assert!(last[17 * 20..].iter().all(|&value| value == 0.0));
            }
        }
    }
}

#[test]
fn a_single_query_and_key_gives_its_value() {
    for engine in shared_engines() {
        for method in methods(3, 2, 1) {
            let case = Case::of(small(2, 3, 1), method, 6);
            let output = checked(&case, engine);
            assert_eq!(output, case.values, "{} {method:?}", engine.name);
        }
    }
}

#[test]
fn one_query_of_many_keys_and_many_queries_of_one_key() {
    for engine in shared_engines() {
        for (queries, keys) in [(1, 70), (70, 1)] {
            for method in methods(3, 4, 1).into_iter().filter(|method| method.window().is_none()) {
                checked(&Case::of(small(1, 2, 1).with_queries(queries).with_keys(keys), method, 7), engine);
            }
        }
    }
}

#[test]
fn large_logits_do_not_overflow() {
    for engine in shared_engines() {
        for method in methods(6, 9, 3) {
            for factor in [30.0, 1e4, 1e15] {
                let mut case = Case::of(small(1, 2, 64), method, 8);
                case.queries.iter_mut().for_each(|value| *value *= factor);
                let output = case.run(engine);
                let largest = case.values.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
                let bounded = output.iter().all(|value| value.abs() <= largest * 1.00001);
                assert!(bounded, "{} {method:?} {factor}", engine.name);
                if factor == 30.0 {
                    checked(&case, engine);
                }
            }
            // Every product overflows a half-precision number and none a float32.
            let case = Case::of(small(1, 2, 64), method, 8).with_scale(1e12);
            assert!(case.run(engine).iter().all(|value| value.is_finite()), "{} {method:?}", engine.name);
        }
    }
}

#[test]
fn negative_zeros_and_denormals_are_ordinary_numbers() {
    for engine in shared_engines() {
        for method in methods(4, 5, 2) {
            let zeros = Case::of(small(1, 1, 48), method, 9);
            let mut negative = zeros.clone();
            let mut positive = zeros.clone();
            let mut tiny = zeros.clone();
            for index in (0..zeros.queries.len()).filter(|index| index % 5 < 3) {
                (negative.queries[index], positive.queries[index], tiny.queries[index]) = (-0.0, 0.0, 1e-40);
                (negative.keys[index], positive.keys[index], tiny.keys[index]) = (-0.0, 0.0, -1e-42);
            }
            for index in (0..zeros.values.len()).step_by(3) {
                (negative.values[index], positive.values[index], tiny.values[index]) = (-0.0, 0.0, 1e-41);
            }
            let expected = checked(&positive, engine);
            assert_eq!(checked(&negative, engine), expected, "{} {method:?}", engine.name);
            checked(&tiny, engine);
        }
        // Nothing but zeros: every logit ties, every bit without threshold is 0.
        for method in methods(4, 5, 2) {
            let mut case = Case::of(small(1, 1, 48), method, 10);
            case.queries.fill(-0.0);
            let output = checked(&case, engine);
            assert_exact(&case, engine, &output);
        }
    }
}

#[test]
fn equal_logits_give_the_lower_keys() {
    for engine in shared_engines() {
        let mut case = Case::of(small(1, 2, 90), Method::improved(4).with_top_k(7), 11).with_lengths(&[90], &[83]);
        for head in 0..2 {
            let keys = &mut case.keys[head * 90 * 12..][..83 * 12];
            let row = keys[..12].to_vec();
            keys.chunks_mut(12).for_each(|key| key.copy_from_slice(&row));
        }
        let trace = case.trace(engine, &Supplied::default());
        for (cluster, keys) in trace.top_keys.chunks(7).enumerate() {
            if trace.counts[cluster] > 0 {
                assert_eq!(keys, [0, 1, 2, 3, 4, 5, 6], "{}", engine.name);
            }
        }
    }
}

#[test]
fn equal_queries_go_to_the_lowest_cluster() {
    for engine in shared_engines() {
        let [stitched, hamming] = stitched_forms(5);
        for method in [Method::improved(5), stitched, hamming] {
            let mut case = Case::of(small(1, 1, 40), method, 12);
            let row = case.queries[..12].to_vec();
            case.queries.chunks_mut(12).for_each(|query| query.copy_from_slice(&row));
            let trace = case.trace(engine, &Supplied::default());
            assert!(trace.assignment.iter().all(|&cluster| cluster == 0), "{}", engine.name);
            assert_eq!(trace.counts, [40, 0, 0, 0, 0], "{}", engine.name);
            assert_exact(&case.with_method(method.with_top_k(0).with_window(None)), engine, &case.run(engine));
        }
    }
}

#[test]
fn an_empty_cluster_is_never_chosen() {
    for engine in shared_engines() {
        let method = Method::Stitched(Stitched::hamming(5)).with_clustering(|clustering| clustering.center = false);
        let mut case = Case::of(small(1, 2, 40), method, 18);
        // The mean is far from the origin, where the centroid of an empty cluster would be and one query is.
        case.queries.iter_mut().for_each(|value| *value += 5.0);
        case.queries[12 * 12..][..12].fill(0.0);
        // No bit is ever set, so that all queries begin in the first cluster.
        let mut planes = vec![0.0; 63 * 13];
        planes.iter_mut().skip(12).step_by(13).for_each(|threshold| *threshold = 1.0);
        let trace = case.trace(engine, &Supplied::default().with_planes(planes.as_slice()));
        assert!(trace.codes.iter().all(|&word| word == 0), "{}", engine.name);
        assert_eq!(trace.counts, [40, 0, 0, 0, 0, 40, 0, 0, 0, 0], "{}", engine.name);
    }
}

#[test]
fn padding_is_never_read() {
    for engine in shared_engines() {
        for layout in [Layout::HeadsFirst, Layout::LengthFirst] {
            for method in methods(5, 6, 4) {
                let mut case = Case::of(small(3, 2, 45), method, 13);
                // An infinite query has infinite logits with keys of one sign, and NaN with others.
                case.keys.iter_mut().take(45 * 12).for_each(|key| *key = key.abs());
                let case = case.in_layout(layout).with_lengths(&[40, 3, 20], &[11, 45, 29]);
                let expected = checked(&case, engine);
                for filler in [f32::INFINITY, f32::NEG_INFINITY, 0.0, 1e30, f32::MAX] {
                    let mut case = case.clone();
                    case.fill_padding(filler);
                    let output = case.run(engine);
                    let wrong = (0..output.len()).find(|&i| output[i] != expected[i]);
                    let shown = wrong.map(|i| (i, output[i], expected[i]));
                    assert_eq!(shown, None, "{} {layout:?} {method:?} {filler}", engine.name);
                }
            }
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bits_and_another_seed_other_clusters() {
    for engine in shared_engines() {
        for method in methods(9, 8, 5) {
            let case = Case::of(small(2, 3, 150), method, 14);
            let first = bits(&case.run(engine));
            assert_eq!(first, bits(&case.run(engine)), "{} {method:?}", engine.name);
            if let Some(clustering) = method.clustering() {
                assert_eq!(clustering.seed, 0);
                let traces = [0, 0, 1].map(|seed| {
                    let method = method.with_clustering(|clustering| clustering.seed = seed);
                    case.with_method(method).trace(engine, &Supplied::default())
                });
                let tables = traces.each_ref().map(|t| (&t.codes, &t.assignment, &t.top_keys, bits(&t.centroids)));
                assert_eq!(tables[0], tables[1], "{}", engine.name);
                assert!(clustering.space == Space::Metric || traces[0].codes != traces[2].codes, "{}", engine.name);
                let groups = traces.each_ref().map(|trace| (&trace.key_groups, bits(&trace.pseudo_keys)));
                assert_eq!(groups[0], groups[1], "{}", engine.name);
                let grouped = method.stitched_options().is_some_and(|stitched| stitched.key_groups.groups > 0);
                assert_eq!(groups[0] != groups[2], grouped, "{}", engine.name);
                assert_ne!(traces[0].assignment, traces[2].assignment, "{}", engine.name);
                assert_eq!(first, bits(&traces[1].output), "{}", engine.name);
            }
        }
    }
}

#[test]
fn length_first_is_heads_first_transposed() {
    for engine in shared_engines() {
        for (query_heads, key_heads) in [(4, 2), (1, 1)] {
            let shape = small(2, 1, 55).with_query_heads(query_heads).with_key_heads(key_heads);
            for method in methods(6, 7, 3) {
                let heads_first = Case::of(shape, method, 15).with_lengths(&[55, 31], &[55, 40]);
                let expected = checked(&heads_first, engine);
                let output = checked(&heads_first.in_layout(Layout::LengthFirst), engine);
                let dimensions = [query_heads, 55, 20];
                let moved = transposed(&output, 2, dimensions, Layout::LengthFirst, Layout::HeadsFirst);
                assert_eq!(bits(&moved), bits(&expected), "{} {method:?}", engine.name);
            }
        }
    }
}

#[test]
fn grouped_heads_equal_repeated_heads() {
    for engine in shared_engines() {
        let grouped = small(2, 1, 37).with_query_heads(6).with_key_heads(2);
        for method in methods(5, 6, 2) {
            let case = Case::of(grouped, method, 16).with_lengths(&[37, 20], &[30, 37]);
            let repeat = |tensor: &[f32], width: usize| -> Vec<f32> {
                let head = |batch, head| row_offset(Layout::HeadsFirst, [2, 37, width], batch, head / 3, 0);
                let rows = |i: usize| tensor[head(i / 6, i % 6)..][..37 * width].to_vec();
                (0..12).flat_map(rows).collect()
            };
            let mut repeated = Case::of(grouped.with_key_heads(6), method, 16);
            repeated.queries.clone_from(&case.queries);
            (repeated.keys, repeated.values) = (repeat(&case.keys, 12), repeat(&case.values, 20));
            let repeated = repeated.with_lengths(&[37, 20], &[30, 37]);
            assert_eq!(bits(&checked(&case, engine)), bits(&repeated.run(engine)), "{} {method:?}", engine.name);
        }
    }
}

#[test]
fn one_iteration_and_every_number_of_euclidean_steps() {
    for engine in shared_engines() {
        for euclidean_steps in 0..=3 {
            let method = Method::Stitched(Stitched::hamming(7)).with_top_k(5).with_clustering(|clustering| {
                (clustering.iterations, clustering.euclidean_steps) = (1, euclidean_steps);
            });
            checked(&Case::of(small(1, 2, 80), method, 17), engine);
        }
    }
}
