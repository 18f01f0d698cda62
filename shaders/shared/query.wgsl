// The query of an invocation, in registers: up to 64 columns at a time. A wider query is cut into ROW_PARTS parts that are loaded again
// for every block of rows it is compared with; until the last part has been added, dot products rest in `scores`.
//
// Only the loop over ROW_REGISTERS is unrolled (its array must become registers); rows are looped over at run time, which keeps the
// compiled code small. Kernels define `load_row`, which loads four columns of it. Each invocation reads and writes its own column of `scores` only, so there are no barriers.
#import params

// Rows of a block.
const SCORE_BLOCK: u32 = 16u;

var<private> query: array<vec4f, ROW_REGISTERS>;

// [row of the block][invocation]
var<workgroup> scores: array<f32, SCORE_BLOCK * TILE>;

fn load_query_part(row: u32, part: u32) {
    for (var e = 0u; e < ROW_REGISTERS; e++) {
        let column = part * ROW_REGISTERS + e;
        query[e] = select(vec4f(), load_row(row, column), column < WIDTH_VECTORS);
    }
}
