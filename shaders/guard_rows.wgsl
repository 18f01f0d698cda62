// The queries that stitched attention's error is measured on: half of them drawn in strata, the others those farthest from their centroid in
// the covariance of the keys, among its sample of the queries, since all of them would cost `E²` each. Twin of `src/cpu/guard_rows.rs`.
//
// One workgroup a slice, a sample an invocation; all share the metric, read at uniform addresses.
// Traffic: 256 query rows and their centroids, the metric. Workgroup memory: 1.25 KiB.

#import lengths
#import positions
#import centroids
#import covariances
#import guard

@group(0) @binding(1) var<storage, read> queries: array<element>;
@group(0) @binding(2) var<storage, read> lengths: array<u32>;
@group(0) @binding(3) var<storage, read> starts: array<u32>;
@group(0) @binding(4) var<storage, read> clusters: array<u32>;
@group(0) @binding(5) var<storage, read> centroids: array<vec4f>;
@group(0) @binding(6) var<storage, read> covariances: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> guard: array<u32>;

const SAMPLES: u32 = COVARIANCE_SAMPLES;
// Keeps quotients finite.
const SMALLEST: f32 = 1e-37;

var<workgroup> traces: array<f32, 64>;
var<workgroup> squares: array<f32, SAMPLES>;
var<private> offset: array<vec4f, WIDTH_VECTORS>;

@compute @workgroup_size(256)
fn guard_rows(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let length = query_length(slice);
    if (lane < 64u) {
        traces[lane] = trace_part(slice, KEY_COVARIANCE, lane);
    }
    workgroupBarrier();
    var trace = 0.0;
    for (var i = 0u; i < 64u; i++) {
        trace += traces[i];
    }
    trace = max(trace, SMALLEST);
    let samples = min(SAMPLES, length);
    let position = sample_position(min(lane, max(samples, 1u) - 1u), SAMPLES, length);
    let row = query_row(slice, position);
    let assigned = clusters[slice.index * params.cut.clusters_words + position];
    let centroid = centroid_row(slice, min(assigned, params.sizes.clusters - 1u));
    for (var column = 0u; column < WIDTH_VECTORS; column++) {
        offset[column] = load_queries(row, column) - centroids[centroid + column];
    }
    var square = 0.0;
    for (var i = 0u; i < WIDTH; i++) {
        var products = vec4f();
        let metric = covariance_row(slice, KEY_COVARIANCE, i);
        for (var column = 0u; column < WIDTH_VECTORS; column++) {
            products = fma(covariances[metric + column], offset[column], products);
        }
        // By the trace, so that nothing overflows.
        square += dot(products, vec4f(1.0)) / trace * offset[i / 4u][i % 4u];
    }
    square = select(0.0, square, square > 0.0);
    squares[lane] = square;
    workgroupBarrier();

    // How many are farther, of equal ones the earlier.
    var rank = 0u;
    for (var i = 0u; i < samples; i++) {
        let farther = squares[i] > square || (squares[i] == square && i < lane);
        rank += select(0u, 1u, farther);
    }
    let rows = params.sizes.guard_rows;
    let drawn = (rows + 1u) / 2u;
    let list = guard_list(slice);
    if (length <= rows) {
        if (lane < rows) {
            guard[list + lane] = select(NO_ROW, lane, lane < length);
        }
        return;
    }
    if (lane < drawn) {
        guard[list + lane] = sample_position(lane, drawn, length);
    }
    if (lane < samples && rank < rows - drawn) {
        guard[list + drawn + rank] = position;
    }
}
