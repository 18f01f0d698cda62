// Four elements of TENSOR, counted in fours.
fn stored_TENSOR(index: u32) -> vec4f {
    return TENSOR[index];
}
