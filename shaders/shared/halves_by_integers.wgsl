// The two halves of a word, for adapters whose drivers lack the instruction (llvmpipe without float16).
fn floats_of(word: u32) -> vec2f {
    let halves = vec2u(word & 0xffffu, word >> 16u);
    let magnitude = halves & vec2u(0x7fffu);
    // The bias of the exponent is 112 more; NaN and infinities have all ones.
    let usual = (magnitude << vec2u(13u)) + vec2u(0x38000000u);
    let bad = (magnitude << vec2u(13u)) | vec2u(0x7f800000u);
    // Below 2^-14, multiples of 2^-24.
    let small = bitcast<vec2u>(vec2f(magnitude) * 5.9604644775390625e-8);
    let finite = select(usual, small, magnitude < vec2u(0x400u));
    return bitcast<vec2f>(select(finite, bad, magnitude >= vec2u(0x7c00u)) | ((halves & vec2u(0x8000u)) << vec2u(16u)));
}
