// Squared lengths of a tile's rows in a metric: products of each with the rows of the metric, times the row itself. Divided by the metric's trace,
// so that nothing overflows.
//
// Kernels define TILE, TILE_QUERIES, `query_place` and `load_query`, a row less `load_centre`. They call in uniform control flow what has barriers: `begin_metric` and
// `square_rows`. Workgroup memory: that of the products and at most 2.25 KiB.
#import products
#import covariances
#import centroids

// Keeps quotients finite.
const SMALLEST: f32 = 1e-37;

var<workgroup> traces: array<f32, 64>;
// [row of the tile][invocation that shares it]
var<workgroup> square_parts: array<f32, TILE * QUERY_LANES>;
var<private> metric_rows: u32;
var<private> metric_trace: f32;
// The rows of the centroids that the tile's rows are taken from.
var<private> centres: array<u32, LANE_QUERIES>;

// Rows of the metric stand where keys do.
fn key_place(index: u32) -> u32 {
    return metric_rows + index * WIDTH_VECTORS;
}

fn load_key(place: u32, column: u32) -> vec4f {
    return covariances[place + min(column, WIDTH_VECTORS - 1u)];
}

fn score_scale() -> f32 {
    return 1.0;
}

fn begin_metric(slice: Slice, metric: u32, lane: u32) {
    metric_rows = covariance_row(slice, metric, 0u);
    if (lane < 64u) {
        traces[lane] = trace_part(slice, metric, lane);
    }
    workgroupBarrier();
    var trace = 0.0;
    for (var i = 0u; i < 64u; i++) {
        trace += traces[i];
    }
    metric_trace = max(trace, SMALLEST);
}

// Squares of the rows that `set_query` was told of.
fn square_rows(lane: u32) {
    var squares = array<f32, LANE_QUERIES>();
    for (var block = 0u; block < WIDTH; block += BLOCK) {
        let count = min(BLOCK, WIDTH - block);
        score_block(block, count, lane);
        // An invocation's columns are whole vectors, but for the last.
        for (var j = 0u; j < lane_keys(count); j += 4u) {
            let column = lane_key(lane, j);
            for (var own = 0u; own < LANE_QUERIES; own++) {
                let row = load_query(own, place_of_query(own), (block + column) / 4u);
                for (var i = 0u; i < 4u; i++) {
                    if (column + i < count) {
                        squares[own] += score_of(lane, own, j + i) / metric_trace * row[i];
                    }
                }
            }
        }
    }
    // What was there has been read.
    workgroupBarrier();
    for (var own = 0u; own < LANE_QUERIES; own++) {
        square_parts[tile_place(lane, own) * QUERY_LANES + lane % QUERY_LANES] = squares[own];
    }
    workgroupBarrier();
}

// A part of the centroid that a row of the invocation is taken from.
fn load_centre(own: u32, column: u32) -> vec4f {
    return centroids[centres[own] + min(column, WIDTH_VECTORS - 1u)];
}

// The square of a row of the tile.
fn square_of(place: u32) -> f32 {
    var square = 0.0;
    for (var other = 0u; other < QUERY_LANES; other++) {
        square += square_parts[place * QUERY_LANES + other];
    }
    return square;
}
