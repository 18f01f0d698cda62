// What a cluster's centroid gives to the keys outside its top-k. Twin of `src/cpu/remainder.rs`.
//
// partial_remainder: `key_length` keys, REMAINDER_CLUSTERS clusters and up to 64 value columns a workgroup (`shared/weighted_rows.wgsl`).
// combine_remainder: one cluster a workgroup; sums the blocks in order.
// Traffic: the values once for every REMAINDER_CLUSTERS clusters, the weights once (again for every 64 value columns).
// Workgroup memory: that of the weighted rows.

#import lengths
#import softmax_parts
#import weights
#import weighted_rows

@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read> values: array<element>;
@group(0) @binding(3) var<storage, read> lengths: array<u32>;
@group(0) @binding(4) var<storage, read_write> softmax_parts: array<vec4f>;

const COLUMNS: u32 = VALUE_REGISTERS;

// The keys that are staged, and which of the parts of the values' columns the workgroup sums.
var<private> first_key: u32;
var<private> last_key: u32;
var<private> column_part: u32;

fn load_weighted(slice: Slice, place: u32, column: u32) -> vec4f {
    let row = row_of(params.sizes.value_layout, slice.batch, key_head(slice), min(first_key + place, last_key));
    return load_values(row, column_part * COLUMNS + column);
}

@compute @workgroup_size(64)
fn partial_remainder(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let block = params.share.tile_begin + workgroup.x;
    let value_part = workgroup.z % VALUE_PARTS;
    // First cluster of the workgroup, counted from the first of the pass.
    let first = workgroup.z / VALUE_PARTS * REMAINDER_CLUSTERS;
    let count = min(REMAINDER_CLUSTERS, params.share.cluster_end - params.share.cluster_begin - first);
    let end = min((block + 1u) * params.cut.key_length, valid_keys(slice));
    last_key = max(end, 1u) - 1u;
    column_part = value_part;
    var weight_sum = 0.0;
    for (var begin = block * params.cut.key_length; begin < end; begin += STAGED) {
        first_key = begin;
        workgroupBarrier();
        for (var i = lane; i < STAGED * FOURS; i += 64u) {
            let place = i % STAGED;
            let four = i / STAGED;
            var four_weights = vec4f();
            for (var k = 0u; k < 4u; k++) {
                let cluster = 4u * four + k;
                let weight = weights[weight_row(slice, first + min(cluster, count - 1u)) + min(begin + place, last_key)];
                let counts = cluster < count && begin + place < end && !is_selected(weight);
                four_weights[k] = select(0.0, weight, counts);
            }
            staged[place * FOURS + four] = four_weights;
        }
        workgroupBarrier();
        if (lane < count) {
            for (var i = 0u; i < STAGED; i++) {
                weight_sum += staged_weight(i, lane);
            }
        }
        add_rows(slice, min(STAGED, end - begin), lane);
    }
    let vector = value_part * COLUMNS + weighted_column(lane);
    for (var j = 0u; j < 4u * SET_FOURS; j++) {
        let cluster = cluster_of_sum(lane, j);
        if (set_of(lane) < SETS && cluster < count && vector < VALUE_VECTORS) {
            softmax_parts[block_row(slice, block, first + cluster) + 1u + vector] = weighted_sums[j];
        }
    }
    if (lane < count && value_part == 0u) {
        softmax_parts[block_row(slice, block, first + lane)] = vec4f(weight_sum, 0.0, 0.0, 0.0);
    }
}

@compute @workgroup_size(64)
fn combine_remainder(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let row = params.share.tile_begin + workgroup.x;
    let out = cluster_row(slice, params.share.cluster_begin + row);
    // Blocks past the valid keys were never written.
    let blocks = (valid_keys(slice) + params.cut.key_length - 1u) / params.cut.key_length;
    for (var vector = lane; vector < SUMS_ROW; vector += 64u) {
        var sum = vec4f();
        for (var block = 0u; block < blocks; block++) {
            sum += softmax_parts[block_row(slice, block, row) + vector];
        }
        if (vector == 0u) {
            softmax_parts[out].y = sum.x;
        } else {
            softmax_parts[out + vector] = sum;
        }
    }
}
