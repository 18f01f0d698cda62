//! Burn's work and attention in their order: Burn records lazily and submits in batches, and reuses memory as soon as it may.

mod common;

use burn::tensor::{Device, Tensor};
use clustered_attention::burn::{attention, AttentionOptions};
use clustered_attention::{Method, Shape};
use common::{expected, input, relative_difference, tensors, values, wgpu_device, Idle};

/// Something that Burn computes of inputs just before attention, and a host computes alike.
fn before(tensor: Tensor<4>, round: f32) -> Tensor<4> {
    (tensor * 0.5 + round).tanh()
}

fn before_on_host(data: &[f32], round: f32) -> Vec<f32> {
    data.iter().map(|value| (value * 0.5 + round).tanh()).collect()
}

fn compute(tensors: [Tensor<4>; 3], round: f32, options: &AttentionOptions) -> Tensor<4> {
    let [queries, keys, values] = tensors.map(|tensor| before(tensor, round));
    // Just after: an operation on the output alone, and one with memory that may have been an input's.
    let output = attention(queries, keys, values, options).expect("attention");
    output * 3.0 - 1.0
}

fn compute_on_host(shape: &Shape, data: &[Vec<f32>; 3], round: f32, options: &AttentionOptions) -> Vec<f32> {
    let data = data.each_ref().map(|data| before_on_host(data, round));
    expected(shape, &data, options).into_iter().map(|value| value * 3.0 - 1.0).collect()
}

fn check(actual: Tensor<4>, expected: &[f32], what: &str) {
    let difference = relative_difference(&values(actual), expected);
    assert!(difference < 2e-5, "{what}: {difference:e}");
}

/// Method and length change from round to round, so that memory of one round is reused by others of another size.
fn rounds() -> impl Iterator<Item = (f32, Shape, AttentionOptions)> {
    (0..60).map(|round| {
        let shape = Shape::self_attention(1 + round % 2, 2, 20 + 7 * (round % 6), 8 + 4 * (round % 3));
        let method = match round % 3 {
            0 => Method::Exact,
            1 => Method::stitched(4).with_top_k(5).with_window(Some(3)),
            _ => Method::clustered(4),
        };
        (round as f32 * 0.01, shape, AttentionOptions::new(method))
    })
}

#[test]
fn read_after_every_call() {
    let _idle = Idle;
    let device = wgpu_device();
    for (round, shape, options) in rounds() {
        let data = input(&shape, 11);
        let output = compute(tensors(&shape, &data, &device), round, &options);
        check(output, &compute_on_host(&shape, &data, round, &options), &format!("round {round}"));
    }
}

#[test]
fn read_after_all_calls() {
    let _idle = Idle;
    let device = wgpu_device();
    let mut outputs = Vec::new();
    for (round, shape, options) in rounds() {
        let data = input(&shape, 12);
        outputs.push(compute(tensors(&shape, &data, &device), round, &options));
    }
    for ((round, shape, options), output) in rounds().zip(outputs) {
        let data = input(&shape, 12);
        check(output, &compute_on_host(&shape, &data, round, &options), &format!("round {round}"));
    }
}

#[test]
fn a_chain_of_calls_without_reading() {
    let _idle = Idle;
    let device = wgpu_device();
    let shape = Shape::self_attention(1, 2, 33, 12);
    let options = AttentionOptions::new(Method::Exact);
    let [data, ..] = input(&shape, 13);
    let [mut chained, ..] = tensors(&shape, &[data.clone(), data.clone(), data.clone()], &device);
    let mut host = data;
    for round in 0..40 {
        let again = before(chained, round as f32 * 0.01);
        // A new tensor from the host in every round: such writes go past Burn's recorded commands.
        let [fresh, ..] = tensors(&shape, &input(&shape, 20 + round), &device);
        let output = attention(again.clone(), fresh, again.clone(), &options).expect("attention");
        chained = output + again;
        let again = before_on_host(&host, round as f32 * 0.01);
        let [fresh, ..] = input(&shape, 20 + round);
        let output = expected(&shape, &[again.clone(), fresh, again.clone()], &options);
        host = output.iter().zip(&again).map(|(one, other)| one + other).collect();
    }
    check(chained, &host, "chain");
}

#[test]
fn tensors_of_other_threads() {
    let _idle = Idle;
    let device = wgpu_device();
    let threads: Vec<_> = (0..4).map(|thread| std::thread::spawn(move || on_a_thread(thread))).collect();
    let made: Vec<_> = threads.into_iter().map(|thread| thread.join().expect("the thread")).collect();
    // Queries, keys and values from different threads, each with commands of its own that were not submitted yet.
    for first in 0..made.len() {
        let [queries, keys, values] = [0, 1, 2].map(|i| made[(first + i) % made.len()].clone());
        let shape = thread_shape();
        let options = AttentionOptions::new(Method::Exact);
        let data = [0, 1, 2].map(|i| before_on_host(&input(&shape, 30 + ((first + i) % 4) as u32)[0], 0.1));
        let output = attention(queries, keys, values, &options).expect("attention");
        check(output, &expected(&shape, &data, &options), &format!("first thread {first}"));
    }
    drop(device);
}

fn thread_shape() -> Shape {
    Shape::self_attention(1, 2, 45, 16)
}

/// A tensor on which work is still to be done, and rounds of attention at the same time as other threads.
fn on_a_thread(thread: u32) -> Tensor<4> {
    let device: Device = wgpu_device();
    for (round, shape, options) in rounds().skip(7 * thread as usize).step_by(9) {
        let data = input(&shape, 14 + thread);
        let output = compute(tensors(&shape, &data, &device), round, &options);
        check(output, &compute_on_host(&shape, &data, round, &options), &format!("thread {thread}, round {round}"));
    }
    let [tensor, ..] = tensors(&thread_shape(), &input(&thread_shape(), 30 + thread), &device);
    before(tensor, 0.1)
}
