// What every kernel knows: sizes, strides and its share of the work. Mirrors `gpu::params::Params`.

struct Params {
    // Sizes; see `Shape`.
    batch: u32,
    query_heads: u32,
    key_heads: u32,
    queries: u32,
    keys: u32,
    clusters: u32,
    top_k: u32,
    window: u32,
    // Element strides of batch, head and row, and the element at which the binding begins.
    query_layout: vec4u,
    key_layout: vec4u,
    value_layout: vec4u,
    output_layout: vec4u,
    // Lengths and numbers of blocks; see `Cut`.
    keys_padded: u32,
    vote_length: u32,
    vote_blocks: u32,
    group_length: u32,
    group_blocks: u32,
    mean_parts: u32,
    key_length: u32,
    key_blocks: u32,
    // The chunk of slices in scratch memory: its first batch and head, and its heads a batch.
    chunk_batch: u32,
    chunk_head: u32,
    chunk_heads: u32,
    // The share of this dispatch: first slice of the chunk, first tile of a slice, clusters and keys.
    slice_begin: u32,
    tile_begin: u32,
    cluster_begin: u32,
    cluster_end: u32,
    key_begin: u32,
    key_end: u32,
    // Meaning depends on the kernel.
    mode: u32,
    scale: f32,
    // Clusters whose logits are in memory together.
    cluster_rows: u32,
    // Bits of a code.
    bits: u32,
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
    let index = params.slice_begin + workgroup;
    return Slice(index, params.chunk_batch + index / params.chunk_heads, params.chunk_head + index % params.chunk_heads);
}

// Offset of a row in its binding; sums wrap, so an origin beyond the first products is fine.
fn row_of(strides: vec4u, batch: u32, head: u32, row: u32) -> u32 {
    return batch * strides.x + head * strides.y + row * strides.z - strides.w;
}

fn query_row(slice: Slice, position: u32) -> u32 {
    return row_of(params.query_layout, slice.batch, slice.head, position);
}

fn output_row(slice: Slice, position: u32) -> u32 {
    return row_of(params.output_layout, slice.batch, slice.head, position);
}

fn key_head(slice: Slice) -> u32 {
    return slice.head / (params.query_heads / params.key_heads);
}
