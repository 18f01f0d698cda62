// Codes of the queries: bit b is 1 iff q·a_b > c_b (paper, section 3.2). Twin of `src/cpu/hash_codes.rs`.
//
// Tile: 64 queries of a slice, which share the planes (`shared/products_blocks.wgsl` or `shared/products_rows.wgsl`); invocations that share a query
// put its bits together. Traffic: each query row once for every block of bits (with rows once, where it is at most 64 wide), the planes once a tile.
// Workgroup memory: that of the products and 2 KiB, 256 bytes with rows.

#import products
#import centroids

@group(0) @binding(1) var<storage, read> queries: array<element>;
// Rows of WIDTH_VECTORS vectors a plane, then a vector whose x is the threshold; zero rows up to 32 bits a word.
@group(0) @binding(2) var<storage, read> planes: array<vec4f>;
// The mean query of each slice is its first centroid; used in ROLE_CENTRED.
@group(0) @binding(3) var<storage, read> centroids: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> codes: array<u32>;

const TILE: u32 = 64u;
const TILE_QUERIES: u32 = BLOCK_QUERIES;

// [query of the tile][invocation that shares it]: bits of a block.
var<workgroup> block_bits: array<u32, TILE * QUERY_LANES>;
var<private> mean: u32;

fn query_place(row: u32) -> u32 {
    return at_queries(row);
}

fn load_query(own: u32, place: u32, column: u32) -> vec4f {
    let query = load_at_queries(place, column);
    if (params.share.role == ROLE_CENTRED) {
        return query - centroids[mean + min(column, WIDTH_VECTORS - 1u)];
    }
    return query;
}

// Planes stand where keys do.
fn key_place(index: u32) -> u32 {
    return index * (WIDTH_VECTORS + 1u);
}

fn load_key(place: u32, column: u32) -> vec4f {
    return planes[place + min(column, WIDTH_VECTORS - 1u)];
}

fn score_scale() -> f32 {
    return 1.0;
}

@compute @workgroup_size(LANES)
fn hash_codes(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let first = (params.share.tile_begin + workgroup.x) * TILE;
    mean = centroid_row(slice, 0u);
    for (var own = 0u; own < LANE_QUERIES; own++) {
        set_query(own, query_row(slice, min(first + tile_place(lane, own), params.sizes.queries - 1u)));
    }
    var code = 0u;
    for (var block = 0u; block < params.sizes.bits; block += BLOCK) {
        let count = min(BLOCK, params.sizes.bits - block);
        score_block(block, count, lane);
        for (var own = 0u; own < LANE_QUERIES; own++) {
            var bits = 0u;
            for (var j = 0u; j < lane_keys(count); j++) {
                let bit = block + lane_key(lane, j);
                let above = score_of(lane, own, j) > planes[key_place(bit) + WIDTH_VECTORS].x;
                bits |= select(0u, 1u, above && lane_key(lane, j) < count) << (bit % 32u);
            }
            block_bits[tile_place(lane, own) * QUERY_LANES + lane % QUERY_LANES] = bits;
        }
        meet_tile();
        if (lane < TILE) {
            for (var other = 0u; other < QUERY_LANES; other++) {
                code |= block_bits[lane * QUERY_LANES + other];
            }
            let end = block + BLOCK;
            if (end % 32u == 0u || end >= params.sizes.bits) {
                if (first + lane < params.sizes.queries) {
                    codes[(slice.index * params.sizes.queries + first + lane) * WORDS + block / 32u] = code;
                }
                code = 0u;
            }
        }
    }
}
