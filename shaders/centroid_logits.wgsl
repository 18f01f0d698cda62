// Logits of the centroids, z[c,s] = centroid_c · k_s. Twin of `src/cpu/centroid_logits.rs`.
//
// Tile: 64 keys of a slice, one an invocation, and LOGIT_CLUSTERS centroids, read at uniform addresses; the sums stay in registers.
// Traffic: each key row once for every LOGIT_CLUSTERS clusters, the centroids once a tile, each logit written once. No workgroup
// memory. Intensity: 8 * LOGIT_CLUSTERS operations for each 16-byte vector of a key.

#import lengths
#import centroids
#import weights

@group(0) @binding(1) var<storage, read> keys: array<element>;
@group(0) @binding(2) var<storage, read> centroids: array<vec4f>;
@group(0) @binding(3) var<storage, read> lengths: array<u32>;
@group(0) @binding(4) var<storage, read_write> weights: array<f32>;

@compute @workgroup_size(64)
fn centroid_logits(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let key = (params.share.tile_begin + workgroup.x) * 64u + lane;
    let first = params.share.cluster_begin + workgroup.z * LOGIT_CLUSTERS;
    let row = row_of(params.sizes.key_layout, slice.batch, key_head(slice), min(key, params.sizes.keys - 1u));
    var sums: array<vec4f, LOGIT_CLUSTERS>;
    for (var e = 0u; e < WIDTH_VECTORS; e++) {
        let columns = load_keys(row, e);
        for (var j = 0u; j < LOGIT_CLUSTERS; j++) {
            let centroid = centroid_row(slice, min(first + j, params.share.cluster_end - 1u));
            sums[j] = fma(columns, centroids[centroid + e], sums[j]);
        }
    }
    let stored = select(0u, params.share.cluster_end - first, key < valid_keys(slice));
    for (var j = 0u; j < LOGIT_CLUSTERS; j++) {
        if (j < stored) {
            weights[weight_row(slice, first + j - params.share.cluster_begin) + key] = dot(sums[j], vec4f(1.0));
        }
    }
}
