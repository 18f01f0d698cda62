// The top-k keys of each cluster, and the weights of the others. Twin of `src/cpu/top_k.rs`.
//
// One cluster of a slice a workgroup of 256 invocations. A radix selection (four rounds of eight bits, most significant first, whose loads are
// coalesced) finds the k-th largest logit; then every invocation, which owns a run of keys, knows how many keys before its run are selected, so the
// keys come out in order and equal logits go to the lower index without sorting. Finally selected logits become SELECTED and the others
// their weight exp(t·z - rest_maximum). Where keys are grouped (ROLE_MARKED), selected logits become LOWEST and the others stay what they are;
// ROLE_GIVEN_KEYS does that for keys that are listed already.
// Traffic: the row of logits six times (it stays in cache), written once. Workgroup memory: 4 KiB. Integer atomics on that memory only.

#import lengths
#import softmax_parts
#import weights

@group(0) @binding(1) var<storage, read_write> weights: array<f32>;
@group(0) @binding(2) var<storage, read> lengths: array<u32>;
@group(0) @binding(3) var<storage, read_write> top_keys: array<u32>;
@group(0) @binding(4) var<storage, read_write> softmax_parts: array<vec4f>;
// Added to the logits before keys are selected, where SPREAD.
@group(0) @binding(5) var<storage, read> spreads: array<f32>;

const INVOCATIONS: u32 = 256u;
const GROUP: u32 = 16u;

var<workgroup> histogram: array<atomic<u32>, 256>;
var<workgroup> group_counts: array<u32, 16>;
var<workgroup> chosen_digit: u32;
var<workgroup> chosen_rest: u32;
var<workgroup> counts: array<vec2u, 256>;
var<workgroup> values: array<vec2f, 256>;

// Unsigned numbers in the order of the logits; -0 and 0 are equal.
fn order_of(logit: f32) -> u32 {
    let bits = select(bitcast<u32>(logit), 0u, logit == 0.0);
    return bits ^ select(0x80000000u, 0xffffffffu, (bits >> 31u) == 1u);
}

// What keys are selected by.
fn rank_of(slice: Slice, row: u32, key: u32) -> f32 {
    if (SPREAD == 1u) {
        return weights[row + key] + spreads[slice.index * params.cut.keys_padded + key];
    }
    return weights[row + key];
}

// Marks the keys that are listed.
fn mark_given(slice: Slice, cluster: u32, row: u32, length: u32) {
    let list = (slice.index * params.sizes.clusters + cluster) * params.sizes.top_k;
    var maximum = LOWEST;
    var sum = 0.0;
    for (var slot = 0u; slot < params.sizes.top_k; slot++) {
        let key = top_keys[list + slot];
        if (key < length) {
            let logit = weights[row + key];
            let higher = max(maximum, logit);
            sum = sum * exp(params.sizes.scale * (maximum - higher)) + exp(params.sizes.scale * (logit - higher));
            maximum = higher;
            weights[row + key] = LOWEST;
        }
    }
    let scaled = max(params.sizes.scale * maximum, LOWEST);
    softmax_parts[cluster_row(slice, cluster)] = vec4f(LOWEST, 0.0, scaled, sum);
}

