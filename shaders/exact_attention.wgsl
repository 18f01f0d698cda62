// Softmax attention over all valid keys, fused. Twin of `src/cpu/exact_attention.rs`.
//
// Tile: 64 neighbouring queries of a slice over the keys of this dispatch (`shared/tile.wgsl`). Long rows are cut into several dispatches,
// between which the unnormalised sums rest in the output and maximum and sum in `state`.
// Traffic: each query row and output row once a dispatch, each key and value row once a tile. Workgroup memory: 4 KiB.
// Intensity: 2 * 64 * (E + M) operations for each key and value row of 4 * (E + M) bytes, 32 operations a byte.
// params.mode: bit 0 continues a softmax, bit 1 finishes it.

@group(0) @binding(1) var<storage, read> queries: array<element>;
@group(0) @binding(2) var<storage, read> keys: array<element>;
@group(0) @binding(3) var<storage, read> values: array<element>;
@group(0) @binding(4) var<storage, read_write> output: array<element>;
@group(0) @binding(5) var<storage, read> lengths: array<u32>;
@group(0) @binding(6) var<storage, read_write> state: array<vec4f>;

const TILE: u32 = 64u;

fn key_at(index: u32) -> u32 {
    return index;
}

@compute @workgroup_size(64)
fn exact_attention(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let value_part = workgroup.z;
    let first = (params.tile_begin + workgroup.x) * TILE;
    let position = min(first + lane, params.queries - 1u);
    let length = query_length(slice);
    // Padding may hold anything, so it computes what the last valid query does, and is not stored.
    let row = query_row(slice, min(position, max(length, 1u) - 1u));
    let out = output_row(slice, position);
    let place = state_index(slice, position, value_part);
    begin_tile(slice, row);
    if ((params.mode & 1u) != 0u) {
        let softmax = state[place];
        running_maximum = softmax.x;
        running_sum = softmax.y;
        load_sums(out, value_part);
    }
    // A tile of padding has nothing to compute; its rows become zero.
    let end = select(0u, min(params.key_end, valid_keys(slice)), first < length);
    for (var block = params.key_begin; block < end; block += SCORE_BLOCK) {
        let count = min(SCORE_BLOCK, end - block);
        score_block(row, block, count, lane);
        attend_block(block, count, lane, value_part);
    }
    let finished = (params.mode & 2u) != 0u;
    let scale = select(0.0, inverse(running_sum), position < length);
    if (first + lane < params.queries) {
        store_sums(out, value_part, select(1.0, scale, finished));
        if (!finished) {
            state[place] = vec4f(running_maximum, running_sum, 0.0, 0.0);
        }
    }
}
