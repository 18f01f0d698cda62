// `softmax_parts` of a slice, in vectors: a row for each cluster, with the statistics of its softmax and the weighted values outside its
// top-k; the same for each block of keys, of whose statistics only the sum of the weights is used; the running softmax of each query.
#import params

const SUMS_ROW: u32 = VALUE_VECTORS + 1u;

// Statistics of a cluster's softmax, all logits scaled; see `ClusterStatistics`.
struct ClusterStatistics {
    rest_maximum: f32,
    rest_sum: f32,
    top_maximum: f32,
    top_sum: f32,
}

// A query's softmax over the keys so far; its weighted values rest in the output.
struct RunningSoftmax {
    maximum: f32,
    sum: f32,
    cluster: u32,
}

fn slice_parts(slice: Slice) -> u32 {
    return slice.index * params.cut.softmax_vectors;
}

fn cluster_row(slice: Slice, cluster: u32) -> u32 {
    return slice_parts(slice) + cluster * SUMS_ROW;
}

// Row of a block of keys for a cluster, counted from the first of its pass.
fn block_row(slice: Slice, block: u32, pass_row: u32) -> u32 {
    return slice_parts(slice) + (params.sizes.clusters + block * params.cut.cluster_rows + pass_row) * SUMS_ROW;
}

fn cluster_statistics(row: u32) -> ClusterStatistics {
    let vector = softmax_parts[row];
    return ClusterStatistics(vector.x, vector.y, vector.z, vector.w);
}

// Sum of the weights in a block of keys.
fn block_weight(row: u32) -> f32 {
    return softmax_parts[row].x;
}

// Place of a query's running softmax, one for each part of the value columns.
fn running_place(slice: Slice, position: u32, value_part: u32) -> u32 {
    let rows = (params.sizes.clusters + params.cut.key_blocks * params.cut.cluster_rows) * SUMS_ROW;
    return slice_parts(slice) + rows + value_part * params.sizes.queries + position;
}

fn load_running(place: u32) -> RunningSoftmax {
    let vector = softmax_parts[place];
    return RunningSoftmax(vector.x, vector.y, bitcast<u32>(vector.z));
}
