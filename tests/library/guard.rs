//! The guard of stitched attention against a plain evaluation in float64: the rows it looks at, the error it finds there, and what it leaves of
//! the output, on every back end.

use crate::common::case::Case;
use crate::common::{numbers, shared_engines, Engine};
use clustered_attention::{Guard, GuardAction, Layout, Method, Problem, Shape, Stage, Stitched, Supplied, Trace};

/// Grouped queries, uneven and empty sequences, widths of all kinds, fewer queries than rows, more than a block of keys.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (width, value_width, layout) in [(13, 40, Layout::HeadsFirst), (64, 64, Layout::LengthFirst)] {
        let square = Shape::self_attention(3, 4, 211, width).with_key_heads(2).with_value_width(value_width);
        let square = Problem::new(square, Method::stitched(7).with_top_k(4).with_window(Some(3)));
        cases.push((square, [211, 0, 5], [211, 30, 100], layout));
        let cross = Shape::self_attention(3, 2, 70, width).with_keys(1100).with_value_width(value_width);
        let without_groups = Method::Stitched(Stitched::hamming(5)).with_window(None).with_top_k(0);
        cases.push((Problem::new(cross, without_groups), [70, 9, 41], [1100, 0, 700], layout));
    }
    (5..)
        .zip(cases)
        .map(|(seed, (problem, queries, keys, layout))| {
            let case = Case::new(problem.expect("a valid problem"), seed).with_scale(0.3);
            case.with_lengths(&queries, &keys).in_layout(layout)
        })
        .collect()
}

fn guarded(case: &Case, guard: Guard) -> Case {
    case.with_method(case.problem.method().with_guard(guard))
}

