// What every kernel of a stage knows. Mirrors `gpu::params::Params`.

// Element strides of batch, head and row, and the element at which the binding begins.
struct Layout {
    batch: u32,
    head: u32,
    row: u32,
    origin: u32,
}

// How far a query sees from its position; see `Visibility`.
struct Reach {
    left: i32,
    right: i32,
    sinks: u32,
    causal: u32,
}

// What is exact beside the top-k; see `Grid`. A sequence is one row.
struct Near {
    rows: u32,
    columns: u32,
    leading: u32,
    row_radius: u32,
    column_radius: u32,
    // Columns of a tile, as a power of two, and how many tiles a row has.
    tile_column_bits: u32,
    tiles_across: u32,
}

// Sizes; see `Shape` and `Clustering`.
struct Sizes {
    batch: u32,
    query_heads: u32,
    key_heads: u32,
    queries: u32,
    keys: u32,
    clusters: u32,
    top_k: u32,
    bits: u32,
    query_layout: Layout,
    key_layout: Layout,
    value_layout: Layout,
    output_layout: Layout,
    visible: Reach,
    @align(16) near: Near,
    @align(16) scale: f32,
    groups: u32,
    // Rows that the error is measured on, and the error that is allowed.
    guard_rows: u32,
    guard_tolerance: f32,
}

// How the work is cut; see `Cut`.
struct Blocks {
    keys_padded: u32,
    // Clusters whose logits are in memory together.
    cluster_rows: u32,
    key_length: u32,
    key_blocks: u32,
    vote_length: u32,
    vote_blocks: u32,
    group_length: u32,
    group_blocks: u32,
    // Vectors of a slice in `softmax_parts`.
    softmax_vectors: u32,
    // Numbers of a slice in `clusters` and `groups`.
    clusters_words: u32,
    groups_words: u32,
    // Tiles of the members of key groups, at most.
    key_tiles: u32,
    samples: u32,
    key_samples: u32,
}

// The share of this dispatch.
struct Share {
    // The chunk of slices in scratch memory: its first batch and head, and its heads a batch.
    chunk_batch: u32,
    chunk_head: u32,
    chunk_heads: u32,
    // First slice of the chunk, first tile of a slice, clusters, and which of the keys that a tile goes through.
    slice_begin: u32,
    tile_begin: u32,
    cluster_begin: u32,
    cluster_end: u32,
    key_begin: u32,
    key_end: u32,
    // Parts that the members of a cluster are cut into.
    parts: u32,
    // Which of its roles the stage plays: one of the constants `ROLE_...`, of `stages::Role`.
    role: u32,
    // Whether the tiles go on from an earlier dispatch, and whether they are done after this one.
    continues: u32,
    finishes: u32,
}

struct Params {
    sizes: Sizes,
    @align(16) cut: Blocks,
    @align(16) share: Share,
}

@group(0) @binding(0) var<uniform> params: Params;

// Below every logit, yet finite, so that differences stay defined.
const LOWEST: f32 = -3.4028234e38;
// Ends the list of a cluster that has fewer keys than `top_k`.
const NO_KEY: u32 = 0xffffffffu;

// One sequence and query head.
struct Slice {
    index: u32,
    batch: u32,
    head: u32,
}

fn slice_of(workgroup: u32) -> Slice {
    let index = params.share.slice_begin + workgroup;
    let heads = params.share.chunk_heads;
    return Slice(index, params.share.chunk_batch + index / heads, params.share.chunk_head + index % heads);
}

// Offset of a row in its binding; sums wrap, so an origin beyond the first products is fine.
fn row_of(strides: Layout, batch: u32, head: u32, row: u32) -> u32 {
    return batch * strides.batch + head * strides.head + row * strides.row - strides.origin;
}

fn query_row(slice: Slice, position: u32) -> u32 {
    return row_of(params.sizes.query_layout, slice.batch, slice.head, position);
}

fn output_row(slice: Slice, position: u32) -> u32 {
    return row_of(params.sizes.output_layout, slice.batch, slice.head, position);
}

fn key_head(slice: Slice) -> u32 {
    return slice.head / (params.sizes.query_heads / params.sizes.key_heads);
}
