//! Every error that a caller can cause: it is the right one, and its message names the argument, what it was and what it may be.

use crate::common::case::{row_offset, Case};
use crate::common::{engines, shared_engines, stitched_forms};
use clustered_attention::{
    Attention, Backend, Error, Grid, Inputs, KeyGroups, Layout, Limits, Method, Plan, Problem, Result, Shape, Stitched,
    Supplied, NO_KEY,
};
use std::fmt::Debug;

/// The message of a result that must be an error; it must contain every one of some texts.
fn refused<T: Debug>(result: Result<T>, texts: &[&str]) -> Error {
    let error = result.expect_err(&format!("must be refused, naming {texts:?}"));
    let message = error.to_string();
    for text in texts {
        assert!(message.contains(text), "`{message}` does not say `{text}`");
    }
    error
}

fn shape() -> Shape {
    Shape::self_attention(2, 4, 9, 12).with_key_heads(2).with_value_width(20)
}

fn cpu() -> Attention {
    Attention::new_blocking(Backend::Cpu).expect("the CPU")
}

#[test]
fn dimensions_out_of_range_are_named() {
    type Field = (&'static str, fn(&mut Shape) -> &mut usize);
    let fields: [Field; 7] = [
        ("batch", |shape| &mut shape.batch),
        ("query_heads", |shape| &mut shape.query_heads),
        ("key_heads", |shape| &mut shape.key_heads),
        ("queries", |shape| &mut shape.queries),
        ("keys", |shape| &mut shape.keys),
        ("width", |shape| &mut shape.width),
        ("value_width", |shape| &mut shape.value_width),
    ];
    for (name, field) in fields {
        for value in [0, usize::MAX, usize::MAX / 2, 1 << 40] {
            for method in [Method::Exact, Method::stitched(4).with_window(None)] {
                let mut shape = shape();
                *field(&mut shape) = value;
                let is = format!("`{name}` is {value};");
                let error = refused(Problem::new(shape, method), &[&is, "from 1 to"]);
                assert!(matches!(error, Error::OutOfRange { argument, .. } if argument == name), "{error:?}");
            }
        }
    }
    for width in [257, 1000] {
        refused(Problem::new(shape().with_width(width), Method::Exact), &["`width`", "from 1 to 256"]);
    }
}

#[test]
fn sizes_that_overflow_are_named() {
    let huge = shape().with_queries(1 << 28).with_keys(1 << 28).with_batch(1 << 20);
    let error = refused(Problem::new(huge, Method::Exact), &["`queries`", "268435456", "1048576", "overflows", "2^48"]);
    assert!(matches!(error, Error::SizeOverflow { tensor: "queries", .. }));
    let keys = shape().with_batch(1 << 20).with_keys(1 << 28);
    refused(Problem::new(keys, Method::Exact), &["`keys`", "overflows"]);
    let values = shape().with_value_width(256).with_width(1).with_keys(1 << 28).with_batch(1 << 12);
    refused(Problem::new(values, Method::Exact), &["`values`", "overflows"]);
    let output = shape().with_value_width(256).with_width(1).with_queries(1 << 28).with_batch(1 << 12);
    refused(Problem::new(output, Method::Exact), &["`output`", "overflows"]);
}

#[test]
fn heads_and_windows_that_do_not_fit_are_named() {
    let heads = shape().with_query_heads(5).with_key_heads(3);
    let error = refused(Problem::new(heads, Method::Exact), &["`query_heads` is 5", "`key_heads` is 3", "multiple"]);
    assert!(matches!(error, Error::HeadsNotDivisible { query_heads: 5, key_heads: 3 }));
    let few = shape().with_query_heads(2).with_key_heads(4);
    refused(Problem::new(few, Method::Exact), &["`query_heads` is 2"]);
    let cross = shape().with_queries(8);
    let error = refused(Problem::new(cross, Method::stitched(3)), &["`window`", "8 queries", "9 keys", "None"]);
    assert!(matches!(error, Error::WindowNeedsSquare { queries: 8, keys: 9 }));
    Problem::new(cross, Method::stitched(3).with_window(None)).expect("no window, no complaint");
    Problem::new(cross, Method::auto(3)).expect("auto drops the window");
    refused(Problem::new(cross, Method::auto(0)), &["`clusters` is 0"]);
    // 9 positions.
    let grid = |grid: Grid| Problem::new(shape(), Method::stitched(3).with_grid(grid));
    grid(Grid::new(2, 4).with_leading(1)).expect("as many tokens as positions");
    let error =
        refused(grid(Grid::new(3, 4).with_leading(2)), &["`grid` 3 x 4", "2 leading", "14", "9 queries and 9 keys"]);
    assert!(matches!(error, Error::GridDoesNotFit { rows: 3, columns: 4, leading: 2, queries: 9, keys: 9 }));
    refused(grid(Grid::new(1 << 28, 1 << 28).with_leading(usize::MAX)), &["`grid` 268435456 x 268435456"]);
    refused(Problem::new(cross, Method::auto(3).with_grid(Grid::new(3, 3))), &["`grid` 3 x 3", "8 queries and 9 keys"]);
    refused(grid(Grid::new(0, 4).with_leading(9)), &["`grid rows` is 0", "from 1"]);
    refused(grid(Grid::new(4, 0).with_leading(9)), &["`grid columns` is 0", "from 1"]);
    refused(grid(Grid::new(3, 3).with_radii((1 << 28) + 1, 0)), &["`grid row_radius` is 268435457"]);
    refused(grid(Grid::new(3, 3).with_radii(0, usize::MAX)), &["`grid column_radius`", "from 0 to 268435456"]);
}

#[test]
fn options_out_of_range_are_named() {
    let clustered = |change: fn(&mut clustered_attention::Clustering)| {
        Problem::new(shape(), Method::improved(4).with_clustering(change))
    };
    refused(clustered(|c| c.clusters = 0), &["`clusters` is 0", "from 1 to 65536"]);
    refused(clustered(|c| c.clusters = 65_537), &["`clusters` is 65537", "from 1 to 65536"]);
    refused(clustered(|c| c.clusters = usize::MAX), &["`clusters`", "from 1 to 65536"]);
    refused(clustered(|c| c.bits = 0), &["`bits` is 0", "from 1 to 256"]);
    refused(clustered(|c| c.bits = 257), &["`bits` is 257", "from 1 to 256"]);
    refused(clustered(|c| c.iterations = 0), &["`iterations` is 0", "from 1 to 1000"]);
    refused(clustered(|c| c.iterations = 1001), &["`iterations` is 1001", "from 1 to 1000"]);
    refused(clustered(|c| c.euclidean_steps = 1001), &["`euclidean_steps` is 1001", "from 0 to 1000"]);
    let top_k = |value| Problem::new(shape(), Method::improved(4).with_top_k(value));
    refused(top_k(1025), &["`top_k` is 1025", "from 0 to 1024"]);
    refused(top_k(usize::MAX), &["`top_k`", "from 0 to 1024"]);
    refused(clustered(|c| c.samples = 0), &["`samples` is 0", "from 1 to 65536"]);
    refused(clustered(|c| c.samples = 65_537), &["`samples` is 65537", "from 1 to 65536"]);
    let in_metric = |iterations| {
        Problem::new(shape(), Method::stitched(4).with_clustering(|c| c.iterations = iterations)).map(|_| ())
    };
    in_metric(0).expect("the rows that clusters start with");
    refused(in_metric(1001), &["`iterations` is 1001", "from 0 to 1000"]);
    let key_groups = |groups| Problem::new(shape(), Method::stitched(4).with_key_groups(groups));
    refused(key_groups(KeyGroups::new(1025)), &["`key_groups` is 1025", "from 0 to 1024"]);
    refused(key_groups(KeyGroups::new(usize::MAX)), &["`key_groups`", "from 0 to 1024"]);
    refused(key_groups(KeyGroups::new(4).with_samples(0)), &["`key_samples` is 0", "from 1 to 65536"]);
    refused(key_groups(KeyGroups::new(4).with_samples(65_537)), &["`key_samples` is 65537", "from 1 to 65536"]);
    refused(key_groups(KeyGroups::new(4).with_rounds(1001)), &["`key_rounds` is 1001", "from 0 to 1000"]);
    let window = |value| Problem::new(shape(), Method::stitched(4).with_window(Some(value)));
    refused(window(usize::MAX), &["`window`", "from 0 to"]);
    refused(window((1 << 28) + 1), &["`window` is 268435457", "from 0 to 268435456"]);
    let problem = Problem::new(shape(), Method::Exact).expect("a problem");
    for (scale, shown) in
        [(0.0, "0"), (-0.0, "-0"), (-1.5, "-1.5"), (f32::NAN, "NaN"), (f32::INFINITY, "inf"), (-f32::INFINITY, "-inf")]
    {
        refused(problem.with_scale(scale), &["`scale`", shown, "positive and finite"]);
    }
}

#[test]
fn slices_of_the_wrong_length_are_named() {
    let case = Case::of(shape(), Method::stitched(3), 1);
    for engine in engines() {
        let run = |inputs: Inputs| engine.attention.run_blocking(&case.problem, &inputs);
        let (q, k, v) = (case.queries.as_slice(), case.keys.as_slice(), case.values.as_slice());
        let error = refused(run(Inputs::new(&q[1..], k, v)), &["`queries`", "863", "864", "[2, 4, 9, 12]"]);
        assert!(matches!(error, Error::SliceLength { argument: "queries", expected: 864, actual: 863, .. }));
        refused(run(Inputs::new(q, &[], v)), &["`keys`", " 0 elements", "432", "[2, 2, 9, 12]"]);
        let long = [v, v].concat();
        refused(run(Inputs::new(q, k, &long)), &["`values`", "1440", "720", "[2, 2, 9, 20]"]);
        let inputs = Inputs::new(q, k, v);
        let lengths = |queries, keys| run(inputs.with_lengths(queries, keys));
        refused(lengths(&[9], &[9, 9]), &["`query_lengths`", "1 elements", "2 are needed"]);
        refused(lengths(&[9, 9], &[9, 9, 9]), &["`key_lengths`", "3 elements", "2 are needed"]);
        let error = refused(lengths(&[9, 10], &[9, 9]), &["`query_lengths[1]` is 10", "at most 9"]);
        assert!(matches!(error, Error::EntryOutOfRange { argument: "query_lengths", index: 1, .. }));
        refused(lengths(&[9, 9], &[u32::MAX, 9]), &["`key_lengths[0]` is 4294967295", "at most 9"]);
        let mut output = vec![7.0; 1439];
        let result = engine.attention.run_into_blocking(&case.problem, &inputs, &mut output);
        refused(result, &["`output`", "1439", "1440", "[2, 4, 9, 20]"]);
        assert!(output.iter().all(|&value| value == 7.0));
        // A refusal leaves the back end usable.
        case.run(&engine);
    }
}

#[test]
fn nan_and_infinity_are_found_where_they_are_in_both_layouts() {
    for layout in [Layout::HeadsFirst, Layout::LengthFirst] {
        let clean = Case::of(shape(), Method::stitched(3), 2).in_layout(layout).with_lengths(&[9, 5], &[8, 9]);
        for (value, shown) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
            for (tensor, dimensions) in [("queries", [4, 9, 12]), ("keys", [2, 9, 12]), ("values", [2, 9, 20])] {
                for (batch, head, row, column) in [(0, 0, 0, 0), (0, 1, 7, 4), (1, dimensions[0] - 1, 4, 3)] {
                    let mut case = clean.clone();
                    let index = row_offset(layout, dimensions, batch, head, row) + column;
                    match tensor {
                        "queries" => case.queries[index] = value,
                        "keys" => case.keys[index] = value,
                        _ => case.values[index] = value,
                    }
                    let place = format!("batch {batch}, head {head}, row {row}, column {column}");
                    let element = format!("element {index} ");
                    let result = cpu().run_blocking(&case.problem, &case.inputs());
                    let error = refused(result, &[&format!("`{tensor}` holds {shown}"), &place, &element, "finite"]);
                    assert!(matches!(error, Error::NotFinite { .. }));
                }
            }
        }
        // Padding may hold anything.
        cpu().run_blocking(&clean.problem, &clean.inputs()).expect("NaN in padding is no error");
    }
}

