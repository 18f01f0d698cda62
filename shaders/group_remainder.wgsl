// What a cluster's centroid gives to the keys outside its top-k, group by group. Twin of `src/cpu/group_remainder.rs`.
//
// partial_groups: a tile of KEY_TILE members of a group, REMAINDER_CLUSTERS clusters and up to PSEUDO_VECTORS columns of keys and values a
// workgroup (`shared/weighted_rows.wgsl`). Logits of 32 keys are staged and become weights relative to the largest so far, as in a running
// softmax.
// combine_groups: one cluster and group a workgroup; adds the tiles in order, relative to the largest logit of the group, and divides by the
// weight.
// Traffic: keys and values once for every REMAINDER_CLUSTERS clusters, the logits once for every PSEUDO_VECTORS columns.
// Workgroup memory: that of the weighted rows and less than 1 KiB.

#import sides
#import cluster_of
#import centroids
#import softmax_parts
#import weights
#import weighted_rows

@group(0) @binding(1) var<storage, read> keys: array<element>;
@group(0) @binding(2) var<storage, read> values: array<element>;
@group(0) @binding(3) var<storage, read> weights: array<f32>;
@group(0) @binding(4) var<storage, read> groups: array<u32>;
@group(0) @binding(5) var<storage, read> centroids: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> softmax_parts: array<vec4f>;

const COLUMNS: u32 = PSEUDO_VECTORS;

var<workgroup> staged_keys: array<u32, STAGED>;
var<workgroup> maxima: array<f32, 4u * FOURS>;
var<workgroup> factors: array<f32, 4u * FOURS>;
var<workgroup> products: array<f32, 64>;

// The largest logits of four clusters.
fn maxima_of(four: u32) -> vec4f {
    return vec4f(maxima[4u * four], maxima[4u * four + 1u], maxima[4u * four + 2u], maxima[4u * four + 3u]);
}

// Which of the parts of a row's columns the workgroup sums.
var<private> row_part: u32;

// Columns of a key, then of its value.
fn load_weighted(slice: Slice, place: u32, column: u32) -> vec4f {
    let key = staged_keys[place];
    let vector = row_part * COLUMNS + column;
    if (vector < WIDTH_VECTORS) {
        return load_keys(row_of(params.sizes.key_layout, slice.batch, key_head(slice), key), vector);
    }
    return load_values(row_of(params.sizes.value_layout, slice.batch, key_head(slice), key), vector - WIDTH_VECTORS);
}

@compute @workgroup_size(64)
fn partial_groups(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let tile = params.share.tile_begin + workgroup.x;
    let part = workgroup.z % PSEUDO_PARTS;
    // First cluster of the workgroup, counted from the first of the pass.
    let first = workgroup.z / PSEUDO_PARTS * REMAINDER_CLUSTERS;
    let count = min(REMAINDER_CLUSTERS, params.share.cluster_end - params.share.cluster_begin - first);
    let tiles = key_tiles_of(slice);
    // The padding is behind the last group.
    if (tile >= groups[tiles + params.sizes.groups]) {
        return;
    }
    let group = cluster_of(tiles, params.sizes.groups, tile);
    let begin_of_tile = (tile - groups[tiles + group]) * KEY_TILE;
    let members = groups[key_groups_of(slice) + group + 1u] - groups[key_groups_of(slice) + group];
    let list = tiles + params.sizes.groups + 2u + groups[key_groups_of(slice) + group];
    let end = min(begin_of_tile + KEY_TILE, members);
    row_part = part;
    var maximum = LOWEST;
    var weight_sum = 0.0;
    for (var begin = begin_of_tile; begin < end; begin += STAGED) {
        let keys_left = min(STAGED, end - begin);
        workgroupBarrier();
        if (lane < STAGED) {
            staged_keys[lane] = min(groups[list + begin + min(lane, keys_left - 1u)], params.sizes.keys - 1u);
        }
        workgroupBarrier();
        for (var i = lane; i < STAGED * FOURS; i += 64u) {
            let place = i % STAGED;
            let four = i / STAGED;
            var logits = vec4f(LOWEST);
            for (var k = 0u; k < 4u; k++) {
                let cluster = 4u * four + k;
                let logit = weights[weight_row(slice, first + min(cluster, count - 1u)) + staged_keys[place]];
                let counts = cluster < count && place < keys_left && logit > LOWEST;
                logits[k] = select(LOWEST, logit, counts);
            }
            staged[place * FOURS + four] = logits;
        }
        workgroupBarrier();
        if (lane < 4u * FOURS) {
            var highest = maximum;
            for (var i = 0u; i < STAGED; i++) {
                highest = max(highest, staged_weight(i, lane));
            }
            maxima[lane] = highest;
            factors[lane] = exp(params.sizes.scale * (maximum - highest));
            weight_sum *= factors[lane];
            maximum = highest;
        }
        workgroupBarrier();
        for (var i = lane; i < STAGED * FOURS; i += 64u) {
            let logits = staged[i];
            let relative = exp(params.sizes.scale * (logits - maxima_of(i % FOURS)));
            staged[i] = select(vec4f(), relative, logits > vec4f(LOWEST));
        }
        workgroupBarrier();
        if (lane < 4u * FOURS) {
            for (var i = 0u; i < STAGED; i++) {
                weight_sum += staged_weight(i, lane);
            }
        }
        for (var j = 0u; j < 4u * SET_FOURS; j++) {
            weighted_sums[j] *= factors[min(cluster_of_sum(lane, j), 4u * FOURS - 1u)];
        }
        add_rows(slice, keys_left, lane);
    }
    let vector = part * COLUMNS + weighted_column(lane);
    for (var j = 0u; j < 4u * SET_FOURS; j++) {
        let cluster = cluster_of_sum(lane, j);
        if (set_of(lane) < SETS && cluster < count && vector < WIDTH_VECTORS + VALUE_VECTORS) {
            softmax_parts[key_tile_row(slice, tile, first + cluster) + 1u + vector] = weighted_sums[j];
        }
    }
    if (lane < count && part == 0u) {
        softmax_parts[key_tile_row(slice, tile, first + lane)] = vec4f(maximum, weight_sum, 0.0, 0.0);
    }
}

