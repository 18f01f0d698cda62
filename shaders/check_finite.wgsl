// Looks for NaN and infinities among the valid rows of a tensor on the device; the CPU twin is `Inputs::validate`.
//
// Tile: 64 rows of one head, one an invocation. Traffic: the tensor once. No workgroup memory. Integer atomics on the result only.
// Of HALVES, two are in a word. `found` becomes the smallest offset of a bad element; it starts as 0xffffffff.

// Mirrors `gpu::finite_check::CheckParams`.
struct CheckParams {
    // Element strides of batch, head and row, and the element at which the binding begins.
    batch_stride: u32,
    head_stride: u32,
    row_stride: u32,
    origin: u32,
    heads: u32,
    rows: u32,
    width: u32,
    // Where the lengths of the tensor's rows begin.
    first_length: u32,
    // The share of this dispatch.
    slice_begin: u32,
    tile_begin: u32,
}

@group(0) @binding(0) var<uniform> params: CheckParams;
@group(0) @binding(1) var<storage, read> tensor: array<u32>;
@group(0) @binding(2) var<storage, read> lengths: array<u32>;
@group(0) @binding(3) var<storage, read_write> found: atomic<u32>;

// Whether the exponent of an element is all ones.
fn is_bad(place: u32) -> bool {
    if (HALVES) {
        return ((tensor[place / 2u] >> (place % 2u * 16u)) & 0x7c00u) == 0x7c00u;
    }
    return (tensor[place] & 0x7f800000u) == 0x7f800000u;
}

@compute @workgroup_size(64)
fn check_finite(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = params.slice_begin + workgroup.y;
    let batch = slice / params.heads;
    let position = (params.tile_begin + workgroup.x) * 64u + lane;
    if (position >= min(lengths[params.first_length + batch], params.rows)) {
        return;
    }
    // Counted from the first element of the tensor, wherever the binding begins.
    let row = batch * params.batch_stride + slice % params.heads * params.head_stride + position * params.row_stride;
    for (var column = 0u; column < params.width; column++) {
        if (is_bad(row + column - params.origin)) {
            atomicMin(&found, row + column);
        }
    }
}