#[test]
fn supplied_results_are_checked() {
    let case = Case::of(shape(), Method::Stitched(Stitched::hamming(3)), 3).with_lengths(&[9, 4], &[9, 9]);
    let method = case.problem.method().with_clustering(|clustering| clustering.bits = 8);
    let case = case.with_method(method);
    let assignment = vec![2; 72];
    let planes = vec![0.5; 8 * 13];
    let mut bad_planes = planes.clone();
    bad_planes[17] = f32::NAN;
    let mut bad_assignment = assignment.clone();
    bad_assignment[5] = 3;
    let mut padding_assigned = assignment.clone();
    padding_assigned[36 + 4] = u32::MAX;
    for engine in engines() {
        let trace = |supplied: Supplied| engine.attention.trace_blocking(&case.problem, &case.inputs(), &supplied);
        let with_planes = |planes: &[f32]| trace(Supplied::default().with_planes(planes));
        let with_positions = |positions: &[u32]| trace(Supplied::default().with_initial_positions(positions));
        let with_assignment = |assignment: &[u32]| trace(Supplied::default().with_assignment(assignment));
        refused(with_planes(&[0.0; 103]), &["`planes`", "103 elements", "104 are needed", "[8, 13]"]);
        refused(with_planes(&bad_planes), &["`planes` holds NaN", "element 17", "row 1, column 4"]);
        with_planes(planes.as_slice()).expect("planes of the right size");
        refused(with_positions(&[0, 1]), &["`initial_positions`", "2 elements", "3 are needed"]);
        refused(with_positions(&[0, 9, 1]), &["`initial_positions[1]` is 9", "at most 8"]);
        with_positions(&[8, 8, 0]).expect("positions may repeat and may be padding");
        refused(with_assignment(&assignment[1..]), &["`assignment`", "71 elements", "72", "[2, 4, 9]"]);
        refused(with_assignment(&bad_assignment), &["`assignment[5]` is 3", "at most 2"]);
        with_assignment(&padding_assigned).expect("entries of padding are ignored");
    }
}

