//! NaN and infinity in an app's buffers: what they spoil, and how they are found.

use super::{attention, bits, cases, devices, kernels, record, Buffers};
use crate::common::case::{row_offset, Case};
use clustered_attention::{CheckedTensor, FiniteCheck, Guard, Layout, Method, NO_BAD_ELEMENT};

#[test]
fn nan_in_one_slice_leaves_the_others_as_they_are() {
    for own in devices() {
        let kernels = kernels(&own);
        for layout in [Layout::HeadsFirst, Layout::LengthFirst] {
            for clean in cases(layout) {
                let mut attention = attention(&kernels, &clean);
                let buffers = Buffers::new(&own, &clean);
                record(&own, &mut attention, &buffers.tensors());
                let expected = buffers.output(&own);
                for value in [f32::NAN, f32::INFINITY, f32::MAX] {
                    for tensor in 0..3 {
                        let mut case = clean.clone();
                        // Query head 1 of the first sequence, or key head 0 of the second.
                        let spoil = |data: &mut Vec<f32>, heads, width, batch, head| {
                            for row in 10..13 {
                                let offset = row_offset(layout, [heads, 50, width], batch, head, row);
                                data[offset..][..width].fill(value);
                            }
                        };
                        let affected = match tensor {
                            0 => {
                                spoil(&mut case.queries, 4, 12, 0, 1);
                                vec![(0, 1)]
                            }
                            1 => {
                                spoil(&mut case.keys, 2, 12, 1, 0);
                                vec![(1, 0), (1, 1)]
                            }
                            _ => {
                                spoil(&mut case.values, 2, 20, 1, 0);
                                vec![(1, 0), (1, 1)]
                            }
                        };
                        let buffers = Buffers::new(&own, &case);
                        record(&own, &mut attention, &buffers.tensors());
                        let output = buffers.output(&own);
                        for (batch, head) in case.slices().filter(|slice| !affected.contains(slice)) {
                            let rows = |output: &[f32]| bits(&case.output_of(output, batch, head));
                            let name = format!("{} {:?} {value} in tensor {tensor}", own.name, case.problem.method());
                            assert_eq!(rows(&output), rows(&expected), "{name}: slice {batch}, {head}");
                        }
                    }
                }
                // The object is none the worse for it.
                record(&own, &mut attention, &buffers.tensors());
                assert_eq!(bits(&buffers.output(&own)), bits(&expected), "{}", own.name);
            }
        }
    }
}

/// One bad query spoils its cluster, but no other row of its slice where a guard looks at it: what is not a number counts as too large an error.
#[test]
fn a_slice_with_nan_falls_back() {
    for own in devices() {
        let kernels = kernels(&own);
        let run = |case: &Case| {
            let buffers = Buffers::new(&own, case);
            record(&own, &mut attention(&kernels, case), &buffers.tensors());
            buffers.output(&own)
        };
        let stitched = cases(Layout::HeadsFirst).into_iter().filter(|case| case.problem.method().name() == "stitched");
        for mut case in stitched {
            let offset = row_offset(case.layout(), [4, 50, 12], 0, 1, 10);
            case.queries[offset] = f32::NAN;
            // All rows are looked at.
            let guard = Guard::new().with_rows(64).with_tolerance(0.001);
            let output = run(&case.with_method(case.problem.method().with_guard(guard)));
            let exact = run(&case.with_method(Method::Exact));
            let rows = |output: &[f32]| {
                let mut rows = bits(&case.output_of(output, 0, 1));
                rows.drain(10 * 20..11 * 20);
                rows
            };
            assert!(rows(&output) == rows(&exact), "{}: {:?}", own.name, case.problem.method());
        }
    }
}

#[test]
fn the_finite_check_finds_the_first_bad_element() {
    for own in devices() {
        let kernels = kernels(&own);
        for layout in [Layout::HeadsFirst, Layout::LengthFirst] {
            let clean = cases(layout).remove(0).with_lengths(&[50, 21], &[33, 50]);
            let attention = attention(&kernels, &clean);
            attention.set_lengths(&own.queue, Some(&[50, 21]), Some(&[33, 50])).expect("lengths in range");
            let check = FiniteCheck::new(&kernels, &clean.problem);
            let found = |case: &Case, checked| {
                let buffers = Buffers::new(&own, case);
                let tensors = buffers.tensors();
                let slice = match checked {
                    CheckedTensor::Queries => tensors.queries,
                    CheckedTensor::Keys => tensors.keys,
                    _ => tensors.values,
                };
                own.without_complaint(|| {
                    let mut encoder = own.device.create_command_encoder(&Default::default());
                    check.record(&mut encoder, checked, slice, attention.lengths_buffer()).expect("a slice that fits");
                    own.queue.submit([encoder.finish()]);
                });
                own.read(check.result_buffer())[0]
            };
            // Padding is NaN, and so is all that surrounds the tensors.
            for checked in [CheckedTensor::Queries, CheckedTensor::Keys, CheckedTensor::Values] {
                assert_eq!(found(&clean, checked), NO_BAD_ELEMENT, "{} {layout:?} {checked:?}", own.name);
            }
            for (checked, heads, width, last_row) in [
                (CheckedTensor::Queries, 4, 12, 49),
                (CheckedTensor::Keys, 2, 12, 32),
                (CheckedTensor::Values, 2, 20, 32),
            ] {
                for (batch, head, row, column) in
                    [(0, 0, 0, 0), (0, 1, last_row, width - 1), (1, heads - 1, 20, 5), (1, 0, 3, 11)]
                {
                    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                        let mut case = clean.clone();
                        let offset = row_offset(layout, [heads, 50, width], batch, head, row) + column;
                        let last = row_offset(layout, [heads, 50, width], 1, heads - 1, 20) + width - 1;
                        let data = match checked {
                            CheckedTensor::Queries => &mut case.queries,
                            CheckedTensor::Keys => &mut case.keys,
                            _ => &mut case.values,
                        };
                        (data[offset], data[last]) = (value, value);
                        let name = format!("{} {layout:?} {checked:?} {batch} {head} {row} {column}", own.name);
                        assert_eq!(found(&case, checked), offset.min(last) as u32, "{name}");
                    }
                }
            }
        }
    }
}
