//! What holds for any input, on the CPU: the order of keys does not matter, and outputs lie between the values.

use crate::common::case::Case;
use crate::common::reference::{self, Errors, ROUNDING};
use crate::common::{assert_holds, Engine};
use clustered_attention::{
    Attention, Backend, Clustering, Inputs, KeyGroups, Layout, Method, Problem, Shape, Space, Stitched, Supplied, Trace,
};
use proptest::prelude::*;

fn cpu() -> Engine {
    Engine { name: "cpu".into(), attention: Attention::new_blocking(Backend::Cpu).expect("the CPU") }
}

/// Small problems of every method with any option.
fn cases(largest_scale: f32) -> impl Strategy<Value = Case> {
    let sizes = (1usize..=2, 1usize..=2, 1usize..=2, 1usize..=90, 1usize..=90, 1usize..=20, 1usize..=9);
    let options = (1usize..=12, 1usize..=70, 1usize..=4, 0usize..=2, any::<bool>(), any::<bool>(), any::<u64>());
    let groups = (0usize..=20, 0usize..=3, any::<bool>());
    let rest = (0usize..5, 0usize..30, prop::option::of(0usize..90), 0.1f32..largest_scale, any::<bool>());
    (sizes, options, rest, groups).prop_map(|(sizes, options, rest, groups)| {
        let (batch, key_heads, group, queries, keys, width, value_width) = sizes;
        let (clusters, bits, iterations, euclidean_steps, bias, center, seed) = options;
        let (number, top_k, window, scale, length_first) = rest;
        let keys = if window.is_some() { queries } else { keys };
        let query_heads = key_heads * group;
        let shape = Shape::self_attention(batch, query_heads, queries, width)
            .with_key_heads(key_heads)
            .with_keys(keys)
            .with_value_width(value_width);
        let mut clustering = Clustering::paper(clusters);
        (clustering.bits, clustering.iterations, clustering.bias) = (bits, iterations, bias);
        (clustering.center, clustering.euclidean_steps, clustering.seed) = (center, euclidean_steps, seed);
        let method = match number {
            0 => Method::Exact,
            1 => Method::clustered(1).with_clustering(|options| *options = clustering),
            2 => Method::improved(1).with_clustering(|options| *options = clustering).with_top_k(top_k),
            _ => Method::Stitched(Stitched::hamming(1))
                .with_clustering(|options| *options = clustering)
                .with_top_k(top_k)
                .with_window(window),
        };
        let (groups, rounds, spread) = groups;
        let key_groups = KeyGroups::new(groups).with_rounds(rounds).with_spread(spread);
        let method = match number {
            4 => method.with_clustering(|options| options.space = Space::Metric).with_key_groups(key_groups),
            _ => method,
        };
        let layout = if length_first { Layout::LengthFirst } else { Layout::HeadsFirst };
        let problem = Problem::new(shape, method).expect("a valid problem").with_layout(layout);
        Case::new(problem, seed).with_scale(scale / (width as f32).sqrt())
    })
}

/// The errors of two evaluations may add up.
fn close(a: &[f32], b: &[f32], plain: &[f64], truth: &[f64]) -> Result<(), String> {
    let largest = truth.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    let plain = Errors::new(plain.iter().copied(), truth);
    let difference = Errors::new(a.iter().map(|&a| a.into()), &b.iter().map(|&b| b.into()).collect::<Vec<f64>>());
    let allowed = 4.0 * plain.norm.max(ROUNDING * largest * (truth.len() as f64).sqrt());
    if difference.norm <= allowed {
        return Ok(());
    }
    Err(format!("{difference:?}; allowed {allowed:e}"))
}

/// The choices of a trace for keys in another order.
fn moved(case: &Case, chosen: &Trace, order: &[usize]) -> Trace {
    let place = |key: u32| order.iter().position(|&from| from == key as usize).map_or(key, |to| to as u32);
    let mut trace = chosen.clone();
    trace.top_keys.iter_mut().for_each(|key| *key = place(*key));
    for (moved, groups) in
        trace.key_groups.chunks_mut(case.shape().keys).zip(chosen.key_groups.chunks(case.shape().keys))
    {
        moved.iter_mut().zip(order).for_each(|(group, &from)| *group = groups[from]);
    }
    trace
}