#[test]
fn supplied_key_groups_and_top_keys_are_checked() {
    let method = Method::stitched(3).with_top_k(4).with_key_groups(5);
    let case = Case::of(shape(), method, 3).with_lengths(&[9, 9], &[9, 7]);
    let groups = vec![4; 72];
    let with = |numbers: &[u32], index: usize, number: u32| {
        let mut numbers = numbers.to_vec();
        numbers[index] = number;
        numbers
    };
    // In any order, and with fewer keys than there is room for.
    let lists = [6, 0, NO_KEY, 2].repeat(24);
    for engine in engines() {
        let trace = |supplied: Supplied| engine.attention.trace_blocking(&case.problem, &case.inputs(), &supplied);
        let with_positions = |positions: &[u32]| trace(Supplied::default().with_initial_key_positions(positions));
        let with_groups = |groups: &[u32]| trace(Supplied::default().with_key_groups(groups));
        let with_keys = |keys: &[u32]| trace(Supplied::default().with_top_keys(keys));
        refused(with_positions(&[0; 4]), &["`initial_key_positions`", "4 elements", "5 are needed"]);
        refused(with_positions(&[0, 1, 9, 0, 0]), &["`initial_key_positions[2]` is 9", "at most 8"]);
        with_positions(&[8, 8, 0, 1, 0]).expect("positions may repeat and may be padding");
        refused(with_groups(&groups[1..]), &["`key_groups`", "71 elements", "72", "[2, 4, 9]"]);
        refused(with_groups(&with(&groups, 9, 5)), &["`key_groups[9]` is 5", "at most 4"]);
        refused(with_groups(&with(&groups, 36, u32::MAX)), &["`key_groups[36]` is 4294967295", "at most 4"]);
        with_groups(&with(&groups, 36 + 7, u32::MAX)).expect("entries of padding are ignored");
        refused(with_keys(&lists[1..]), &["`top_keys`", "95 elements", "96", "[2, 4, 3, 4]"]);
        refused(with_keys(&with(&lists, 5, 9)), &["`top_keys[5]` is 9", "at most 8"]);
        // The second sequence has seven keys.
        with_keys(&with(&lists, 5, 8)).expect("the last key of the first sequence");
        refused(with_keys(&with(&lists, 49, 7)), &["`top_keys[49]` is 7", "at most 6"]);
        refused(with_keys(&with(&lists, 7, 6)), &["`top_keys`", "key 6 twice in list 1", "each key once"]);
        let kept = with_keys(&lists).expect("lists that may be").top_keys;
        assert_eq!(kept, [0, 2, 6, NO_KEY].repeat(24), "{}", engine.name);
        for method in [stitched_forms(3)[1], Method::improved(3)] {
            let case = case.with_method(method);
            let trace = |supplied: Supplied| engine.attention.trace_blocking(&case.problem, &case.inputs(), &supplied);
            for supplied in [
                Supplied::default().with_initial_key_positions([].as_slice()),
                Supplied::default().with_key_groups(groups.as_slice()),
                Supplied::default().with_top_keys(lists.as_slice()),
            ] {
                let error = refused(trace(supplied), &["without key groups"]);
                assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
            }
        }
    }
}

