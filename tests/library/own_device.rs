//! Attention on a device, in an encoder and on buffers of the caller, under WebGPU's default limits.

mod halves;
mod not_finite;

use crate::common::case::Case;
use crate::common::device::{floats, own_devices, own_devices_with, words, OwnDevice};
use crate::common::{relative_difference, stitched_forms, Engine};
use clustered_attention::{wgpu, DeviceAttention, DeviceTensors, Error, Kernels, Limits, Plan, Stage, StageTimes};
use clustered_attention::{Attention, Backend, Layout, Method, Shape};

/// A word that no computation writes.
const CANARY: u32 = 0xdead_beef;

fn devices() -> Vec<OwnDevice> {
    own_devices(&wgpu::Limits::defaults())
}

fn kernels(own: &OwnDevice) -> Kernels {
    Kernels::new(&own.device).expect("the default limits suffice")
}

fn attention(kernels: &Kernels, case: &Case) -> DeviceAttention {
    DeviceAttention::new(kernels, &case.problem).expect("the problem fits")
}

/// All methods on grouped heads; few enough queries that near ties between adapters do not matter.
fn cases(layout: Layout) -> Vec<Case> {
    let shape = Shape::self_attention(2, 1, 50, 12).with_query_heads(4).with_key_heads(2).with_value_width(20);
    let forms = stitched_forms(4).map(|method| method.with_top_k(6));
    let stitched = forms.into_iter().flat_map(|method| [method.with_window(Some(3)), method.with_window(None)]);
    let methods = [Method::Exact, Method::clustered(4), Method::improved(4).with_top_k(6)];
    methods.into_iter().chain(stitched).map(|method| Case::of(shape, method, 31).in_layout(layout)).collect()
}

/// The output by a host call on the same device, of which the other tests know that it is right.
fn on_host(own: &OwnDevice, case: &Case) -> Vec<f32> {
    let attention = Attention::with_device(own.device.clone(), own.queue.clone());
    case.run(&Engine { name: own.name.clone(), attention })
}

fn on_cpu(case: &Case) -> Vec<f32> {
    case.run(&Engine { name: "cpu".into(), attention: Attention::new_blocking(Backend::Cpu).expect("the CPU") })
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Buffers as an app has them: one for queries, keys and values, one for the output, with gaps between and around.
struct Buffers {
    inputs: wgpu::Buffer,
    output: wgpu::Buffer,
    /// Word at which each of the four tensors begins, and how many it has.
    spans: [(usize, usize); 4],
}

impl Buffers {
    /// Tensors begin at multiples of 4 bytes that are not of 16, and the buffers end later than the tensors.
    fn new(own: &OwnDevice, case: &Case) -> Self {
        let sizes = [case.queries.len(), case.keys.len(), case.values.len(), case.shape().output_elements()];
        let (queries, keys) = (67, 67 + sizes[0] + 6);
        let values = keys + sizes[1] + 9;
        let spans = [(queries, sizes[0]), (keys, sizes[1]), (values, sizes[2]), (69, sizes[3])];
        assert!(spans.iter().all(|(begin, _)| begin % 4 != 0 && begin % 64 != 0));
        // NaN around the tensors shows where something else is read.
        let mut inputs = vec![f32::NAN.to_bits(); values + sizes[2] + 77];
        for ((begin, size), data) in spans.iter().zip([&case.queries, &case.keys, &case.values]) {
            inputs[*begin..][..*size].copy_from_slice(words(data));
        }
        let output = vec![CANARY; 69 + sizes[3] + 91];
        Self { inputs: own.buffer(&inputs), output: own.buffer(&output), spans }
    }

    fn tensors(&self) -> DeviceTensors<'_> {
        let range = |i: usize| 4 * self.spans[i].0 as u64..4 * (self.spans[i].0 + self.spans[i].1) as u64;
        // Room behind the output belongs to the slice and stays as it is.
        DeviceTensors::new(
            self.inputs.slice(range(0)),
            self.inputs.slice(range(1)),
            self.inputs.slice(range(2)),
            self.output.slice(4 * self.spans[3].0 as u64..),
        )
    }

    /// The output; panics if anything around it was written.
    fn output(&self, own: &OwnDevice) -> Vec<f32> {
        let all = own.read(&self.output);
        let (begin, size) = self.spans[3];
        assert!(all[..begin].iter().all(|&word| word == CANARY), "{}: written before the output", own.name);
        assert!(all[begin + size..].iter().all(|&word| word == CANARY), "{}: written behind the output", own.name);
        floats(&all[begin..][..size]).to_vec()
    }
}

