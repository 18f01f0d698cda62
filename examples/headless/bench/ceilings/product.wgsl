// A product of square matrices with a tile of it in each invocation's registers. `SIZE`, `ROWS` and `COLUMNS` are written in front: the
// matrices' size, and the vectors of rows and of columns of an invocation's tile.

// Transposed, so that both operands are read along the rows of the tile.
@group(0) @binding(0) var<storage> left: array<vec4f>;
@group(0) @binding(1) var<storage> right: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> product: array<vec4f>;

const WIDTH: u32 = SIZE / 4u;
/// Rows of the matrices that are in workgroup memory at a time.
const DEPTH: u32 = 8u;
const SIDE: u32 = 8u;

var<workgroup> left_tile: array<vec4f, DEPTH * SIDE * ROWS>;
var<workgroup> right_tile: array<vec4f, DEPTH * SIDE * COLUMNS>;

@compute @workgroup_size(8, 8)
fn direct(@builtin(global_invocation_id) id: vec3u) {
    var sums: array<vec4f, 4u * ROWS * COLUMNS>;
    for (var depth = 0u; depth < SIZE; depth++) {
        for (var c = 0u; c < COLUMNS; c++) {
            let columns = right[depth * WIDTH + id.x * COLUMNS + c];
            for (var r = 0u; r < ROWS; r++) {
                let factors = left[depth * WIDTH + id.y * ROWS + r];
                let at = 4u * (c * ROWS + r);
                sums[at] = fma(vec4f(factors.x), columns, sums[at]);
                sums[at + 1u] = fma(vec4f(factors.y), columns, sums[at + 1u]);
                sums[at + 2u] = fma(vec4f(factors.z), columns, sums[at + 2u]);
                sums[at + 3u] = fma(vec4f(factors.w), columns, sums[at + 3u]);
            }
        }
    }
    store(&sums, id.xy);
}

@compute @workgroup_size(8, 8)
fn shared_tiles(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) group: vec3u,
                @builtin(local_invocation_id) local: vec3u, @builtin(local_invocation_index) index: u32) {
    var sums: array<vec4f, 4u * ROWS * COLUMNS>;
    for (var begin = 0u; begin < SIZE; begin += DEPTH) {
        workgroupBarrier();
        for (var i = index; i < DEPTH * SIDE * ROWS; i += SIDE * SIDE) {
            left_tile[i] = left[(begin + i / (SIDE * ROWS)) * WIDTH + group.y * SIDE * ROWS + i % (SIDE * ROWS)];
        }
        for (var i = index; i < DEPTH * SIDE * COLUMNS; i += SIDE * SIDE) {
            right_tile[i] = right[(begin + i / (SIDE * COLUMNS)) * WIDTH + group.x * SIDE * COLUMNS + i % (SIDE * COLUMNS)];
        }
        workgroupBarrier();
        for (var depth = 0u; depth < DEPTH; depth++) {
            for (var c = 0u; c < COLUMNS; c++) {
                let columns = right_tile[depth * SIDE * COLUMNS + local.x * COLUMNS + c];
                for (var r = 0u; r < ROWS; r++) {
                    let factors = left_tile[depth * SIDE * ROWS + local.y * ROWS + r];
                    let at = 4u * (c * ROWS + r);
                    sums[at] = fma(vec4f(factors.x), columns, sums[at]);
                    sums[at + 1u] = fma(vec4f(factors.y), columns, sums[at + 1u]);
                    sums[at + 2u] = fma(vec4f(factors.z), columns, sums[at + 2u]);
                    sums[at + 3u] = fma(vec4f(factors.w), columns, sums[at + 3u]);
                }
            }
        }
    }
    store(&sums, id.xy);
}

fn store(sums: ptr<function, array<vec4f, 4u * ROWS * COLUMNS>>, id: vec2u) {
    for (var c = 0u; c < COLUMNS; c++) {
        for (var row = 0u; row < 4u * ROWS; row++) {
            product[(id.y * 4u * ROWS + row) * WIDTH + id.x * COLUMNS + c] = (*sums)[4u * c * ROWS + row];
        }
    }
}
