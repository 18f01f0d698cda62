//! Stitched attention on images: patches around each are exact, and leading tokens' rows.

use crate::common::case::Case;
use crate::common::reference::{check_output, within_twice_plain};
use crate::common::{reference, relative_difference, shared_engines, stitched_forms, Engine};
use clustered_attention::{Error, Grid, Guard, GuardAction, Layout, Method, Shape, Supplied};

/// Images of sizes that are multiples of nothing, tall, flat, small, with and without leading tokens.
fn grids() -> [Grid; 6] {
    [
        Grid::new(9, 14).with_leading(4),
        Grid::new(13, 10).with_radii(1, 3),
        Grid::new(43, 3).with_leading(1).with_radii(3, 0),
        Grid::new(1, 127).with_leading(3).with_radius(7),
        Grid::new(2, 62).with_leading(6).with_radii(0, 2),
        Grid::new(5, 4).with_leading(110).with_radius(1),
    ]
}

fn image(heads: usize) -> Shape {
    Shape::self_attention(2, heads, 130, 12).with_value_width(20)
}

/// Runs a case with a trace and holds it against float64 for the clusters that were chosen; without one, the same bits.
fn checked(case: &Case, engine: &Engine) -> Vec<f32> {
    let trace = case.trace(engine, &Supplied::default());
    check_output(case, Some(&trace), &trace.output)
        .unwrap_or_else(|error| panic!("{}: {:?}: {error}", engine.name, case.problem));
    assert!(trace.output == case.run(engine), "{}: a trace and a run differ", engine.name);
    trace.output
}

#[test]
fn images_are_right_on_every_back_end() {
    for engine in shared_engines() {
        for (index, grid) in grids().into_iter().enumerate() {
            for method in stitched_forms(5) {
                let method = method.with_top_k(3).with_grid(grid);
                let case = Case::of(image(2), method, index as u64);
                checked(&case, engine);
                // The last patches are padding, from a row's middle on, of queries and of keys.
                let layouts = [Layout::HeadsFirst, Layout::LengthFirst];
                checked(&case.in_layout(layouts[index % 2]).with_lengths(&[101, 9], &[117, 2]), engine);
                checked(&case.with_lengths(&[130, 1], &[1, 130]), engine);
            }
        }
    }
}

#[test]
fn leading_tokens_rows_are_exact_attention() {
    for engine in shared_engines() {
        for method in stitched_forms(4) {
            let grid = Grid::new(9, 14).with_leading(4).with_radius(0);
            let case = Case::of(image(1), method.with_top_k(0).with_grid(grid), 7);
            let exact = case.with_method(Method::Exact).run(engine);
            let output = case.run(engine);
            for (rows, exact) in output.chunks(130 * 20).zip(exact.chunks(130 * 20)) {
                assert!(relative_difference(&rows[..4 * 20], &exact[..4 * 20]) < 1e-5, "{}", engine.name);
                assert!(relative_difference(&rows[4 * 20..], &exact[4 * 20..]) > 1e-2, "{}", engine.name);
            }
        }
    }
}

#[test]
fn a_radius_over_the_whole_image_is_exact_attention() {
    for engine in shared_engines() {
        for (grid, method) in grids().into_iter().flat_map(|grid| stitched_forms(5).map(|method| (grid, method))) {
            for radius in [130, 1 << 28] {
                let method = method.with_top_k(3).with_grid(grid.with_radius(radius));
                let case = Case::of(image(1), method, 3).with_lengths(&[130, 41], &[33, 130]);
                let output = checked(&case, engine);
                let exact = case.with_method(Method::Exact);
                let (truth, plain) = (reference::output::<f64>(&exact, None), reference::output::<f32>(&exact, None));
                within_twice_plain(&output, &plain, &truth)
                    .unwrap_or_else(|error| panic!("{}, {:?}: {error}", engine.name, case.problem));
            }
        }
    }
}