fn record(own: &OwnDevice, attention: &mut DeviceAttention, tensors: &DeviceTensors) {
    own.without_complaint(|| {
        let mut encoder = own.device.create_command_encoder(&Default::default());
        attention.record(&mut encoder, tensors).expect("tensors that fit");
        own.queue.submit([encoder.finish()]);
    });
}

#[test]
fn unaligned_slices_of_a_fused_buffer_in_both_layouts() {
    for own in devices() {
        let kernels = kernels(&own);
        for layout in [Layout::HeadsFirst, Layout::LengthFirst] {
            for case in cases(layout) {
                let buffers = Buffers::new(&own, &case);
                let mut attention = attention(&kernels, &case);
                record(&own, &mut attention, &buffers.tensors());
                let first = buffers.output(&own);
                let difference = relative_difference(&first, &on_cpu(&case));
                assert!(difference < 1e-5, "{} {layout:?} {:?}: {difference:e}", own.name, case.problem.method());
                // The same commands again, and those of a new object, give the same bits.
                record(&own, &mut attention, &buffers.tensors());
                assert_eq!(bits(&buffers.output(&own)), bits(&first), "{}", own.name);
                let limits = Limits::of(&own.device).with_scratch_budget_bytes(attention.scratch_bytes());
                let plan = Plan::new(&case.problem, &limits).expect("a budget that suffices");
                let mut other = DeviceAttention::with_plan(&kernels, plan).expect("it fits");
                assert_eq!(other.scratch_bytes(), attention.plan().scratch_bytes());
                record(&own, &mut other, &buffers.tensors());
                assert_eq!(bits(&buffers.output(&own)), bits(&first), "{}", own.name);
            }
        }
    }
}

#[test]
fn all_tensors_in_one_buffer() {
    for own in devices() {
        let kernels = kernels(&own);
        for case in cases(Layout::HeadsFirst) {
            let expected = on_host(&own, &case);
            let data = [&case.queries, &case.keys, &case.values];
            // Each begins at a multiple of what bindings are rounded down to, NaN between them, the output among the inputs.
            let mut content = vec![f32::NAN.to_bits(); 77];
            let mut place = |elements: &[u32]| {
                content.resize(content.len().next_multiple_of(64), f32::NAN.to_bits());
                let begin = content.len();
                content.extend_from_slice(elements);
                4 * begin as u64..4 * content.len() as u64
            };
            let queries = place(words(data[0]));
            let output = place(&vec![CANARY; expected.len()]);
            let (keys, values) = (place(words(data[1])), place(words(data[2])));
            let buffer = own.buffer(&content);
            let tensors = DeviceTensors::new(
                buffer.slice(queries),
                buffer.slice(keys),
                buffer.slice(values),
                buffer.slice(output.clone()),
            );
            record(&own, &mut attention(&kernels, &case), &tensors);
            let (mut written, output) = (own.read(&buffer), output.start as usize / 4..output.end as usize / 4);
            let difference = relative_difference(floats(&written[output.clone()]), &expected);
            assert!(difference < 1e-6, "{} {:?}: {difference:e}", own.name, case.problem.method());
            written[output.clone()].copy_from_slice(&content[output]);
            assert!(written == content, "{}: written outside the output", own.name);
        }
    }
}

