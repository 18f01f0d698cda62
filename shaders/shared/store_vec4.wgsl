// Writes four columns of a row of TENSOR; columns past the width are left alone.
fn store_TENSOR(row: u32, column: u32, value: vec4f) {
    if (column < TENSOR_VECTORS) {
        TENSOR[row / 4u + column] = value;
    }
}
