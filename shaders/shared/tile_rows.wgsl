// Attention of a tile of queries over keys that all of them share, a query an invocation: it holds the query, its running softmax and up to
// 64 columns of its weighted values. Keys and values are read at addresses that are the same for the whole workgroup, so one 16-byte load
// feeds four multiply-adds of every query of the tile; where such loads go through scalar registers, nothing is faster. `tile_blocks` has the
// same functions for other targets.
//
// Kernels define TILE, and of the key at an index `key_place` with `load_key`, `value_place` with `load_value` (both in `tile_keys`), and
// `weight_of`, its weight for a query. Workgroup memory: SCORE_BLOCK * TILE floats, 4 KiB for a tile of 64.
#import query

const LANES: u32 = TILE;
// Queries of an invocation, and vectors of their sums.
const LANE_QUERIES: u32 = 1u;
const LANE_VECTORS: u32 = VALUE_REGISTERS;
const BLOCK: u32 = SCORE_BLOCK;

fn load_row(row: u32, column: u32) -> vec4f {
    return load_queries(row, column);
}

var<private> tile_row: u32;
var<private> sums: array<vec4f, VALUE_REGISTERS>;
var<private> running_maximum: f32;
var<private> running_sum: f32;

fn begin_tile() {
    for (var m = 0u; m < VALUE_REGISTERS; m++) {
        sums[m] = vec4f();
    }
    running_maximum = LOWEST;
    running_sum = 0.0;
}

// Which query of the tile is an invocation's.
fn tile_place(lane: u32, own: u32) -> u32 {
    return lane;
}

// The query that decides what an invocation's tile is about, where that may differ within a workgroup.
fn deciding_place(lane: u32) -> u32 {
    return lane;
}

// Whether an invocation writes what is known of its queries as a whole.
fn holds_queries(lane: u32) -> bool {
    return true;
}

fn set_query(own: u32, row: u32) {
    tile_row = row;
    if (WIDTH_PARTS == 1u) {
        load_query_part(row, 0u);
    }
}

// Goes on from a softmax so far.
fn resume(lane: u32, own: u32, maximum: f32, sum: f32) {
    running_maximum = maximum;
    running_sum = sum;
}

fn maximum_of(own: u32) -> f32 {
    return running_maximum;
}

fn sum_of(own: u32) -> f32 {
    return running_sum;
}

// Keys of a block of so many whose logits an invocation has, and which they are.
fn lane_keys(count: u32) -> u32 {
    return count;
}

fn lane_key(lane: u32, j: u32) -> u32 {
    return j;
}

fn score_of(lane: u32, own: u32, j: u32) -> f32 {
    return scores[j * TILE + lane];
}

fn set_score(lane: u32, own: u32, j: u32, score: f32) {
    scores[j * TILE + lane] = score;
}

// The pairs of the tile's queries with so many keys of a block, shared among the invocations: how many of them one has, which they are, and
// where what belongs to one is kept in workgroup memory. What is written there before `score_block` can be read after it.
fn pairs_of_lane(count: u32) -> u32 {
    return count;
}

fn pair_place(lane: u32, pair: u32) -> u32 {
    return lane;
}

fn pair_key(lane: u32, pair: u32) -> u32 {
    return pair;
}

fn pair_cell(place: u32, key: u32) -> u32 {
    return key * TILE + place;
}

// Scaled logits of up to BLOCK keys.
fn score_block(begin: u32, count: u32, lane: u32) {
    for (var part = 0u; part < WIDTH_PARTS; part++) {
        if (WIDTH_PARTS > 1u) {
            load_query_part(tile_row, part);
        }
        for (var j = 0u; j < count; j++) {
            let place = key_place(begin + j);
            var products = vec4f();
            for (var e = 0u; e < QUERY_REGISTERS; e++) {
                products = fma(query[e], load_key(place, part * QUERY_REGISTERS + e), products);
            }
            let score = dot(products, vec4f(params.sizes.scale));
            let cell = j * TILE + lane;
            if (part == 0u) {
                scores[cell] = score;
            } else {
                scores[cell] += score;
            }
        }
    }
}

// Raises the running maximum to at least `floor`.
fn raise_maximum(floor: f32) {
    let maximum = max(running_maximum, floor);
    let factor = exp(running_maximum - maximum);
    running_maximum = maximum;
    running_sum *= factor;
    for (var m = 0u; m < VALUE_REGISTERS; m++) {
        sums[m] *= factor;
    }
}

fn highest_score(count: u32, lane: u32) -> f32 {
    var maximum = LOWEST;
    for (var j = 0u; j < count; j++) {
        maximum = max(maximum, scores[j * TILE + lane]);
    }
    return maximum;
}

fn add_value(index: u32, weight: f32, value_part: u32) {
    let place = value_place(index);
    for (var m = 0u; m < VALUE_REGISTERS; m++) {
        sums[m] = fma(vec4f(weight), load_value(place, value_part * VALUE_REGISTERS + m), sums[m]);
    }
}

// Adds the keys whose logits were computed last to the softmax.
fn attend_block(begin: u32, count: u32, lane: u32, value_part: u32) {
    raise_maximum(highest_score(count, lane));
    for (var j = 0u; j < count; j++) {
        let weight = weight_of(0u, begin + j, scores[j * TILE + lane], running_maximum);
        running_sum += weight;
        add_value(begin + j, weight, value_part);
    }
}

// Makes the sums whole.
fn end_tile(lane: u32) {}

// The column, in vectors, of an invocation's sums.
fn lane_column(lane: u32, m: u32, value_part: u32) -> u32 {
    return value_part * VALUE_REGISTERS + m;
}
