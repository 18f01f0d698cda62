// Attention of a tile of queries over keys that all of them share: one invocation holds one query, its running softmax and up to 64
// columns of its weighted values. Keys and values are read at addresses that are the same for the whole workgroup, eight keys at a
// time, so one 16-byte load feeds four multiply-adds of every query of the tile and no workgroup memory is needed.

const KEY_BLOCK: u32 = 8u;

var<private> sums: array<vec4f, VALUE_REGISTERS>;
var<private> running_maximum: f32;
var<private> running_sum: f32;

fn begin_tile(row: u32) {
    if (WIDTH_PARTS == 1u) {
        load_query_part(row, 0u);
    }
    for (var m = 0u; m < VALUE_REGISTERS; m++) {
        sums[m] = vec4f();
    }
    running_maximum = LOWEST;
    running_sum = 0.0;
}

// Scaled logits of eight keys that begin at the given rows.
fn logits_of(row: u32, key_rows: array<u32, KEY_BLOCK>) -> array<f32, KEY_BLOCK> {
    var rows = key_rows;
    var logits: array<f32, KEY_BLOCK>;
    for (var part = 0u; part < WIDTH_PARTS; part++) {
        if (WIDTH_PARTS > 1u) {
            load_query_part(row, part);
        }
        for (var j = 0u; j < KEY_BLOCK; j++) {
            var dots = vec4f();
            for (var e = 0u; e < QUERY_REGISTERS; e++) {
                dots = fma(query[e], load_keys(rows[j], part * QUERY_REGISTERS + e), dots);
            }
            logits[j] += dot(dots, vec4f(params.scale));
        }
    }
    return logits;
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

fn highest(logits: array<f32, KEY_BLOCK>) -> f32 {
    var values = logits;
    var maximum = values[0];
    for (var j = 1u; j < KEY_BLOCK; j++) {
        maximum = max(maximum, values[j]);
    }
    return maximum;
}

// Weight of a key relative to the running maximum; a masked key weighs nothing even where every key so far was masked.
fn weight_of(logit: f32) -> f32 {
    return select(0.0, exp(logit - running_maximum), logit > LOWEST);
}

fn add_values(value_rows: array<u32, KEY_BLOCK>, weights: array<f32, KEY_BLOCK>, value_part: u32) {
    var rows = value_rows;
    var factors = weights;
    for (var j = 0u; j < KEY_BLOCK; j++) {
        for (var m = 0u; m < VALUE_REGISTERS; m++) {
            sums[m] = fma(vec4f(factors[j]), load_values(rows[j], value_part * VALUE_REGISTERS + m), sums[m]);
        }
    }
}

// Adds eight keys to the softmax.
fn attend(key_logits: array<f32, KEY_BLOCK>, value_rows: array<u32, KEY_BLOCK>, value_part: u32) {
    raise_maximum(highest(key_logits));
    var logits = key_logits;
    for (var j = 0u; j < KEY_BLOCK; j++) {
        logits[j] = weight_of(logits[j]);
        running_sum += logits[j];
    }
    add_values(value_rows, logits, value_part);
}

// `1 / sum`, and 0 where there was nothing to attend to.
fn inverse(sum: f32) -> f32 {
    return select(0.0, 1.0 / sum, sum > 0.0);
}

fn store_sums(row: u32, value_part: u32, factor: f32) {
    for (var m = 0u; m < VALUE_REGISTERS; m++) {
        store_output(row, value_part * VALUE_REGISTERS + m, sums[m] * factor);
    }
}

fn load_sums(row: u32, value_part: u32) {
    for (var m = 0u; m < VALUE_REGISTERS; m++) {
        sums[m] = load_output(row, value_part * VALUE_REGISTERS + m);
    }
}

// Place of a query's running softmax in `state`, one for each part of the value columns.
fn state_index(slice: Slice, position: u32, value_part: u32) -> u32 {
    return (slice.index * VALUE_PARTS + value_part) * params.queries + position;
}
