//! Attention on candle's tensors against candle's own operations, and against this crate on slices: shapes, views, parts of buffers.

use candle_core::{Device, IndexOp, Result, Tensor};
use clustered_attention::candle::{attention, attention_with_lengths, AttentionOptions, ClusteredAttention, Lengths};
use clustered_attention::{Attention, Backend, Inputs, Method, Problem, Shape};
use clustered_attention_candle::{plain_attention, relative_error};

/// Numbers of a seed, the same everywhere.
fn tensor(dimensions: (usize, usize, usize, usize), seed: u32) -> Tensor {
    let (batch, heads, length, width) = dimensions;
    let number = |index: usize| ((index as f32 + 1.0) * (12.9898 + seed as f32)).sin() * 1.7;
    let data: Vec<f32> = (0..batch * heads * length * width).map(number).collect();
    Tensor::from_vec(data, dimensions, &Device::Cpu).expect("a tensor")
}

fn input(shape: &Shape, seed: u32) -> [Tensor; 3] {
    let Shape { batch, query_heads, key_heads, queries, keys, width, value_width, .. } = *shape;
    [
        tensor((batch, query_heads, queries, width), seed),
        tensor((batch, key_heads, keys, width), seed + 1),
        tensor((batch, key_heads, keys, value_width), seed + 2),
    ]
}

/// The same elements as a view of `[batch, length, heads, width]`.
fn length_first(tensor: &Tensor) -> Tensor {
    let turned = || tensor.transpose(1, 2)?.contiguous()?.transpose(1, 2);
    turned().expect("a view")
}

/// The same elements as a part of a larger contiguous tensor, cut out along a dimension.
fn part(tensor: &Tensor, dimension: usize) -> Result<Tensor> {
    let filler = tensor.narrow(dimension, 0, 1)?.affine(0.0, 1e9)?;
    let whole = Tensor::cat(&[&filler, tensor, &filler], dimension)?.contiguous()?;
    whole.narrow(dimension, 1, tensor.dim(dimension)?)
}

/// The same of a larger tensor whose length comes before its heads.
fn length_first_part(tensor: &Tensor, dimension: usize) -> Result<Tensor> {
    part(&tensor.transpose(1, 2)?, dimension)?.transpose(1, 2)
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().and_then(|flat| flat.to_vec1()).expect("floats")
}

/// Both the largest difference and the relative one are below 1e-5.
fn close(actual: &Tensor, expected: &Tensor, what: &str) {
    assert_eq!(actual.dims(), expected.dims(), "{what}");
    let pairs = numbers(actual).into_iter().zip(numbers(expected));
    let largest = pairs.map(|(actual, expected)| (actual - expected).abs()).fold(0.0, f32::max);
    let relative = relative_error(actual, expected).expect("numbers");
    assert!(largest < 1e-5 && relative < 1e-5, "{what}: {largest:e}, relative {relative:e}");
}

fn scale(shape: &Shape) -> f64 {
    (shape.width as f64).sqrt().recip()
}

/// Odd widths and lengths, heads that share keys, other numbers of keys than of queries, sizes of one.
fn shapes() -> [Shape; 6] {
    [
        Shape::self_attention(1, 1, 1, 1),
        Shape::self_attention(2, 3, 61, 13),
        Shape::self_attention(1, 4, 64, 16).with_value_width(21),
        Shape::self_attention(2, 1, 17, 8).with_query_heads(6).with_key_heads(2).with_keys(35),
        Shape::self_attention(3, 1, 129, 64).with_query_heads(4).with_key_heads(1).with_queries(1),
        Shape::self_attention(1, 2, 40, 5).with_query_heads(2).with_keys(1),
    ]
}