#[test]
fn a_scratch_budget_that_is_too_small_says_what_is_needed() {
    let case = Case::of(Shape::self_attention(2, 3, 200, 12).with_value_width(20), Method::stitched(9), 4);
    for engine in engines() {
        let name = engine.name.clone();
        let attention = engine.attention.with_scratch_budget_bytes(1000);
        let result = attention.run_blocking(&case.problem, &case.inputs());
        let error = refused(result, &["`scratch_budget_bytes` is 1000", "at least"]);
        let Error::ScratchBudget { needed_bytes, budget_bytes: 1000 } = error else { panic!("{error:?}") };
        let attention = attention.with_scratch_budget_bytes(needed_bytes - 1);
        refused(attention.plan(&case.problem), &["`scratch_budget_bytes`", &needed_bytes.to_string()]);
        let attention = attention.with_scratch_budget_bytes(needed_bytes);
        let plan = attention.plan(&case.problem).expect("what was needed is enough");
        assert_eq!(plan.scratch_bytes(), needed_bytes, "{name}");
        attention.run_blocking(&case.problem, &case.inputs()).expect("what was needed is enough");
    }
}

#[test]
fn tensors_beyond_a_binding_are_named() {
    // 8 heads of 131,072 x 256 floats: length first, no chunk of heads fits 128 MiB.
    let shape = Shape::self_attention(1, 8, 131_072, 256);
    let problem = Problem::new(shape, Method::Exact).expect("a problem").with_layout(Layout::LengthFirst);
    let plan = Plan::new(&problem, &Limits::webgpu_defaults());
    let error = refused(plan, &["`queries`", "bytes", "max_storage_buffer_binding_size", "134217"]);
    let Error::ExceedsLimit { needed, allowed, .. } = error else { panic!("{error:?}") };
    assert!(needed > allowed && allowed <= 128 << 20);
}

