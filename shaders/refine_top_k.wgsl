// Exact products of each query with its cluster's top-k keys, and with the pseudo-keys of GROUPS key groups. Twin of `src/cpu/refine_top_k.rs`.
//
// Tile: up to 64 queries of one cluster, which share its top-k keys (`shared/tile_blocks.wgsl`, `shared/tile_rows.wgsl` or
// `shared/tile_matrices.wgsl`). Workgroups are tiles
// of clusters, so a large cluster is spread over many. Where clusters are so small that more than a fifth of such tiles would be empty (PACKED), a
// tile is 64 members in a row, whichever clusters they are of: every invocation has a query, and those of one cluster still read the same
// addresses.
// The padding is a cluster of its own, whose rows become zero.
// Traffic: each query row and output row once, the top-k keys and values once a tile, and so the pseudo-keys.
// ROLE_IMPROVED finishes improved attention (paper, section 3.3), ROLE_STITCHED stitched attention; ROLE_UNFINISHED leaves unnormalised sums,
// where `store_sum` says, and a running softmax, which the window goes on with.

#import attention_tile
#import tensor_keys
#import attention
#import output_sums
#import cluster_of
#import softmax_parts

@group(0) @binding(1) var<storage, read> queries: array<element>;
@group(0) @binding(2) var<storage, read> keys: array<element>;
@group(0) @binding(3) var<storage, read> values: array<element>;
@group(0) @binding(4) var<storage, read_write> output: array<output_element>;
@group(0) @binding(5) var<storage, read> groups: array<u32>;
@group(0) @binding(6) var<storage, read> top_keys: array<u32>;
@group(0) @binding(7) var<storage, read_write> softmax_parts: array<vec4f>;

const TILE: u32 = 64u;
const TILE_QUERIES: u32 = BLOCK_QUERIES;

// Where the cluster's keys begin in `top_keys`, and the row of its first pseudo-key.
var<private> key_list: u32;
var<private> pseudo_list: u32;
// Whether the tile attends to pseudo-keys.
var<private> of_pseudo: bool;

fn key_at(index: u32) -> u32 {
    return min(top_keys[key_list + index], params.sizes.keys - 1u);
}

fn pseudo_at(index: u32) -> u32 {
    return pseudo_list + index * PSEUDO_ROW;
}

fn key_place(index: u32) -> u32 {
    if (of_pseudo) {
        return pseudo_at(index) + 1u;
    }
    return tensor_key_place(index);
}

fn load_key(place: u32, column: u32) -> vec4f {
    if (of_pseudo) {
        return softmax_parts[place + min(column, WIDTH_VECTORS - 1u)];
    }
    return load_keys(place, column);
}

fn value_place(index: u32) -> u32 {
    if (of_pseudo) {
        return pseudo_at(index) + 1u + WIDTH_VECTORS;
    }
    return tensor_value_place(index);
}

fn load_value(place: u32, column: u32) -> vec4f {
    if (of_pseudo) {
        return softmax_parts[place + min(column, VALUE_VECTORS - 1u)];
    }
    return load_values(place, column);
}

fn weight_of(own: u32, index: u32, score: f32, maximum: f32) -> f32 {
    let weight = softmax_weight(score, maximum);
    if (of_pseudo) {
        return weight * pseudo_facts(pseudo_at(min(index, max(GROUPS, 1u) - 1u))).mass;
    }
    return weight;
}

fn log_factor(index: u32) -> f32 {
    if (of_pseudo) {
        return log(max(pseudo_facts(pseudo_at(min(index, max(GROUPS, 1u) - 1u))).mass, 1e-30));
    }
    return 0.0;
}

