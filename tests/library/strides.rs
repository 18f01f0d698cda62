//! Inputs that lie with gaps: parts of a fused buffer, rows further apart than they are wide, heads and sequences that share memory.

use crate::common::case::{transposed, Case};
use crate::common::device::{floats, own_devices, words};
use crate::common::{shared_engines, stitched_forms};
use clustered_attention::{
    wgpu, DeviceAttention, DeviceTensors, Error, ExactRows, Inputs, Kernels, Layout, Method, Problem, Rows, Shape,
    Strides,
};

fn methods() -> [Method; 6] {
    let [stitched, hamming] = stitched_forms(4).map(|method| method.with_top_k(5).with_window(Some(3)));
    [
        Method::Exact,
        Method::sliding_window(5, 3),
        Method::clustered(4),
        Method::improved(4).with_top_k(5),
        stitched,
        hamming,
    ]
}

/// A fused tensor `[batch, length, heads + 2 key heads, width + gap]` with what the dense tensors of a case hold, and NaN in the gaps.
struct Fused {
    problem: Problem,
    data: Vec<f32>,
    /// First elements of queries, keys and values.
    begins: [usize; 3],
}

fn fused(case: &Case, gap: usize) -> Fused {
    let shape = *case.shape();
    let (row, heads) = (shape.width + gap, shape.query_heads + 2 * shape.key_heads);
    let strides = Strides::new(shape.queries * heads * row, row, heads * row);
    let begins = [0, shape.query_heads * row, (shape.query_heads + shape.key_heads) * row];
    let mut data = vec![f32::NAN; shape.batch * shape.queries * heads * row];
    let parts = [(&case.queries, shape.query_heads), (&case.keys, shape.key_heads), (&case.values, shape.key_heads)];
    for ((dense, heads), begin) in parts.into_iter().zip(begins) {
        for (index, source) in dense.chunks(shape.width).enumerate() {
            let (batch, head, position) =
                (index / (heads * shape.queries), index / shape.queries % heads, index % shape.queries);
            let place = begin + batch * strides.batch + head * strides.head + position * strides.row;
            data[place..][..shape.width].copy_from_slice(source);
        }
    }
    let problem = case.problem.with_input_strides(strides, strides, strides).expect("rows apart");
    Fused { problem, data, begins }
}

/// Self-attention with grouped heads, of widths that are multiples of four and of nothing.
fn cases() -> impl Iterator<Item = (Case, usize)> {
    [(8, 0), (8, 4), (8, 3), (7, 0), (13, 2)].into_iter().flat_map(|(width, gap)| {
        // Kernels of key groups load rows as others do: once as vectors, and once element by element.
        let in_groups = [(8, 4), (13, 2)].contains(&(width, gap));
        let grouped =
            |method: &Method| method.stitched_options().is_some_and(|stitched| stitched.key_groups.groups > 0);
        methods().into_iter().filter(move |method| in_groups || !grouped(method)).map(move |method| {
            let shape = Shape::self_attention(2, 4, 37, width).with_key_heads(2);
            (Case::of(shape, method, width as u64), gap)
        })
    })
}

#[test]
fn a_fused_slice_is_read_in_place() {
    for engine in shared_engines() {
        for (case, gap) in cases() {
            let Fused { problem, data, begins } = fused(&case, gap);
            let part = |index: usize| &data[begins[index]..];
            let inputs = Inputs::new(part(0), part(1), part(2));
            let name = format!("{}, {:?}, gap {gap}", engine.name, case.problem.method());
            let expected = engine.attention.run_blocking(&case.problem, &case.inputs()).expect("attention");
            let output = engine.attention.run_blocking(&problem, &inputs).expect("attention");
            assert_eq!(output, expected, "{name}");
            // Later chunks begin elsewhere in the fused tensor.
            let budget = engine.attention.plan(&problem).expect("a plan").scratch_bytes() / 8;
            let chunked = engine.attention.clone().with_scratch_budget_bytes(budget);
            if let Ok(output) = chunked.run_blocking(&problem, &inputs) {
                assert_eq!(output, expected, "{name}, in chunks");
            }
            let asynchronous = pollster::block_on(engine.attention.run(&problem, &inputs)).expect("attention");
            assert_eq!(asynchronous, expected, "{name}, awaited");
            let exact = ExactRows::compute_blocking(&engine.attention, &problem, &inputs, Rows::All).expect("rows");
            let dense = ExactRows::compute_blocking(&engine.attention, &case.problem, &case.inputs(), Rows::All);
            assert_eq!(exact.compare(&output), dense.expect("rows").compare(&output), "{name}");
        }
    }
}

