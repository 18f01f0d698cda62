// Products of a tile's queries with keys that all of them share: of 32 keys at a time, an invocation computes those of LANE_QUERIES queries with
// four keys. `products_rows` has the same functions. Attention (`tile_blocks`) goes on from there; other kernels have other rows in the place of
// queries and keys.
//
// Kernels define TILE and TILE_QUERIES, how many of its queries an invocation has, 4 or 8; of a query's row `query_place` with `load_query`, of
// the key at an index `key_place` with `load_key`; and `score_scale`, which products are multiplied by. They call in uniform control flow only
// what has barriers: `score_block`, `meet_tile`.
//
// Keys are staged once a block; queries are read as they lie, by neighbours together. A load of 16 bytes feeds 8 multiply-adds an invocation
// (LANE_QUERIES 4). Two barriers a block. Workgroup memory: 8 KiB; 4 KiB for a tile of 32 and a width of at most 32.
#import block_lanes

const LANE_QUERIES: u32 = TILE_QUERIES;
// Vectors of a key, in whose place weights are kept afterwards.
const KEY_STRIDE: u32 = (QUERY_REGISTERS + 7u) / 8u * 8u;

// [key][column], then [key][four queries], columns exchanged so that neighbours meet in no bank.
var<workgroup> staged: array<vec4f, BLOCK * max(KEY_STRIDE, WEIGHT_STRIDE)>;

// Cells of invocations side by side, whose keys are four apart.
fn key_cell(key: u32, column: u32) -> u32 {
    return key * KEY_STRIDE + (column ^ (key / LANE_KEYS % SIDE));
}

// Logits, scaled, of up to BLOCK keys.
fn score_block(begin: u32, count: u32, lane: u32) {
    let side = lane % SIDE;
    for (var i = 0u; i < LANE_QUERIES; i++) {
        logits[i] = vec4f();
    }
    for (var part = 0u; part < WIDTH_PARTS; part++) {
        // The block before has been used.
        workgroupBarrier();
        for (var i = lane; i < BLOCK * QUERY_REGISTERS; i += LANES) {
            let key = i / QUERY_REGISTERS;
            let e = i % QUERY_REGISTERS;
            let column = part * QUERY_REGISTERS + e;
            let vector = load_key(key_place(begin + min(key, count - 1u)), column);
            staged[key_cell(key, e)] = select(vec4f(), vector, column < WIDTH_VECTORS);
        }
        workgroupBarrier();
        for (var e = 0u; e < QUERY_REGISTERS; e++) {
            // No more than there are, so that compilers see that bounds hold. The columns of the invocation's keys are exchanged alike.
            let vector = e % KEY_STRIDE;
            let cell = key_cell(side * LANE_KEYS, vector);
            let columns = transpose(mat4x4f(
                staged[cell],
                staged[cell + KEY_STRIDE],
                staged[cell + 2u * KEY_STRIDE],
                staged[cell + 3u * KEY_STRIDE],
            ));
            for (var i = 0u; i < LANE_QUERIES; i++) {
                let query = load_query(i, query_places[i], part * QUERY_REGISTERS + vector);
                logits[i] = fma(vec4f(query.x), columns[0], logits[i]);
                logits[i] = fma(vec4f(query.y), columns[1], logits[i]);
                logits[i] = fma(vec4f(query.z), columns[2], logits[i]);
                logits[i] = fma(vec4f(query.w), columns[3], logits[i]);
            }
        }
    }
    for (var i = 0u; i < LANE_QUERIES; i++) {
        logits[i] *= score_scale();
    }
    mask_block(count, lane);
}
