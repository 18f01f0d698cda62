// Each query to the nearest centroid in L2, ties to the lowest index, empty clusters never. Twin of `src/cpu/euclidean_assign.rs`.
//
// Tile: 64 queries of a slice, one an invocation; all share the centroids, read at uniform addresses.
// Traffic: each query row once (again for every 16 centroids where it is wider than 64), the centroids once a tile. Workgroup
// memory: 4 KiB.

#import lengths
#import query
#import centroids

@group(0) @binding(1) var<storage, read> queries: array<element>;
@group(0) @binding(2) var<storage, read> centroids: array<vec4f>;
@group(0) @binding(3) var<storage, read> lengths: array<u32>;
@group(0) @binding(4) var<storage, read_write> clusters: array<u32>;

const TILE: u32 = 64u;

@compute @workgroup_size(64)
fn euclidean_assign(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let position = (params.share.tile_begin + workgroup.x) * 64u + lane;
    let row = query_row(slice, min(position, params.sizes.queries - 1u));
    if (WIDTH_PARTS == 1u) {
        load_query_part(row, 0u);
    }
    // Where nothing compares (not finite), a query stays where it is.
    let place = slice.index * params.sizes.queries + min(position, params.sizes.queries - 1u);
    var nearest = clusters[place];
    var highest = LOWEST;
    for (var block = 0u; block < params.sizes.clusters; block += SCORE_BLOCK) {
        let count = min(SCORE_BLOCK, params.sizes.clusters - block);
        for (var part = 0u; part < WIDTH_PARTS; part++) {
            if (WIDTH_PARTS > 1u) {
                load_query_part(row, part);
            }
            for (var j = 0u; j < count; j++) {
                let centroid = centroid_row(slice, block + j);
                var products = vec4f();
                for (var e = 0u; e < QUERY_REGISTERS; e++) {
                    products = fma(query[e], centroids[centroid + min(part * QUERY_REGISTERS + e, WIDTH_VECTORS - 1u)], products);
                }
                var product = dot(products, vec4f(1.0));
                if (part > 0u) {
                    product += scores[j * TILE + lane];
                }
                if (part + 1u < WIDTH_PARTS) {
                    scores[j * TILE + lane] = product;
                } else {
                    let facts = centroid_facts(centroid);
                    let closeness = 2.0 * product - facts.norm;
                    if (facts.members > 0.0 && closeness > highest) {
                        highest = closeness;
                        nearest = block + j;
                    }
                }
            }
        }
    }
    if (position < query_length(slice)) {
        clusters[place] = nearest;
    }
}
