// Four numbers as halves: to the nearest, to even between two, as on the host. `pack2x16float` leaves open which of two neighbours it takes, and what
// becomes of numbers beyond the largest half; here they become that. NaN and infinities become NaN.
fn halves_of(value: vec4f) -> vec4u {
    let bits = bitcast<vec4u>(value);
    let magnitude = bits & vec4u(0x7fffffffu);
    // 13 bits fewer, and the bias of the exponent 112 less.
    let usual = (magnitude + vec4u(0xfffu) + ((magnitude >> vec4u(13u)) & vec4u(1u)) - vec4u(0x38000000u)) >> vec4u(13u);
    // Below 2^-14 halves lie 2^-24 apart, as float32 does from 0.5 on: adding that rounds.
    let small = bitcast<vec4u>(abs(value) + vec4f(0.5)) - vec4u(0x3f000000u);
    let finite = min(select(usual, small, magnitude < vec4u(0x38800000u)), vec4u(0x7bffu));
    return select(finite, vec4u(0x7e00u), magnitude >= vec4u(0x7f800000u)) | ((bits >> vec4u(16u)) & vec4u(0x8000u));
}