#[test]
fn commands_of_the_app_keep_their_order() {
    for own in devices() {
        let kernels = kernels(&own);
        let case = cases(Layout::HeadsFirst).remove(3);
        let mut other = case.clone();
        other.queries.iter_mut().for_each(|value| *value *= -0.7);
        other.values.iter_mut().for_each(|value| *value += 1.0);
        let both = [&case, &other].map(|case| {
            let buffers = [&case.queries, &case.keys, &case.values].map(|data| own.buffer(words(data)));
            (buffers, own.buffer(&vec![CANARY; case.shape().output_elements()]))
        });
        let work = [&case.queries, &case.keys, &case.values].map(|data| own.buffer(&vec![0; data.len()]));
        let output = own.buffer(&vec![CANARY; case.shape().output_elements()]);
        let mut attention = attention(&kernels, &case);
        let tensors = DeviceTensors::new(work[0].slice(..), work[1].slice(..), work[2].slice(..), output.slice(..));
        own.without_complaint(|| {
            let mut encoder = own.device.create_command_encoder(&Default::default());
            for (sources, result) in &both {
                for (source, target) in sources.iter().zip(&work) {
                    encoder.copy_buffer_to_buffer(source, 0, target, 0, source.size());
                }
                attention.record(&mut encoder, &tensors).expect("tensors that fit");
                encoder.copy_buffer_to_buffer(&output, 0, result, 0, output.size());
                // What comes later must not be seen by what was recorded before.
                work.iter().for_each(|buffer| encoder.clear_buffer(buffer, 0, None));
                encoder.clear_buffer(&output, 0, None);
            }
            own.queue.submit([encoder.finish()]);
        });
        for ((_, result), case) in both.iter().zip([&case, &other]) {
            assert_eq!(own.read(result), bits(&on_host(&own, case)), "{}", own.name);
        }
        assert!(own.read(&output).iter().all(|&word| word == 0));
    }
}

#[test]
fn objects_share_kernels_and_an_encoder() {
    for own in devices() {
        let kernels = kernels(&own);
        let cases = cases(Layout::HeadsFirst);
        let mut built: Vec<(DeviceAttention, Buffers)> =
            cases.iter().map(|case| (attention(&kernels.clone(), case), Buffers::new(&own, case))).collect();
        own.without_complaint(|| {
            let mut encoder = own.device.create_command_encoder(&Default::default());
            for (attention, buffers) in &mut built {
                attention.prepare(&buffers.tensors()).expect("tensors that fit");
                attention.record(&mut encoder, &buffers.tensors()).expect("tensors that fit");
            }
            own.queue.submit([encoder.finish()]);
        });
        for (case, (_, buffers)) in cases.iter().zip(&built) {
            let difference = relative_difference(&buffers.output(&own), &on_cpu(case));
            assert!(difference < 1e-5, "{} {:?}: {difference:e}", own.name, case.problem.method());
        }
    }
}

#[test]
fn more_sets_of_buffers_than_are_kept() {
    for own in devices() {
        let kernels = kernels(&own);
        let case = cases(Layout::HeadsFirst).remove(2);
        let mut attention = attention(&kernels, &case);
        let sets: Vec<Buffers> = (0..11).map(|_| Buffers::new(&own, &case)).collect();
        for buffers in sets.iter().chain(&sets) {
            record(&own, &mut attention, &buffers.tensors());
        }
        let first = bits(&sets[0].output(&own));
        assert!(sets.iter().all(|buffers| bits(&buffers.output(&own)) == first), "{}", own.name);
    }
}

#[test]
fn the_same_buffers_at_other_offsets() {
    for own in devices() {
        let kernels = kernels(&own);
        let case = cases(Layout::HeadsFirst).remove(3);
        let mut attention = attention(&kernels, &case);
        let expected = on_host(&own, &case);
        // NaN surrounds the tensors.
        let shift = 12 * 37;
        let spread = |data: &[f32], at: usize| {
            let mut spread = vec![f32::NAN; data.len() + shift];
            spread[at..][..data.len()].copy_from_slice(data);
            own.buffer(words(&spread))
        };
        let output = own.buffer(&vec![CANARY; expected.len() + shift]);
        let data = [&case.queries, &case.keys, &case.values];
        let buffers = data.map(|data| spread(data, 0));
        for moved in 0..=4 {
            // One tensor after another moves within its buffer.
            let begin = |tensor: usize| if tensor < moved { shift } else { 0 };
            for (tensor, buffer) in buffers.iter().enumerate() {
                let copy = spread(data[tensor], begin(tensor));
                own.queue.submit([{
                    let mut encoder = own.device.create_command_encoder(&Default::default());
                    encoder.copy_buffer_to_buffer(&copy, 0, buffer, 0, buffer.size());
                    encoder.finish()
                }]);
            }
            // Of one size wherever they begin, so that nothing else tells them apart.
            let range = |tensor, elements| 4 * begin(tensor) as u64..4 * (begin(tensor) + elements) as u64;
            let slice = |tensor: usize| buffers[tensor].slice(range(tensor, data[tensor].len()));
            let tensors = DeviceTensors::new(slice(0), slice(1), slice(2), output.slice(range(3, expected.len())));
            record(&own, &mut attention, &tensors);
            let written = own.read(&output);
            assert_eq!(written[begin(3)..][..expected.len()], bits(&expected), "{} {moved}", own.name);
        }
    }
}

