// A half of TENSOR, two of which are in a word.
fn stored_TENSOR(index: u32) -> f32 {
    return floats_of(TENSOR[index / 2u] >> (index % 2u * 16u)).x;
}
