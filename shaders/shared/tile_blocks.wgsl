// Attention of a tile of queries over keys that all of them share, as products of blocks: of 32 keys at a time, an invocation computes the
// logits of LANE_QUERIES queries with four keys, then eight columns of the weighted values of the same queries. `tile_rows` has the same functions.
//
// Kernels define TILE and TILE_QUERIES, how many of its queries an invocation has, 4 or 8, and of the key at an index `key_place` with `load_key`,
// `value_place` with `load_value` (both in `tile_keys`), and `weight_of`, its weight for a query. They call in uniform control flow only what has
// barriers: `meet_tile`, `score_block`, `attend_block`, `end_tile`.
//
// Keys are staged once a block, then the weights take their place; queries and values are read as they lie, by neighbours together. Loads of 16
// bytes feed 8 multiply-adds an invocation in the products with keys and 11 in those with values (LANE_QUERIES 4). Four barriers a block.
// Workgroup memory: 10 KiB for a tile of 64; 9 KiB for one of 32, 5 KiB where its width is at most 32.
#import products_blocks
#import tile_queries

// Vectors of an invocation: of its queries, side by side, and of a row of its sums.
const LANE_QUERY_VECTORS: u32 = LANE_QUERIES / 4u;
const LANE_VECTORS: u32 = (VALUE_REGISTERS + SIDE - 1u) / SIDE;

// [invocation of the side][four queries]: largest logits, or sums of weights.
var<workgroup> shares: array<vec4f, SIDE * WEIGHT_STRIDE>;

var<private> sums: array<vec4f, LANE_QUERIES * LANE_VECTORS>;
var<private> running_maximum: array<f32, LANE_QUERIES>;
// Over the invocation's own keys.
var<private> running_sum: array<f32, LANE_QUERIES>;

fn begin_tile() {
    for (var i = 0u; i < LANE_QUERIES; i++) {
        running_maximum[i] = LOWEST;
        running_sum[i] = 0.0;
    }
    for (var m = 0u; m < LANE_QUERIES * LANE_VECTORS; m++) {
        sums[m] = vec4f();
    }
}

// The query that decides what an invocation's tile is about: the same in a workgroup.
fn deciding_place(lane: u32) -> u32 {
    return 0u;
}

// Goes on from a softmax so far.
fn resume(lane: u32, own: u32, maximum: f32, sum: f32) {
    running_maximum[own] = maximum;
    running_sum[own] = select(0.0, sum, holds_queries(lane));
}

fn maximum_of(own: u32) -> f32 {
    return running_maximum[own];
}

fn sum_of(own: u32) -> f32 {
    return running_sum[own];
}

// The pairs of the tile's queries with so many keys of a block, shared among the invocations, neighbouring keys among neighbours: how many of
// them one has, which they are, and where what belongs to one is kept in workgroup memory, so that neighbours meet in no bank. What is written
// there before `score_block` can be read after it, until `attend_block` ends.
fn pairs_of_lane(count: u32) -> u32 {
    return BLOCK * TILE / LANES;
}

fn pair_place(lane: u32, pair: u32) -> u32 {
    return lane / BLOCK + pair * (LANES / BLOCK);
}

fn pair_key(lane: u32, pair: u32) -> u32 {
    return lane % BLOCK;
}

fn pair_cell(place: u32, key: u32) -> u32 {
    return place * BLOCK + (key ^ (place / LANE_QUERIES % 4u));
}

fn weight_cell(key: u32, column: u32) -> u32 {
    return key * WEIGHT_STRIDE + (column ^ (key / LANE_KEYS % SIDE));
}

