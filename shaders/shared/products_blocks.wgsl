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
#import params

const BLOCK: u32 = 32u;
// Invocations side by side along the keys.
const SIDE: u32 = 8u;
const LANE_KEYS: u32 = 4u;
const LANE_QUERIES: u32 = TILE_QUERIES;
const LANES: u32 = TILE / LANE_QUERIES * SIDE;
// Invocations that share a query.
const QUERY_LANES: u32 = SIDE;
// Vectors of a key, and of a row of weights that takes its place in workgroup memory.
const KEY_STRIDE: u32 = (QUERY_REGISTERS + 7u) / 8u * 8u;
const WEIGHT_STRIDE: u32 = TILE / 4u;

// [key][column], then [key][four queries], columns exchanged so that neighbours meet in no bank.
var<workgroup> staged: array<vec4f, BLOCK * max(KEY_STRIDE, WEIGHT_STRIDE)>;

// Where the rows of the invocation's queries begin.
var<private> query_places: array<u32, LANE_QUERIES>;
// Logits of a query with the invocation's keys.
var<private> logits: array<vec4f, LANE_QUERIES>;

// Which query of the tile is an invocation's.
fn tile_place(lane: u32, own: u32) -> u32 {
    return lane / SIDE * LANE_QUERIES + own;
}

// Whether an invocation writes what is known of its queries as a whole.
fn holds_queries(lane: u32) -> bool {
    return lane % SIDE == 0u;
}

// Waits until what is kept for a query of the tile is there, whoever wrote it.
fn meet_tile() {
    workgroupBarrier();
}

fn set_query(own: u32, row: u32) {
    query_places[own] = query_place(row);
}

fn place_of_query(own: u32) -> u32 {
    return query_places[own];
}

// Keys of a block of so many whose logits an invocation has, and which they are; those past the block have the lowest.
fn lane_keys(count: u32) -> u32 {
    return LANE_KEYS;
}

fn lane_key(lane: u32, j: u32) -> u32 {
    return lane % SIDE * LANE_KEYS + j;
}

fn score_of(lane: u32, own: u32, j: u32) -> f32 {
    return logits[own][j];
}

fn set_score(lane: u32, own: u32, j: u32, score: f32) {
    logits[own][j] = score;
}

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
    if (count < BLOCK) {
        let within = vec4u(side * LANE_KEYS) + vec4u(0u, 1u, 2u, 3u) < vec4u(count);
        for (var i = 0u; i < LANE_QUERIES; i++) {
            logits[i] = select(vec4f(LOWEST), logits[i], within);
        }
    }
}
