// What `store_sum` left.
fn load_sum(slice: Slice, position: u32, column: u32) -> vec4f {
    return softmax_parts[resting_sums(slice, position) + min(column, VALUE_VECTORS - 1u)];
}
