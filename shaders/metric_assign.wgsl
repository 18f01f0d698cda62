// Each row to the nearest centre in a metric, L2 among them, ties to the lowest index, empty clusters never. Twin of
// `src/cpu/metric_assign.rs`. The rows are queries, keys, or samples of them; centres come multiplied by the metric.
//
// Tile: 64 rows of a slice, which share the centres (`shared/products_blocks.wgsl` or `shared/products_rows.wgsl`); invocations that share a row
// find the nearest of its centres together. Traffic: each row once for every block of centres (with rows once, where it is at most 64 wide), the
// centres once a tile. Workgroup memory: that of the products and 4 KiB.

#import side_rows
#import positions
#import centroid_rows

@group(0) @binding(1) var<storage, read> side: array<element>;
@group(0) @binding(2) var<storage, read> centroids: array<vec4f>;
@group(0) @binding(3) var<storage, read> lengths: array<u32>;
@group(0) @binding(4) var<storage, read> starts: array<u32>;
@group(0) @binding(5) var<storage, read_write> clusters: array<u32>;

const TILE: u32 = 64u;
const TILE_QUERIES: u32 = BLOCK_QUERIES;

// [row of the tile][invocation that shares it]: the nearest of its centres, and how near.
var<workgroup> closest: array<f32, TILE * QUERY_LANES>;
var<workgroup> closest_centre: array<u32, TILE * QUERY_LANES>;

// Rows of a side stand where queries do.
fn query_place(row: u32) -> u32 {
    return at_side(row);
}

fn load_query(own: u32, place: u32, column: u32) -> vec4f {
    return load_at_side(place, column);
}

@compute @workgroup_size(LANES)
fn metric_assign(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let first = (params.share.tile_begin + workgroup.x) * TILE;
    let length = side_length(slice);
    // Rows that have a place in `clusters`, and those of them that are there.
    var rows = side_rows();
    var valid = length;
    var assigned = assigned_rows(slice);
    if (of_sample()) {
        rows = sample_count();
        valid = min(rows, length);
        assigned = assigned_samples(slice);
    }
    for (var own = 0u; own < LANE_QUERIES; own++) {
        var position = min(first + tile_place(lane, own), rows - 1u);
        if (of_sample()) {
            position = sample_position(min(position, max(valid, 1u) - 1u), rows, length);
        }
        set_query(own, side_row(slice, position));
    }
    first_centroid = centroid_row(slice, side_first());
    var nearest = array<u32, LANE_QUERIES>();
    var highest = array<f32, LANE_QUERIES>();
    for (var own = 0u; own < LANE_QUERIES; own++) {
        nearest[own] = side_count();
        highest[own] = LOWEST;
    }
    for (var block = 0u; block < side_count(); block += BLOCK) {
        let count = min(BLOCK, side_count() - block);
        score_block(block, count, lane);
        for (var j = 0u; j < lane_keys(count); j++) {
            let centre = block + lane_key(lane, j);
            let facts = centroid_facts(key_place(min(centre, side_count() - 1u)));
            let counts = facts.members > 0.0 && centre < side_count();
            for (var own = 0u; own < LANE_QUERIES; own++) {
                let closeness = 2.0 * score_of(lane, own, j) - facts.norm;
                if (counts && closeness > highest[own]) {
                    highest[own] = closeness;
                    nearest[own] = centre;
                }
            }
        }
    }
    for (var own = 0u; own < LANE_QUERIES; own++) {
        let cell = tile_place(lane, own) * QUERY_LANES + lane % QUERY_LANES;
        closest[cell] = highest[own];
        closest_centre[cell] = nearest[own];
    }
    workgroupBarrier();
    for (var place = lane; place < TILE; place += LANES) {
        var centre = side_count();
        var closeness = LOWEST;
        for (var other = 0u; other < QUERY_LANES; other++) {
            let cell = place * QUERY_LANES + other;
            let nearer = closest[cell] > closeness;
            let as_near = closest[cell] == closeness && closest_centre[cell] < centre;
            if (nearer || as_near) {
                closeness = closest[cell];
                centre = closest_centre[cell];
            }
        }
        let index = first + place;
        let plain = params.share.role == ROLE_PLAIN;
        // Where nothing compares (not finite), a query stays where it is.
        if (index < valid && centre < side_count()) {
            clusters[assigned + index] = centre;
        } else if (index < rows && !plain) {
            clusters[assigned + index] = select(side_count(), 0u, index < valid);
        }
    }
}