#[test]
fn lengths_can_be_set_between_recordings_and_filled_on_the_device() {
    for own in devices() {
        let kernels = kernels(&own);
        for case in cases(Layout::LengthFirst) {
            let buffers = Buffers::new(&own, &case);
            let mut attention = attention(&kernels, &case);
            record(&own, &mut attention, &buffers.tensors());
            let full = bits(&buffers.output(&own));
            // Through the buffer of unaligned tensors, the same kernels as above run; the padding holds ordinary numbers.
            let shorter = Case { query_lengths: vec![50, 21], key_lengths: vec![33, 50], ..case.clone() };
            let expected = on_cpu(&shorter);
            attention.set_lengths(&own.queue, Some(&[50, 21]), Some(&[33, 50])).expect("lengths in range");
            record(&own, &mut attention, &buffers.tensors());
            let set = buffers.output(&own);
            assert!(relative_difference(&set, &expected) < 1e-5, "{} {:?}", own.name, case.problem.method());
            attention.set_lengths(&own.queue, None, None).expect("no lengths");
            record(&own, &mut attention, &buffers.tensors());
            assert_eq!(bits(&buffers.output(&own)), full, "{}", own.name);

            // By a copy in the same encoder; what is longer than the tensors counts as full.
            let lengths = own.buffer(&[u32::MAX, 21, 33, 51]);
            own.without_complaint(|| {
                let mut encoder = own.device.create_command_encoder(&Default::default());
                encoder.copy_buffer_to_buffer(&lengths, 0, attention.lengths_buffer(), 0, 16);
                attention.record(&mut encoder, &buffers.tensors()).expect("tensors that fit");
                own.queue.submit([encoder.finish()]);
            });
            assert_eq!(bits(&buffers.output(&own)), bits(&set), "{}", own.name);
        }
    }
}

#[test]
fn stages_are_timed_on_an_apps_device() {
    for own in own_devices_with(&wgpu::Limits::defaults(), wgpu::Features::TIMESTAMP_QUERY) {
        let kernels = kernels(&own);
        let case = &cases(Layout::HeadsFirst)[3];
        let mut plain = attention(&kernels, case);
        let buffers = Buffers::new(&own, case);
        record(&own, &mut plain, &buffers.tensors());
        let expected = buffers.output(&own);
        let mut timed = attention(&kernels, case);
        let times = match StageTimes::new(&mut timed, &buffers.tensors()) {
            Err(Error::Unsupported { .. }) if !own.device.features().contains(wgpu::Features::TIMESTAMP_QUERY) => {
                continue
            }
            times => times.expect("the device has timestamps"),
        };
        own.without_complaint(|| {
            let mut encoder = own.device.create_command_encoder(&Default::default());
            timed.record_timed(&mut encoder, &buffers.tensors(), &times).expect("the same object");
            own.queue.submit([encoder.finish()]);
        });
        assert_eq!(bits(&buffers.output(&own)), bits(&expected), "{}", own.name);
        let words = own.read(times.buffer());
        let seconds = times.seconds(bytemuck::cast_slice(&words), own.queue.get_timestamp_period());
        let stages: Vec<Stage> = seconds.iter().map(|(stage, _)| *stage).collect();
        let costs: Vec<Stage> = timed.plan().costs().iter().map(|cost| cost.stage).collect();
        assert_eq!(stages, costs, "{}", own.name);
        assert!(seconds.iter().all(|(_, seconds)| (0.0..10.0).contains(seconds)), "{seconds:?}");
        assert!(seconds.iter().map(|(_, seconds)| seconds).sum::<f64>() > 0.0, "{seconds:?}");
        let mut exact = attention(&kernels, &cases(Layout::HeadsFirst)[0]);
        let mut encoder = own.device.create_command_encoder(&Default::default());
        let other = exact.record_timed(&mut encoder, &buffers.tensors(), &times);
        assert!(matches!(other, Err(Error::OutOfRange { argument: "times", .. })), "{other:?}");
    }
}