fn trace(case: &Case, engine: &Engine) -> Trace {
    case.trace(engine, &Supplied::default())
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Exact attention of some queries of a slice, and what an output holds for them.
fn rows_beside_output(case: &Case, slice: usize, rows: &[u32], output: &[f32]) -> Vec<(Vec<f64>, Vec<f64>)> {
    let (batch, head) = (slice / case.shape().query_heads, slice % case.shape().query_heads);
    let slice = case.slice(batch, head);
    let of = |&row: &u32| {
        let query = &slice.queries[row as usize];
        let dot = |key: &Vec<f32>| query.iter().zip(key).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
        let logits: Vec<f64> = slice.keys.iter().map(|key| f64::from(slice.scale) * dot(key)).collect();
        let highest = logits.iter().copied().fold(f64::MIN, f64::max);
        let weights: Vec<f64> = logits.iter().map(|logit| (logit - highest).exp()).collect();
        let total: f64 = weights.iter().sum();
        let mut exact = vec![0.0; slice.value_width];
        for (weight, value) in weights.iter().zip(&slice.values) {
            exact.iter_mut().zip(value).for_each(|(exact, &value)| *exact += weight / total * f64::from(value));
        }
        let actual = &output[case.output_offset(batch, head, row as usize)..][..slice.value_width];
        (exact, actual.iter().map(|&value| f64::from(value)).collect())
    };
    rows.iter().map(of).collect()
}

fn relative_error(rows: &[(Vec<f64>, Vec<f64>)]) -> f64 {
    let difference: f64 = rows.iter().flat_map(|(e, a)| e.iter().zip(a)).map(|(e, a)| (a - e).powi(2)).sum();
    let norm: f64 = rows.iter().flat_map(|(exact, _)| exact).map(|exact| exact.powi(2)).sum();
    if difference == 0.0 {
        0.0
    } else {
        (difference / norm).sqrt()
    }
}

/// The rows are drawn in strata, or far from their centroid; all of them where there are few.
fn check_rows(case: &Case, trace: &Trace, slice: usize, rows: &[u32], name: &str) -> usize {
    let shape = case.shape();
    let length = case.query_lengths[slice / shape.query_heads] as usize;
    let known = rows.iter().take_while(|&&row| row != u32::MAX).count();
    assert_eq!(known, rows.len().min(length), "{name}: {rows:?}");
    if length <= rows.len() {
        assert!(rows[..known].iter().copied().eq(0..length as u32), "{name}: {rows:?}");
        return known;
    }
    let drawn = rows.len().div_ceil(2);
    for (index, &row) in rows[..drawn].iter().enumerate() {
        let start = |index: usize| index * (length / drawn) + index.min(length % drawn);
        assert!((start(index)..start(index + 1)).contains(&(row as usize)), "{name}: {rows:?}");
    }
    // No more queries than a covariance is taken of, so that all are looked at.
    let (width, clusters) = (shape.width, case.problem.method().clustering().expect("clusters").clusters);
    let metric = &trace.key_covariance[slice * width * width..][..width * width];
    let queries = case.slice(slice / shape.query_heads, slice % shape.query_heads).queries;
    let distance = |row: usize| -> f64 {
        let cluster = slice * clusters + trace.assignment[slice * shape.queries + row] as usize;
        let centroid = &trace.centroids[cluster * width..][..width];
        let offset: Vec<f64> = queries[row].iter().zip(centroid).map(|(&q, &c)| f64::from(q) - f64::from(c)).collect();
        let product = |row: &[f32]| row.iter().zip(&offset).map(|(&a, b)| f64::from(a) * b).sum::<f64>();
        metric.chunks(width).zip(&offset).map(|(row, offset)| product(row) * offset).sum()
    };
    let mut farthest: Vec<f64> = (0..length).map(distance).collect();
    farthest.sort_by(|one, other| other.total_cmp(one));
    for (&row, expected) in rows[drawn..].iter().zip(&farthest) {
        let found = distance(row as usize);
        assert!((found - expected).abs() <= 1e-4 * farthest[0], "{name}: {found} for {expected}");
    }
    known
}

#[test]
fn rows_and_errors_are_those_of_a_plain_evaluation() {
    for case in cases() {
        for engine in shared_engines() {
            let unguarded = trace(&case, engine);
            assert!(unguarded.guard_error.is_empty() && unguarded.fell_back.is_empty());
            let exact = case.with_method(Method::Exact).run(engine);
            for count in [8, 13] {
                let guard = Guard::new().with_rows(count);
                let report = trace(&guarded(&case, guard.with_action(GuardAction::Report)), engine);
                let name = format!("{}: {:?}, {count} rows", engine.name, case.problem);
                assert_eq!(bits(&report.output), bits(&unguarded.output), "{name}");
                assert!(report.fell_back.iter().all(|fell_back| !fell_back), "{name}");
                let ran = |stage| report.stages.iter().any(|(known, _)| *known == stage);
                assert!(ran(Stage::GuardCheck) && !ran(Stage::ExactAttention), "{name}");
                let rows: Vec<&[u32]> = report.guard_rows.chunks(count).collect();
                assert_eq!((rows.len(), report.guard_error.len()), (case.shape().slices(), case.shape().slices()));
                for (slice, rows) in rows.into_iter().enumerate() {
                    let known = check_rows(&case, &report, slice, rows, &name);
                    let expected = relative_error(&rows_beside_output(&case, slice, &rows[..known], &unguarded.output));
                    let found = f64::from(report.guard_error[slice]);
                    assert!((found - expected).abs() <= 2e-6 + 1e-4 * expected, "{name}: {found} for {expected}");
                }
                let mut errors = report.guard_error.clone();
                errors.sort_by(f32::total_cmp);
                check_output(&case, engine, guard.with_tolerance(errors[errors.len() / 2]), &unguarded, &exact);
            }
        }
    }
}

/// Slices in error are exact attention's, bit for bit; the others are what they were. Returns the trace.
fn check_output(case: &Case, engine: &Engine, guard: Guard, unguarded: &Trace, exact: &[f32]) -> Trace {
    let case = guarded(case, guard);
    let name = format!("{}: {:?}", engine.name, case.problem);
    let found = trace(&case, engine);
    assert_eq!(bits(&found.output), bits(&case.run(engine)), "{name}");
    for (slice, (batch, head)) in case.slices().enumerate() {
        let exceeds = found.guard_error[slice] > guard.tolerance.value();
        assert_eq!(found.fell_back[slice], exceeds, "{name}: {}", found.guard_error[slice]);
        let expected = if exceeds { exact } else { &unguarded.output };
        let of = |output: &[f32]| bits(&case.output_of(output, batch, head));
        assert_eq!(of(&found.output), of(expected), "{name}: slice {slice}");
    }
    found
}

/// Heads that stitched attention gets right, and between them heads in which one query in ten wants one far key of its own, and heads whose
/// queries disagree with their only centroid.
fn breaking() -> Case {
    let (length, width) = (600, 32);
    let method = Method::stitched(4).with_top_k(8).with_window(Some(4)).with_key_groups(4);
    let shape = Shape::self_attention(1, 3, length, width);
    let mut case = Case::of(shape, method, 11).with_scale(1.0 / (width as f32).sqrt());
    // Values have a mean where little is to go wrong, and queries hardly differ.
    case.values.iter_mut().for_each(|value| *value = 1.0 + 0.3 * *value);
    case.queries.iter_mut().for_each(|value| *value *= 0.1);
    let wanted = numbers(length * width, 17);
    for query in (0..length).step_by(10) {
        let key = (query + length / 2) % length;
        for column in 0..width {
            let direction = 2.2 * wanted[query * width + column];
            case.queries[(length + query) * width + column] += direction;
            case.keys[(length + key) * width + column] += direction;
        }
        for column in 0..width {
            case.values[(length + key) * width + column] = -2.0 * wanted[query * width + column];
        }
    }
    for query in 0..length {
        let direction = &wanted[query * 7 % 12 * width..][..width];
        case.queries[(2 * length + query) * width..][..width]
            .iter_mut()
            .zip(direction)
            .for_each(|(value, direction)| *value = 2.0 * direction);
        for value in &mut case.values[(2 * length + query) * width..][..width] {
            *value = (*value - 1.0) / 0.3;
        }
    }
    case
}

#[test]
fn heads_that_break_the_approximation_fall_back() {
    let clusters =
        |case: &Case, count| case.with_method(case.problem.method().with_clustering(|of| of.clusters = count));
    for case in [breaking(), clusters(&breaking(), 1), breaking().in_layout(Layout::LengthFirst)] {
        for engine in shared_engines() {
            let unguarded = trace(&case, engine);
            let exact = case.with_method(Method::Exact).run(engine);
            let found = check_output(&case, engine, Guard::new(), &unguarded, &exact);
            println!("{}: errors {:?}", engine.name, found.guard_error);
            assert_eq!(found.fell_back, [false, true, true], "{}: {:?}", engine.name, found.guard_error);
        }
    }
}

#[test]
fn the_guard_depends_on_nothing_but_input_and_seed() {
    let case = guarded(&breaking(), Guard::new().with_rows(9).with_tolerance(0.1));
    for engine in shared_engines() {
        let (first, second) = (trace(&case, engine), trace(&case, engine));
        assert_eq!(bits(&first.output), bits(&second.output), "{}", engine.name);
        assert_eq!(bits(&first.guard_error), bits(&second.guard_error), "{}", engine.name);
        assert_eq!((&first.guard_rows, &first.fell_back), (&second.guard_rows, &second.fell_back), "{}", engine.name);
        let other = trace(&case.with_method(case.problem.method().with_clustering(|of| of.seed = 5)), engine);
        assert_ne!(first.guard_rows, other.guard_rows, "{}", engine.name);
        // Clusters from outside need no metric, the guard does.
        let supplied = Supplied::default().with_assignment(first.assignment.as_slice());
        let given = case.trace(engine, &supplied);
        assert_eq!(bits(&given.output), bits(&first.output), "{}", engine.name);
        assert_eq!(given.key_covariance, first.key_covariance, "{}", engine.name);
        assert_eq!(given.guard_rows, first.guard_rows, "{}", engine.name);
    }
}

#[test]
fn auto_carries_the_guard() {
    let guard = Guard::new().with_tolerance(0.0);
    let stitched = guarded(&breaking(), guard);
    let auto = breaking().with_method(match *stitched.problem.method() {
        Method::Stitched(stitched) => Method::Auto(stitched),
        other => other,
    });
    for engine in shared_engines() {
        let taken = *engine.attention.plan(&auto.problem).expect("a plan").method();
        let expected = if taken == Method::Exact { breaking().with_method(Method::Exact) } else { stitched.clone() };
        assert_eq!(bits(&auto.run(engine)), bits(&expected.run(engine)), "{}: {taken}", engine.name);
    }
}
