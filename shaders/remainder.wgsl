// What a cluster's centroid gives to the keys outside its top-k. Twin of `src/cpu/remainder.rs`.
//
// partial_remainder: `key_length` keys, REMAINDER_CLUSTERS clusters and up to 64 value columns a workgroup. Weights of 32 keys are staged
// in workgroup memory; COLUMNS invocations read a value row together (coalesced), 64 / COLUMNS sets of clusters share it.
// combine_remainder: one cluster a workgroup; sums the blocks in order.
// Traffic: the values once for every REMAINDER_CLUSTERS clusters, the weights once (again for every 64 value columns).
// Workgroup memory: REMAINDER_CLUSTERS * 32 floats, at most 3.5 KiB.

#import lengths
#import softmax_parts
#import weights

@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read> values: array<element>;
@group(0) @binding(3) var<storage, read> lengths: array<u32>;
@group(0) @binding(4) var<storage, read_write> softmax_parts: array<vec4f>;

const COLUMNS: u32 = VALUE_REGISTERS;
const SETS: u32 = 64u / COLUMNS;
const SET_CLUSTERS: u32 = (REMAINDER_CLUSTERS + SETS - 1u) / SETS;
const STAGED: u32 = 32u;

var<workgroup> staged: array<f32, SETS * SET_CLUSTERS * STAGED>;

@compute @workgroup_size(64)
fn partial_remainder(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let block = params.share.tile_begin + workgroup.x;
    let value_part = workgroup.z % VALUE_PARTS;
    // First cluster of the workgroup, counted from the first of the pass.
    let first = workgroup.z / VALUE_PARTS * REMAINDER_CLUSTERS;
    let count = min(REMAINDER_CLUSTERS, params.share.cluster_end - params.share.cluster_begin - first);
    let end = min((block + 1u) * params.cut.key_length, valid_keys(slice));
    let column = lane % COLUMNS;
    let share = lane / COLUMNS;
    var sums: array<vec4f, SET_CLUSTERS>;
    var weight_sum = 0.0;
    for (var begin = block * params.cut.key_length; begin < end; begin += STAGED) {
        workgroupBarrier();
        for (var i = lane; i < SETS * SET_CLUSTERS * STAGED; i += 64u) {
            let cluster = i / STAGED;
            let key = begin + i % STAGED;
            let index = weight_row(slice, first + min(cluster, count - 1u));
            let weight = weights[index + min(key, end - 1u)];
            staged[i] = select(0.0, weight, cluster < count && key < end && !is_selected(weight));
        }
        workgroupBarrier();
        if (lane < count) {
            for (var i = 0u; i < STAGED; i++) {
                weight_sum += staged[lane * STAGED + i];
            }
        }
        if (share < SETS) {
            let keys_left = min(STAGED, end - begin);
            for (var i = 0u; i < keys_left; i++) {
                let row = row_of(params.sizes.value_layout, slice.batch, key_head(slice), begin + i);
                let columns = load_values(row, value_part * VALUE_REGISTERS + column);
                for (var j = 0u; j < SET_CLUSTERS; j++) {
                    sums[j] = fma(vec4f(staged[(share * SET_CLUSTERS + j) * STAGED + i]), columns, sums[j]);
                }
            }
        }
    }
    for (var j = 0u; j < SET_CLUSTERS; j++) {
        let cluster = share * SET_CLUSTERS + j;
        let vector = value_part * VALUE_REGISTERS + column;
        if (share < SETS && cluster < count && vector < VALUE_VECTORS) {
            softmax_parts[block_row(slice, block, first + cluster) + 1u + vector] = sums[j];
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
