// What every kernel of attention over keys does alike.
#import params

// Which part of the values' columns a workgroup computes, by its depth.
fn part_of_values(depth: u32) -> u32 {
    // A constant where there is one, so that bounds of columns are known.
    return select(depth, 0u, VALUE_PARTS == 1u);
}

// Weight of a key relative to a running maximum; a masked key weighs nothing even where every key so far was masked.
fn softmax_weight(score: f32, maximum: f32) -> f32 {
    return select(0.0, exp(score - maximum), score > LOWEST);
}

// `1 / sum`, and 0 where there was nothing to attend to.
fn inverse(sum: f32) -> f32 {
    return select(0.0, 1.0 / sum, sum > 0.0);
}
