// Four columns of a row of TENSOR, whose rows begin at multiples of four elements.
fn load_TENSOR(row: u32, column: u32) -> vec4f {
    return TENSOR[row / 4u + min(column, TENSOR_VECTORS - 1u)];
}
