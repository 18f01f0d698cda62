// Codes of the queries: bit b is 1 iff q·a_b > c_b (paper, section 3.2.1). Twin of `src/cpu/hash_codes.rs`.
//
// Tile: 64 queries of a slice, one an invocation; all share the planes, read at uniform addresses.
// Traffic: each query row once (again for every eight bits where it is wider than 64), the planes once a tile. No workgroup memory.

@group(0) @binding(1) var<storage, read> queries: array<element>;
// Rows of WIDTH_VECTORS vectors a plane, then a vector whose x is the threshold; zero rows up to 32 bits a word.
@group(0) @binding(2) var<storage, read> planes: array<vec4f>;
// The mean query of each slice is its first centroid; used where params.mode is 1.
@group(0) @binding(3) var<storage, read> centroids: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> codes: array<u32>;

const BIT_BLOCK: u32 = 8u;

fn load_centered_part(slice: Slice, row: u32, part: u32) {
    load_query_part(row, part);
    if (params.mode == 1u) {
        let mean = slice.index * params.clusters * (WIDTH_VECTORS + 1u);
        for (var e = 0u; e < QUERY_REGISTERS; e++) {
            let column = part * QUERY_REGISTERS + e;
            let value = centroids[mean + min(column, WIDTH_VECTORS - 1u)];
            query[e] -= select(vec4f(), value, column < WIDTH_VECTORS);
        }
    }
}

@compute @workgroup_size(64)
fn hash_codes(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let position = (params.tile_begin + workgroup.x) * 64u + lane;
    let row = query_row(slice, min(position, params.queries - 1u));
    if (WIDTH_PARTS == 1u) {
        load_centered_part(slice, row, 0u);
    }
    for (var word = 0u; word < WORDS; word++) {
        var code = 0u;
        for (var block = 0u; block < 32u; block += BIT_BLOCK) {
            var projections: array<f32, BIT_BLOCK>;
            for (var part = 0u; part < WIDTH_PARTS; part++) {
                if (WIDTH_PARTS > 1u) {
                    load_centered_part(slice, row, part);
                }
                for (var j = 0u; j < BIT_BLOCK; j++) {
                    let plane = (word * 32u + block + j) * (WIDTH_VECTORS + 1u);
                    var sum = vec4f();
                    for (var e = 0u; e < QUERY_REGISTERS; e++) {
                        let column = min(part * QUERY_REGISTERS + e, WIDTH_VECTORS - 1u);
                        sum = fma(query[e], planes[plane + column], sum);
                    }
                    projections[j] += dot(sum, vec4f(1.0));
                }
            }
            for (var j = 0u; j < BIT_BLOCK; j++) {
                let threshold = planes[(word * 32u + block + j) * (WIDTH_VECTORS + 1u) + WIDTH_VECTORS].x;
                code |= select(0u, 1u, projections[j] > threshold) << (block + j);
            }
        }
        if (position < params.queries) {
            codes[(slice.index * params.queries + position) * WORDS + word] = code;
        }
    }
}
