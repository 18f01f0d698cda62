// What `store_sum` left.
fn load_sum(slice: Slice, position: u32, column: u32) -> vec4f {
    return load_output(output_row(slice, position), column);
}