// Adds the keys whose logits were computed last to the softmax.
fn attend_block(begin: u32, count: u32, lane: u32, value_part: u32) {
    let side = lane % SIDE;
    let first = lane / SIDE * LANE_QUERY_VECTORS;
    for (var v = 0u; v < LANE_QUERY_VECTORS; v++) {
        var highest = vec4f();
        for (var i = 0u; i < 4u; i++) {
            let logit = logits[4u * v + i];
            highest[i] = max(max(logit.x, logit.y), max(logit.z, logit.w));
        }
        shares[side * WEIGHT_STRIDE + first + v] = highest;
    }
    // From here on no key of the block is read again.
    workgroupBarrier();
    for (var v = 0u; v < LANE_QUERY_VECTORS; v++) {
        var highest = shares[first + v];
        for (var other = 1u; other < SIDE; other++) {
            highest = max(highest, shares[other * WEIGHT_STRIDE + first + v]);
        }
        for (var i = 0u; i < 4u; i++) {
            let own = 4u * v + i;
            let maximum = max(running_maximum[own], highest[i]);
            let factor = exp(running_maximum[own] - maximum);
            running_maximum[own] = maximum;
            var weights = vec4f();
            for (var j = 0u; j < LANE_KEYS; j++) {
                weights[j] = weight_of(own, begin + lane_key(lane, j), logits[own][j], maximum);
            }
            running_sum[own] = running_sum[own] * factor + (weights.x + weights.y + weights.z + weights.w);
            logits[own] = weights;
            for (var m = 0u; m < LANE_VECTORS; m++) {
                sums[own * LANE_VECTORS + m] *= factor;
            }
        }
        let keys = transpose(mat4x4f(logits[4u * v], logits[4u * v + 1u], logits[4u * v + 2u], logits[4u * v + 3u]));
        for (var j = 0u; j < LANE_KEYS; j++) {
            staged[weight_cell(lane_key(lane, j), first + v)] = keys[j];
        }
    }
    workgroupBarrier();
    var key = 0u;
    for (; key + LANE_KEYS <= count; key += LANE_KEYS) {
        for (var j = 0u; j < LANE_KEYS; j++) {
            add_value(begin, key, j, side, first, value_part);
        }
    }
    for (; key < count; key++) {
        add_value(begin, key, 0u, side, first, value_part);
    }
}

// Adds the weighted value of a key of the block.
fn add_value(begin: u32, key: u32, j: u32, side: u32, first: u32, value_part: u32) {
    let place = value_place(begin + key + j);
    for (var v = 0u; v < LANE_QUERY_VECTORS; v++) {
        // The columns of four keys are exchanged alike.
        let weights = staged[weight_cell(key % BLOCK, first + v) + j * WEIGHT_STRIDE];
        for (var m = 0u; m < LANE_VECTORS; m++) {
            let value = load_value(place, value_part * VALUE_REGISTERS + side + m * SIDE);
            for (var i = 0u; i < 4u; i++) {
                let sum = (4u * v + i) * LANE_VECTORS + m;
                sums[sum] = fma(vec4f(weights[i]), value, sums[sum]);
            }
        }
    }
}

// Makes the sums whole.
fn end_tile(lane: u32) {
    let first = lane / SIDE * LANE_QUERY_VECTORS;
    for (var v = 0u; v < LANE_QUERY_VECTORS; v++) {
        let i = 4u * v;
        let own = vec4f(running_sum[i], running_sum[i + 1u], running_sum[i + 2u], running_sum[i + 3u]);
        shares[lane % SIDE * WEIGHT_STRIDE + first + v] = own;
    }
    workgroupBarrier();
    for (var v = 0u; v < LANE_QUERY_VECTORS; v++) {
        var total = vec4f();
        for (var other = 0u; other < SIDE; other++) {
            total += shares[other * WEIGHT_STRIDE + first + v];
        }
        for (var i = 0u; i < 4u; i++) {
            running_sum[4u * v + i] = total[i];
        }
    }
}

// The column, in vectors, of an invocation's sums; past all of them where it has none.
fn lane_column(lane: u32, m: u32, value_part: u32) -> u32 {
    let column = lane % SIDE + m * SIDE;
    return select(VALUE_VECTORS, value_part * VALUE_REGISTERS + column, column < VALUE_REGISTERS);
}