#[test]
fn exact_attention_is_candles_own_however_the_tensors_lie() {
    let options = AttentionOptions::new(Method::Exact);
    for (seed, shape) in shapes().iter().enumerate() {
        let plain = input(shape, 3 * seed as u32);
        let [queries, keys, values] = &plain;
        let expected = plain_attention(queries, keys, values, scale(shape)).expect("candle's");
        // All combinations of both layouts, then parts of larger buffers along each dimension, in each layout.
        for combination in 0..8 {
            let lie = |index: usize| match combination >> index & 1 {
                0 => plain[index].clone(),
                _ => length_first(&plain[index]),
            };
            let output = attention(&lie(0), &lie(1), &lie(2), &options).expect("attention");
            close(&output, &expected, &format!("{shape:?}, layouts {combination:03b}"));
        }
        for dimension in 0..4 {
            for cut in [part, length_first_part] {
                let [queries, keys, values] = plain.each_ref().map(|tensor| cut(tensor, dimension).expect("a view"));
                let output = attention(&queries, &keys, &values, &options).expect("attention");
                close(&output, &expected, &format!("{shape:?}, part along {dimension}"));
                // One that starts elsewhere than the others.
                let output = attention(&plain[0], &keys, &plain[2], &options).expect("attention");
                close(&output, &expected, &format!("{shape:?}, keys a part along {dimension}"));
            }
        }
        // Columns before rows, which is none of the two.
        let turned = plain.each_ref().map(|tensor| {
            let turned = tensor.transpose(2, 3).and_then(|tensor| tensor.contiguous());
            turned.and_then(|tensor| tensor.transpose(2, 3)).expect("a view")
        });
        let output = attention(&turned[0], &turned[1], &turned[2], &options).expect("attention");
        close(&output, &expected, &format!("{shape:?}, columns first"));
    }
}

#[test]
fn a_fused_projection_is_cut_without_confusion() -> Result<()> {
    // [batch, length, 3, heads, width], as one product of all three weights leaves it.
    let (batch, length, heads, width) = (2, 23, 3, 8);
    let fused = tensor((batch, length, 3 * heads, width), 4).reshape((batch, length, 3, heads, width))?;
    let cut = |index: usize| fused.i((.., .., index))?.transpose(1, 2);
    let (queries, keys, values) = (cut(0)?, cut(1)?, cut(2)?);
    let output = attention(&queries, &keys, &values, &AttentionOptions::new(Method::Exact))?;
    close(&output, &plain_attention(&queries, &keys, &values, (width as f64).sqrt().recip())?, "fused");
    // Keys and values of one head for all sequences.
    let shared = |tensor: &Tensor| tensor.i((0..1, 0..1))?.broadcast_as((batch, heads, length, width));
    let (keys, values) = (shared(&keys)?, shared(&values)?);
    let output = attention(&queries, &keys, &values, &AttentionOptions::new(Method::Exact).with_scale(0.7))?;
    close(&output, &plain_attention(&queries, &keys, &values, 0.7)?, "broadcast");
    Ok(())
}

#[test]
fn every_method_is_that_of_slices() {
    let shape = Shape::self_attention(2, 1, 59, 13).with_query_heads(4).with_key_heads(2).with_value_width(21);
    let [queries, keys, values] = input(&shape, 30);
    let cpu = Attention::new_blocking(Backend::Cpu).expect("the CPU");
    for method in [
        Method::Exact,
        Method::clustered(6),
        Method::improved(6).with_top_k(7),
        Method::stitched(6).with_top_k(7).with_window(Some(5)),
        Method::stitched(6).with_window(None),
    ] {
        let problem = Problem::new(shape, method).and_then(|problem| problem.with_scale(0.21)).expect("a problem");
        let data = [&queries, &keys, &values].map(numbers);
        let expected = cpu.run_blocking(&problem, &Inputs::new(&data[0], &data[1], &data[2])).expect("attention");
        let options = AttentionOptions::new(method).with_scale(0.21).with_scratch_budget_bytes(1 << 20);
        let output = attention(&queries, &keys, &values, &options).expect("attention");
        assert_eq!(output.dims(), [2, 4, 59, 21]);
        let expected = Tensor::from_vec(expected, output.dims(), &Device::Cpu).expect("a tensor");
        close(&output, &expected, &format!("{method:?}"));
        let operation = ClusteredAttention::new(options);
        let views = [&queries, &keys, &values].map(length_first);
        let applied = views[0].apply_op3(&views[1], &views[2], operation).expect("attention");
        close(&applied, &expected, &format!("{method:?} as an operation"));
    }
}

