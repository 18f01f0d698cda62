// Attention of a tile of queries over keys that all of them share, by matrix units (`products_matrices`). Functions as those of `tile_blocks`, and
// what an invocation has of logits and sums is the same.
//
// Sums of values stay in the unit's registers. Weights are relative to a maximum that is raised only once it is outgrown by a factor of 15, and
// values are multiplied by what makes halves of the largest so far: sums are rescaled, through memory, as seldom as either changes.
//
// Kernels define what they do for `tile_blocks`, and `log_factor`, the logarithm of what the weight of an index is multiplied by. They call in
// uniform control flow `stage_tile`, `score_block`, `attend_block`, `end_tile`. Five barriers a block. Workgroup memory: 30 KiB.
#import products_matrices
#import block_softmax
#import tile_queries

// A maximum is raised by this at least.
const GROWTH: f32 = 2.7;
// Whether sums so far are loaded only before `end_tile`.
const ADDS_SUMS_LAST: bool = true;
// Weights are at most 15 and become halves 2^11 times as large.
const WEIGHT_EXPONENT: i32 = 11;

// Halves of the values' columns, and how many of them are staged at a time.
const COLUMN_HALVES: u32 = LANE_VECTORS;
const STAGED_HALVES: u32 = min(COLUMN_HALVES, STAGED_COLUMNS / BLOCK);
const STAGINGS: u32 = COLUMN_HALVES / STAGED_HALVES;
// Bits of the largest of each staging of values.
var<workgroup> peak_of_values: array<atomic<u32>, STAGINGS>;
// Whether a maximum of the tile was outgrown.
var<workgroup> outgrown: atomic<u32>;

var<private> accumulators: array<matrix_sums, COLUMN_HALVES * TILES>;
var<private> low_accumulators: array<matrix_sums, PAIRS * COLUMN_HALVES * TILES + (1u - PAIRS)>;
// What values are multiplied by, as an exponent.
var<private> value_exponents: array<i32, STAGINGS>;
var<private> factors: array<f32, LANE_QUERIES>;
var<private> resumed_maximum: array<f32, LANE_QUERIES>;

// Takes the queries, after `set_query` and `resume`.
fn stage_tile(lane: u32) {
    for (var own = 0u; own < LANE_QUERIES; own++) {
        resumed_maximum[own] = running_maximum[own];
    }
    for (var i = 0u; i < COLUMN_HALVES * TILES; i++) {
        accumulators[i] = matrix_sums();
        if (PAIRS == 1u) {
            low_accumulators[i * PAIRS] = matrix_sums();
        }
    }
    for (var staging = 0u; staging < STAGINGS; staging++) {
        value_exponents[staging] = 126;
        if (lane == 0u) {
            atomicStore(&peak_of_values[staging], 0u);
        }
    }
    stage_queries_once(lane);
}

// Multiplies the sums of a half of the columns by the factors of their queries.
fn rescale(half: u32, lane: u32, value_factor: f32) {
    for (var low = 0u; low < 1u + PAIRS; low++) {
        pass_sums(half, low, lane);
        workgroupBarrier();
        for (var own = 0u; own < LANE_QUERIES; own++) {
            let cell = tile_place(lane, own) * SCORE_ROW + 4u * (lane % SIDE);
            for (var i = 0u; i < 4u; i++) {
                passing[cell + i] *= factors[own] * value_factor;
            }
        }
        workgroupBarrier();
        for (var i = 0u; i < TILES; i++) {
            let tile = tile_begin(lane, i);
            let scaled = coopLoadT<matrix_sums>(&passing[tile.x * SCORE_ROW + tile.y], SCORE_ROW);
            if (low == 0u) {
                accumulators[half * TILES + i] = scaled;
            } else {
                low_accumulators[(half * TILES + i) * PAIRS] = scaled;
            }
        }
        workgroupBarrier();
    }
}

// Stores the sums of a half of the columns where all see them.
fn pass_sums(half: u32, low: u32, lane: u32) {
    for (var i = 0u; i < TILES; i++) {
        let tile = tile_begin(lane, i);
        if (low == 0u) {
            coopStoreT(accumulators[half * TILES + i], &passing[tile.x * SCORE_ROW + tile.y], SCORE_ROW);
        } else {
            coopStoreT(low_accumulators[(half * TILES + i) * PAIRS], &passing[tile.x * SCORE_ROW + tile.y], SCORE_ROW);
        }
    }
}

const VALUE_STAGED_VECTORS: u32 = 8u * STAGED_HALVES;
const VALUE_LOADS: u32 = BLOCK * VALUE_STAGED_VECTORS / LANES;