// Keys in the list of the cluster.
fn listed_keys(list: u32) -> u32 {
    var low = 0u;
    var high = params.sizes.top_k;
    while (low < high) {
        let middle = (low + high) / 2u;
        if (top_keys[list + middle] != NO_KEY) {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    return low;
}

@compute @workgroup_size(LANES)
fn refine_top_k(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let tile = params.share.tile_begin + workgroup.x;
    let value_part = part_of_values(workgroup.z);
    let offsets = slice.index * params.cut.groups_words;
    let tiles = offsets + params.sizes.clusters + 2u;
    let members = tiles + params.sizes.clusters + 2u;
    var cluster = 0u;
    var first = tile * TILE;
    var last = params.sizes.queries - 1u;
    if (PACKED == 1u) {
        if (first > last) {
            return;
        }
        cluster = cluster_of(offsets, params.sizes.clusters, min(first + deciding_place(lane), last));
    } else {
        if (tile >= groups[tiles + params.sizes.clusters + 1u]) {
            return;
        }
        cluster = cluster_of(tiles, params.sizes.clusters, tile);
        first = groups[offsets + cluster] + (tile - groups[tiles + cluster]) * TILE;
        last = groups[offsets + cluster + 1u] - 1u;
    }
    let is_padding = cluster == params.sizes.clusters;
    if (!is_padding && (cluster < params.share.cluster_begin || cluster >= params.share.cluster_end)) {
        return;
    }

    // The padding attends to nothing.
    let known = min(cluster, params.sizes.clusters - 1u);
    let list = (slice.index * params.sizes.clusters + known) * params.sizes.top_k;
    var key_count = 0u;
    var group_count = 0u;
    if (!is_padding) {
        key_count = listed_keys(list);
        group_count = params.sizes.groups;
    }
    begin_keys(slice);
    key_list = list;
    begin_tile();
    for (var own = 0u; own < LANE_QUERIES; own++) {
        let member = min(first + tile_place(lane, own), last);
        set_query(own, query_row(slice, groups[members + member]));
    }
    stage_tile(lane);
    of_pseudo = false;
    for (var block = 0u; block < key_count; block += BLOCK) {
        let count = min(BLOCK, key_count - block);
        score_block(block, count, lane);
        attend_block(block, count, lane, value_part);
    }
    if (GROUPS > 0u) {
        pseudo_list = pseudo_row(slice, known, 0u);
        of_pseudo = true;
        // Counted at run time: compilers would unroll a loop over a few groups, and all within it.
        for (var block = 0u; block < group_count; block += BLOCK) {
            let count = min(BLOCK, group_count - block);
            score_block(block, count, lane);
            weigh_groups(slice, block, count, lane, value_part, first, last, members);
            attend_block(block, count, lane, value_part);
        }
    }
    end_tile(lane);

    let facts = cluster_row(slice, known);
    let statistics = cluster_statistics(facts);
    for (var own = 0u; own < LANE_QUERIES; own++) {
        let exact_sum = sum_of(own);
        var factor = 1.0;
        var rest_factor = 0.0;
        if (params.share.role == ROLE_IMPROVED) {
            let rest = exp(statistics.rest_maximum - statistics.top_maximum);
            let total = inverse(statistics.top_sum + statistics.rest_sum * rest);
            factor = statistics.top_sum * total * inverse(exact_sum);
            rest_factor = total * rest;
        } else if (params.share.role == ROLE_STITCHED && GROUPS > 0u) {
            factor = inverse(exact_sum);
        } else if (params.share.role == ROLE_STITCHED) {
            let maximum = max(maximum_of(own), statistics.rest_maximum);
            let exact = exp(maximum_of(own) - maximum);
            let rest = exp(statistics.rest_maximum - maximum);
            let total = inverse(exact_sum * exact + statistics.rest_sum * rest);
            factor = total * exact;
            rest_factor = total * rest;
        }
        let member = first + tile_place(lane, own);
        if (member > last) {
            continue;
        }
        let position = groups[members + member];
        let unfinished = params.share.role == ROLE_UNFINISHED && !is_padding;
        for (var m = 0u; m < LANE_VECTORS; m++) {
            let column = lane_column(lane, m, value_part);
            var sum = sums[own * LANE_VECTORS + m] * factor;
            if (GROUPS == 0u) {
                sum += softmax_parts[facts + 1u + min(column, VALUE_VECTORS - 1u)] * rest_factor;
            }
            store_sum(slice, position, column, select(sum, vec4f(), is_padding), unfinished);
        }
        if (unfinished && holds_queries(lane)) {
            softmax_parts[running_place(slice, position, value_part)] =
                vec4f(maximum_of(own), exact_sum, bitcast<f32>(cluster), 0.0);
        }
    }
}

// Adds to the logits of pseudo-keys what comes with them, and notes them.
fn weigh_groups(slice: Slice, block: u32, count: u32, lane: u32, value_part: u32, first: u32, last: u32, members: u32) {
    for (var own = 0u; own < LANE_QUERIES; own++) {
        let member = first + tile_place(lane, own);
        let noted = pseudo_logits(slice, groups[members + min(member, last)]);
        let notes = params.share.role == ROLE_UNFINISHED && value_part == 0u && member <= last;
        for (var j = 0u; j < lane_keys(count); j++) {
            let group = block + lane_key(lane, j);
            let offset = pseudo_facts(pseudo_at(min(group, max(GROUPS, 1u) - 1u))).offset;
            let score = score_of(lane, own, j);
            let weighed = select(LOWEST, score + offset, offset > LOWEST && score > LOWEST);
            set_score(lane, own, j, weighed);
            if (notes && group < GROUPS) {
                softmax_parts[noted + group / 4u][group % 4u] = weighed;
            }
        }
    }
}
