// Codes of the queries: bit b is 1 iff q·a_b > c_b (paper, section 3.2). Twin of `src/cpu/hash_codes.rs`.
//
// Tile: 64 queries of a slice, one an invocation; all share the planes, read at uniform addresses.
// Traffic: each query row once (again for every 16 bits where it is wider than 64), the planes once a tile. Workgroup memory: 4 KiB.

#import query
#import centroids

@group(0) @binding(1) var<storage, read> queries: array<element>;
// Rows of WIDTH_VECTORS vectors a plane, then a vector whose x is the threshold; zero rows up to 32 bits a word.
@group(0) @binding(2) var<storage, read> planes: array<vec4f>;
// The mean query of each slice is its first centroid; used in ROLE_CENTRED.
@group(0) @binding(3) var<storage, read> centroids: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> codes: array<u32>;

const TILE: u32 = 64u;

fn load_row(row: u32, column: u32) -> vec4f {
    return load_queries(row, column);
}

fn load_centered_part(slice: Slice, row: u32, part: u32) {
    load_query_part(row, part);
    if (params.share.role == ROLE_CENTRED) {
        let mean = centroid_row(slice, 0u);
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
    let position = (params.share.tile_begin + workgroup.x) * 64u + lane;
    let row = query_row(slice, min(position, params.sizes.queries - 1u));
    if (WIDTH_PARTS == 1u) {
        load_centered_part(slice, row, 0u);
    }
    var code = 0u;
    for (var first_bit = 0u; first_bit < params.sizes.bits; first_bit += SCORE_BLOCK) {
        let count = min(SCORE_BLOCK, params.sizes.bits - first_bit);
        for (var part = 0u; part < WIDTH_PARTS; part++) {
            if (WIDTH_PARTS > 1u) {
                load_centered_part(slice, row, part);
            }
            for (var j = 0u; j < count; j++) {
                let bit = first_bit + j;
                let plane = bit * (WIDTH_VECTORS + 1u);
                var products = vec4f();
                for (var e = 0u; e < QUERY_REGISTERS; e++) {
                    let column = min(part * QUERY_REGISTERS + e, WIDTH_VECTORS - 1u);
                    products = fma(query[e], planes[plane + column], products);
                }
                var projection = dot(products, vec4f(1.0));
                if (part > 0u) {
                    projection += scores[j * TILE + lane];
                }
                if (part + 1u < WIDTH_PARTS) {
                    scores[j * TILE + lane] = projection;
                } else {
                    code |= select(0u, 1u, projection > planes[plane + WIDTH_VECTORS].x) << (bit % 32u);
                }
            }
        }
        let word = first_bit / 32u;
        if ((first_bit + SCORE_BLOCK) % 32u == 0u || first_bit + SCORE_BLOCK >= params.sizes.bits) {
            if (position < params.sizes.queries) {
                codes[(slice.index * params.sizes.queries + position) * WORDS + word] = code;
            }
            code = 0u;
        }
    }
}
