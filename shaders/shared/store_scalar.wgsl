// Writes four columns of a row of TENSOR of any width and alignment; columns past the width are left alone.
fn store_TENSOR(row: u32, column: u32, value: vec4f) {
    for (var i = 0u; i < 4u; i++) {
        if (4u * column + i < TENSOR_WIDTH) {
            TENSOR[row + 4u * column + i] = value[i];
        }
    }
}