#[test]
fn an_adapter_that_is_not_there_is_named_beside_those_that_are() {
    let wanted = "no such adapter in the world";
    let error = refused(Attention::new_blocking(Backend::Adapter(wanted.into())), &[wanted, "found: "]);
    let Error::NoAdapter { found, .. } = error else { panic!("{error:?}") };
    for engine in engines().iter().filter_map(|engine| engine.attention.adapter()) {
        assert!(found.contains(&engine.name), "{found}");
    }
}

#[test]
fn wrong_slices_are_named_before_anything_is_allocated() {
    // An output of 512 TiB, if it were allocated first.
    let huge = Shape::self_attention(1 << 11, 1, 1 << 28, 1).with_keys(1).with_value_width(255);
    let problem = Problem::new(huge, Method::Exact).expect("below 2^48 elements");
    let attention = cpu();
    refused(attention.run_blocking(&problem, &Inputs::<f32>::new(&[], &[], &[])), &["`queries`", " 0 elements"]);
    let result = attention.trace_blocking(&problem, &Inputs::<f32>::new(&[], &[], &[]), &Supplied::default());
    refused(result, &["`queries`", " 0 elements"]);
}

/// Queries and keys of one size, values of another.
fn sized(method: Method, [query, key, value]: [f32; 3]) -> Case {
    let mut case = Case::of(Shape::self_attention(1, 2, 40, 8), method, 1);
    for (data, size) in [(&mut case.queries, query), (&mut case.keys, key), (&mut case.values, value)] {
        data.fill(size);
    }
    case
}

