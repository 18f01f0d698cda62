//! The search for the cheapest method that meets an error: what it finds holds, on host slices and on a device.

use crate::common::case::Case;
use crate::common::device::{own_devices, words, OwnDevice};
use crate::common::relative_difference;
use clustered_attention::wgpu::{self, BufferUsages};
use clustered_attention::{Attention, Backend, DeviceTensors, Error, ExactRows, ForError, Found, Inputs, Kernels};
use clustered_attention::{Layout, Method, Problem, Rows, Shape, Strides};

fn cpu() -> Attention {
    Attention::new_blocking(Backend::Cpu).expect("the CPU")
}

/// A layer of a speech recogniser: queries, keys and values, `[1, 6, 1500, 64]`.
fn speech_layer() -> (Shape, [Vec<f32>; 3]) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/speech_layer1.safetensors");
    let bytes = std::fs::read(path).expect("the layer ships with the crate");
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("a safetensors file");
    let tensors = ["q", "k", "v"].map(|name| {
        let halves = file.tensor(name).expect("a tensor").data().chunks_exact(2);
        halves.map(|bytes| half::f16::from_le_bytes([bytes[0], bytes[1]]).to_f32()).collect()
    });
    (Shape::self_attention(1, 6, 1500, 64), tensors)
}

/// The error of a method over all rows.
fn achieved(problem: &Problem, inputs: &Inputs) -> f64 {
    let exact = ExactRows::compute_blocking(&cpu(), problem, inputs, Rows::All).expect("exact rows");
    let output = cpu().run_blocking(problem, inputs).expect("an output");
    exact.compare(&output).expect("a comparison").relative_error
}

fn seeded(shape: Shape, seed: u64) -> Problem {
    let method = Method::auto(25).with_clustering(|clustering| clustering.seed = seed);
    Problem::new(shape, method).expect("a problem")
}

#[test]
fn what_is_found_on_a_real_layer_meets_the_target() {
    let (shape, [queries, keys, values]) = speech_layer();
    let inputs = Inputs::new(&queries, &keys, &values);
    for seed in 0..3 {
        let problem = seeded(shape, seed);
        for target in [0.08, 0.1, 0.15] {
            let search = Method::for_error(target).with_seed(seed);
            let found = search.find_blocking(&cpu(), &problem, &inputs).expect("a method");
            let Some(trial) = found.trial() else {
                assert_eq!(found.method, Method::Exact);
                continue;
            };
            assert!(trial.error <= trial.upper_error && trial.upper_error <= target, "{trial:?}");
            assert_eq!(trial.method.clustering().map(|clustering| clustering.seed), Some(seed));
            assert_eq!((trial.accuracy.rows, trial.accuracy.valid_rows), (6 * 32, 9000));
            let kept = Problem::new(shape, found.method).expect("a problem");
            let achieved = achieved(&kept, &inputs);
            assert!(achieved <= target, "seed {seed}: {achieved} above {target}");
            assert!((trial.error / achieved - 1.0).abs() < 0.1, "seed {seed}: {} for {achieved}", trial.error);
            // All that is cheaper was found too far off.
            let (_, cheaper) = found.trials.split_last().expect("trials");
            assert!(cheaper.iter().all(|cheaper| cheaper.upper_error > target), "{found:?}");
        }
    }
    let search = Method::for_error(0.1);
    let problem = seeded(shape, 0);
    let found = search.find_blocking(&cpu(), &problem, &inputs).expect("a method");
    assert_eq!(found.method.name(), "stitched");
    assert_eq!(search.find_blocking(&cpu(), &problem, &inputs), Ok(found.clone()));
    // Executors of several threads want futures that they can send.
    fn sent<T: Send>(future: T) -> T {
        future
    }
    let attention = cpu();
    assert_eq!(pollster::block_on(sent(search.find(&attention, &problem, &inputs))), Ok(found));
}

