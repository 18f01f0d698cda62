// `covariances` of a slice: that of the keys, then that of the queries about their centroids; WIDTH rows of WIDTH_VECTORS vectors each.
#import params

const KEY_COVARIANCE: u32 = 0u;
const QUERY_COVARIANCE: u32 = 1u;

fn covariance_row(slice: Slice, which: u32, row: u32) -> u32 {
    return ((2u * slice.index + which) * WIDTH + row) * WIDTH_VECTORS;
}

// The sum of the diagonal, of which each of 64 invocations adds its part.
fn trace_part(slice: Slice, which: u32, lane: u32) -> f32 {
    var part = 0.0;
    for (var row = lane; row < WIDTH; row += 64u) {
        part += covariances[covariance_row(slice, which, row) + row / 4u][row % 4u];
    }
    return part;
}
