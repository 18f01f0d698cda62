// The two halves of a word.
fn floats_of(word: u32) -> vec2f {
    return unpack2x16float(word);
}
