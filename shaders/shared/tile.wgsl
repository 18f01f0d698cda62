// Attention of a tile of queries over keys that all of them share: an invocation holds one query or more (HELD), their running softmax and
// up to 64 columns of their weighted values. Keys and values are read at addresses that are the same for the whole workgroup, so one
// 16-byte load feeds four multiply-adds of every query of the tile, and one load of an invocation 4 * HELD of its own. Kernels define HELD,
// TILE and `key_at`, the key at an index of what they attend to.
//
// Workgroup memory: SCORE_BLOCK * TILE floats, 4 KiB for a tile of 64 and blocks of 16.

// Invocations of a workgroup. Query `held` of an invocation is number `held * LANES + lane` of the tile.
const LANES: u32 = TILE / HELD;

// [query held][vector]
var<private> sums: array<vec4f, HELD * VALUE_REGISTERS>;
var<private> running_maximum: array<f32, HELD>;
var<private> running_sum: array<f32, HELD>;
// Where the queries begin.
var<private> query_rows: array<u32, HELD>;
// Weights of the key in work.
var<private> key_weights: array<f32, HELD>;
// First element of the slice's keys and values.
var<private> keys_origin: u32;
var<private> values_origin: u32;

// Empties the softmax of the queries at `query_rows`.
fn begin_tile(slice: Slice) {
    keys_origin = row_of(params.key_layout, slice.batch, key_head(slice), 0u);
    values_origin = row_of(params.value_layout, slice.batch, key_head(slice), 0u);
    for (var held = 0u; held < HELD; held++) {
        if (WIDTH_PARTS == 1u) {
            load_query_part(held, query_rows[held], 0u);
        }
        for (var m = 0u; m < VALUE_REGISTERS; m++) {
            sums[held * VALUE_REGISTERS + m] = vec4f();
        }
        running_maximum[held] = LOWEST;
        running_sum[held] = 0.0;
    }
}

fn score_place(index: u32, held: u32, lane: u32) -> u32 {
    return index * TILE + held * LANES + lane;
}

// Scaled logits of up to SCORE_BLOCK keys, into `scores`.
fn score_block(begin: u32, count: u32, lane: u32) {
    for (var part = 0u; part < WIDTH_PARTS; part++) {
        if (WIDTH_PARTS > 1u) {
            for (var held = 0u; held < HELD; held++) {
                load_query_part(held, query_rows[held], part);
            }
        }
        for (var j = 0u; j < count; j++) {
            let key_row = keys_origin + key_at(begin + j) * params.key_layout.z;
            var products: array<vec4f, HELD>;
            for (var e = 0u; e < QUERY_REGISTERS; e++) {
                let columns = load_keys(key_row, part * QUERY_REGISTERS + e);
                for (var held = 0u; held < HELD; held++) {
                    products[held] = fma(query[held * QUERY_REGISTERS + e], columns, products[held]);
                }
            }
            for (var held = 0u; held < HELD; held++) {
                let score = dot(products[held], vec4f(params.scale));
                let place = score_place(j, held, lane);
                if (part == 0u) {
                    scores[place] = score;
                } else {
                    scores[place] += score;
                }
            }
        }
    }
}

// Raises the running maximum of a query to at least `floor`.
fn raise_maximum(held: u32, floor: f32) {
    let maximum = max(running_maximum[held], floor);
    let factor = exp(running_maximum[held] - maximum);
    running_maximum[held] = maximum;
    running_sum[held] *= factor;
    for (var m = 0u; m < VALUE_REGISTERS; m++) {
        sums[held * VALUE_REGISTERS + m] *= factor;
    }
}

fn highest_score(held: u32, count: u32, lane: u32) -> f32 {
    var maximum = LOWEST;
    for (var j = 0u; j < count; j++) {
        maximum = max(maximum, scores[score_place(j, held, lane)]);
    }
    return maximum;
}

// Weight of a key relative to the running maximum; a masked key weighs nothing even where every key so far was masked.
fn weight_of(held: u32, score: f32) -> f32 {
    return select(0.0, exp(score - running_maximum[held]), score > LOWEST);
}

// Adds a key's value to the sums of all queries, by `key_weights`.
fn add_value(key: u32, value_part: u32) {
    let value_row = values_origin + key * params.value_layout.z;
    for (var m = 0u; m < VALUE_REGISTERS; m++) {
        let columns = load_values(value_row, value_part * VALUE_REGISTERS + m);
        for (var held = 0u; held < HELD; held++) {
            let sum = held * VALUE_REGISTERS + m;
            sums[sum] = fma(vec4f(key_weights[held]), columns, sums[sum]);
        }
    }
}

// Adds the keys whose logits are in `scores` to the softmax.
fn attend_block(begin: u32, count: u32, lane: u32, value_part: u32) {
    for (var held = 0u; held < HELD; held++) {
        raise_maximum(held, highest_score(held, count, lane));
    }
    for (var j = 0u; j < count; j++) {
        for (var held = 0u; held < HELD; held++) {
            let weight = weight_of(held, scores[score_place(j, held, lane)]);
            running_sum[held] += weight;
            key_weights[held] = weight;
        }
        add_value(key_at(begin + j), value_part);
    }
}

// `1 / sum`, and 0 where there was nothing to attend to.
fn inverse(sum: f32) -> f32 {
    return select(0.0, 1.0 / sum, sum > 0.0);
}

fn store_sums(held: u32, row: u32, value_part: u32, factor: f32) {
    for (var m = 0u; m < VALUE_REGISTERS; m++) {
        store_output(row, value_part * VALUE_REGISTERS + m, sums[held * VALUE_REGISTERS + m] * factor);
    }
}

fn load_sums(held: u32, row: u32, value_part: u32) {
    for (var m = 0u; m < VALUE_REGISTERS; m++) {
        sums[held * VALUE_REGISTERS + m] = load_output(row, value_part * VALUE_REGISTERS + m);
    }
}

// Place of a query's running softmax in `state`, one for each part of the value columns.
fn state_index(slice: Slice, position: u32, value_part: u32) -> u32 {
    return (slice.index * VALUE_PARTS + value_part) * params.queries + position;
}
