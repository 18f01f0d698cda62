// Writes four columns of a row of TENSOR in halves; columns past the width are left alone.
fn store_TENSOR(row: u32, column: u32, value: vec4f) {
    if (column < TENSOR_VECTORS) {
        let halves = halves_of(value);
        TENSOR[row / 4u + column] = halves.xz | (halves.yw << vec2u(16u));
    }
}
