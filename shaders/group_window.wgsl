// The exact keys around each query, stitched to the top-k keys and taken back from the key groups (`docs/method.md`). Twin of
// `src/cpu/group_window.rs`.
//
// Tile: 32 neighbouring queries of a slice and the keys around any of them, which all compute (`shared/neighbours.wgsl`, `shared/tile_blocks.wgsl`
// or `shared/tile_rows.wgsl`): 32 + 2w of a sequence, (4 + 2r)(8 + 2r) and the leading tokens of an image; those not around a query itself are
// masked. Goes on with the sums, the running softmax and the logits of pseudo-keys that `refine_top_k` left.
// Traffic: each query row and output row once, 1 + 2w/32 or (1 + r/2)(1 + r/4) times each key and value row, the logits of the window once.
// Workgroup memory: the tile's and 4.1 KiB with tiles of blocks, 2.1 KiB with rows; a quarter or an eighth of a KiB more for images.

#import lengths
#import neighbours
#import tile
#import tile_keys
#import attention
#import output_sums
#import softmax_parts
#import weights

@group(0) @binding(1) var<storage, read> queries: array<element>;
@group(0) @binding(2) var<storage, read> keys: array<element>;
@group(0) @binding(3) var<storage, read> values: array<element>;
@group(0) @binding(4) var<storage, read_write> output: array<output_element>;
@group(0) @binding(5) var<storage, read> lengths: array<u32>;
@group(0) @binding(6) var<storage, read> weights: array<f32>;
@group(0) @binding(7) var<storage, read> softmax_parts: array<vec4f>;
@group(0) @binding(8) var<storage, read> clusters: array<u32>;

const TILE: u32 = WINDOW_TILE;
const TILE_QUERIES: u32 = BLOCK_QUERIES;

// The logarithm of what a key was given by its group's pseudo-key; LOWEST where the query does not see the key, or has it in its top-k.
// Where a pair lies, `pair_cell` says.
var<workgroup> given: array<f32, BLOCK * TILE>;
// The cluster of each query of the tile.
var<workgroup> tile_clusters: array<u32, TILE>;
var<private> tile_lane: u32;
var<private> block_begin: u32;
// Where the groups of the slice's keys begin.
var<private> key_groups: u32;

// Above LOWEST and below what any key was given.
const LEAST: f32 = -3e38;

// Keys of an image's block, which would be divided out of their index once more at each load, and of the block before, which others may still
// read.
var<workgroup> block_keys: array<u32, 2u * BLOCK * GRID + 1u>;

fn listed_key(index: u32) -> u32 {
    if (GRID == 0u) {
        return neighbour_at(listed, index);
    }
    return block_keys[index % (2u * BLOCK)];
}

fn key_at(index: u32) -> u32 {
    return min(listed_key(index), last_key);
}

fn given_cell(own: u32, j: u32) -> u32 {
    return pair_cell(tile_place(tile_lane, own), j);
}

// The weight of a key, less what its group's pseudo-key gave it.
fn weight_of(own: u32, key: u32, score: f32, maximum: f32) -> f32 {
    let taken_back = exp(given[given_cell(own, key - block_begin)] - maximum);
    return select(0.0, exp(score - maximum) - taken_back, score > LOWEST);
}

@compute @workgroup_size(LANES)
fn group_window(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let value_part = part_of_values(workgroup.z);
    let tile = params.share.tile_begin + workgroup.x;
    let length = query_length(slice);
    let key_count = valid_keys(slice);
    // The first of a tile's queries; if it is padding, all are.
    if (query_of(patch_at(tile, 0u)) >= length) {
        return;
    }
    tile_lane = lane;
    key_groups = slice.index * params.cut.clusters_words + params.sizes.queries;
    let around = begin_neighbours(tile, key_count);
    for (var place = lane; place < TILE; place += LANES) {
        tile_clusters[place] = cluster_at(slice, min(query_of(patch_at(tile, place)), length - 1u));
    }
    meet_tile();
    begin_keys(slice);
    begin_tile();
    for (var own = 0u; own < LANE_QUERIES; own++) {
        let position = min(query_of(patch_at(tile, tile_place(lane, own))), length - 1u);
        let softmax = load_running(running_place(slice, position, value_part));
        set_query(own, query_row(slice, position));
        resume(lane, own, softmax.maximum, softmax.sum);
        load_sums(lane, own, slice, position, value_part);
    }
    let end = count_of_neighbours(around);
    for (var block = 0u; block < end; block += BLOCK) {
        let count = min(BLOCK, end - block);
        block_begin = block;
        if (GRID == 1u) {
            for (var index = block + lane; index < block + count; index += LANES) {
                block_keys[index % (2u * BLOCK)] = neighbour_at(around, index);
            }
            workgroupBarrier();
        }
        for (var pair = 0u; pair < pairs_of_lane(count); pair++) {
            let place = pair_place(lane, pair);
            note_given(slice, tile, place, length, block, count, pair_key(lane, pair), key_count);
        }
        score_block(block, count, lane);
        for (var own = 0u; own < LANE_QUERIES; own++) {
            for (var j = 0u; j < lane_keys(count); j++) {
                let kept = given[given_cell(own, lane_key(lane, j))] > LOWEST;
                set_score(lane, own, j, select(LOWEST, score_of(lane, own, j), kept));
            }
        }
        attend_block(block, count, lane, value_part);
    }
    end_tile(lane);
    for (var own = 0u; own < LANE_QUERIES; own++) {
        let position = query_of(patch_at(tile, tile_place(lane, own)));
        if (position < length && in_pass(tile_clusters[tile_place(lane, own)])) {
            store_sums(lane, own, output_row(slice, position), value_part, inverse(sum_of(own)));
        }
    }
}

fn cluster_at(slice: Slice, position: u32) -> u32 {
    return min(load_running(running_place(slice, position, 0u)).cluster, params.sizes.clusters - 1u);
}

fn in_pass(cluster: u32) -> bool {
    return cluster >= params.share.cluster_begin && cluster < params.share.cluster_end;
}

// Notes what a key of a block was given by a query's cluster.
fn note_given(slice: Slice, tile: u32, place: u32, length: u32, block: u32, count: u32, index: u32, key_count: u32) {
    let own_patch = patch_at(tile, place);
    let position = min(query_of(own_patch), length - 1u);
    let cluster = tile_clusters[place];
    let given_row = weight_row(slice, select(0u, cluster - params.share.cluster_begin, in_pass(cluster)));
    let of_image = listed_key(block + min(index, count - 1u));
    let key = min(of_image, last_key);
    let logit = weights[given_row + key];
    let group = min(clusters[key_groups + key], max(GROUPS, 1u) - 1u);
    let in_group = params.sizes.scale * (logit - pseudo_facts(pseudo_row(slice, cluster, group)).maximum);
    let of_group = softmax_parts[pseudo_logits(slice, position) + group / 4u][group % 4u];
    let kept = of_image < key_count && is_around(own_patch, key, patch_of(key)) && logit > LOWEST;
    given[pair_cell(place, index)] = select(LOWEST, max(in_group + of_group, LEAST), kept);
}
