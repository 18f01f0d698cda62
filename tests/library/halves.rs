//! Tensors in `f16`: every method on every back end, as good as its last rounding lets it be.

use crate::common::case::Case;
use crate::common::halves::{floats, HalfCase};
use crate::common::reference::{output, within_twice_plain};
use crate::common::{relative_difference, shared_engines, stitched_forms};
use clustered_attention::half::f16;
use clustered_attention::{
    Attention, Backend, Element, Error, Guard, Inputs, Layout, Limits, Method, Plan, Problem, Rows, Shape, Strides,
    Trace,
};

fn methods() -> Vec<Method> {
    let stitched = stitched_forms(4).map(|method| method.with_top_k(6).with_window(Some(3)));
    let others = [
        Method::Exact,
        Method::sliding_window(5, 3).with_sinks(2),
        Method::clustered(4),
        Method::improved(4).with_top_k(6),
        Method::auto(4),
    ];
    let without_window = stitched.map(|method| method.with_window(None));
    others.into_iter().chain(stitched).chain(without_window).collect()
}

/// Every method on widths of whole vectors and on odd ones, grouped heads, both layouts, and sequences of nothing, in halves of their own.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for method in methods() {
        for (width, value_width, layout) in [(12, 20, Layout::LengthFirst), (13, 5, Layout::HeadsFirst)] {
            let shape = Shape::self_attention(3, 4, 50, width).with_key_heads(2).with_value_width(value_width);
            let case = Case::of(shape, method, 31).with_lengths(&[50, 0, 21], &[50, 33, 20]);
            cases.push(case.in_layout(layout));
        }
    }
    // Widths of several parts, of one column, and a sequence without keys; 21 rows of one column are an odd number of halves.
    let shape = Shape::self_attention(1, 1, 60, 140).with_value_width(256);
    cases.push(Case::of(shape, Method::stitched(3).with_top_k(5), 5));
    cases.push(Case::of(Shape::self_attention(1, 1, 21, 1), Method::Exact, 6));
    cases.push(Case::of(Shape::self_attention(2, 1, 21, 3), Method::improved(3), 7).with_lengths(&[21, 4], &[0, 21]));
    let cross = Shape::self_attention(1, 2, 40, 40).with_queries(29);
    cases.push(Case::of(cross, Method::improved(5).with_top_k(7), 8));
    cases
}

/// What a trace chose; exact attention and windows choose nothing.
fn chosen(trace: &Trace) -> Option<&Trace> {
    (!trace.assignment.is_empty()).then_some(trace)
}

