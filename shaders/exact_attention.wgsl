// Softmax attention over all keys that are seen, fused. Twin of `src/cpu/exact_attention.rs`.
//
// Tile: 64 neighbouring queries of a slice over the keys that any of them sees (`shared/tile.wgsl`, `shared/visible.wgsl`); where HIDES, keys
// that a query does not see itself are masked. A tile's keys are counted through both of their runs, and long ones are cut into several
// dispatches, between which the unnormalised sums rest in the output and the running softmax in `softmax_parts`.
// ROLE_GUARDED computes only slices that the guard found in error.
// Traffic: each query row and output row once a dispatch, each key and value row once a tile that sees it. Workgroup memory: 4 KiB.
// Intensity: 2 * 64 * (E + M) operations for each key and value row of 4 * (E + M) bytes, 32 operations a byte.

#import lengths
#import visible
#import tile
#import output_sums
#import softmax_parts
#import guard

@group(0) @binding(1) var<storage, read> queries: array<element>;
@group(0) @binding(2) var<storage, read> keys: array<element>;
@group(0) @binding(3) var<storage, read> values: array<element>;
@group(0) @binding(4) var<storage, read_write> output: array<element>;
@group(0) @binding(5) var<storage, read> lengths: array<u32>;
@group(0) @binding(6) var<storage, read_write> softmax_parts: array<vec4f>;
@group(0) @binding(7) var<storage, read> guard: array<u32>;

const TILE: u32 = 64u;

// What any query of the tile sees.
var<private> tile_keys: Keys;

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

@compute @workgroup_size(64)
fn exact_attention(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    if (params.share.role == ROLE_GUARDED && !exceeds(slice)) {
        return;
    }
    let value_part = workgroup.z;
    let first = (params.share.tile_begin + workgroup.x) * TILE;
    let position = min(first + lane, params.sizes.queries - 1u);
    let length = query_length(slice);
    // Padding may hold anything, so it computes what the last valid query does, and is not stored.
    let row = query_row(slice, min(position, max(length, 1u) - 1u));
    let out = output_row(slice, position);
    let running = running_place(slice, position, value_part);
    begin_tile(slice, row);
    if (params.share.continues == 1u) {
        let softmax = load_running(running);
        running_maximum = softmax.maximum;
        running_sum = softmax.sum;
        load_sums(out, value_part);
    }
    let key_count = valid_keys(slice);
    var listed = key_count;
    var own = Keys(0u, 0u, key_count);
    if (HIDES == 1u) {
        let last = max(length, 1u) - 1u;
        let tile_first = place_of(slice, min(first, last), length, key_count);
        let tile_last = place_of(slice, min(first + TILE - 1u, last), length, key_count);
        tile_keys = keys_of_tile(params.sizes.visible, tile_first, tile_last, key_count);
        listed = count_of(tile_keys);
        own = keys_of(params.sizes.visible, place_of(slice, min(position, last), length, key_count), key_count);
    }
    // A tile of padding has nothing to compute; its rows become zero.
    let end = select(0u, min(params.share.key_end, listed), first < length);
    for (var block = params.share.key_begin; block < end; block += SCORE_BLOCK) {
        let count = min(SCORE_BLOCK, end - block);
        score_block(row, block, count, lane);
        if (HIDES == 1u) {
            for (var j = 0u; j < count; j++) {
                let place = j * TILE + lane;
                scores[place] = select(LOWEST, scores[place], is_listed(own, key_at(block + j)));
            }
        }
        attend_block(block, count, lane, value_part);
    }
    let finished = params.share.finishes == 1u;
    let scale = select(0.0, inverse(running_sum), position < length);
    if (first + lane < params.sizes.queries) {
        store_sums(out, value_part, select(1.0, scale, finished));
        if (!finished) {
            softmax_parts[running] = vec4f(running_maximum, running_sum, 0.0, 0.0);
        }
    }
}
