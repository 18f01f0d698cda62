//! Key groups and clusters in a metric where there is little to group, or nothing to measure by.

use super::{assert_exact, bits, checked, small};
use crate::common::case::Case;
use crate::common::clustering::{strata, stream};
use crate::common::metric::{Centres, Metric};
use crate::common::{shared_engines, Engine};
use clustered_attention::{Error, KeyGroups, Method, Shape, Stitched, Supplied};

/// Stitched attention whose clusters and groups are the rows nearest to those that they start with.
fn first_assignments(groups: usize) -> Method {
    let method = Method::stitched(5).with_clustering(|clustering| clustering.iterations = 0);
    method.with_top_k(3).with_window(None).with_key_groups(KeyGroups::new(groups).with_rounds(0))
}

/// Makes every row the first.
fn repeat_first(rows: &mut [f32], width: usize) {
    let first = rows[..width].to_vec();
    rows.chunks_mut(width).for_each(|row| row.copy_from_slice(&first));
}

#[test]
fn equal_keys_leave_plain_distances_between_queries() {
    for engine in shared_engines() {
        let mut case = Case::of(small(1, 1, 60), first_assignments(5), 51).with_lengths(&[57], &[53]);
        repeat_first(&mut case.keys[..53 * 12], 12);
        let trace = case.trace(engine, &Supplied::default());
        assert!(trace.key_covariance.iter().all(|&value| value == 0.0), "{}", engine.name);
        let queries = case.slice(0, 0).queries;
        let centres = Centres::at(&queries, &strata(0, stream::POSITIONS, 5, 57), 5);
        let metric = Metric::new(&[], 12).or_euclidean();
        centres
            .check(&metric, &queries, &trace.assignment[..57])
            .unwrap_or_else(|error| panic!("{}: {error}", engine.name));
        assert!(trace.key_groups[..53].iter().all(|&group| group == 0), "{}", engine.name);
        for method in [first_assignments(5), Method::stitched(5)] {
            let case = case.with_method(method);
            assert_exact(&case, engine, &checked(&case, engine));
        }
    }
}

#[test]
fn equal_queries_leave_plain_distances_between_keys() {
    for engine in shared_engines() {
        // Of such numbers a mean is not rounded, of others it is.
        for rounded in [false, true] {
            let mut case = Case::of(small(1, 1, 60), first_assignments(5), 52).with_lengths(&[57], &[53]);
            if !rounded {
                case.queries[..12].iter_mut().for_each(|value| *value = (*value * 8.0).round() / 8.0);
            }
            repeat_first(&mut case.queries[..57 * 12], 12);
            let trace = case.trace(engine, &Supplied::default());
            if !rounded {
                assert!(trace.query_covariance.iter().all(|&value| value == 0.0), "{}", engine.name);
                let keys = case.slice(0, 0).keys;
                let centres = Centres::at(&keys, &strata(0, stream::KEY_POSITIONS, 5, 53), 5);
                let metric = Metric::new(&[], 12).or_euclidean();
                let checked = centres.check(&metric, &keys, &trace.key_groups[..53]);
                checked.unwrap_or_else(|error| panic!("{}: {error}", engine.name));
            }
            let spread = first_assignments(5).with_key_groups(KeyGroups::new(5).with_spread(true));
            for method in [first_assignments(5), Method::stitched(5), spread] {
                let case = case.with_method(method);
                assert_exact(&case, engine, &checked(&case, engine));
            }
        }
    }
}

