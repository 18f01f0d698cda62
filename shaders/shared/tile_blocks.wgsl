// Attention of a tile of queries over keys that all of them share, as products of blocks: of 32 keys at a time, an invocation computes the
// logits of LANE_QUERIES queries with four keys, then eight columns of the weighted values of the same queries. `tile_rows` has the same functions.
//
// Kernels define TILE and TILE_QUERIES, how many of its queries an invocation has, 4 or 8, and of the key at an index `key_place` with `load_key`,
// `value_place` with `load_value` (both in `tile_keys`), and `weight_of`, its weight for a query. They call in uniform control flow only what has
// barriers: `score_block`, `attend_block`, `end_tile`.
//
// Keys are staged once a block, then the weights take their place; queries and values are read as they lie, by neighbours together. Loads of 16
// bytes feed 8 multiply-adds an invocation in the products with keys and 11 in those with values (LANE_QUERIES 4). Four barriers a block.
// Workgroup memory: 10 KiB for a tile of 64; 9 KiB for one of 32, 5 KiB where its width is at most 32.
#import params

const BLOCK: u32 = 32u;
// Invocations side by side along the keys, then along the columns of values.
const SIDE: u32 = 8u;
const LANE_KEYS: u32 = 4u;
const LANE_QUERIES: u32 = TILE_QUERIES;
const LANES: u32 = TILE / LANE_QUERIES * SIDE;
// Vectors of an invocation: of its queries, side by side, and of a row of its sums.
const LANE_QUERY_VECTORS: u32 = LANE_QUERIES / 4u;
const LANE_VECTORS: u32 = (VALUE_REGISTERS + SIDE - 1u) / SIDE;
// Vectors of a key and of a row of weights in workgroup memory.
const KEY_STRIDE: u32 = (QUERY_REGISTERS + 7u) / 8u * 8u;
const WEIGHT_STRIDE: u32 = TILE / 4u;

// [key][column], then [key][four queries], columns exchanged so that neighbours meet in no bank.
var<workgroup> staged: array<vec4f, BLOCK * max(KEY_STRIDE, WEIGHT_STRIDE)>;
// [invocation of the side][four queries]: largest logits, or sums of weights.
var<workgroup> shares: array<vec4f, SIDE * WEIGHT_STRIDE>;

// Where the rows of the invocation's queries begin.
var<private> query_places: array<u32, LANE_QUERIES>;
// Logits of a query with the invocation's keys.
var<private> logits: array<vec4f, LANE_QUERIES>;
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

// Which query of the tile is an invocation's.
fn tile_place(lane: u32, own: u32) -> u32 {
    return lane / SIDE * LANE_QUERIES + own;
}

// The query that decides what an invocation's tile is about: the same in a workgroup.
fn deciding_place(lane: u32) -> u32 {
    return 0u;
}

// Whether an invocation writes what is known of its queries as a whole.
fn holds_queries(lane: u32) -> bool {
    return lane % SIDE == 0u;
}

fn set_query(own: u32, row: u32) {
    query_places[own] = at_queries(row);
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

// Cells of invocations side by side, whose keys are four apart.
fn key_cell(key: u32, column: u32) -> u32 {
    return key * KEY_STRIDE + (column ^ (key / LANE_KEYS % SIDE));
}

fn weight_cell(key: u32, column: u32) -> u32 {
    return key * WEIGHT_STRIDE + (column ^ (key / LANE_KEYS % SIDE));
}

// Scaled logits of up to BLOCK keys.
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
                let query = load_at_queries(query_places[i], part * QUERY_REGISTERS + vector);
                logits[i] = fma(vec4f(query.x), columns[0], logits[i]);
                logits[i] = fma(vec4f(query.y), columns[1], logits[i]);
                logits[i] = fma(vec4f(query.z), columns[2], logits[i]);
                logits[i] = fma(vec4f(query.w), columns[3], logits[i]);
            }
        }
    }
    for (var i = 0u; i < LANE_QUERIES; i++) {
        logits[i] *= params.sizes.scale;
    }
    if (count < BLOCK) {
        let within = vec4u(side * LANE_KEYS) + vec4u(0u, 1u, 2u, 3u) < vec4u(count);
        for (var i = 0u; i < LANE_QUERIES; i++) {
            logits[i] = select(vec4f(LOWEST), logits[i], within);
        }
    }
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
