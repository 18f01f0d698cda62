// The exact band around the diagonal, stitched to the top-k keys and the centroid's remainder (`docs/method.md`). Twin of
// `src/cpu/stitch_window.rs`.
//
// Tile: 32 neighbouring queries of a slice and the 32 + 2w keys in reach of any of them, as a dense band (`shared/tile_rows.wgsl`); keys out of
// a query's own reach are masked. Goes on with the sums and the running softmax that `refine_top_k` left.
// Traffic: each query row and output row once, 1 + 2w/32 times each key and value row, the weights of the window three times.
// Workgroup memory: 2 KiB.

#import lengths
#import visible
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
@group(0) @binding(7) var<storage, read> softmax_parts: array<vec4f>;

const TILE: u32 = 32u;

fn key_at(index: u32) -> u32 {
    return index;
}

fn weight_of(own: u32, index: u32, score: f32, maximum: f32) -> f32 {
    return softmax_weight(score, maximum);
}

// Below this share of the centroid's remainder, a row is too small for the difference that its remainder would be: rounding of what was
// taken back would show. Its remainder is summed instead.
const LOST: f32 = 0.25;

@compute @workgroup_size(32)
fn stitch_window(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let value_part = part_of_values(workgroup.z);
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
    let facts = cluster_row(slice, cluster);
    let statistics = cluster_statistics(facts);

    // What the centroid gave to the window's keys, and how many of them it gave to.
    let reach = keys_of(params.sizes.near, i32(position), key_count);
    var taken = 0.0;
    var outside = 0u;
    for (var key = reach.begin; key < reach.end; key++) {
        let weight = weights[given_row + key];
        taken += max(weight, 0.0);
        outside += select(1u, 0u, is_selected(weight));
    }
    let rest_counts = key_count > min(params.sizes.top_k, key_count) + outside;
    let rest_maximum = select(LOWEST, statistics.rest_maximum, rest_counts);

    let band = keys_of_tile(params.sizes.near, i32(first), i32(min(first + TILE, length)) - 1, key_count);
    begin_keys(slice);
    var total = 0.0;
    var taking_back = rest_counts;
    let attempts = select(1u, 2u, rest_counts && in_pass);
    for (var attempt = 0u; attempt < attempts; attempt++) {
        begin_tile();
        set_query(0u, row);
        resume(lane, 0u, softmax.maximum, softmax.sum);
        for (var m = 0u; m < VALUE_REGISTERS; m++) {
            sums[m] = load_sum(slice, position, value_part * VALUE_REGISTERS + m);
        }
        raise_maximum(rest_maximum);
        var rest_factor = select(0.0, exp(rest_maximum - running_maximum), taking_back);
        for (var m = 0u; m < VALUE_REGISTERS; m++) {
            let column = min(value_part * VALUE_REGISTERS + m, VALUE_VECTORS - 1u);
            sums[m] += rest_factor * softmax_parts[facts + 1u + column];
        }
        for (var block = band.begin; block < band.end; block += SCORE_BLOCK) {
            let count = min(SCORE_BLOCK, band.end - block);
            score_block(block, count, lane);
            for (var j = 0u; j < count; j++) {
                let key = block + j;
                let kept = is_listed(reach, key) && !is_selected(weights[given_row + key]);
                scores[j * TILE + lane] = select(LOWEST, scores[j * TILE + lane], kept);
            }
            raise_maximum(highest_score(count, lane));
            rest_factor = select(0.0, exp(rest_maximum - running_maximum), taking_back);
            for (var j = 0u; j < count; j++) {
                let score = scores[j * TILE + lane];
                let weight = weight_of(0u, block + j, score, running_maximum);
                let given = select(0.0, weights[given_row + block + j] * rest_factor, score > LOWEST);
                running_sum += weight;
                add_value(block + j, weight - given, value_part);
            }
        }
        if (taking_back) {
            total = running_sum + max(statistics.rest_sum - taken, 0.0) * rest_factor;
            if (total >= LOST * statistics.rest_sum * rest_factor) {
                break;
            }
            taking_back = false;
        } else {
            total = running_sum;
            if (rest_counts) {
                total += add_rest(slice, reach, key_count, pass_row, rest_maximum, value_part);
            }
        }
    }
    if (first + lane < length && in_pass) {
        for (var m = 0u; m < VALUE_REGISTERS; m++) {
            store_output(out, value_part * VALUE_REGISTERS + m, sums[m] * inverse(total));
        }
    }
}

// Adds the centroid's part for the keys outside the top-k and the window, from the sums of key blocks and, where a block meets the
// window, from its keys. Returns its weight.
fn add_rest(slice: Slice, reach: Keys, key_count: u32, pass_row: u32, rest_maximum: f32, value_part: u32) -> f32 {
    let given_row = weight_row(slice, pass_row);
    let factor = exp(rest_maximum - running_maximum);
    var rest = 0.0;
    for (var begin = 0u; begin < key_count; begin += params.cut.key_length) {
        let end = min(begin + params.cut.key_length, key_count);
        if (end <= reach.begin || begin >= reach.end) {
            let block = block_row(slice, begin / params.cut.key_length, pass_row);
            rest += block_weight(block);
            for (var m = 0u; m < VALUE_REGISTERS; m++) {
                let column = min(value_part * VALUE_REGISTERS + m, VALUE_VECTORS - 1u);
                sums[m] += factor * softmax_parts[block + 1u + column];
            }
        } else {
            for (var key = begin; key < end; key++) {
                if (!is_listed(reach, key)) {
                    let weight = max(weights[given_row + key], 0.0);
                    rest += weight;
                    add_value(key, weight * factor, value_part);
                }
            }
        }
    }
    return rest * factor;
}
