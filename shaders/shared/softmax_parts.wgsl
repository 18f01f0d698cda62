// `softmax_parts` of a slice, in vectors: a row for each cluster, with the statistics of its softmax and the weighted values outside its
// top-k; the same for each block of keys, of whose statistics only the sum of the weights is used; the running softmax of each query. Where
// keys are grouped: pseudo-keys of each cluster and group, with their values, in place of the blocks, and the same for each tile of a group's
// members; behind the running softmax, the logits of each query with the pseudo-keys. Last, where the output is of halves, each query's weighted
// values so far.
#import params

const SUMS_ROW: u32 = VALUE_VECTORS + 1u;
const PSEUDO_ROW: u32 = WIDTH_VECTORS + SUMS_ROW;

// Statistics of a cluster's softmax, all logits scaled; see `ClusterStatistics`.
struct ClusterStatistics {
    rest_maximum: f32,
    rest_sum: f32,
    top_maximum: f32,
    top_sum: f32,
}

// What is known of a pseudo-key.
struct PseudoFacts {
    // What is added to `t·q·k̄`; LOWEST where the group has no keys outside the top-k.
    offset: f32,
    // Largest logit of the group, not scaled, and the sum of the weights relative to it.
    maximum: f32,
    mass: f32,
}

fn pseudo_facts(row: u32) -> PseudoFacts {
    let vector = softmax_parts[row];
    return PseudoFacts(vector.x, vector.y, vector.z);
}

// A query's softmax over the keys so far; its weighted values rest in the output, or where `resting_sums` says. Behind it stands 0, or 1 where
// the window has lost the row (`stitch_lost_rows`).
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

// Row of the pseudo-key of a cluster and a group: facts, the key, the value.
fn pseudo_row(slice: Slice, cluster: u32, group: u32) -> u32 {
    return cluster_row(slice, params.sizes.clusters) + (cluster * params.sizes.groups + group) * PSEUDO_ROW;
}

// Row of a tile of a group's members for a cluster, counted from the first of its pass: largest logit and sum of the weights relative to it,
// and weighted sums.
fn key_tile_row(slice: Slice, tile: u32, pass_row: u32) -> u32 {
    return pseudo_row(slice, params.sizes.clusters, 0u) + (tile * params.cut.cluster_rows + pass_row) * PSEUDO_ROW;
}

// Place of a query's running softmax, one for each part of the value columns.
fn running_place(slice: Slice, position: u32, value_part: u32) -> u32 {
    var rows = (params.sizes.clusters + params.cut.key_blocks * params.cut.cluster_rows) * SUMS_ROW;
    if (GROUPS > 0u) {
        rows += (params.sizes.clusters * GROUPS + params.cut.key_tiles * params.cut.cluster_rows) * PSEUDO_ROW;
    }
    return slice_parts(slice) + rows + value_part * params.sizes.queries + position;
}

// Where a query's logits with the pseudo-keys are noted, four in a vector.
fn pseudo_logits(slice: Slice, position: u32) -> u32 {
    return running_place(slice, 0u, VALUE_PARTS) + position * ((GROUPS + 3u) / 4u);
}

// Where a query's weighted values rest, if not in the output.
fn resting_sums(slice: Slice, position: u32) -> u32 {
    return pseudo_logits(slice, params.sizes.queries) + position * VALUE_VECTORS;
}

fn load_running(place: u32) -> RunningSoftmax {
    let vector = softmax_parts[place];
    return RunningSoftmax(vector.x, vector.y, bitcast<u32>(vector.z));
}
