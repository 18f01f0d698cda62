// Each query to the centroid of smallest Hamming distance, ties to the lowest index. Twin of `src/cpu/hamming_assign.rs`.
//
// Tile: 64 queries of a slice, one an invocation; all share the centroids' codes, read at uniform addresses.
// Traffic: each code once, the centroids' codes once a tile. No workgroup memory. A slice whose centroids did not change is left as it is.

#import lengths
#import centroid_codes

@group(0) @binding(1) var<storage, read> codes: array<u32>;
@group(0) @binding(2) var<storage, read> centroid_codes: array<u32>;
@group(0) @binding(3) var<storage, read> lengths: array<u32>;
@group(0) @binding(4) var<storage, read_write> clusters: array<u32>;

@compute @workgroup_size(64)
fn hamming_assign(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    if (!codes_changed(slice)) {
        return;
    }
    let position = (params.share.tile_begin + workgroup.x) * 64u + lane;
    let length = query_length(slice);
    var code: array<u32, WORDS>;
    for (var word = 0u; word < WORDS; word++) {
        code[word] = codes[(slice.index * params.sizes.queries + min(position, params.sizes.queries - 1u)) * WORDS + word];
    }
    // A surplus cluster has no starting query and must not be chosen, unless positions were supplied for all.
    let candidates = select(min(params.sizes.clusters, length), params.sizes.clusters, params.share.role == ROLE_GIVEN_POSITIONS);
    var nearest = 0u;
    var shortest = 0xffffffffu;
    for (var cluster = 0u; cluster < candidates; cluster++) {
        var distance = 0u;
        for (var word = 0u; word < WORDS; word++) {
            distance += countOneBits(code[word] ^ centroid_codes[code_word(slice, cluster) + word]);
        }
        if (distance < shortest) {
            shortest = distance;
            nearest = cluster;
        }
    }
    if (position < params.sizes.queries) {
        clusters[slice.index * params.cut.clusters_words + position] = select(params.sizes.clusters, nearest, position < length);
    }
}
