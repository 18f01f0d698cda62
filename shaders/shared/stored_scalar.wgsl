// An element of TENSOR.
fn stored_TENSOR(index: u32) -> f32 {
    return TENSOR[index];
}
