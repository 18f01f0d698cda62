// Attention of a tile of queries over keys that all of them share: one invocation holds one query, its running softmax and up to 64
// columns of its weighted values. Keys and values are read at addresses that are the same for the whole workgroup, so one 16-byte load
// feeds four multiply-adds of every query of the tile. Kernels define `key_at`, the key at an index of what they attend to.
//
// Workgroup memory: SCORE_BLOCK * TILE floats, 4 KiB for a tile of 64.
#import query

fn load_row(row: u32, column: u32) -> vec4f {
    return load_queries(row, column);
}

var<private> sums: array<vec4f, VALUE_REGISTERS>;
var<private> running_maximum: f32;
var<private> running_sum: f32;
// First element of the slice's keys and values.
var<private> keys_origin: u32;
var<private> values_origin: u32;

fn begin_tile(slice: Slice, row: u32) {
    keys_origin = row_of(params.sizes.key_layout, slice.batch, key_head(slice), 0u);
    values_origin = row_of(params.sizes.value_layout, slice.batch, key_head(slice), 0u);
    if (WIDTH_PARTS == 1u) {
        load_query_part(row, 0u);
    }
    for (var m = 0u; m < VALUE_REGISTERS; m++) {
        sums[m] = vec4f();
    }
    running_maximum = LOWEST;
    running_sum = 0.0;
}

// Scaled logits of up to SCORE_BLOCK keys, into `scores`.
fn score_block(row: u32, begin: u32, count: u32, lane: u32) {
    for (var part = 0u; part < WIDTH_PARTS; part++) {
        if (WIDTH_PARTS > 1u) {
            load_query_part(row, part);
        }
        for (var j = 0u; j < count; j++) {
            let key_row = keys_origin + key_at(begin + j) * params.sizes.key_layout.row;
            var products = vec4f();
            for (var e = 0u; e < QUERY_REGISTERS; e++) {
                products = fma(query[e], load_keys(key_row, part * QUERY_REGISTERS + e), products);
            }
            let score = dot(products, vec4f(params.sizes.scale));
            let place = j * TILE + lane;
            if (part == 0u) {
                scores[place] = score;
            } else {
                scores[place] += score;
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

// Weight of a key relative to the running maximum; a masked key weighs nothing even where every key so far was masked.
fn weight_of(score: f32) -> f32 {
    return select(0.0, exp(score - running_maximum), score > LOWEST);
}

fn add_value(key: u32, weight: f32, value_part: u32) {
    let value_row = values_origin + key * params.sizes.value_layout.row;
    for (var m = 0u; m < VALUE_REGISTERS; m++) {
        sums[m] = fma(vec4f(weight), load_values(value_row, value_part * VALUE_REGISTERS + m), sums[m]);
    }
}

// Adds the keys whose logits are in `scores` to the softmax.
fn attend_block(begin: u32, count: u32, lane: u32, value_part: u32) {
    raise_maximum(highest_score(count, lane));
    for (var j = 0u; j < count; j++) {
        let weight = weight_of(scores[j * TILE + lane]);
        running_sum += weight;
        add_value(key_at(begin + j), weight, value_part);
    }
}

// `1 / sum`, and 0 where there was nothing to attend to.
fn inverse(sum: f32) -> f32 {
    return select(0.0, 1.0 / sum, sum > 0.0);
}
