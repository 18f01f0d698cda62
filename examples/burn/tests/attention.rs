//! Attention on Burn's tensors against the crate's own CPU back end: shapes, views, lengths, slices of buffers.

mod common;

use burn::tensor::{DType, Tensor, TensorData};
use clustered_attention::burn::{attention, attention_with_lengths, AttentionOptions, ClusteredAttention, Lengths};
use clustered_attention::half::f16;
use clustered_attention::{Method, Shape};
use common::{
    devices, dimensions, expected, expected_with_lengths, input, methods, relative_difference, tensor, tensors, values,
    Idle,
};

/// Grouped heads, odd widths and lengths; few enough queries that near ties between adapters do not matter.
fn shape() -> Shape {
    Shape::self_attention(2, 1, 59, 13).with_query_heads(4).with_key_heads(2).with_value_width(21)
}

fn close(actual: Tensor<4>, expected: &[f32], what: &str) {
    let difference = relative_difference(&values(actual), expected);
    assert!(difference < 1e-5, "{what}: {difference:e}");
}

#[test]
fn every_method_on_every_kind_of_device() {
    let _idle = Idle;
    for shape in [shape(), Shape::self_attention(1, 3, 64, 16), Shape::self_attention(1, 1, 1, 1)] {
        let data = input(&shape, 1);
        for device in devices() {
            for method in methods() {
                let options = AttentionOptions::new(method);
                let [queries, keys, values] = tensors(&shape, &data, &device);
                let module = ClusteredAttention::new(options.clone());
                let output = module.forward(queries, keys, values).expect("attention");
                assert_eq!(output.dims(), [shape.batch, shape.query_heads, shape.queries, shape.value_width]);
                close(output, &expected(&shape, &data, &options), &format!("{device:?} {method:?}"));
            }
        }
    }
}

#[test]
fn halves_in_and_out() {
    let _idle = Idle;
    // 3 · 59 · 21 values are an odd number of halves.
    let odd = Shape::self_attention(1, 3, 59, 13).with_value_width(21);
    for shape in [shape(), odd, Shape::self_attention(1, 3, 64, 16)] {
        // Numbers that halves hold exactly.
        let half = |value: f32| f16::from_f32(value).to_f32();
        let data = input(&shape, 7).map(|tensor| tensor.into_iter().map(half).collect::<Vec<f32>>());
        for device in devices() {
            for method in methods() {
                let options = AttentionOptions::new(method);
                let mut dimensions = dimensions(&shape).into_iter();
                let [queries, keys, values] = data.each_ref().map(|data| {
                    let halves: Vec<f16> = data.iter().copied().map(f16::from_f32).collect();
                    let data = TensorData::new(halves, dimensions.next().unwrap_or_default());
                    Tensor::<4>::from_data(data, (&device, DType::F16))
                });
                let output = attention(queries, keys, values, &options).expect("attention");
                assert_eq!(output.dtype(), DType::F16);
                let output: Vec<f16> = output.into_data().try_to_vec().expect("a tensor of halves");
                let output: Vec<f32> = output.into_iter().map(f16::to_f32).collect();
                let difference = relative_difference(&output, &expected(&shape, &data, &options));
                // Rounding to the nearest half is worth 2.1e-4.
                assert!(difference < 3e-4, "{device:?} {method:?}: {difference:e}");
            }
        }
    }
}

#[test]
fn views_of_projections_are_read_as_they_lie() {
    let _idle = Idle;
    let shape = shape();
    let data = input(&shape, 2);
    let options = AttentionOptions::new(Method::stitched(7).with_top_k(9).with_window(Some(5)));
    let expected = expected(&shape, &data, &options);
    for device in devices() {
        // As `reshape` and `swap_dims` of a projection leave them: `[batch, length, heads, width]` in memory.
        let lengths_first = |tensor: Tensor<4>| (tensor.swap_dims(1, 2) * 1.0).swap_dims(1, 2);
        let view = tensors(&shape, &data, &device).map(lengths_first);
        let [queries, keys, values] = view.clone();
        let output = attention(queries, keys, values, &options).expect("attention");
        let [batch, heads, length, width] = output.dims();
        // What a layer does next.
        let merged = output.clone().swap_dims(1, 2).reshape([batch, length, heads * width]);
        close(output, &expected, "length first");
        close(merged.reshape([batch, length, heads, width]).swap_dims(1, 2), &expected, "merged");
        // One of them otherwise, and all of them in an order that Burn has to change.
        let [queries, keys, _] = view;
        let [.., plain] = tensors(&shape, &data, &device);
        close(attention(queries, keys, plain, &options).expect("attention"), &expected, "mixed");
        let turned = tensors(&shape, &data, &device).map(|tensor| (tensor.swap_dims(2, 3) * 1.0).swap_dims(2, 3));
        let [queries, keys, values] = turned;
        close(attention(queries, keys, values, &options).expect("attention"), &expected, "turned");
    }
}

