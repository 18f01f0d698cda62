//! Buffers of halves: slices that begin at any half, share words and buffers, or do not fit; and NaN in them.

use super::{cases, devices, kernels, record};
use crate::common::case::{row_offset, Case};
use crate::common::device::OwnDevice;
use crate::common::halves::{floats, HalfCase};
use crate::common::relative_difference;
use clustered_attention::half::f16;
use clustered_attention::{
    wgpu, Attention, Backend, CheckedTensor, DeviceAttention, DeviceTensors, Element, Error, FiniteCheck, Kernels,
    Layout, Method, Problem, Shape, NO_BAD_ELEMENT,
};

/// What surrounds tensors: a NaN that no computation writes.
const CANARY: f16 = f16::from_bits(0x7eef);

/// Queries, keys, values and room for the output in one buffer, each so many halves behind a multiple of what bindings are rounded down to.
struct Fused {
    content: Vec<f16>,
    ranges: [std::ops::Range<u64>; 4],
}

impl Fused {
    fn new(case: &HalfCase, shifts: [usize; 4]) -> Self {
        let room = vec![CANARY; case.wide.shape().output_elements()];
        let mut content = Vec::new();
        let ranges = std::array::from_fn(|tensor| {
            let data = [&case.queries, &case.keys, &case.values, &room][tensor];
            content.resize(content.len().next_multiple_of(128) + shifts[tensor], CANARY);
            let begin = content.len() as u64;
            content.extend_from_slice(data);
            2 * begin..2 * content.len() as u64
        });
        content.resize((content.len() + 3).next_multiple_of(2), CANARY);
        Self { content, ranges }
    }

    fn buffer(&self, own: &OwnDevice) -> wgpu::Buffer {
        let words = self.content.chunks(2).map(|two| u32::from(two[0].to_bits()) | u32::from(two[1].to_bits()) << 16);
        own.buffer(&words.collect::<Vec<u32>>())
    }

    /// The output; panics if anything around it is another than before.
    fn output(&self, own: &OwnDevice, buffer: &wgpu::Buffer) -> Vec<f16> {
        let words = own.read(buffer);
        let halves = words.into_iter().flat_map(|word| [word as u16, (word >> 16) as u16]).map(f16::from_bits);
        let mut halves: Vec<f16> = halves.collect();
        let place = self.ranges[3].start as usize / 2..self.ranges[3].end as usize / 2;
        let output = halves[place.clone()].to_vec();
        halves[place.clone()].copy_from_slice(&self.content[place]);
        let same = halves.iter().zip(&self.content).all(|(one, other)| one.to_bits() == other.to_bits());
        assert!(same, "{}: written outside the output", own.name);
        output
    }
}

/// Some of the methods and sizes of float32, and sizes of odd numbers of halves.
fn half_cases(layout: Layout) -> Vec<HalfCase> {
    let odd = Shape::self_attention(1, 1, 21, 5).with_query_heads(3).with_value_width(3);
    let odd = [Method::Exact, Method::improved(3), Method::stitched(3).with_top_k(4).with_window(Some(2))]
        .map(|method| Case::of(odd, method, 32).in_layout(layout));
    let cases = cases(layout);
    [&cases[0], &cases[3]].into_iter().chain(&odd).map(HalfCase::of).collect()
}

#[test]
fn slices_begin_at_any_half_of_one_buffer_or_two() {
    let cpu = Attention::new_blocking(Backend::Cpu).expect("the CPU");
    for own in devices() {
        let kernels = kernels(&own);
        for (layout, shifts) in [(Layout::HeadsFirst, [1, 2, 3, 1]), (Layout::LengthFirst, [0, 8, 4, 12])] {
            for case in half_cases(layout) {
                let name = format!("{} {shifts:?} {:?}", own.name, case.problem.method());
                let fused = Fused::new(&case, shifts);
                let expected = floats(&case.run(&cpu).expect("attention"));
                let (inputs, apart) = (fused.buffer(&own), fused.buffer(&own));
                let mut attention = DeviceAttention::new(&kernels, &case.problem).expect("it fits");
                let mut outputs = Vec::new();
                for output in [&inputs, &apart] {
                    let slice = |tensor: usize| inputs.slice(fused.ranges[tensor].clone());
                    let to = output.slice(fused.ranges[3].clone());
                    record(&own, &mut attention, &DeviceTensors::new(slice(0), slice(1), slice(2), to));
                    outputs.push(floats(&fused.output(&own, output)));
                    // The same commands again give the same bits.
                    record(&own, &mut attention, &DeviceTensors::new(slice(0), slice(1), slice(2), to));
                    outputs.push(floats(&fused.output(&own, output)));
                }
                assert!(outputs.iter().all(|output| *output == outputs[0]), "{name}");
                let difference = relative_difference(&outputs[0], &expected);
                assert!(difference <= 1.0 / 1024.0, "{name}: {difference:e}");
            }
        }
    }
}