#[test]
fn outputs_lie_as_they_are_needed_next() -> Result<()> {
    let shape = Shape::self_attention(2, 1, 19, 8).with_query_heads(4).with_key_heads(2).with_value_width(5);
    let plain = input(&shape, 40);
    let turned = plain.each_ref().map(length_first);
    let options = AttentionOptions::new(Method::Exact);
    assert!(attention(&plain[0], &plain[1], &plain[2], &options)?.is_contiguous());
    // The heads of a position side by side: merging them copies nothing.
    assert!(attention(&turned[0], &turned[1], &turned[2], &options)?.transpose(1, 2)?.is_contiguous());
    // An operation's output is contiguous, whatever the input.
    for [queries, keys, values] in [&plain, &turned] {
        let output = queries.apply_op3(keys, values, ClusteredAttention::new(options.clone()))?;
        assert!(output.is_contiguous());
        close(&output, &plain_attention(queries, keys, values, scale(&shape))?, "an operation");
    }
    assert_eq!(numbers(&plain[0]), numbers(&turned[0]), "inputs are as they were");
    Ok(())
}

#[test]
fn padding_is_not_looked_at() -> Result<()> {
    let shape = Shape::self_attention(3, 1, 31, 8).with_query_heads(4).with_key_heads(2);
    let [queries, keys, values] = input(&shape, 50);
    let lengths = [31_u32, 1, 17];
    // Padding may hold anything.
    let mask: Vec<f32> =
        lengths.iter().flat_map(|&length| (0..31).map(move |key| if key < length { 0.0 } else { f32::NAN })).collect();
    let mask = Tensor::from_vec(mask, (3, 1, 31, 1), &Device::Cpu)?;
    let (padded_keys, padded_values) = (keys.broadcast_add(&mask)?, values.broadcast_add(&mask)?);
    let options = AttentionOptions::new(Method::Exact);
    for lie in [|tensor: &Tensor| tensor.clone(), length_first] {
        let (queries, padded_keys, padded_values) = (lie(&queries), lie(&padded_keys), lie(&padded_values));
        let of_keys =
            attention_with_lengths(&queries, &padded_keys, &padded_values, Lengths::of_keys(&lengths), &options)?;
        let both = attention_with_lengths(&queries, &padded_keys, &padded_values, Lengths::new(&lengths), &options)?;
        for (sequence, &length) in lengths.iter().enumerate() {
            let one = |tensor: &Tensor| tensor.narrow(0, sequence, 1);
            let valid = |tensor: &Tensor| one(tensor)?.narrow(2, 0, length as usize);
            let expected = plain_attention(&one(&queries)?, &valid(&keys)?, &valid(&values)?, scale(&shape))?;
            close(&one(&of_keys)?, &expected, &format!("sequence {sequence}"));
            close(&valid(&both)?, &expected.narrow(2, 0, length as usize)?, "valid queries");
            let rest = one(&both)?.narrow(2, length as usize, 31 - length as usize)?;
            assert!(numbers(&rest).iter().all(|&value| value == 0.0), "padding queries give zeros");
        }
    }
    Ok(())
}

#[test]
fn calls_from_several_threads() {
    let shape = Shape::self_attention(1, 2, 80, 16);
    std::thread::scope(|scope| {
        for seed in 0..4 {
            scope.spawn(move || {
                let [queries, keys, values] = input(&shape, 60 + seed);
                let expected = plain_attention(&queries, &keys, &values, 0.25).expect("candle's");
                let output = attention(&queries, &keys, &values, &AttentionOptions::new(Method::Exact));
                close(&output.expect("attention"), &expected, &format!("thread {seed}"));
            });
        }
    });
}
