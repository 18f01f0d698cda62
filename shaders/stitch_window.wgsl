// The exact keys around each query, stitched to the top-k keys and the centroid's remainder (`docs/method.md`). Twin of
// `src/cpu/stitch_window.rs`.
//
// Tile: 32 neighbouring queries of a slice and the keys around any of them, which all compute (`shared/neighbours.wgsl`, `shared/tile_rows.wgsl`):
// 32 + 2w of a sequence, (4 + 2r)(8 + 2r) and the leading tokens of an image; those not around a query itself are masked. Goes on with the sums and the running softmax
// that `refine_top_k` left. Rows whose remainder would be a small difference of large numbers are for `stitch_lost_rows`: they are few, and
// what they need takes registers.
// Traffic: each query row and output row once, 1 + 2w/32 or (1 + r/2)(1 + r/4) times each key and value row, the weights of the window three
// times.
// Workgroup memory: 2 KiB.

#import lengths
#import neighbours
#import tile_rows
#import tile_keys
#import attention
#import softmax_parts
#import weights

@group(0) @binding(1) var<storage, read> queries: array<element>;
@group(0) @binding(2) var<storage, read> keys: array<element>;
@group(0) @binding(3) var<storage, read> values: array<element>;
@group(0) @binding(4) var<storage, read_write> output: array<output_element>;
@group(0) @binding(5) var<storage, read> lengths: array<u32>;
@group(0) @binding(6) var<storage, read> weights: array<f32>;
@group(0) @binding(7) var<storage, read_write> softmax_parts: array<vec4f>;

const TILE: u32 = WINDOW_TILE;

fn key_at(index: u32) -> u32 {
    return min(neighbour_at(listed, index), last_key);
}

fn weight_of(own: u32, index: u32, score: f32, maximum: f32) -> f32 {
    return softmax_weight(score, maximum);
}

// Below this share of the centroid's remainder, a row is too small for the difference that its remainder would be: rounding of what was
// taken back would show. Its remainder is summed instead.
const LOST: f32 = 0.25;

// A row of the window: where it stands, and what its cluster gave. What is needed once is loaded where it is.
struct Row {
    slice: Slice,
    value_part: u32,
    position: u32,
    key_count: u32,
    // Whether there is such a row, of a cluster of this pass.
    valid: bool,
    cluster: u32,
    pass_row: u32,
    given_row: u32,
    own_patch: Patch,
    // The row's own keys.
    own: Neighbours,
}

fn row_of_lane(workgroup: vec3u, lane: u32) -> Row {
    var row: Row;
    row.slice = slice_of(workgroup.y);
    row.value_part = part_of_values(workgroup.z);
    let tile = params.share.tile_begin + workgroup.x;
    let length = query_length(row.slice);
    row.key_count = valid_keys(row.slice);
    row.own_patch = patch_at(tile, lane);
    let query = query_of(row.own_patch);
    row.position = min(query, max(length, 1u) - 1u);
    row.cluster = min(load_running(running_place(row.slice, row.position, row.value_part)).cluster, params.sizes.clusters - 1u);
    let in_pass = row.cluster >= params.share.cluster_begin && row.cluster < params.share.cluster_end;
    row.valid = query < length && in_pass;
    row.pass_row = select(0u, row.cluster - params.share.cluster_begin, in_pass);
    row.given_row = weight_row(row.slice, row.pass_row);
    row.own = neighbours_of(row.own_patch, row.own_patch, row.key_count);
    begin_neighbours(tile, row.key_count);
    begin_keys(row.slice);
    return row;
}

fn statistics_of(row: Row) -> ClusterStatistics {
    return cluster_statistics(cluster_row(row.slice, row.cluster));
}

// Goes on from what the refinement left, relative to at least `floor`.
fn begin_row(row: Row, lane: u32, floor: f32) {
    begin_tile();
    set_query(0u, query_row(row.slice, row.position));
    let softmax = load_running(running_place(row.slice, row.position, row.value_part));
    resume(lane, 0u, softmax.maximum, softmax.sum);
    for (var m = 0u; m < VALUE_REGISTERS; m++) {
        sums[m] = load_sum(row.slice, row.position, row.value_part * VALUE_REGISTERS + m);
    }
    raise_maximum(floor);
}

// The logits of a block of the tile's keys, of those that the row sees and did not select before, and the maximum with them.
fn score_listed(row: Row, block: u32, count: u32, lane: u32) {
    score_block(block, count, lane);
    for (var j = 0u; j < count; j++) {
        let key = neighbour_at(listed, block + j);
        let around = key <= last_key && is_around(row.own_patch, key, patch_of(key));
        let kept = around && !is_selected(weights[row.given_row + min(key, last_key)]);
        scores[j * TILE + lane] = select(LOWEST, scores[j * TILE + lane], kept);
    }
    raise_maximum(highest_score(count, lane));
}

// Adds the values of a block, weighted by what stands in place of their logits. Apart from the weights, so that fewer numbers are alive together.
fn add_block(row: Row, block: u32, count: u32, lane: u32) {
    for (var index = block; index < block + count; index++) {
        add_value(index, scores[(index - block) * TILE + lane], row.value_part);
    }
}

