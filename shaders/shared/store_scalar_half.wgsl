// Writes four columns of a row of TENSOR in halves, of any width and alignment; columns past the width are left alone. The other half of a word
// may be another invocation's, so each is replaced by itself; whichever comes first, both are there in the end.
fn store_TENSOR(row: u32, column: u32, value: vec4f) {
    let halves = halves_of(value);
    for (var i = 0u; i < 4u; i++) {
        if (4u * column + i < TENSOR_WIDTH) {
            let index = row + 4u * column + i;
            let shift = index % 2u * 16u;
            atomicAnd(&TENSOR[index / 2u], ~(0xffffu << shift));
            atomicOr(&TENSOR[index / 2u], halves[i] << shift);
        }
    }
}
