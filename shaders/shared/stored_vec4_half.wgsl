// Four halves of TENSOR, two a word, counted in fours.
fn stored_TENSOR(index: u32) -> vec4f {
    let words = TENSOR[index];
    return vec4f(floats_of(words.x), floats_of(words.y));
}
