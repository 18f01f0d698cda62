// Weighted sums of rows, for up to REMAINDER_CLUSTERS clusters at once: of STAGED rows at a time the weights lie in workgroup memory, four clusters a
// vector; COLUMNS invocations read a row together (coalesced), and SETS sets of clusters share it. A load of a row or of weights feeds four
// multiply-adds of vectors.
//
// Kernels define COLUMNS, at most 64, and `load_weighted`, four columns of the row at a place of those staged; any place, since rows past the last
// weigh nothing. Workgroup memory: 4 KiB for 32 clusters and 32 columns, at most 6.
#import params

const SETS: u32 = min(64u / COLUMNS, (REMAINDER_CLUSTERS + 3u) / 4u);
// Clusters of a set, and of all, in fours.
const SET_FOURS: u32 = (REMAINDER_CLUSTERS + 4u * SETS - 1u) / (4u * SETS);
const FOURS: u32 = SETS * SET_FOURS;
const STAGED: u32 = 32u;
// Rows that an invocation has in registers, so that it waits for them together.
const LANE_ROWS: u32 = 4u;

// [row][four clusters]
var<workgroup> staged: array<vec4f, STAGED * FOURS>;
// Of the invocation's set, one a cluster.
var<private> weighted_sums: array<vec4f, 4u * SET_FOURS>;

// The column of an invocation, in vectors, and its set of clusters; those past SETS have nothing to do.
fn weighted_column(lane: u32) -> u32 {
    return lane % COLUMNS;
}

fn set_of(lane: u32) -> u32 {
    return lane / COLUMNS;
}

// The cluster, counted from the workgroup's first, that a sum is of.
fn cluster_of_sum(lane: u32, j: u32) -> u32 {
    return set_of(lane) * 4u * SET_FOURS + j;
}

// The weight of a staged row for a cluster.
fn staged_weight(row: u32, cluster: u32) -> f32 {
    return staged[row * FOURS + cluster / 4u][cluster % 4u];
}

// Adds so many of the rows that are staged.
fn add_rows(slice: Slice, count: u32, lane: u32) {
    let own = set_of(lane);
    if (own >= SETS) {
        return;
    }
    for (var i = 0u; i < count; i += LANE_ROWS) {
        var columns = array<vec4f, LANE_ROWS>();
        for (var k = 0u; k < LANE_ROWS; k++) {
            columns[k] = load_weighted(slice, i + k, weighted_column(lane));
        }
        for (var k = 0u; k < LANE_ROWS; k++) {
            for (var four = 0u; four < SET_FOURS; four++) {
                let weights_of_row = staged[(i + k) * FOURS + own * SET_FOURS + four];
                let j = 4u * four;
                weighted_sums[j] = fma(vec4f(weights_of_row.x), columns[k], weighted_sums[j]);
                weighted_sums[j + 1u] = fma(vec4f(weights_of_row.y), columns[k], weighted_sums[j + 1u]);
                weighted_sums[j + 2u] = fma(vec4f(weights_of_row.z), columns[k], weighted_sums[j + 2u]);
                weighted_sums[j + 3u] = fma(vec4f(weights_of_row.w), columns[k], weighted_sums[j + 3u]);
            }
        }
    }
}
