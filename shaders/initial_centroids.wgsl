// Starting codes of the clusters: the codes of distinct valid queries. Twin of `src/cpu/initial_centroids.rs`.
//
// Tile: 64 clusters of a slice, one an invocation. Traffic: one code read and written a cluster. No workgroup memory.

#import lengths
#import positions
#import centroid_codes

@group(0) @binding(1) var<storage, read> codes: array<u32>;
// A random number a cluster; positions in ROLE_GIVEN_POSITIONS.
@group(0) @binding(2) var<storage, read> starts: array<u32>;
@group(0) @binding(3) var<storage, read> lengths: array<u32>;
@group(0) @binding(4) var<storage, read_write> centroid_codes: array<u32>;

@compute @workgroup_size(64)
fn initial_centroids(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let cluster = (params.share.tile_begin + workgroup.x) * 64u + lane;
    if (cluster >= params.sizes.clusters) {
        return;
    }
    let length = query_length(slice);
    var position = run_position(starts[cluster], cluster, params.sizes.clusters, length);
    var chosen = run_size(cluster, params.sizes.clusters, length) > 0u;
    if (params.share.role == ROLE_GIVEN_POSITIONS) {
        position = starts[cluster];
        chosen = true;
    }
    for (var word = 0u; word < WORDS; word++) {
        let code = codes[(slice.index * params.sizes.queries + min(position, params.sizes.queries - 1u)) * WORDS + word];
        // A surplus cluster is never compared with.
        centroid_codes[code_word(slice, cluster) + word] = select(0u, code, chosen);
        centroid_codes[changed_word(slice, cluster) + word] = 1u;
    }
}
