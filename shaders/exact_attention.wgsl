// Softmax attention over all keys that are seen, fused. Twin of `src/cpu/exact_attention.rs`.
//
// Tile: 64 neighbouring queries of a slice over the keys that any of them sees (`shared/tile_blocks.wgsl`, `shared/tile_rows.wgsl` or
// `shared/tile_matrices.wgsl`; `shared/visible.wgsl`); where HIDES, keys that a query does not see itself are masked. A tile's keys are counted through both of their runs, and
// long ones are cut into several dispatches, between which the unnormalised sums rest where `store_sum` says and the running softmax in
// `softmax_parts`.
// ROLE_LEADING computes an image's leading tokens alone, ROLE_GUARDED only slices that the guard found in error.
// Traffic: each query row and output row once a dispatch, each key and value row once a tile that sees it.
// Intensity: 2 * 64 * (E + M) operations for each key and value row of 4 * (E + M) bytes, 32 operations a byte.

#import lengths
#import visible
#import attention_tile
#import tile_keys
#import attention
#import output_sums
#import softmax_parts
#import guard

@group(0) @binding(1) var<storage, read> queries: array<element>;
@group(0) @binding(2) var<storage, read> keys: array<element>;
@group(0) @binding(3) var<storage, read> values: array<element>;
@group(0) @binding(4) var<storage, read_write> output: array<output_element>;
@group(0) @binding(5) var<storage, read> lengths: array<u32>;
@group(0) @binding(6) var<storage, read_write> softmax_parts: array<vec4f>;
@group(0) @binding(7) var<storage, read> guard: array<u32>;

const TILE: u32 = 64u;
const TILE_QUERIES: u32 = EXACT_QUERIES;

// What any query of the tile sees, and each of an invocation's.
var<private> tile_keys: Keys;
var<private> own_keys: array<Keys, LANE_QUERIES>;

fn key_at(index: u32) -> u32 {
    if (HIDES == 1u) {
        return listed_key(tile_keys, index);
    }
    return index;
}

// Where a query stands among the keys: by the lengths, or as `lengths` says behind them.
fn place_of(slice: Slice, query: u32, length: u32, key_count: u32) -> i32 {
    if (PLACED == 1u) {
        let row = (slice.batch * params.sizes.query_heads + slice.head) * params.sizes.queries;
        return bitcast<i32>(lengths[2u * params.sizes.batch + row + query]);
    }
    return position_of(query, length, key_count);
}

fn weight_of(own: u32, index: u32, score: f32, maximum: f32) -> f32 {
    return softmax_weight(score, maximum);
}

fn log_factor(index: u32) -> f32 {
    return 0.0;
}

@compute @workgroup_size(LANES)
fn exact_attention(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    if (params.share.role == ROLE_GUARDED && !exceeds(slice)) {
        return;
    }
    let value_part = part_of_values(workgroup.z);
    let first = (params.share.tile_begin + workgroup.x) * TILE;
    let rows = select(params.sizes.queries, params.sizes.near.leading, params.share.role == ROLE_LEADING);
    let length = min(query_length(slice), rows);
    // Padding may hold anything, so it computes what the last valid query does, and is not stored.
    let last = max(length, 1u) - 1u;
    let key_count = valid_keys(slice);
    var listed = key_count;
    if (HIDES == 1u) {
        let tile_first = place_of(slice, min(first, last), length, key_count);
        let tile_last = place_of(slice, min(first + TILE - 1u, last), length, key_count);
        let seen = keys_of_tile(params.sizes.visible, tile_first, tile_last, key_count);
        listed = count_of(seen);
        tile_keys = seen;
    }
    begin_keys(slice);
    begin_tile();
    for (var own = 0u; own < LANE_QUERIES; own++) {
        let query = min(first + tile_place(lane, own), last);
        set_query(own, query_row(slice, query));
        if (HIDES == 1u) {
            own_keys[own] = keys_of(params.sizes.visible, place_of(slice, query, length, key_count), key_count);
        }
        if (params.share.continues == 1u) {
            let position = min(first + tile_place(lane, own), rows - 1u);
            let softmax = load_running(running_place(slice, position, value_part));
            resume(lane, own, softmax.maximum, softmax.sum);
            if (!ADDS_SUMS_LAST) {
                load_sums(lane, own, slice, position, value_part);
            }
        }
    }
    stage_tile(lane);
    // A tile of padding has nothing to compute; its rows become zero.
    let end = select(0u, min(params.share.key_end, listed), first < length);
    for (var block = params.share.key_begin; block < end; block += BLOCK) {
        let count = min(BLOCK, end - block);
        score_block(block, count, lane);
        if (HIDES == 1u) {
            for (var own = 0u; own < LANE_QUERIES; own++) {
                for (var j = 0u; j < lane_keys(count); j++) {
                    let seen = is_listed(own_keys[own], key_at(block + lane_key(lane, j)));
                    set_score(lane, own, j, select(LOWEST, score_of(lane, own, j), seen));
                }
            }
        }
        attend_block(block, count, lane, value_part);
    }
    if (ADDS_SUMS_LAST && params.share.continues == 1u) {
        for (var own = 0u; own < LANE_QUERIES; own++) {
            load_sums(lane, own, slice, min(first + tile_place(lane, own), rows - 1u), value_part);
        }
    }
    end_tile(lane);
    let finished = params.share.finishes == 1u;
    for (var own = 0u; own < LANE_QUERIES; own++) {
        let position = first + tile_place(lane, own);
        if (position < rows) {
            let scale = select(0.0, inverse(sum_of(own)), position < length);
            let factor = select(1.0, scale, finished);
            for (var m = 0u; m < LANE_VECTORS; m++) {
                let sum = sums[own * LANE_VECTORS + m] * factor;
                store_sum(slice, position, lane_column(lane, m, value_part), sum, !finished);
            }
            if (!finished && holds_queries(lane)) {
                let running = running_place(slice, position, value_part);
                softmax_parts[running] = vec4f(maximum_of(own), sum_of(own), 0.0, 0.0);
            }
        }
    }
}