#[test]
fn slices_of_larger_tensors() {
    let _idle = Idle;
    let shape = Shape::self_attention(1, 2, 48, 16);
    for device in devices() {
        for method in [Method::Exact, Method::stitched(5).with_top_k(7).with_window(Some(3))] {
            let options = AttentionOptions::new(method);
            // Sequences of a batch one by one, which Burn cuts out of one buffer, and a part of the length, which has gaps.
            let batch = shape.with_batch(5);
            let longer = shape.with_queries(67).with_keys(67);
            let (data, long_data) = (input(&batch, 3), input(&longer, 4));
            let whole = tensors(&batch, &data, &device);
            for index in 0..batch.batch {
                let one = whole.each_ref().map(|tensor| tensor.clone().narrow(0, index, 1));
                let elements = shape.query_elements();
                let part = data.each_ref().map(|data| data[index * elements..][..elements].to_vec());
                let [queries, keys, values] = one;
                let output = attention(queries, keys, values, &options).expect("attention");
                close(output, &expected(&shape, &part, &options), &format!("{device:?} sequence {index}"));
            }
            let part = tensors(&longer, &long_data, &device).map(|tensor| tensor.slice([0..1, 0..2, 11..59, 0..16]));
            let data = part.each_ref().map(|tensor| values(tensor.clone()));
            let [queries, keys, values] = part;
            let output = attention(queries, keys, values, &options).expect("attention");
            close(output, &expected(&shape, &data, &options), &format!("{device:?} part"));
        }
    }
}

#[test]
fn one_tensor_three_times() {
    let _idle = Idle;
    let shape = Shape::self_attention(2, 3, 40, 12);
    let [data, ..] = input(&shape, 5);
    let options = AttentionOptions::new(Method::improved(5).with_top_k(6));
    let expected = expected(&shape, &[data.clone(), data.clone(), data.clone()], &options);
    for device in devices() {
        let tensor = tensor(&data, dimensions(&shape)[0], &device);
        let output = attention(tensor.clone(), tensor.clone(), tensor.clone(), &options).expect("attention");
        close(output, &expected, "one tensor");
        assert_eq!(values(tensor), data, "the input is as it was");
    }
}

#[test]
fn lengths_scale_and_budget() {
    let _idle = Idle;
    let shape = Shape::self_attention(3, 2, 50, 12);
    let data = input(&shape, 6);
    for device in devices() {
        // The same problem again and again with other lengths, which lie in one buffer.
        for lengths in [[50, 1, 17], [0, 50, 49], [23, 50, 50], [50, 50, 50]] {
            for method in methods() {
                let options = AttentionOptions::new(method).with_scale(0.21).with_scratch_budget_bytes(1 << 20);
                let lengths = Lengths::new(&lengths);
                let module = ClusteredAttention::new(options.clone());
                let [queries, keys, values] = tensors(&shape, &data, &device);
                let output = module.forward_with_lengths(queries, keys, values, lengths).expect("attention");
                let expected = expected_with_lengths(&shape, &data, lengths, &options);
                close(output, &expected, &format!("{device:?} {lengths:?} {method:?}"));
            }
        }
        let options = AttentionOptions::new(Method::Exact);
        for (lengths, what) in [(Lengths::of_keys(&[3, 0, 50]), "keys"), (Lengths::of_queries(&[3, 0, 50]), "queries")]
        {
            let [queries, keys, values] = tensors(&shape, &data, &device);
            let output = attention_with_lengths(queries, keys, values, lengths, &options).expect("attention");
            close(output, &expected_with_lengths(&shape, &data, lengths, &options), &format!("{what} alone"));
        }
    }
}