#[test]
fn a_fused_buffer_is_read_in_place() {
    for own in own_devices(&wgpu::Limits::defaults()) {
        let kernels = Kernels::new(&own.device).expect("kernels");
        for (case, gap) in cases() {
            let Fused { problem, data, begins } = fused(&case, gap);
            let buffers = [words(&case.queries), words(&case.keys), words(&case.values)].map(|words| own.buffer(words));
            let [queries, keys, values] = buffers.each_ref().map(|buffer| buffer.slice(..));
            let buffer = own.buffer(words(&data));
            let part = |index: usize| buffer.slice(4 * begins[index] as u64..);
            let outputs = [(); 2].map(|()| own.buffer(&vec![0; case.shape().output_elements()]));
            own.without_complaint(|| {
                let dense = DeviceTensors::new(queries, keys, values, outputs[0].slice(..));
                let tensors = DeviceTensors::new(part(0), part(1), part(2), outputs[1].slice(..));
                for (problem, tensors) in [(&case.problem, dense), (&problem, tensors)] {
                    let mut attention = DeviceAttention::new(&kernels, problem).expect("it fits");
                    let mut encoder = own.device.create_command_encoder(&Default::default());
                    attention.record(&mut encoder, &tensors).expect("the slices reach to the last element");
                    own.queue.submit([encoder.finish()]);
                }
                let [dense, strided] = outputs.each_ref().map(|buffer| own.read(buffer));
                assert_eq!(floats(&strided), floats(&dense), "{}: {:?}, gap {gap}", own.name, case.problem.method());
            });
        }
    }
}

#[test]
fn heads_and_sequences_may_share_memory() {
    for engine in shared_engines() {
        for layout in [Layout::HeadsFirst, Layout::LengthFirst] {
            let one = Case::of(Shape::self_attention(1, 2, 20, 8).with_key_heads(1), Method::stitched(3), 1);
            // Keys of the only key head serve two, and both sequences.
            let shape = one.shape().with_batch(2).with_key_heads(2);
            let problem = Problem::new(shape, *one.problem.method()).expect("a problem").with_layout(layout);
            let (queries, keys) = (Strides::new(0, 160, 8), Strides::new(0, 0, 8));
            let problem = problem.with_input_strides(queries, keys, keys).expect("strides");
            let inputs = Inputs::new(&one.queries, &one.keys, &one.values);
            let expected = engine.attention.run_blocking(&one.problem, &inputs);
            let output = engine.attention.run_blocking(&problem, &inputs).expect("attention");
            let expected = transposed(&expected.expect("attention"), 1, [2, 20, 8], Layout::HeadsFirst, layout);
            assert_eq!(output[..320], expected[..], "{} {layout:?}", engine.name);
            assert_eq!(output[320..], expected[..], "{} {layout:?}", engine.name);
        }
    }
}

#[test]
fn strides_that_cannot_be_are_named() {
    let problem = Problem::new(Shape::self_attention(1, 2, 10, 8), Method::Exact).expect("a problem");
    let dense = Strides::new(160, 80, 8);
    for (strides, named) in
        [(Strides::new(160, 80, 7), "at least 8"), (Strides::new(1 << 32, 80, 8), "below 4294967296")]
    {
        let error = problem.with_input_strides(dense, strides, dense).expect_err("no such strides");
        assert!(matches!(error, Error::OutOfRange { argument: "row stride of keys", .. }), "{error}");
        assert!(error.to_string().contains(named), "{error}");
    }
    let far = Strides::new(1 << 31, 1 << 31, 1 << 31);
    let many = Problem::new(Shape::self_attention(1 << 20, 1, 10, 8), Method::Exact).expect("a problem");
    let error = many.with_input_strides(far, far, far).expect_err("beyond memory");
    assert!(matches!(error, Error::SizeOverflow { tensor: "queries", .. }), "{error}");
    let gaps = problem.with_input_strides(dense, Strides::new(200, 100, 10), dense).expect("strides");
    assert_eq!((gaps.query_elements(), gaps.key_elements()), (160, 198));
    let (queries, keys) = (vec![0.5; 160], vec![0.5; 197]);
    let attention = &shared_engines()[0].attention;
    let error = attention.run_blocking(&gaps, &Inputs::new(&queries, &keys, &queries)).expect_err("one is missing");
    assert!(matches!(error, Error::SliceLength { argument: "keys", expected: 198, actual: 197, .. }), "{error}");
}
