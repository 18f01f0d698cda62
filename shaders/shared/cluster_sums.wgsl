// Rows of `cluster_sums`: of each cluster (rest maximum, rest sum, top maximum, top sum) and the weighted values outside its top-k; behind
// the clusters of a slice the same of each block of keys, (rest sum, -, -, -) and values.

const SUMS_ROW: u32 = VALUE_VECTORS + 1u;

fn slice_sums(slice: Slice) -> u32 {
    return slice.index * (params.clusters + params.key_blocks * params.cluster_rows);
}

fn cluster_row(slice: Slice, cluster: u32) -> u32 {
    return (slice_sums(slice) + cluster) * SUMS_ROW;
}

// Row of a block of keys for a cluster, counted from the first of its pass.
fn block_row(slice: Slice, block: u32, pass_row: u32) -> u32 {
    return (slice_sums(slice) + params.clusters + block * params.cluster_rows + pass_row) * SUMS_ROW;
}
