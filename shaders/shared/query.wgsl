// The queries of an invocation, in registers: up to 64 columns at a time. A wider query is cut into WIDTH_PARTS parts that are loaded again
// for every block of rows it is compared with; until the last part has been added, dot products rest in `scores`.
//
// Only the loop over QUERY_REGISTERS is unrolled (its array must become registers); rows are looped over at run time, which keeps the
// compiled code small. Each invocation reads and writes its own column of `scores` only, so there are no barriers.
// A block is SCORE_BLOCK rows.


// [query held][vector]; kernels define HELD, the queries of an invocation.
var<private> query: array<vec4f, HELD * QUERY_REGISTERS>;

// [row of the block][query held][invocation]
var<workgroup> scores: array<f32, SCORE_BLOCK * TILE>;

fn load_query_part(held: u32, row: u32, part: u32) {
    for (var e = 0u; e < QUERY_REGISTERS; e++) {
        let column = part * QUERY_REGISTERS + e;
        query[held * QUERY_REGISTERS + e] = select(vec4f(), load_queries(row, column), column < WIDTH_VECTORS);
    }
}
