// Which of a tile's queries and of a block's 32 keys an invocation has, where it has LANE_QUERIES queries and four keys: what products of blocks
// (`products_blocks`) and of matrices (`tile_matrices`) leave in `logits`.
#import params

const BLOCK: u32 = 32u;
// Invocations side by side along the keys.
const SIDE: u32 = 8u;
const LANE_KEYS: u32 = 4u;
const LANES: u32 = TILE / LANE_QUERIES * SIDE;
// Invocations that share a query.
const QUERY_LANES: u32 = SIDE;
// Vectors of four queries of a tile.
const WEIGHT_STRIDE: u32 = TILE / 4u;

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

// Leaves the lowest logits to keys past a block of so many.
fn mask_block(count: u32, lane: u32) {
    if (count < BLOCK) {
        let within = vec4u(lane % SIDE * LANE_KEYS) + vec4u(0u, 1u, 2u, 3u) < vec4u(count);
        for (var i = 0u; i < LANE_QUERIES; i++) {
            logits[i] = select(vec4f(LOWEST), logits[i], within);
        }
    }
}
