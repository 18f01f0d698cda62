// Products of a tile's queries with keys that all of them share, a query an invocation, which holds up to 64 columns of it in registers. Keys
// are read at addresses that are the same for the whole workgroup, so one 16-byte load feeds four multiply-adds of every query of the tile; where
// such loads go through scalar registers, nothing is faster. `products_blocks` has the same functions for other targets. Attention (`tile_rows`)
// goes on from there; other kernels have other rows in the place of queries and keys.
//
// Kernels define TILE; of a query's row `query_place` with `load_query`, of the key at an index `key_place` with `load_key`; and `score_scale`,
// which products are multiplied by. Workgroup memory: SCORE_BLOCK * TILE floats, 4 KiB for a tile of 64.
#import query

const LANES: u32 = TILE;
// Queries of an invocation, and invocations that share a query.
const LANE_QUERIES: u32 = 1u;
const QUERY_LANES: u32 = 1u;
const BLOCK: u32 = SCORE_BLOCK;

var<private> tile_row: u32;

fn load_row(row: u32, column: u32) -> vec4f {
    return load_query(0u, row, column);
}

// Which query of the tile is an invocation's.
fn tile_place(lane: u32, own: u32) -> u32 {
    return lane;
}

// Whether an invocation writes what is known of its queries as a whole.
fn holds_queries(lane: u32) -> bool {
    return true;
}

// Waits until what is kept for a query of the tile is there: none but its own invocation writes it.
fn meet_tile() {}

fn set_query(own: u32, row: u32) {
    tile_row = query_place(row);
    if (ROW_PARTS == 1u) {
        load_query_part(tile_row, 0u);
    }
}

fn place_of_query(own: u32) -> u32 {
    return tile_row;
}

// Keys of a block of so many whose logits an invocation has, and which they are.
fn lane_keys(count: u32) -> u32 {
    return count;
}

fn lane_key(lane: u32, j: u32) -> u32 {
    return j;
}

fn score_of(lane: u32, own: u32, j: u32) -> f32 {
    return scores[j * TILE + lane];
}

fn set_score(lane: u32, own: u32, j: u32, score: f32) {
    scores[j * TILE + lane] = score;
}

// Logits, scaled, of up to BLOCK keys.
fn score_block(begin: u32, count: u32, lane: u32) {
    for (var part = 0u; part < ROW_PARTS; part++) {
        if (ROW_PARTS > 1u) {
            load_query_part(tile_row, part);
        }
        // Counted from where the block begins, which compilers do not know: they would unroll what they know to be at most 16 rounds.
        for (var index = begin; index < begin + count; index++) {
            let place = key_place(index);
            var products = vec4f();
            for (var e = 0u; e < ROW_REGISTERS; e++) {
                products = fma(query[e], load_key(place, part * ROW_REGISTERS + e), products);
            }
            let score = dot(products, vec4f(score_scale()));
            let cell = (index - begin) * TILE + lane;
            if (part == 0u) {
                scores[cell] = score;
            } else {
                scores[cell] += score;
            }
        }
    }
}
