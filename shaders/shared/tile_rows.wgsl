// Attention of a tile of queries over keys that all of them share, a query an invocation: it holds the query, its running softmax and up to
// 64 columns of its weighted values. Keys and values are read at addresses that are the same for the whole workgroup, so one 16-byte load
// feeds four multiply-adds of every query of the tile; where such loads go through scalar registers, nothing is faster. `tile_blocks` has the
// same functions for other targets.
//
// Kernels define TILE, and of the key at an index `key_place` with `load_key`, `value_place` with `load_value` (both in `tile_keys`), and
// `weight_of`, its weight for a query. Workgroup memory: SCORE_BLOCK * TILE floats, 4 KiB for a tile of 64.
#import products_rows
#import tile_queries

// Whether sums so far are loaded only before `end_tile`.
const ADDS_SUMS_LAST: bool = false;
// Vectors of an invocation's sums.
const LANE_VECTORS: u32 = VALUE_REGISTERS;

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

// The query that decides what an invocation's tile is about, where that may differ within a workgroup.
fn deciding_place(lane: u32) -> u32 {
    return lane;
}

// Each invocation has its query.
fn stage_tile(lane: u32) {}

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
    add_value_at(value_place(index), weight, value_part);
}

fn add_value_at(place: u32, weight: f32, value_part: u32) {
    for (var m = 0u; m < VALUE_REGISTERS; m++) {
        sums[m] = fma(vec4f(weight), load_value(place, value_part * VALUE_REGISTERS + m), sums[m]);
    }
}

// Adds the keys whose logits were computed last to the softmax.
fn attend_block(begin: u32, count: u32, lane: u32, value_part: u32) {
    raise_maximum(highest_score(count, lane));
    for (var index = begin; index < begin + count; index++) {
        let weight = weight_of(0u, index, scores[(index - begin) * TILE + lane], running_maximum);
        running_sum += weight;
        add_value(index, weight, value_part);
    }
}

// Makes the sums whole.
fn end_tile(lane: u32) {}

// The column, in vectors, of an invocation's sums.
fn lane_column(lane: u32, m: u32, value_part: u32) -> u32 {
    return value_part * VALUE_REGISTERS + m;
}