#[cfg(feature = "serde")]
#[test]
fn what_is_found_can_be_kept() {
    let (shape, [queries, keys, values]) = speech_layer();
    let inputs = Inputs::new(&queries, &keys, &values);
    let found = Method::for_error(0.1).find_blocking(&cpu(), &seeded(shape, 5), &inputs).expect("a method");
    let text = serde_json::to_string(&found).expect("text");
    assert!(text.contains(r#""method":{"method":"stitched""#), "{text}");
    let read: Found = serde_json::from_str(&text).expect("what was found");
    assert_eq!((read.method, read.trials.len()), (found.method, found.trials.len()));
    assert!((read.error() - found.error()).abs() < 1e-12);
    assert!(achieved(&Problem::new(shape, read.method).expect("a problem"), &inputs) <= 0.1);
}

#[test]
fn what_cannot_be_met_is_exact() {
    let case = Case::of(Shape::self_attention(1, 1, 2000, 16), Method::Exact, 1);
    let find =
        |search: ForError, case: &Case| search.find_blocking(&cpu(), &case.problem, &case.inputs()).expect("a method");
    let found = find(Method::for_error(1e-9), &case);
    assert_eq!((found.method, found.trials.len(), found.error()), (Method::Exact, 4, 0.0));
    assert!(found.trial().is_none() && found.trials.iter().all(|trial| trial.error > 1e-6), "{found:?}");
    // Nothing is measured where nothing can come of it.
    let short = Case::of(Shape::self_attention(2, 3, 60, 16), Method::stitched(5), 1);
    for (search, case) in [(Method::for_error(0.0), &case), (Method::for_error(0.5), &short)] {
        let found = find(search, case);
        assert_eq!((found.method, found.trials.len()), (Method::Exact, 0));
    }
    let causal = Problem::new(*case.shape(), Method::Exact).and_then(|problem| problem.with_causal(true));
    let found = Method::for_error(0.5).find_blocking(&cpu(), &causal.expect("a causal problem"), &case.inputs());
    assert_eq!(found.expect("a method").method, Method::Exact);
    let loose = find(Method::for_error(10.0), &case);
    assert_eq!((loose.trials.len(), loose.method.top_k(), loose.method.window()), (1, 16, Some(8)));
    // A wide margin asks for more than a narrow one.
    let margin = |margin| find(Method::for_error(loose.error()).with_margin(margin), &case).trials[0].upper_error;
    assert_eq!(margin(0.0), loose.error());
    assert!(margin(1.0) > loose.error() && margin(2.0) > margin(1.0));
}

#[test]
fn lengths_layouts_and_strides_count() {
    let shape = Shape::self_attention(2, 1, 1800, 12).with_query_heads(2).with_value_width(20);
    let case = Case::of(shape, Method::stitched(9), 3).with_lengths(&[1800, 700], &[1800, 900]);
    let search = Method::for_error(10.0);
    let find = |case: &Case| search.find_blocking(&cpu(), &case.problem, &case.inputs()).expect("a method");
    let found = find(&case);
    let actual = achieved(&case.with_method(found.method).problem, &case.inputs());
    assert!((found.error() / actual - 1.0).abs() < 0.1, "{} for {actual}", found.error());
    let moved = case.in_layout(Layout::LengthFirst);
    assert!((find(&moved).error() / found.error() - 1.0).abs() < 1e-3);
    // Keys and values as they lie anyway, said by strides.
    let strides = |heads: usize, width: usize| Strides::new(heads * 1800 * width, 1800 * width, width);
    let (queries, keys, values) = (strides(2, 12), strides(1, 12), strides(1, 20));
    let strided = case.problem.with_input_strides(queries, keys, values).expect("strides");
    assert_eq!(find(&Case { problem: strided, ..case.clone() }), found);
    let empty = case.clone().with_lengths(&[0, 0], &[1800, 900]);
    assert_eq!(find(&empty).error(), 0.0);
    let cross = Case::of(shape.with_keys(1500), Method::Exact, 3);
    assert_eq!(find(&cross).method.window(), None);
}

#[test]
fn bad_arguments_are_named() {
    let case = Case::of(Shape::self_attention(1, 1, 60, 8), Method::Exact, 1);
    let find = |search: ForError| search.find_blocking(&cpu(), &case.problem, &case.inputs());
    let search = Method::for_error(0.1);
    for (search, named, value) in [
        (Method::for_error(-0.1), "target", "-0.1"),
        (Method::for_error(f64::NAN), "target", "NaN"),
        (Method::for_error(f64::INFINITY), "target", "inf"),
        (search.with_rows(0), "rows", "0"),
        (search.with_rows(1), "rows", "1"),
        (search.with_rows(33), "rows", "33"),
        (search.with_margin(-1.0), "margin", "-1"),
        (search.with_margin(f64::NAN), "margin", "NaN"),
    ] {
        let refused = find(search);
        let Err(Error::OutOfRange { argument, value: given, .. }) = &refused else { panic!("{refused:?}") };
        assert_eq!((*argument, given.as_str()), (named, value));
    }
    let short = Inputs::new(&case.queries[1..], &case.keys, &case.values);
    let refused = search.find_blocking(&cpu(), &case.problem, &short);
    assert!(matches!(refused, Err(Error::SliceLength { argument: "queries", .. })), "{refused:?}");
}

/// A case whose first rung is found, in buffers of a device.
struct OnDevice {
    case: Case,
    kernels: Kernels,
    inputs: [wgpu::Buffer; 3],
    output: wgpu::Buffer,
}

impl OnDevice {
    fn new(own: &OwnDevice) -> Self {
        let shape = Shape::self_attention(2, 1, 1500, 12).with_value_width(20);
        let case = Case::of(shape, Method::Exact, 7).with_lengths(&[1500, 1100], &[1500, 1300]);
        let case = case.in_layout(Layout::LengthFirst);
        let kernels = Kernels::new(&own.device).expect("the default limits suffice");
        let inputs = [&case.queries, &case.keys, &case.values].map(|data| {
            // Queries begin behind something else.
            let begun: Vec<f32> = [f32::NAN; 5].iter().chain(data).copied().collect();
            own.buffer(words(&begun))
        });
        let output = own.buffer(&vec![0; shape.output_elements()]);
        Self { case, kernels, inputs, output }
    }

    fn find(&self, own: &OwnDevice, search: ForError, output: &wgpu::Buffer) -> clustered_attention::Result<Found> {
        let [queries, keys, values] = self.inputs.each_ref().map(|buffer| buffer.slice(20..));
        let tensors = DeviceTensors::new(queries, keys, values, output.slice(..));
        let lengths = [&self.case.query_lengths, &self.case.key_lengths].map(|lengths| Some(&lengths[..]));
        let problem = &self.case.problem;
        search.find_on_device_blocking(&self.kernels, &own.queue, problem, &tensors, lengths[0], lengths[1])
    }
}

#[test]
fn tensors_on_a_device_get_the_method_that_host_slices_get() {
    for own in own_devices(&wgpu::Limits::defaults()) {
        let on_device = OnDevice::new(&own);
        let case = &on_device.case;
        let host = Method::for_error(10.0).find_blocking(&cpu(), &case.problem, &case.inputs()).expect("a method");
        // A target that the first rung just meets.
        let search = Method::for_error(1.05 * host.trials[0].upper_error);
        let host = search.find_blocking(&cpu(), &case.problem, &case.inputs()).expect("a method");
        let found = on_device.find(&own, search, &on_device.output).expect("a method");
        assert_eq!(found.method, host.method, "{}", own.name);
        assert_eq!((found.trials.len(), host.trials.len()), (1, 1), "{}", own.name);
        let errors =
            |found: &Found| [found.error(), found.trials[0].upper_error, found.trials[0].accuracy.max_row_error];
        for (device, host) in errors(&found).into_iter().zip(errors(&host)) {
            assert!((device / host - 1.0).abs() < 0.02, "{}: {found:?} {host:?}", own.name);
        }
        // The output is that of the last call, the method's.
        let output: Vec<f32> = own.read(&on_device.output).into_iter().map(f32::from_bits).collect();
        let expected = cpu().run_blocking(&case.with_method(found.method).problem, &case.inputs()).expect("an output");
        assert!(relative_difference(&output, &expected) < 0.05, "{}", own.name);
        assert_eq!(on_device.find(&own, search, &on_device.output), Ok(found), "{}", own.name);

        let plain = own.buffer_with(on_device.output.size(), BufferUsages::STORAGE, &[]);
        let refused = on_device.find(&own, search, &plain);
        assert!(matches!(refused, Err(Error::BufferUsage { tensor: "output", .. })), "{refused:?}");
        let small = own.buffer(&[0; 40]);
        let refused = on_device.find(&own, search, &small);
        assert!(matches!(refused, Err(Error::BufferTooSmall { tensor: "output", .. })), "{refused:?}");
    }
}
