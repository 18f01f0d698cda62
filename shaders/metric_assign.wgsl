// Each row to the nearest centre in a metric, L2 among them, ties to the lowest index, empty clusters never. Twin of
// `src/cpu/metric_assign.rs`. The rows are queries, keys, or samples of them; centres come multiplied by the metric.
//
// Tile: 64 rows of a slice, one an invocation; all share the centres, read at uniform addresses.
// Traffic: each row once (again for every 16 centres where it is wider than 64), the centres once a tile. Workgroup memory: 4 KiB.

#import side_rows
#import positions
#import query
#import centroids

@group(0) @binding(1) var<storage, read> queries: array<element>;
@group(0) @binding(2) var<storage, read> keys: array<element>;
@group(0) @binding(3) var<storage, read> centroids: array<vec4f>;
@group(0) @binding(4) var<storage, read> lengths: array<u32>;
@group(0) @binding(5) var<storage, read> starts: array<u32>;
@group(0) @binding(6) var<storage, read_write> clusters: array<u32>;

const TILE: u32 = 64u;

fn load_row(row: u32, column: u32) -> vec4f {
    return load_side(row, column);
}

@compute @workgroup_size(64)
fn metric_assign(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let index = (params.share.tile_begin + workgroup.x) * 64u + lane;
    let length = side_length(slice);
    // Rows that have a place in `clusters`, and those of them that are there.
    var rows = side_rows();
    var valid = length;
    var position = min(index, rows - 1u);
    var place = assigned_rows(slice) + position;
    if (of_sample()) {
        rows = sample_count();
        valid = min(rows, length);
        position = sample_position(min(index, max(valid, 1u) - 1u), rows, length);
        place = assigned_samples(slice) + min(index, rows - 1u);
    }
    let row = side_row(slice, position);
    if (WIDTH_PARTS == 1u) {
        load_query_part(row, 0u);
    }
    let plain = params.share.role == ROLE_PLAIN;
    // Where nothing compares (not finite), a query stays where it is.
    var nearest = select(0u, clusters[place], plain);
    var highest = LOWEST;
    for (var block = 0u; block < side_count(); block += SCORE_BLOCK) {
        let count = min(SCORE_BLOCK, side_count() - block);
        for (var part = 0u; part < WIDTH_PARTS; part++) {
            if (WIDTH_PARTS > 1u) {
                load_query_part(row, part);
            }
            for (var j = 0u; j < count; j++) {
                let centroid = centroid_row(slice, side_first() + block + j);
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
    if (index < valid) {
        clusters[place] = nearest;
    } else if (index < rows && !plain) {
        clusters[place] = side_count();
    }
}
