// The exact band around the diagonal, stitched to the top-k keys and taken back from the key groups (`docs/method.md`). Twin of
// `src/cpu/group_window.rs`.
//
// Tile: 32 neighbouring queries of a slice and the 32 + 2w keys in reach of any of them, as a dense band (`shared/tile.wgsl`); keys out of
// a query's own reach are masked. Goes on with the sums, the running softmax and the logits of pseudo-keys that `refine_top_k` left.
// Traffic: each query row and output row once, 1 + 2w/32 times each key and value row, the logits of the window twice.
// Workgroup memory: 2 KiB.

#import lengths
#import visible
#import tile
#import output_sums
#import softmax_parts
#import weights

@group(0) @binding(1) var<storage, read> queries: array<element>;
@group(0) @binding(2) var<storage, read> keys: array<element>;
@group(0) @binding(3) var<storage, read> values: array<element>;
@group(0) @binding(4) var<storage, read_write> output: array<element>;
@group(0) @binding(5) var<storage, read> lengths: array<u32>;
@group(0) @binding(6) var<storage, read> weights: array<f32>;
@group(0) @binding(7) var<storage, read> softmax_parts: array<vec4f>;
@group(0) @binding(8) var<storage, read> clusters: array<u32>;

const TILE: u32 = 32u;

fn key_at(index: u32) -> u32 {
    return index;
}

@compute @workgroup_size(32)
fn group_window(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let value_part = workgroup.z;
    let first = (params.share.tile_begin + workgroup.x) * TILE;
    let length = query_length(slice);
    let key_count = valid_keys(slice);
    if (first >= length) {
        return;
    }
    let position = min(first + lane, length - 1u);
    let row = query_row(slice, position);
    let out = output_row(slice, position);
    let softmax = load_running(running_place(slice, position, value_part));
    let cluster = min(softmax.cluster, params.sizes.clusters - 1u);
    let in_pass = cluster >= params.share.cluster_begin && cluster < params.share.cluster_end;
    let pass_row = select(0u, cluster - params.share.cluster_begin, in_pass);
    let given_row = weight_row(slice, pass_row);
    let noted = pseudo_logits(slice, position);
    let key_groups = slice.index * params.cut.clusters_words + params.sizes.queries;
    let reach = keys_of(params.sizes.near, i32(position), key_count);
    let band = keys_of_tile(params.sizes.near, i32(first), i32(min(first + TILE, length)) - 1, key_count);

    begin_tile(slice, row);
    running_maximum = softmax.maximum;
    running_sum = softmax.sum;
    load_sums(out, value_part);
    for (var block = band.begin; block < band.end; block += SCORE_BLOCK) {
        let count = min(SCORE_BLOCK, band.end - block);
        score_block(row, block, count, lane);
        for (var j = 0u; j < count; j++) {
            let key = block + j;
            let kept = is_listed(reach, key) && weights[given_row + key] > LOWEST;
            scores[j * TILE + lane] = select(LOWEST, scores[j * TILE + lane], kept);
        }
        raise_maximum(highest_score(count, lane));
        for (var j = 0u; j < count; j++) {
            let key = block + j;
            let score = scores[j * TILE + lane];
            let weight = weight_of(score);
            let group = min(clusters[key_groups + key], max(GROUPS, 1u) - 1u);
            // The weight of the pseudo-key for a weight of one in its group, times the key's.
            let facts = pseudo_facts(pseudo_row(slice, cluster, group));
            let in_group = params.sizes.scale * (weights[given_row + key] - facts.maximum);
            let of_group = softmax_parts[noted + group / 4u][group % 4u] - running_maximum;
            let given = select(0.0, exp(in_group + of_group), score > LOWEST);
            running_sum += weight - given;
            add_value(key, weight - given, value_part);
        }
    }
    if (first + lane < length && in_pass) {
        store_sums(out, value_part, inverse(running_sum));
    }
}
