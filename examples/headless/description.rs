//! What a run computes, in words.

use crate::method_options;
use crate::options::Options;
use clustered_attention::{Element, Method, Precision, Shape};

/// Such as `8 heads, 1500 positions, width 64`.
pub fn describe(shape: &Shape) -> String {
    let Shape { batch, query_heads, key_heads, queries, keys, width, value_width, .. } = *shape;
    let heads = if key_heads == query_heads {
        format!("{query_heads} head{}", if query_heads == 1 { "" } else { "s" })
    } else {
        format!("{query_heads} query heads on {key_heads} key heads")
    };
    let length =
        if queries == keys { format!("{queries} positions") } else { format!("{queries} queries, {keys} keys") };
    let width =
        if width == value_width { format!("width {width}") } else { format!("widths {width} and {value_width}") };
    let batch = if batch == 1 { String::new() } else { format!("{batch} sequences, ") };
    format!("{batch}{heads}, {length}, {width}")
}

/// Such as `25 clusters, top-k 32 (improved) and 64 (stitched), window 16, seed 0`, or `an error of at most 0.1, seed 0`.
pub fn describe_options(options: &Options, shape: &Shape) -> String {
    let square = shape.queries == shape.keys;
    let mut text = match options.error {
        Some(error) => format!("an error of at most {error}"),
        None => format!("{} clusters", options.methods.clusters),
    };
    let methods = options.methods(square);
    if options.error.is_none() {
        text += &method_options::describe_top_k(&methods);
    }
    if let Some(stitched) = methods.iter().find(|method| matches!(method.name(), "stitched" | "auto")) {
        match (stitched.neighbourhood().filter(|_| square), square) {
            (Some(neighbourhood), _) => text += &format!(", {neighbourhood}"),
            (None, true) => text += ", no window",
            (None, false) => text += ", no window (queries and keys differ in number)",
        }
    }
    if let Some(Method::Window { left, right, sinks, .. }) = methods.iter().find(|method| method.name() == "window") {
        let bound = |keys: &Option<usize>| keys.map_or("all".to_owned(), |keys| keys.to_string());
        text += &format!(", {} keys before and {} behind", bound(left), bound(right));
        if *sinks > 0 {
            text += &format!(", the first {sinks}");
        }
    }
    if options.causal {
        text += ", causal";
    }
    if options.element != Element::F32 {
        text += &format!(", tensors in {}", options.element);
    }
    if options.precision != Precision::Float32 {
        text += &format!(", products in {}", options.precision);
    }
    format!("{text}, seed {}", options.seed)
}

/// Such as `the CPU, 8 threads`: as many as compute, which `RAYON_NUM_THREADS` can limit.
pub fn cpu() -> String {
    let threads = rayon::current_num_threads();
    format!("the CPU, {threads} thread{}", if threads == 1 { "" } else { "s" })
}