// Adds the keys whose logits were computed last to the softmax.
fn attend_block(begin: u32, count: u32, lane: u32, value_part: u32) {
    // What bounds a weight is its logit with what it is multiplied by.
    var highest = vec4f(LOWEST);
    for (var j = 0u; j < LANE_KEYS; j++) {
        let more = log_factor(begin + min(lane_key(lane, j), count - 1u));
        for (var own = 0u; own < LANE_QUERIES; own++) {
            let score = logits[own][j];
            highest[own] = max(highest[own], select(LOWEST, score + more, score > LOWEST));
        }
    }
    share_highest(lane, 0u, highest);
    if (lane == 0u) {
        // Whoever asked has seen it, a barrier ago.
        atomicStore(&outgrown, 0u);
    }
    for (var staging = 0u; staging < STAGINGS; staging++) {
        var loaded = array<vec4f, VALUE_LOADS>();
        var peak = 0u;
        for (var i = 0u; i < VALUE_LOADS; i++) {
            let cell = lane + i * LANES;
            let own_column = staging * VALUE_STAGED_VECTORS + cell % VALUE_STAGED_VECTORS;
            let column = value_part * VALUE_REGISTERS + own_column;
            let key = cell / VALUE_STAGED_VECTORS;
            let vector = load_value(value_place(begin + min(key, count - 1u)), column);
            let there = own_column < VALUE_REGISTERS && column < VALUE_VECTORS && key < count;
            loaded[i] = select(vec4f(), vector, there);
            peak = max(peak, peak_bits(loaded[i]));
        }
        atomicMax(&peak_of_values[staging], peak);
        // From here on no key of the block is read again, nor a value of the staging before.
        workgroupBarrier();
        if (staging == 0u) {
            weigh_block(begin, count, lane);
        }
        let exponent = exponent_for(atomicLoad(&peak_of_values[staging]));
        for (var i = 0u; i < VALUE_LOADS; i++) {
            let cell = lane + i * LANES;
            let place = cell / VALUE_STAGED_VECTORS * ROW_STRIDE + cell % VALUE_STAGED_VECTORS * 4u;
            stage(place, KEY_PLANE, loaded[i] * power(exponent));
        }
        workgroupBarrier();
        let grown = exponent - value_exponents[staging];
        value_exponents[staging] = exponent;
        if (grown != 0 || atomicLoad(&outgrown) != 0u) {
            for (var half = 0u; half < STAGED_HALVES; half++) {
                rescale(staging * STAGED_HALVES + half, lane, power(grown));
            }
        }
        for (var half = 0u; half < STAGED_HALVES; half++) {
            add_values(staging * STAGED_HALVES + half, half, lane);
        }
    }
}

// The weights of a block, as halves, and the softmax with them.
fn weigh_block(begin: u32, count: u32, lane: u32) {
    let highest = shared_highest(lane, 0u);
    var grew = false;
    for (var own = 0u; own < LANE_QUERIES; own++) {
        let before = running_maximum[own];
        let outgrows = highest[own] > before + GROWTH;
        let maximum = select(before, highest[own], outgrows);
        grew = grew || outgrows;
        factors[own] = exp(before - maximum);
        running_maximum[own] = maximum;
        var weights = vec4f();
        for (var j = 0u; j < LANE_KEYS; j++) {
            let index = begin + lane_key(lane, j);
            weights[j] = weight_of(own, index, logits[own][j], maximum);
        }
        running_sum[own] = running_sum[own] * factors[own] + (weights.x + weights.y + weights.z + weights.w);
        let cell = tile_place(lane, own) * WEIGHT_ROW + lane_key(lane, 0u);
        stage(WEIGHTS_BEGIN + cell, WEIGHT_PLANE, weights * power(WEIGHT_EXPONENT));
    }
    if (grew) {
        atomicStore(&outgrown, 1u);
    }
}

// Adds the products of the block's weights with a half of the values' columns, of those that are staged.
fn add_values(half: u32, staged_half: u32, lane: u32) {
    for (var i = 0u; i < TILES; i++) {
        let tile = tile_begin(lane, i);
        for (var key = 0u; key < BLOCK; key += MATRIX_SIDE) {
            let weight_cell = WEIGHTS_BEGIN + tile.x * WEIGHT_ROW + key;
            let value_cell = key * ROW_STRIDE + staged_half * BLOCK + tile.y;
            let weights = coopLoadT<matrix_left>(&staged[weight_cell], WEIGHT_ROW);
            let value = coopLoadT<matrix_right>(&staged[value_cell], ROW_STRIDE);
            let at = half * TILES + i;
            accumulators[at] = coopMultiplyAdd(weights, value, accumulators[at]);
            if (PAIRS == 1u) {
                let low_weights = coopLoadT<matrix_left>(&staged[weight_cell + PAIRS * WEIGHT_PLANE], WEIGHT_ROW);
                let low_value = coopLoadT<matrix_right>(&staged[value_cell + PAIRS * KEY_PLANE], ROW_STRIDE);
                let low = at * PAIRS;
                low_accumulators[low] = coopMultiplyAdd(weights, low_value, low_accumulators[low]);
                low_accumulators[low] = coopMultiplyAdd(low_weights, value, low_accumulators[low]);
            }
        }
    }
}

// Makes the sums whole.
fn end_tile(lane: u32) {
    end_sums(lane);
    for (var own = 0u; own < LANE_QUERIES; own++) {
        factors[own] = exp(resumed_maximum[own] - running_maximum[own]);
        for (var half = 0u; half < COLUMN_HALVES; half++) {
            sums[own * LANE_VECTORS + half] *= factors[own];
        }
    }
    for (var half = 0u; half < COLUMN_HALVES; half++) {
        var whole = array<vec4f, LANE_QUERIES>();
        for (var low = 0u; low < 1u + PAIRS; low++) {
            workgroupBarrier();
            pass_sums(half, low, lane);
            workgroupBarrier();
            for (var own = 0u; own < LANE_QUERIES; own++) {
                whole[own] += passing_vector(lane, own, 4u * (lane % SIDE)) * select(1.0, 1.0 / 2048.0, low == 1u);
            }
        }
        for (var own = 0u; own < LANE_QUERIES; own++) {
            let sum = whole[own] * power(-WEIGHT_EXPONENT) * power(-value_exponents[half / STAGED_HALVES]);
            sums[own * LANE_VECTORS + half] += sum;
        }
    }
}
