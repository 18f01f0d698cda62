// Looks for NaN and infinities among the valid rows of a tensor on the device; the CPU twin is `Inputs::validate`.
//
// Tile: 64 rows of one head, one an invocation. Traffic: the tensor once. No workgroup memory. Integer atomics on the result only.
// params.query_layout: strides of the tensor; params.query_heads, params.queries: its heads and rows; params.mode: its width;
// params.key_begin: where its lengths begin. `found` becomes the smallest offset of a bad element; it starts as 0xffffffff.

@group(0) @binding(1) var<storage, read> tensor: array<u32>;
@group(0) @binding(2) var<storage, read> lengths: array<u32>;
@group(0) @binding(3) var<storage, read_write> found: atomic<u32>;

@compute @workgroup_size(64)
fn check_finite(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let position = (params.tile_begin + workgroup.x) * 64u + lane;
    if (position >= min(lengths[params.key_begin + slice.batch], params.queries)) {
        return;
    }
    let row = query_row(slice, position);
    for (var column = 0u; column < params.mode; column++) {
        // All ones in the exponent.
        if ((tensor[row + column] & 0x7f800000u) == 0x7f800000u) {
            // Counted from the first element of the tensor, wherever the binding begins.
            atomicMin(&found, row + column + params.query_layout.w);
        }
    }
}