fn with_choices(case: &Case, engine: &Engine, choices: &Trace) -> Trace {
    let supplied = Supplied::default().with_assignment(choices.assignment.as_slice());
    let grouped = !choices.key_groups.is_empty();
    let supplied = supplied.with_key_groups(grouped.then_some(choices.key_groups.as_slice()));
    case.trace(engine, &supplied.with_top_keys(grouped.then_some(choices.top_keys.as_slice())))
}

#[test]
fn the_order_of_keys_does_not_matter() {
    let engine = cpu();
    let shuffles = cases(3.0).prop_flat_map(|case| {
        let order: Vec<usize> = (0..case.shape().keys).collect();
        (Just(case), Just(order).prop_shuffle())
    });
    assert_holds(60, 1, &shuffles, |(case, order)| {
        // A window is about positions.
        let method = case.problem.method().with_window(None);
        let case = case.with_method(method).in_layout(Layout::HeadsFirst);
        let (shape, mut shuffled) = (*case.shape(), case.clone());
        for head in 0..shape.batch * shape.key_heads {
            for (to, &from) in order.iter().enumerate() {
                let move_row = |source: &[f32], target: &mut [f32], width: usize| {
                    let row = |position| (head * shape.keys + position) * width;
                    target[row(to)..][..width].copy_from_slice(&source[row(from)..][..width]);
                };
                move_row(&case.keys, &mut shuffled.keys, shape.width);
                move_row(&case.values, &mut shuffled.values, shape.value_width);
            }
        }
        let chosen = method.clustering().map(|_| case.trace(&engine, &Supplied::default()));
        let in_metric = method.clustering().is_some_and(|clustering| clustering.space == Space::Metric);
        let output = match &chosen {
            // Which keys and groups a metric's samples begin with is a matter of positions; what follows is not.
            Some(chosen) if in_metric => with_choices(&shuffled, &engine, &moved(&case, chosen, &order)).output,
            Some(chosen) => {
                // Clusters depend on the queries alone.
                let trace = shuffled.trace(&engine, &Supplied::default());
                if trace.assignment != chosen.assignment {
                    return Err("clusters depend on the keys".into());
                }
                trace.output
            }
            None => shuffled.run(&engine),
        };
        let truth = reference::output::<f64>(&case, chosen.as_ref());
        let plain = reference::output::<f32>(&case, chosen.as_ref());
        close(&case.run(&engine), &output, &plain, &truth).map_err(|error| format!("{:?}: {error}", case.problem))
    });
}

#[test]
fn every_output_lies_between_the_values() {
    let engine = cpu();
    // Scaled logits of up to about 100.
    assert_holds(250, 2, &cases(30.0), |case| {
        let (shape, output) = (*case.shape(), case.run(&engine));
        for (batch, head) in case.slices() {
            let values = case.slice(batch, head).values;
            for column in 0..shape.value_width {
                let column_values = values.iter().map(|value| value[column]);
                let lowest = column_values.clone().fold(f32::INFINITY, f32::min);
                let highest = column_values.fold(f32::NEG_INFINITY, f32::max);
                let slack = 1e-5 * lowest.abs().max(highest.abs());
                for position in 0..shape.queries {
                    let value = output[case.output_offset(batch, head, position) + column];
                    if !(lowest - slack..=highest + slack).contains(&value) {
                        let place = format!("slice {batch}, {head}, query {position}, column {column}");
                        return Err(format!("{:?}: {place}: {value} is not in {lowest}..={highest}", case.problem));
                    }
                }
            }
        }
        Ok(())
    });
}

#[test]
fn a_constant_value_is_returned_as_it_is() {
    let engine = cpu();
    assert_holds(100, 3, &cases(10.0), |mut case| {
        case.values.fill(0.75);
        let output = case.run(&engine);
        let worst = output.iter().fold(0.0f32, |worst, value| worst.max((value - 0.75).abs()));
        if worst <= 1e-5 * 0.75 {
            return Ok(());
        }
        Err(format!("{:?}: off by {worst:e}", case.problem))
    });
}

#[test]
fn futures_can_move_between_threads() {
    fn assert_send<T: Send>(_: T) {}
    let problem = Problem::new(Shape::self_attention(1, 1, 4, 4), Method::Exact).expect("a valid problem");
    let data = [0.5; 16];
    let inputs = Inputs::new(&data, &data, &data);
    let attention = Attention::new_blocking(Backend::Cpu).expect("the CPU");
    assert_send(Attention::new(Backend::Auto));
    assert_send(attention.run(&problem, &inputs));
    assert_send(attention.trace(&problem, &inputs, &Supplied::default()));
}