/// Whatever image a sequence is said to be, one row is a band.
#[test]
fn one_row_without_leading_tokens_is_the_band_bit_for_bit() {
    for engine in shared_engines() {
        for method in stitched_forms(5) {
            let band = Case::of(image(2), method.with_window(Some(9)), 5).with_lengths(&[130, 77], &[130, 90]);
            let grid = Grid::new(1, 130).with_radii(4, 9);
            assert!(band.run(engine) == band.with_method(method.with_grid(grid)).run(engine), "{}", engine.name);
        }
    }
}

#[test]
fn nothing_of_an_image_depends_on_the_memory_or_on_other_sequences() {
    for engine in shared_engines() {
        // Tiles that lie in two blocks of the output on the CPU.
        let grids = [Grid::new(17, 41).with_leading(3), Grid::new(58, 12).with_leading(4).with_radii(1, 3)];
        for (grid, method) in grids.into_iter().flat_map(|grid| stitched_forms(9).map(|method| (grid, method))) {
            let shape = Shape::self_attention(2, 2, 700, 12).with_value_width(20);
            let case = Case::of(shape, method.with_top_k(5).with_grid(grid), 11);
            let output = case.run(engine);
            // Clusters in passes, which the window is walked through one after another.
            let none = engine.attention.clone().with_scratch_budget_bytes(0);
            let Err(Error::ScratchBudget { needed_bytes, .. }) = none.plan(&case.problem) else {
                panic!("{}: a plan without memory", engine.name);
            };
            let attention = engine.attention.clone().with_scratch_budget_bytes(needed_bytes);
            let least = Engine { name: engine.name.clone(), attention };
            assert!(case.run(&least) == output, "{}: passes over the clusters", engine.name);
            let alone = Case::of(shape.with_batch(1), *case.problem.method(), 0);
            let alone = Case {
                queries: case.queries[..case.queries.len() / 2].to_vec(),
                keys: case.keys[..case.keys.len() / 2].to_vec(),
                values: case.values[..case.values.len() / 2].to_vec(),
                ..alone
            };
            assert!(alone.run(engine) == output[..output.len() / 2], "{}", engine.name);
        }
    }
}

/// A guard whose rows are nearly all leading tokens finds what those rows are: exact, although all else is far off.
#[test]
fn leading_tokens_come_before_the_guard_looks() {
    for engine in shared_engines() {
        let grid = Grid::new(1, 2).with_leading(128).with_radius(0);
        let method = Method::stitched(2).with_top_k(0).with_key_groups(1).with_grid(grid);
        let report = Guard::new().with_action(GuardAction::Report);
        let case = Case::of(image(1), method.with_guard(report), 7);
        let trace = case.trace(engine, &Supplied::default());
        let rows = report.rows;
        let slices = trace.guard_rows.chunks(rows).zip(&trace.guard_error);
        let leading: Vec<f32> = slices.filter(|(rows, _)| rows.iter().all(|&row| row < 128)).map(|(_, &e)| e).collect();
        assert!(!leading.is_empty(), "{}: {:?}", engine.name, trace.guard_rows);
        assert!(leading.iter().all(|&error| error < 1e-5), "{}: {leading:?}", engine.name);
        // The same rows as patches.
        let patches = Grid::new(10, 13).with_radius(0);
        let trace = case.with_method(case.problem.method().with_grid(patches)).trace(engine, &Supplied::default());
        assert!(trace.guard_error.iter().all(|&error| error > 0.01), "{}: {:?}", engine.name, trace.guard_error);
    }
}

#[test]
fn images_are_the_same_on_any_number_of_threads() {
    // So long that a few threads cut the output into other blocks than one, and tiles lie in two of them.
    let grid = Grid::new(71, 73).with_leading(1);
    for method in stitched_forms(9) {
        let shape = Shape::self_attention(1, 2, 5184, 8);
        let case = Case::of(shape, method.with_top_k(5).with_grid(grid), 3);
        let engine = &shared_engines()[0];
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            pool.install(|| case.run(engine))
        };
        let alone = run(1);
        for threads in [2, 5] {
            assert!(run(threads) == alone, "{threads} threads: {method}");
        }
    }
}