#[test]
fn buffers_of_halves_that_do_not_fit_are_named() {
    // 63 halves of queries and keys, 21 of values and output.
    let shape = Shape::self_attention(1, 1, 21, 3).with_value_width(1);
    let problem = Problem::new(shape, Method::Exact).expect("a problem").with_element(Element::F16);
    for own in devices() {
        let mut attention =
            DeviceAttention::new(&Kernels::new(&own.device).expect("kernels"), &problem).expect("it fits");
        let usage = wgpu::BufferUsages::STORAGE;
        let buffers = [0; 4].map(|_| own.buffer_with(1024, usage, &[]));
        let mut record = |slices: [wgpu::BufferSlice; 4]| {
            let [queries, keys, values, output] = slices;
            let mut encoder = own.device.create_command_encoder(&Default::default());
            attention.record(&mut encoder, &DeviceTensors::new(queries, keys, values, output))
        };
        let bytes = [126, 126, 42, 42];
        let slices = |offset: u64| -> [wgpu::BufferSlice; 4] {
            std::array::from_fn(|tensor| buffers[tensor].slice(offset..offset + bytes[tensor]))
        };
        own.without_complaint(|| {
            record(slices(0)).expect("slices of an odd number of halves");
            record(slices(258)).expect("slices at an odd half");
            for (tensor, name) in ["queries", "keys", "values", "output"].into_iter().enumerate() {
                let mut small = slices(2);
                small[tensor] = buffers[tensor].slice(2..bytes[tensor]);
                let error = record(small).expect_err("a half is missing");
                let expected = Error::BufferTooSmall {
                    tensor: name,
                    needed_bytes: bytes[tensor],
                    actual_bytes: bytes[tensor] - 2,
                };
                assert_eq!(error, expected);

                let mut odd = slices(0);
                odd[tensor] = buffers[tensor].slice(3..3 + bytes[tensor]);
                let error = record(odd).expect_err("no half begins there");
                let text = format!("`{name}` starts at byte 3; it must start at a multiple of 2");
                assert!(error.to_string().contains(&text), "{error}");

                // Of the last word, only one half lies in the buffer.
                let short = own.buffer_with(bytes[tensor], usage, &[]);
                let mut ends = slices(0);
                ends[tensor] = short.slice(..);
                let error = record(ends).expect_err("shaders read words");
                let needed_bytes = bytes[tensor] + 2;
                assert_eq!(error, Error::BufferTooSmall { tensor: name, needed_bytes, actual_bytes: bytes[tensor] });
            }
            // The last half of the output is in the word of the first of the queries.
            let mut shared = slices(0);
            shared[3] = buffers[0].slice(0..42);
            shared[0] = buffers[0].slice(42..168);
            let error = record(shared).expect_err("they share a word");
            assert!(matches!(error, Error::BufferOverlap { tensor: "queries", .. }), "{error}");
        });
        let kernels = Kernels::new(&own.device).expect("kernels");
        let wide = Problem::new(shape, Method::Exact).expect("a problem");
        let error = DeviceAttention::new(&kernels, &wide).expect("it fits").prepare(&{
            let [queries, keys, values, output] = slices(0);
            DeviceTensors::new(queries, keys, values, output)
        });
        assert!(matches!(error, Err(Error::BufferTooSmall { needed_bytes: 252, actual_bytes: 126, .. })), "{error:?}");
        // A search reads rows as float32.
        let [queries, keys, values, output] = slices(0);
        let tensors = DeviceTensors::new(queries, keys, values, output);
        let search = Method::for_error(0.1);
        let error = search.find_on_device_blocking(&kernels, &own.queue, &problem, &tensors, None, None);
        assert!(matches!(error, Err(Error::Unsupported { feature }) if feature.contains("f16")), "{error:?}");
    }
}

#[test]
fn the_finite_check_finds_the_first_bad_half() {
    for own in devices() {
        let kernels = kernels(&own);
        let shape = Shape::self_attention(2, 2, 50, 13).with_value_width(7);
        let clean = HalfCase::of(&Case::of(shape, Method::Exact, 12).with_lengths(&[50, 21], &[33, 50]));
        let attention = DeviceAttention::new(&kernels, &clean.problem).expect("it fits");
        attention.set_lengths(&own.queue, Some(&[50, 21]), Some(&[33, 50])).expect("lengths in range");
        let check = FiniteCheck::new(&kernels, &clean.problem);
        let found = |case: &HalfCase, checked, tensor: usize| {
            // Surrounded by NaN.
            let fused = Fused::new(case, [1, 3, 2, 0]);
            let buffer = fused.buffer(&own);
            own.without_complaint(|| {
                let mut encoder = own.device.create_command_encoder(&Default::default());
                let slice = buffer.slice(fused.ranges[tensor].clone());
                check.record(&mut encoder, checked, slice, attention.lengths_buffer()).expect("a slice that fits");
                own.queue.submit([encoder.finish()]);
            });
            own.read(check.result_buffer())[0]
        };
        let all = [(CheckedTensor::Queries, 13, 49), (CheckedTensor::Keys, 13, 32), (CheckedTensor::Values, 7, 32)];
        for (tensor, (checked, width, last_row)) in all.into_iter().enumerate() {
            let mut case = HalfCase::of(&clean.wide);
            let data = |case: &mut HalfCase, offset: usize, value| {
                [&mut case.queries, &mut case.keys, &mut case.values][tensor][offset] = value;
            };
            data(&mut case, 0, f16::MAX);
            data(&mut case, 1, f16::MIN_POSITIVE_SUBNORMAL);
            assert_eq!(found(&case, checked, tensor), NO_BAD_ELEMENT, "{} {checked:?}", own.name);
            for value in [f16::NAN, f16::INFINITY, f16::NEG_INFINITY] {
                for (head, row, column) in [(1, last_row, width - 1), (0, 7, 2), (0, 0, 1)] {
                    let offset = row_offset(Layout::HeadsFirst, [2, 50, width], 0, head, row) + column;
                    data(&mut case, offset, value);
                    assert_eq!(found(&case, checked, tensor), offset as u32, "{} {checked:?} {value}", own.name);
                }
                case = HalfCase::of(&clean.wide);
            }
        }
    }
}