#[test]
fn finite_inputs_that_overflow_are_named() {
    let [stitched, hamming] = stitched_forms(3);
    let methods = [
        Method::Exact,
        Method::clustered(3),
        Method::improved(3),
        stitched,
        hamming,
        Method::sliding_window(4, 4),
        stitched.with_key_groups(0),
        hamming.with_key_groups(4),
    ];
    for engine in shared_engines() {
        // Every back end has the same checks; the last two would only compile more kernels.
        let count = if engine.attention.adapter().is_none() { methods.len() } else { methods.len() - 2 };
        for &method in &methods[..count] {
            let run = |sizes| {
                let case = sized(method, sizes);
                engine.attention.run_blocking(&case.problem, &case.inputs())
            };
            let clustered = !matches!(method, Method::Exact | Method::Window { .. });
            let error = refused(run([1e20, 1e20, 1.0]), &["logits", "batch 0, head 0", "8.0e40", "scale the inputs"]);
            assert!(matches!(error, Error::Overflow { what: "logits", .. }), "{error:?}");
            refused(run([-3e38, 3e38, 1.0]), &["logits"]);
            // Logits of 8 are fine; distances between such queries are not.
            match run([1e20, 1e-20, 1.0]) {
                Ok(output) if !clustered => assert!(output.iter().all(|value| (value - 1.0).abs() < 1e-5)),
                result if clustered => drop(refused(result, &["squared distances of queries"])),
                result => panic!("{}: {result:?}", engine.name),
            }
            // The same of keys, where they are grouped or make the metric.
            let keyed = method.stitched_options().is_some_and(|_| method != hamming);
            match run([1e-20, 1e20, 1.0]) {
                Ok(output) if !keyed => assert!(output.iter().all(|value| (value - 1.0).abs() < 1e-5)),
                result if keyed => {
                    let error = refused(result, &["squared distances of keys", "batch 0, head 0"]);
                    assert!(matches!(error, Error::Overflow { what: "squared distances of keys", .. }), "{error:?}");
                }
                result => panic!("{}: {result:?}", engine.name),
            }
            run([1e18, 1e18, 1.0]).unwrap_or_else(|error| panic!("{}: {error}", engine.name));
            let output = run([3.0, 3.0, 1e30]).unwrap_or_else(|error| panic!("{}: {error}", engine.name));
            assert!(output.iter().all(|value| (value / 1e30 - 1.0).abs() < 1e-5), "{}", engine.name);
            // A mean of such values is a number, their sum is not: the number or an error, never infinity.
            match run([0.1, 0.1, 3e38]) {
                Ok(output) => assert!(output.iter().all(|value| (value / 3e38 - 1.0).abs() < 1e-5), "{}", engine.name),
                Err(error) => assert!(matches!(error, Error::Overflow { what: "sums of values", .. }), "{error:?}"),
            }
        }
        // As large as promised, at the greatest width.
        for method in [stitched, hamming] {
            let widest = Case::of(Shape::self_attention(1, 1, 20, 256), method, 1);
            let largest = vec![5e17; widest.queries.len()];
            let inputs = Inputs::new(&largest, &largest, &widest.values);
            engine
                .attention
                .run_blocking(&widest.problem, &inputs)
                .unwrap_or_else(|error| panic!("{}: {error}", engine.name));
        }
        // The scale alone, before a product that would be small.
        let scaled = sized(Method::Exact, [1e38, 1e-30, 1.0]).with_scale(10.0);
        refused(engine.attention.run_blocking(&scaled.problem, &scaled.inputs()), &["logits"]);
        // Large where it does no harm: orthogonal rows, and lengths that hide the rest.
        let mut case = sized(Method::Exact, [0.0, 0.0, 1.0]);
        case.queries[0] = 1e19;
        case.keys[1] = 1e19;
        engine.attention.run_blocking(&case.problem, &case.inputs()).expect("a bound of 1e38");
        let mut hidden = sized(Method::Exact, [1.0; 3]).with_lengths(&[30], &[30]);
        hidden.fill_padding(1e38);
        engine.attention.run_blocking(&hidden.problem, &hidden.inputs()).expect("padding is not looked at");
    }
}
