// Logits of the centroids, z[c,s] = centroid_c · k_s. Twin of `src/cpu/centroid_logits.rs`.
//
// Tile: 64 keys of a slice and LOGIT_CLUSTERS centroids, which are a block of what they share (`shared/products_blocks.wgsl` or
// `shared/products_rows.wgsl`). Traffic: each key row once for every LOGIT_CLUSTERS clusters, the centroids once a tile, each logit written once.
// Workgroup memory: that of the products.

#import lengths
#import centroid_rows
#import weights

@group(0) @binding(1) var<storage, read> keys: array<element>;
@group(0) @binding(2) var<storage, read> centroids: array<vec4f>;
@group(0) @binding(3) var<storage, read> lengths: array<u32>;
@group(0) @binding(4) var<storage, read_write> weights: array<f32>;

const TILE: u32 = 64u;
const TILE_QUERIES: u32 = BLOCK_QUERIES;

// Keys of the tensors stand where queries do.
fn query_place(row: u32) -> u32 {
    return at_keys(row);
}

fn load_query(own: u32, place: u32, column: u32) -> vec4f {
    return load_at_keys(place, column);
}

@compute @workgroup_size(LANES)
fn centroid_logits(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let first_key = (params.share.tile_begin + workgroup.x) * TILE;
    let first = params.share.cluster_begin + workgroup.z * LOGIT_CLUSTERS;
    let count = min(LOGIT_CLUSTERS, params.share.cluster_end - first);
    let valid = valid_keys(slice);
    first_centroid = centroid_row(slice, 0u);
    for (var own = 0u; own < LANE_QUERIES; own++) {
        let key = min(first_key + tile_place(lane, own), params.sizes.keys - 1u);
        set_query(own, row_of(params.sizes.key_layout, slice.batch, key_head(slice), key));
    }
    score_block(first, count, lane);
    for (var j = 0u; j < lane_keys(count); j++) {
        let row = weight_row(slice, first + lane_key(lane, j) - params.share.cluster_begin);
        for (var own = 0u; own < LANE_QUERIES; own++) {
            let key = first_key + tile_place(lane, own);
            if (lane_key(lane, j) < count && key < valid) {
                weights[row + key] = score_of(lane, own, j);
            }
        }
    }
}