@compute @workgroup_size(64)
fn combine_groups(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let item = params.share.tile_begin + workgroup.x;
    let pass_row = item / params.sizes.groups;
    let group = item % params.sizes.groups;
    let cluster = params.share.cluster_begin + pass_row;
    let tiles = key_tiles_of(slice);
    let begin = groups[tiles + group];
    let end = groups[tiles + group + 1u];
    var maximum = LOWEST;
    for (var tile = begin; tile < end; tile++) {
        maximum = max(maximum, softmax_parts[key_tile_row(slice, tile, pass_row)].x);
    }
    var weight = 0.0;
    for (var tile = begin; tile < end; tile++) {
        let statistics = softmax_parts[key_tile_row(slice, tile, pass_row)];
        weight += exp(params.sizes.scale * (statistics.x - maximum)) * statistics.y;
    }
    let counts = weight > 0.0;
    let factor = select(0.0, 1.0 / weight, counts);
    let out = pseudo_row(slice, cluster, group);
    var product = 0.0;
    for (var vector = lane; vector < WIDTH_VECTORS + VALUE_VECTORS; vector += 64u) {
        var sum = vec4f();
        for (var tile = begin; tile < end; tile++) {
            let row = key_tile_row(slice, tile, pass_row);
            let relative = exp(params.sizes.scale * (softmax_parts[row].x - maximum));
            sum = fma(vec4f(relative), softmax_parts[row + 1u + vector], sum);
        }
        let mean = sum * factor;
        softmax_parts[out + 1u + vector] = mean;
        if (vector < WIDTH_VECTORS) {
            product += dot(mean, centroids[centroid_row(slice, cluster) + vector]);
        }
    }
    products[lane] = product;
    workgroupBarrier();
    if (lane == 0u) {
        var sum = 0.0;
        for (var i = 0u; i < 64u; i++) {
            sum += products[i];
        }
        let facts = vec4f(params.sizes.scale * (maximum - sum), maximum, weight, 0.0);
        softmax_parts[out] = select(vec4f(LOWEST, LOWEST, 0.0, 0.0), facts, counts);
    }
}

// `groups` of the keys' side, see `sides`: what follows the queries'.
fn key_groups_of(slice: Slice) -> u32 {
    return slice.index * params.cut.groups_words + 2u * (params.sizes.clusters + 2u) + params.sizes.queries;
}

fn key_tiles_of(slice: Slice) -> u32 {
    return key_groups_of(slice) + params.sizes.groups + 2u;
}