@compute @workgroup_size(256)
fn top_k(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let cluster = params.share.cluster_begin + params.share.tile_begin + workgroup.x;
    let row = weight_row(slice, cluster - params.share.cluster_begin);
    let length = valid_keys(slice);
    if (params.share.role == ROLE_GIVEN_KEYS) {
        if (lane == 0u) {
            mark_given(slice, cluster, row, length);
        }
        return;
    }
    let selected_count = min(params.sizes.top_k, length);
    let run = (length + INVOCATIONS - 1u) / INVOCATIONS;
    let begin = min(lane * run, length);
    let end = min(begin + run, length);

    // The bits of the threshold found so far, and how many of the keys that share them are selected.
    var threshold = 0u;
    var wanted = selected_count;
    for (var round = 0u; round < 4u; round++) {
        let shift = 24u - 8u * round;
        atomicStore(&histogram[lane], 0u);
        workgroupBarrier();
        for (var key = lane; key < length; key += INVOCATIONS) {
            let order = order_of(rank_of(slice, row, key));
            // Shifting twice keeps each shift below 32.
            if (((order ^ threshold) >> shift) >> 8u == 0u) {
                atomicAdd(&histogram[(order >> shift) & 255u], 1u);
            }
        }
        workgroupBarrier();
        if (lane < GROUP) {
            var sum = 0u;
            for (var i = 0u; i < GROUP; i++) {
                sum += atomicLoad(&histogram[lane * GROUP + i]);
            }
            group_counts[lane] = sum;
        }
        workgroupBarrier();
        if (lane == 0u) {
            var rest = wanted;
            var group = GROUP - 1u;
            while (group > 0u && group_counts[group] < rest) {
                rest -= group_counts[group];
                group--;
            }
            var digit = group * GROUP + GROUP - 1u;
            while (digit > group * GROUP && atomicLoad(&histogram[digit]) < rest) {
                rest -= atomicLoad(&histogram[digit]);
                digit--;
            }
            chosen_digit = digit;
            chosen_rest = rest;
        }
        workgroupBarrier();
        threshold |= workgroupUniformLoad(&chosen_digit) << shift;
        wanted = workgroupUniformLoad(&chosen_rest);
    }
    if (selected_count == 0u) {
        threshold = 0xffffffffu;
    }

    // Keys above and at the threshold, the largest logit that may stay outside, and the largest of all.
    var above = 0u;
    var equal = 0u;
    var largest_below = LOWEST;
    var largest = LOWEST;
    for (var key = begin; key < end; key++) {
        let logit = weights[row + key];
        let order = order_of(rank_of(slice, row, key));
        above += select(0u, 1u, order > threshold);
        equal += select(0u, 1u, order == threshold);
        largest_below = select(largest_below, max(largest_below, logit), order < threshold);
        largest = max(largest, logit);
    }
    counts[lane] = vec2u(above, equal);
    values[lane] = vec2f(largest_below, largest);
    workgroupBarrier();
    if (lane < GROUP) {
        var count_sum = vec2u();
        var maximum = vec2f(LOWEST);
        for (var i = 0u; i < GROUP; i++) {
            count_sum += counts[lane * GROUP + i];
            maximum = max(maximum, values[lane * GROUP + i]);
        }
        group_counts[lane] = count_sum.y;
        atomicStore(&histogram[lane], count_sum.x);
        values[lane * GROUP] = maximum;
    }
    workgroupBarrier();
    var before = vec2u();
    let group = lane / GROUP;
    for (var i = 0u; i < group; i++) {
        before += vec2u(atomicLoad(&histogram[i]), group_counts[i]);
    }
    for (var i = group * GROUP; i < lane; i++) {
        before += counts[i];
    }
    var all_equal = 0u;
    var maximum = vec2f(LOWEST);
    for (var i = 0u; i < GROUP; i++) {
        all_equal += group_counts[i];
        maximum = max(maximum, values[i * GROUP]);
    }
    // The threshold itself stays outside where more keys share it than are wanted.
    var rest_logit = maximum.x;
    if (selected_count > 0u && all_equal > wanted) {
        rest_logit = logit_of(threshold);
    }
    let rest_maximum = max(params.sizes.scale * rest_logit, LOWEST);
    let top_maximum = max(params.sizes.scale * maximum.y, LOWEST);

    // The difference comes before the scale: a compiler may fuse a product with what is taken from it, and the maximum was rounded.
    let list = (slice.index * params.sizes.clusters + cluster) * params.sizes.top_k;
    var slot = before.x + min(before.y, wanted);
    var ties = before.y;
    var top_sum = 0.0;
    for (var key = begin; key < end; key++) {
        let logit = weights[row + key];
        let order = order_of(rank_of(slice, row, key));
        let tie = order == threshold;
        let selected = selected_count > 0u && (order > threshold || (tie && ties < wanted));
        ties += select(0u, 1u, tie);
        if (selected) {
            top_keys[list + min(slot, params.sizes.top_k - 1u)] = key;
            slot++;
            top_sum += exp(params.sizes.scale * (logit - maximum.y));
            weights[row + key] = select(SELECTED, LOWEST, params.share.role == ROLE_MARKED);
        } else if (params.share.role != ROLE_MARKED) {
            weights[row + key] = exp(params.sizes.scale * (logit - rest_logit));
        }
    }
    for (var unused = selected_count + lane; unused < params.sizes.top_k; unused += INVOCATIONS) {
        top_keys[list + unused] = NO_KEY;
    }
    workgroupBarrier();
    values[lane] = vec2f(top_sum, 0.0);
    workgroupBarrier();
    if (lane < GROUP) {
        var sum = 0.0;
        for (var i = 0u; i < GROUP; i++) {
            sum += values[lane * GROUP + i].x;
        }
        values[lane * GROUP].y = sum;
    }
    workgroupBarrier();
    if (lane == 0u) {
        var sum = 0.0;
        for (var i = 0u; i < GROUP; i++) {
            sum += values[i * GROUP].y;
        }
        // The sum outside the top-k follows in `remainder`.
        softmax_parts[cluster_row(slice, cluster)] = vec4f(rest_maximum, 0.0, top_maximum, sum);
    }
}

// The logit whose order is given.
fn logit_of(order: u32) -> f32 {
    return bitcast<f32>(order ^ select(0xffffffffu, 0x80000000u, (order >> 31u) == 1u));
}