#[test]
fn outputs_are_as_good_as_their_last_rounding() {
    for engine in shared_engines() {
        for case in cases() {
            let half = HalfCase::of(&case);
            let trace = half.trace(engine);
            let name = format!("{}: {:?} of {:?}", engine.name, case.problem.method(), case.shape());
            let actual = half.run(&engine.attention).expect("attention");
            assert_eq!(floats(&actual), trace.output, "{name}");
            // A plain evaluation in float32 that is rounded too, against the same halves in float64.
            let (truth, plain) = (output::<f64>(&half.wide, chosen(&trace)), output::<f32>(&half.wide, chosen(&trace)));
            let rounded: Vec<f64> = plain.iter().map(|&value| f16::from_f64(value).to_f64()).collect();
            within_twice_plain(&trace.output, &rounded, &truth).unwrap_or_else(|error| panic!("{name}: {error}"));
            // And against what was there before the inputs were rounded.
            let before = output::<f64>(&case, chosen(&trace));
            within_twice_plain(&trace.output, &rounded, &before).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
}

#[test]
fn every_back_end_agrees_with_the_processor() {
    let [cpu, devices @ ..] = shared_engines() else { panic!("there is the CPU") };
    for case in cases() {
        let half = HalfCase::of(&case);
        let expected = floats(&half.run(&cpu.attention).expect("attention"));
        for engine in devices {
            let actual = floats(&half.run(&engine.attention).expect("attention"));
            let difference = relative_difference(&actual, &expected);
            let name = format!("{}: {:?} of {:?}", engine.name, case.problem.method(), case.shape());
            // One unit in the last place of the largest value.
            assert!(difference <= 1.0 / 1024.0, "{name}: {difference:e}");
        }
    }
}

#[test]
fn causal_attention_guards_and_chunks() {
    for engine in shared_engines() {
        let shape = Shape::self_attention(2, 3, 70, 13);
        let causal = Case::of(shape, Method::Exact, 3);
        let causal = Case { problem: causal.problem.with_causal(true).expect("exact attention"), ..causal };
        let guard = Guard::new().with_tolerance(1e-3).with_rows(16);
        let guarded = Case::of(shape, Method::stitched(4).with_top_k(3).with_window(Some(1)).with_guard(guard), 4);
        for (case, exact) in [(&causal, &causal), (&guarded, &guarded.with_method(Method::Exact))] {
            let half = HalfCase::of(case);
            let trace = half.trace(engine);
            assert!(trace.fell_back.iter().all(|&fell_back| fell_back), "{}", engine.name);
            let wide = HalfCase::of(exact).wide;
            let rounded: Vec<f64> =
                output::<f32>(&wide, None).iter().map(|&value| f16::from_f64(value).to_f64()).collect();
            within_twice_plain(&trace.output, &rounded, &output::<f64>(&wide, None))
                .unwrap_or_else(|error| panic!("{}: {error}", engine.name));
            let scratch = engine.attention.plan(&half.problem).expect("a plan").scratch_bytes();
            let chunked = engine.attention.clone().with_scratch_budget_bytes(scratch / 3);
            if let Ok(output) = half.run(&chunked) {
                assert_eq!(floats(&output), trace.output, "{}, in chunks", engine.name);
            }
        }
    }
}

#[test]
fn long_rows_are_cut_into_several_dispatches() {
    let case = Case::of(Shape::self_attention(1, 1, 4200, 64), Method::Exact, 9);
    let half = HalfCase::of(&case);
    let [cpu, devices @ ..] = shared_engines() else { panic!("there is the CPU") };
    let expected = floats(&half.run(&cpu.attention).expect("attention"));
    for engine in devices {
        let actual = floats(&half.run(&engine.attention).expect("attention"));
        let difference = relative_difference(&actual, &expected);
        assert!(difference <= 1.0 / 1024.0, "{}: {difference:e}", engine.name);
    }
}

#[test]
fn rows_with_gaps_at_any_half() {
    for engine in shared_engines() {
        for (width, gap) in [(8, 0), (8, 4), (8, 3), (7, 0), (13, 2)] {
            // All methods load rows by the same functions; a compiler takes seconds for those of one.
            let stitched = (width, gap) == (13, 2);
            let others = [Method::Exact, Method::clustered(4)];
            for method in others.into_iter().chain(stitched.then(|| Method::stitched(4).with_top_k(6))) {
                let case = Case::of(Shape::self_attention(1, 3, 37, width), method, width as u64);
                let half = HalfCase::of(&case);
                // `[length, 3 · heads, width + gap]`, NaN in the gaps.
                let (row, heads) = (width + gap, 9);
                let strides = Strides::new(0, row, heads * row);
                let mut fused = vec![f16::NAN; 37 * heads * row];
                for (part, tensor) in [&half.queries, &half.keys, &half.values].into_iter().enumerate() {
                    for (index, source) in tensor.chunks(width).enumerate() {
                        let (head, position) = (index / 37, index % 37);
                        fused[(position * heads + 3 * part + head) * row..][..width].copy_from_slice(source);
                    }
                }
                let problem = half.problem.with_input_strides(strides, strides, strides).expect("strides");
                let part = |index: usize| &fused[3 * index * row..];
                let inputs = Inputs::new(part(0), part(1), part(2));
                let output = engine.attention.run_blocking(&problem, &inputs).expect("attention");
                assert_eq!(output, half.run(&engine.attention).expect("attention"), "{} {method:?}", engine.name);
                let awaited = pollster::block_on(engine.attention.run(&problem, &inputs)).expect("attention");
                assert_eq!(awaited, output, "{} {method:?}", engine.name);
            }
        }
    }
}

#[test]
fn the_largest_halves_stay_finite() {
    let shape = Shape::self_attention(1, 1, 90, 4);
    let queries: Vec<f16> = (0..360).map(|i| f16::from_f32((i as f32).sin() * 1e-3)).collect();
    let values: Vec<f16> = (0..360).map(|i| if i % 2 == 0 { f16::MAX } else { f16::MIN }).collect();
    for engine in shared_engines() {
        for method in methods() {
            let problem = Problem::new(shape, method).expect("a problem").with_element(Element::F16);
            let output = engine.attention.run_blocking(&problem, &Inputs::new(&queries, &queries, &values));
            for (output, value) in output.expect("attention").iter().zip(&values) {
                // Two in 65,504 at most, where sums round.
                let distance = (output.to_f32() - value.to_f32()).abs();
                assert!(distance <= 64.0, "{} {method:?}: {output} of {value}", engine.name);
            }
        }
    }
}

#[test]
fn the_element_decides_what_slices_hold() {
    let shape = Shape::self_attention(1, 1, 10, 4);
    let problem = Problem::new(shape, Method::Exact).expect("a problem");
    assert_eq!((problem.element(), problem.with_element(Element::F16).element()), (Element::F32, Element::F16));
    let (wide, narrow) = (vec![0.5f32; 40], vec![f16::ONE; 40]);
    let attention = Attention::new_blocking(Backend::Cpu).expect("the CPU");
    let (of_floats, of_halves) = (Inputs::new(&wide, &wide, &wide), Inputs::new(&narrow, &narrow, &narrow));
    let halves = problem.with_element(Element::F16);
    let refused = |error: Error, text: &str| {
        assert!(
            matches!(error, Error::DataType { tensor: "queries", .. }) && error.to_string().contains(text),
            "{error}"
        );
    };
    refused(attention.run_blocking(&halves, &of_floats).expect_err("floats"), "is of f32; it must be of f16");
    refused(attention.run_blocking(&problem, &of_halves).expect_err("halves"), "is of f16; it must be of f32");
    refused(pollster::block_on(attention.run(&halves, &of_floats)).expect_err("floats"), "must be of f16");
    refused(attention.run_into_blocking(&halves, &of_floats, &mut [0.0; 40]).expect_err("floats"), "must be of f16");
    let searched = Method::for_error(0.1).find_blocking(&attention, &halves, &of_floats).expect_err("floats");
    refused(searched, "must be of f16");
    // Errors of outputs are measured in float32.
    let exact = clustered_attention::ExactRows::compute_blocking(&attention, &halves, &of_floats, Rows::All);
    assert!(exact.expect("exact rows").compare(&wide).expect("a comparison").relative_error < 1e-6);
}

#[test]
fn halves_are_checked_as_floats_are() {
    let case = HalfCase::of(&Case::of(Shape::self_attention(1, 2, 30, 7), Method::stitched(3), 2));
    for engine in shared_engines() {
        for bad in [f16::NAN, f16::INFINITY, f16::NEG_INFINITY] {
            let mut keys = case.keys.clone();
            keys[7 * 40 + 3] = bad;
            let inputs = Inputs::new(&case.queries, &keys, &case.values);
            let error = engine.attention.run_blocking(&case.problem, &inputs).expect_err("a bad element");
            let found = matches!(error, Error::NotFinite { tensor: "keys", index: 283, head: 1, row: 10, column: 3, value, .. }
                if value.to_string() == bad.to_f32().to_string());
            assert!(found, "{}: {error}", engine.name);
        }
        let short = Inputs::new(&case.queries[1..], &case.keys, &case.values);
        let error = engine.attention.run_blocking(&case.problem, &short).expect_err("one is missing");
        assert!(matches!(error, Error::SliceLength { argument: "queries", expected: 420, actual: 419, .. }), "{error}");
        let mut output = vec![f16::ZERO; 419];
        let error = engine.attention.run_into_blocking(&case.problem, &case.inputs(), &mut output);
        assert!(matches!(error, Err(Error::SliceLength { argument: "output", .. })), "{error:?}");
        // A factor so large that logits of halves exceed float32.
        let problem = case.problem.with_scale(1e38).expect("a scale");
        let error = engine.attention.run_blocking(&problem, &case.inputs()).expect_err("logits too large");
        assert!(matches!(error, Error::Overflow { what: "logits", .. }), "{error}");
    }
}

#[test]
fn buffers_of_halves_are_half_as_large() {
    let shape = Shape::self_attention(1, 1, 100, 16).with_keys(3_000_000);
    let problem = Problem::new(shape, Method::Exact).expect("a problem");
    let refused = Plan::new(&problem, &Limits::webgpu_defaults()).expect_err("a binding is smaller than float32 keys");
    assert!(matches!(refused, Error::ExceedsLimit { needed: 192_000_000, .. }), "{refused}");
    Plan::new(&problem.with_element(Element::F16), &Limits::webgpu_defaults()).expect("halves fit");
}
