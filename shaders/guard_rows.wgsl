// The queries that stitched attention's error is measured on: half of them drawn in strata, the others those farthest from their centroid in
// the covariance of the keys, among its sample of the queries, since all of them would cost `E²` each. Twin of `src/cpu/guard_rows.rs`.
//
// One workgroup a slice, which goes through tiles of 64 samples that share the metric (`shared/metric_squares.wgsl`).
// Traffic: 256 query rows and their centroids, the metric once a tile. Workgroup memory: that of the squares and 1 KiB.

#import lengths
#import positions
#import metric_squares
#import guard

@group(0) @binding(1) var<storage, read> queries: array<element>;
@group(0) @binding(2) var<storage, read> lengths: array<u32>;
@group(0) @binding(3) var<storage, read> starts: array<u32>;
@group(0) @binding(4) var<storage, read> clusters: array<u32>;
@group(0) @binding(5) var<storage, read> centroids: array<vec4f>;
@group(0) @binding(6) var<storage, read> covariances: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> guard: array<u32>;

const TILE: u32 = 64u;
const TILE_QUERIES: u32 = BLOCK_QUERIES;
const SAMPLES: u32 = COVARIANCE_SAMPLES;

var<workgroup> squares: array<f32, SAMPLES>;

// Queries less their clusters' centroids stand where queries do.
fn query_place(row: u32) -> u32 {
    return at_queries(row);
}

fn load_query(own: u32, place: u32, column: u32) -> vec4f {
    return load_at_queries(place, column) - load_centre(own, column);
}

@compute @workgroup_size(LANES)
fn guard_rows(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let length = query_length(slice);
    let samples = min(SAMPLES, length);
    begin_metric(slice, KEY_COVARIANCE, lane);
    for (var first = 0u; first < SAMPLES; first += TILE) {
        for (var own = 0u; own < LANE_QUERIES; own++) {
            let sample = min(first + tile_place(lane, own), max(samples, 1u) - 1u);
            let position = sample_position(sample, SAMPLES, length);
            let assigned = clusters[slice.index * params.cut.clusters_words + position];
            centres[own] = centroid_row(slice, min(assigned, params.sizes.clusters - 1u));
            set_query(own, query_row(slice, position));
        }
        square_rows(lane);
        for (var place = lane; place < TILE; place += LANES) {
            let square = square_of(place);
            squares[first + place] = select(0.0, square, square > 0.0);
        }
    }
    workgroupBarrier();

    let rows = params.sizes.guard_rows;
    let drawn = (rows + 1u) / 2u;
    let list = guard_list(slice);
    if (length <= rows) {
        for (var row = lane; row < rows; row += LANES) {
            guard[list + row] = select(NO_ROW, row, row < length);
        }
        return;
    }
    for (var row = lane; row < drawn; row += LANES) {
        guard[list + row] = sample_position(row, drawn, length);
    }
    for (var sample = lane; sample < samples; sample += LANES) {
        // How many are farther, of equal ones the earlier.
        var rank = 0u;
        for (var i = 0u; i < samples; i++) {
            let farther = squares[i] > squares[sample] || (squares[i] == squares[sample] && i < sample);
            rank += select(0u, 1u, farther);
        }
        if (rank < rows - drawn) {
            guard[list + drawn + rank] = sample_position(sample, SAMPLES, length);
        }
    }
}
