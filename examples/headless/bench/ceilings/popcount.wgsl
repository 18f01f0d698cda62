// Hamming distances: each invocation compares its own word with all of `CODES` vectors of words, which is written in front.

@group(0) @binding(0) var<storage> codes: array<vec4u>;
@group(0) @binding(1) var<storage, read_write> distances: array<u32>;

@compute @workgroup_size(64)
fn popcount(@builtin(global_invocation_id) id: vec3u) {
    let query = vec4u(id.x * 0x9e3779b9u);
    var sum = vec4u(0u);
    for (var i = 0u; i < CODES; i++) {
        sum += countOneBits(codes[i] ^ query);
    }
    distances[id.x] = sum.x + sum.y + sum.z + sum.w;
}