#[test]
fn groups_beyond_the_keys_are_empty() {
    let [in_metric, by_codes] = [Stitched::new(4), Stitched::hamming(4)].map(Method::Stitched);
    for engine in shared_engines() {
        for (method, spread) in [(in_metric, false), (in_metric, true), (by_codes, false)] {
            for (queries, lengths, keys) in [(30, [30, 9], [30, 7]), (30, [30, 1], [1, 0]), (1, [1, 0], [1, 1])] {
                let method = method.with_top_k(2).with_key_groups(KeyGroups::new(40).with_spread(spread));
                let case = Case::of(small(2, 2, queries), method, 53).with_lengths(&lengths, &keys);
                checked(&case, engine);
                let trace = case.trace(engine, &Supplied::default());
                for (slice, (batch, _)) in case.slices().enumerate() {
                    let length = keys[batch] as usize;
                    let groups = &trace.key_groups[slice * queries..][..length];
                    assert!(groups.iter().all(|&group| (group as usize) < length), "{}: {groups:?}", engine.name);
                    for masses in trace.group_log_mass[slice * 4 * 40..][..4 * 40].chunks(40) {
                        let surplus = &masses[length..];
                        assert!(surplus.iter().all(|&mass| mass == f32::NEG_INFINITY), "{}: {masses:?}", engine.name);
                    }
                }
            }
        }
    }
}

#[test]
fn one_query_of_many_keys_and_many_queries_of_one_key_are_exact() {
    for engine in shared_engines() {
        for (queries, keys) in [(1, 70), (70, 1)] {
            for groups in [1, 5] {
                let method = Method::stitched(3).with_top_k(4).with_window(None).with_key_groups(groups);
                let shape = Shape::self_attention(1, 2, 1, 12).with_value_width(20);
                let case = Case::of(shape.with_queries(queries).with_keys(keys), method, 54);
                assert_exact(&case, engine, &checked(&case, engine));
            }
        }
    }
}

#[test]
fn a_key_alone_in_its_group_is_exact() {
    for engine in shared_engines() {
        for window in [None, Some(2)] {
            let method = Method::stitched(3).with_top_k(2).with_window(window).with_key_groups(40);
            let case = Case::of(small(1, 2, 40), method, 55);
            let alone: Vec<u32> = (0..80).map(|key| (key * 7 + 3) % 40).collect();
            let trace = case.trace(engine, &Supplied::default().with_key_groups(alone.as_slice()));
            assert_eq!(trace.key_groups, alone, "{}", engine.name);
            assert_exact(&case, engine, &trace.output);
        }
    }
}

#[test]
fn passes_over_the_clusters_change_no_bit() {
    let [in_metric, by_codes] = [Stitched::new(40), Stitched::hamming(40)].map(Method::Stitched);
    for engine in shared_engines() {
        for (method, spread, window) in
            [(in_metric, true, Some(3)), (in_metric, false, None), (by_codes, false, Some(3))]
        {
            let method = method.with_top_k(5).with_window(window);
            let method = method.with_key_groups(KeyGroups::new(5).with_spread(spread));
            let case = Case::of(small(2, 2, 300), method, 56).with_lengths(&[300, 211], &[287, 300]);
            let whole = case.trace(engine, &Supplied::default());
            let attention = engine.attention.clone().with_scratch_budget_bytes(0);
            let Err(Error::ScratchBudget { needed_bytes, .. }) = attention.plan(&case.problem) else {
                panic!("{}: nothing is not enough", engine.name);
            };
            // One slice and one cluster at a time.
            let attention = attention.with_scratch_budget_bytes(needed_bytes);
            let in_passes = case.trace(&Engine { name: engine.name.clone(), attention }, &Supplied::default());
            assert!(in_passes.scratch_bytes < whole.scratch_bytes / 4, "{}", engine.name);
            let name = format!("{}: {method}", engine.name);
            assert_eq!(in_passes.assignment, whole.assignment, "{name}");
            assert_eq!(in_passes.key_groups, whole.key_groups, "{name}");
            assert_eq!(in_passes.top_keys, whole.top_keys, "{name}");
            assert_eq!(bits(&in_passes.group_log_mass), bits(&whole.group_log_mass), "{name}");
            assert_eq!(bits(&in_passes.pseudo_keys), bits(&whole.pseudo_keys), "{name}");
            assert_eq!(bits(&in_passes.pseudo_values), bits(&whole.pseudo_values), "{name}");
            assert_eq!(bits(&in_passes.output), bits(&whole.output), "{name}");
        }
    }
}
