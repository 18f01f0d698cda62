// Exact products of each query with its cluster's top-k keys, and with the pseudo-keys of GROUPS key groups. Twin of `src/cpu/refine_top_k.rs`.
//
// Tile: up to 64 queries of one cluster, which share its top-k keys (`shared/tile.wgsl`). Workgroups are tiles of clusters, so a large
// cluster is spread over many. Where clusters are so small that more than a fifth of such tiles would be empty (PACKED), a tile is 64 members in a row,
// whichever clusters they are of: every invocation has a query, and those of one cluster still read the same addresses.
// The padding is a cluster of its own, whose rows become zero.
// Traffic: each query row and output row once, the top-k keys and values once a tile, and so the pseudo-keys. Workgroup memory: 4 KiB.
// ROLE_IMPROVED finishes improved attention (paper, section 3.3), ROLE_STITCHED stitched attention; ROLE_UNFINISHED leaves unnormalised sums
// in the output and a running softmax, which the window goes on with.

#import tile
#import output_sums
#import cluster_of
#import softmax_parts

@group(0) @binding(1) var<storage, read> queries: array<element>;
@group(0) @binding(2) var<storage, read> keys: array<element>;
@group(0) @binding(3) var<storage, read> values: array<element>;
@group(0) @binding(4) var<storage, read_write> output: array<element>;
@group(0) @binding(5) var<storage, read> groups: array<u32>;
@group(0) @binding(6) var<storage, read> top_keys: array<u32>;
@group(0) @binding(7) var<storage, read_write> softmax_parts: array<vec4f>;

const TILE: u32 = 64u;

// Where the cluster's keys begin in `top_keys`.
var<private> list: u32;

fn key_at(index: u32) -> u32 {
    return min(top_keys[list + index], params.sizes.keys - 1u);
}

// Keys in the list of the cluster.
fn listed_keys() -> u32 {
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

@compute @workgroup_size(64)
fn refine_top_k(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let tile = params.share.tile_begin + workgroup.x;
    let value_part = workgroup.z;
    let offsets = slice.index * params.cut.groups_words;
    let tiles = offsets + params.sizes.clusters + 2u;
    let members = tiles + params.sizes.clusters + 2u;
    var cluster = 0u;
    var member = tile * TILE + lane;
    var last = params.sizes.queries - 1u;
    if (PACKED == 1u) {
        if (tile * TILE > last) {
            return;
        }
        cluster = cluster_of(offsets, params.sizes.clusters, min(member, last));
    } else {
        if (tile >= groups[tiles + params.sizes.clusters + 1u]) {
            return;
        }
        cluster = cluster_of(tiles, params.sizes.clusters, tile);
        member = groups[offsets + cluster] + (tile - groups[tiles + cluster]) * TILE + lane;
        last = groups[offsets + cluster + 1u] - 1u;
    }
    let position = groups[members + min(member, last)];
    let valid = member <= last;
    let out = output_row(slice, position);
    if (cluster == params.sizes.clusters) {
        for (var m = 0u; m < VALUE_REGISTERS; m++) {
            if (valid) {
                store_output(out, value_part * VALUE_REGISTERS + m, vec4f());
            }
        }
        return;
    }
    if (cluster < params.share.cluster_begin || cluster >= params.share.cluster_end) {
        return;
    }

    let row = query_row(slice, position);
    begin_tile(slice, row);
    list = (slice.index * params.sizes.clusters + cluster) * params.sizes.top_k;
    let key_count = listed_keys();
    for (var block = 0u; block < key_count; block += SCORE_BLOCK) {
        let count = min(SCORE_BLOCK, key_count - block);
        score_block(row, block, count, lane);
        attend_block(block, count, lane, value_part);
    }

    if (GROUPS > 0u) {
        attend_groups(slice, cluster, row, lane, value_part, valid, position);
    }
    let facts = cluster_row(slice, cluster);
    let statistics = cluster_statistics(facts);
    let exact_sum = running_sum;
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
        let maximum = max(running_maximum, statistics.rest_maximum);
        let exact = exp(running_maximum - maximum);
        let rest = exp(statistics.rest_maximum - maximum);
        let total = inverse(exact_sum * exact + statistics.rest_sum * rest);
        factor = total * exact;
        rest_factor = total * rest;
    }
    for (var m = 0u; m < VALUE_REGISTERS; m++) {
        sums[m] *= factor;
        if (GROUPS == 0u) {
            let column = value_part * VALUE_REGISTERS + m;
            sums[m] += softmax_parts[facts + 1u + min(column, VALUE_VECTORS - 1u)] * rest_factor;
        }
    }
    if (valid) {
        store_sums(out, value_part, 1.0);
        if (params.share.role == ROLE_UNFINISHED) {
            softmax_parts[running_place(slice, position, value_part)] =
                vec4f(running_maximum, running_sum, bitcast<f32>(cluster), 0.0);
        }
    }
}

// Adds the pseudo-keys of the cluster to the softmax, and notes their logits.
fn attend_groups(slice: Slice, cluster: u32, row: u32, lane: u32, value_part: u32, valid: bool, position: u32) {
    let noted = pseudo_logits(slice, position);
    for (var block = 0u; block < GROUPS; block += SCORE_BLOCK) {
        let count = min(SCORE_BLOCK, GROUPS - block);
        for (var part = 0u; part < WIDTH_PARTS; part++) {
            if (WIDTH_PARTS > 1u) {
                load_query_part(row, part);
            }
            for (var j = 0u; j < count; j++) {
                let pseudo = pseudo_row(slice, cluster, block + j) + 1u;
                var products = vec4f();
                for (var e = 0u; e < QUERY_REGISTERS; e++) {
                    let column = min(part * QUERY_REGISTERS + e, WIDTH_VECTORS - 1u);
                    products = fma(query[e], softmax_parts[pseudo + column], products);
                }
                let score = dot(products, vec4f(params.sizes.scale));
                let place = j * TILE + lane;
                if (part == 0u) {
                    scores[place] = score;
                } else {
                    scores[place] += score;
                }
            }
        }
        for (var j = 0u; j < count; j++) {
            let place = j * TILE + lane;
            let offset = pseudo_facts(pseudo_row(slice, cluster, block + j)).offset;
            scores[place] = select(LOWEST, scores[place] + offset, offset > LOWEST);
            if (params.share.role == ROLE_UNFINISHED && valid && value_part == 0u) {
                let group = block + j;
                softmax_parts[noted + group / 4u][group % 4u] = scores[place];
            }
        }
        raise_maximum(highest_score(count, lane));
        for (var j = 0u; j < count; j++) {
            let pseudo = pseudo_row(slice, cluster, block + j);
            let weight = weight_of(scores[j * TILE + lane]) * pseudo_facts(pseudo).mass;
            let value = pseudo + 1u + WIDTH_VECTORS;
            running_sum += weight;
            for (var m = 0u; m < VALUE_REGISTERS; m++) {
                let column = min(value_part * VALUE_REGISTERS + m, VALUE_VECTORS - 1u);
                sums[m] = fma(vec4f(weight), softmax_parts[value + column], sums[m]);
            }
        }
    }
}
