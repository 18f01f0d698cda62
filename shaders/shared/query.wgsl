// The query of an invocation, in registers: up to 64 columns at a time. A wider query is cut into WIDTH_PARTS parts that are loaded
// again for every block of rows it is compared with.

var<private> query: array<vec4f, QUERY_REGISTERS>;

fn load_query_part(row: u32, part: u32) {
    for (var e = 0u; e < QUERY_REGISTERS; e++) {
        let column = part * QUERY_REGISTERS + e;
        query[e] = select(vec4f(), load_queries(row, column), column < WIDTH_VECTORS);
    }
}