fn store_row(row: Row, total: f32) {
    let out = output_row(row.slice, row.position);
    for (var m = 0u; m < VALUE_REGISTERS; m++) {
        store_output(out, row.value_part * VALUE_REGISTERS + m, sums[m] * inverse(total));
    }
}

// All rows, of which each invocation has its own: nothing is shared but what is read. Takes back what the centroid gave to the window's keys.
// Marks rows that this loses; their sums stay where they rest.
@compute @workgroup_size(WINDOW_TILE)
fn stitch_window(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let row = row_of_lane(workgroup, lane);
    if (!row.valid) {
        return;
    }
    // What the centroid gave to the window's keys, and how many of them it gave to.
    var taken = 0.0;
    var outside = 0u;
    let own_count = count_of_neighbours(row.own);
    for (var index = 0u; index < own_count; index++) {
        let key = neighbour_at(row.own, index);
        if (key <= last_key) {
            let weight = weights[row.given_row + key];
            taken += max(weight, 0.0);
            outside += select(1u, 0u, is_selected(weight));
        }
    }
    let rest_counts = row.key_count > min(params.sizes.top_k, row.key_count) + outside;
    let rest_maximum = select(LOWEST, statistics_of(row).rest_maximum, rest_counts);
    begin_row(row, lane, rest_maximum);
    var rest_factor = select(0.0, exp(rest_maximum - running_maximum), rest_counts);
    let facts = cluster_row(row.slice, row.cluster);
    for (var m = 0u; m < VALUE_REGISTERS; m++) {
        let column = min(row.value_part * VALUE_REGISTERS + m, VALUE_VECTORS - 1u);
        sums[m] += rest_factor * softmax_parts[facts + 1u + column];
    }
    let end = count_of_neighbours(listed);
    for (var block = 0u; block < end; block += SCORE_BLOCK) {
        let count = min(SCORE_BLOCK, end - block);
        score_listed(row, block, count, lane);
        rest_factor = select(0.0, exp(rest_maximum - running_maximum), rest_counts);
        for (var j = 0u; j < count; j++) {
            let score = scores[j * TILE + lane];
            let weight = weight_of(0u, block + j, score, running_maximum);
            let given = select(0.0, weights[row.given_row + key_at(block + j)] * rest_factor, score > LOWEST);
            running_sum += weight;
            scores[j * TILE + lane] = weight - given;
        }
        add_block(row, block, count, lane);
    }
    let rest_sum = statistics_of(row).rest_sum;
    let total = running_sum + select(0.0, max(rest_sum - taken, 0.0) * rest_factor, rest_counts);
    let lost = rest_counts && total < LOST * rest_sum * rest_factor;
    if (lost) {
        softmax_parts[running_place(row.slice, row.position, row.value_part)].w = 1.0;
    } else {
        store_row(row, total);
    }
}

// Rows that are lost: sums what lies outside the window in place of taking back what lies in it. All others return at once.
@compute @workgroup_size(WINDOW_TILE)
fn stitch_lost_rows(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let row = row_of_lane(workgroup, lane);
    if (!row.valid || softmax_parts[running_place(row.slice, row.position, row.value_part)].w == 0.0) {
        return;
    }
    let rest_maximum = statistics_of(row).rest_maximum;
    begin_row(row, lane, rest_maximum);
    let end = count_of_neighbours(listed);
    for (var block = 0u; block < end; block += SCORE_BLOCK) {
        let count = min(SCORE_BLOCK, end - block);
        score_listed(row, block, count, lane);
        for (var j = 0u; j < count; j++) {
            let weight = weight_of(0u, block + j, scores[j * TILE + lane], running_maximum);
            running_sum += weight;
            scores[j * TILE + lane] = weight;
        }
        add_block(row, block, count, lane);
    }
    let rest = add_rest(row, rest_maximum);
    store_row(row, running_sum + rest);
}

// Adds the centroid's part for the keys outside the top-k and the window, from the sums of key blocks and, where a block meets the
// window, from its keys. Returns its weight.
fn add_rest(row: Row, rest_maximum: f32) -> f32 {
    let factor = exp(rest_maximum - running_maximum);
    var rest = 0.0;
    for (var begin = 0u; begin < row.key_count; begin += params.cut.key_length) {
        let end = min(begin + params.cut.key_length, row.key_count);
        if (misses_neighbours(row.own, begin, end)) {
            let block = block_row(row.slice, begin / params.cut.key_length, row.pass_row);
            rest += block_weight(block);
            for (var m = 0u; m < VALUE_REGISTERS; m++) {
                let column = min(row.value_part * VALUE_REGISTERS + m, VALUE_VECTORS - 1u);
                sums[m] += factor * softmax_parts[block + 1u + column];
            }
        } else {
            for (var key = begin; key < end; key++) {
                if (!is_around(row.own_patch, key, patch_of(key))) {
                    let weight = max(weights[row.given_row + key], 0.0);
                    rest += weight;
                    add_value_at(place_of_value(key), weight * factor, row.value_part);
                }
            }
        }
    }
    return rest * factor;
}
