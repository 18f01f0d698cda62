// Each query to the nearest centroid in L2, ties to the lowest index, empty clusters never. Twin of `src/cpu/euclidean_assign.rs`.
//
// Tile: 64 queries of a slice, one an invocation; all share the centroids, read at uniform addresses, eight at a time.
// Traffic: each query row once (again for every eight centroids where it is wider than 64), the centroids once a tile.

@group(0) @binding(1) var<storage, read> queries: array<element>;
@group(0) @binding(2) var<storage, read> centroids: array<vec4f>;
@group(0) @binding(3) var<storage, read> lengths: array<u32>;
@group(0) @binding(4) var<storage, read_write> clusters: array<u32>;

const CENTROID_BLOCK: u32 = 8u;

@compute @workgroup_size(64)
fn euclidean_assign(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let position = (params.tile_begin + workgroup.x) * 64u + lane;
    let row = query_row(slice, min(position, params.queries - 1u));
    if (WIDTH_PARTS == 1u) {
        load_query_part(row, 0u);
    }
    let first = slice.index * params.clusters * (WIDTH_VECTORS + 1u);
    var nearest = 0u;
    var highest = LOWEST;
    for (var block = 0u; block < params.clusters; block += CENTROID_BLOCK) {
        var products: array<f32, CENTROID_BLOCK>;
        for (var part = 0u; part < WIDTH_PARTS; part++) {
            if (WIDTH_PARTS > 1u) {
                load_query_part(row, part);
            }
            for (var j = 0u; j < CENTROID_BLOCK; j++) {
                let centroid = first + min(block + j, params.clusters - 1u) * (WIDTH_VECTORS + 1u);
                var sum = vec4f();
                for (var e = 0u; e < QUERY_REGISTERS; e++) {
                    sum = fma(query[e], centroids[centroid + min(part * QUERY_REGISTERS + e, WIDTH_VECTORS - 1u)], sum);
                }
                products[j] += dot(sum, vec4f(1.0));
            }
        }
        for (var j = 0u; j < CENTROID_BLOCK; j++) {
            let cluster = block + j;
            let facts = centroids[first + min(cluster, params.clusters - 1u) * (WIDTH_VECTORS + 1u) + WIDTH_VECTORS];
            let closeness = 2.0 * products[j] - facts.x;
            if (cluster < params.clusters && facts.y > 0.0 && closeness > highest) {
                highest = closeness;
                nearest = cluster;
            }
        }
    }
    if (position < query_length(slice)) {
        clusters[slice.index * params.queries + position] = nearest;
    }
}
