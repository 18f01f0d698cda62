// Neighbouring queries, and the keys around them: of an image (GRID 1), rectangles of patches behind leading tokens; of a sequence, which is one
// row, runs. Twin of `src/problem/grid.rs`. Kernels define TILE, the queries of a workgroup.
#import params

// Stands in for the position of a place of a tile that has no query.
const NO_QUERY: u32 = 0xffffffffu;

struct Patch {
    row: u32,
    column: u32,
}

// Keys around patches, in ascending order: leading tokens, then a rectangle.
struct Neighbours {
    leading: u32,
    row_begin: u32,
    row_end: u32,
    column_begin: u32,
    column_end: u32,
}

// The patch at a place of a tile.
fn patch_at(number: u32, place: u32) -> Patch {
    if (GRID == 0u) {
        return Patch(0u, number * TILE + place);
    }
    let near = params.sizes.near;
    let bits = near.tile_column_bits;
    let row = number / near.tiles_across * (TILE >> bits) + (place >> bits);
    return Patch(row, ((number % near.tiles_across) << bits) + (place & ((1u << bits) - 1u)));
}

// The query of a patch; NO_QUERY where the tile is larger than the image.
fn query_of(own_patch: Patch) -> u32 {
    if (GRID == 0u) {
        return own_patch.column;
    }
    let near = params.sizes.near;
    let is_there = own_patch.row < near.rows && own_patch.column < near.columns;
    return select(NO_QUERY, near.leading + own_patch.row * near.columns + own_patch.column, is_there);
}

// The patch of a key; any for a leading token.
fn patch_of(key: u32) -> Patch {
    if (GRID == 0u) {
        return Patch(0u, key);
    }
    let near = params.sizes.near;
    let place = key - min(near.leading, key);
    return Patch(place / near.columns, place % near.columns);
}

// Whether a valid key, at its patch, is around a patch.
fn is_around(own_patch: Patch, key: u32, of_key: Patch) -> bool {
    let near = params.sizes.near;
    let columns = abs(i32(of_key.column) - i32(own_patch.column)) <= i32(near.column_radius);
    if (GRID == 0u) {
        return columns;
    }
    return key < near.leading || (columns && abs(i32(of_key.row) - i32(own_patch.row)) <= i32(near.row_radius));
}

// What is around any patch from one to another, whose row and column are no smaller, of `keys` valid keys and perhaps keys behind them.
fn neighbours_of(first: Patch, last: Patch, keys: u32) -> Neighbours {
    let near = params.sizes.near;
    let column_begin = first.column - min(near.column_radius, first.column);
    if (GRID == 0u) {
        return Neighbours(0u, 0u, 1u, min(column_begin, keys), min(last.column + near.column_radius + 1u, keys));
    }
    let rows = min((keys - min(near.leading, keys) + near.columns - 1u) / near.columns, near.rows);
    let row_begin = min(first.row - min(near.row_radius, first.row), rows);
    return Neighbours(
        min(near.leading, keys),
        row_begin,
        max(min(last.row + near.row_radius + 1u, rows), row_begin),
        column_begin,
        min(last.column + near.column_radius + 1u, near.columns),
    );
}

// What is around a whole tile.
fn neighbours_of_tile(number: u32, keys: u32) -> Neighbours {
    return neighbours_of(patch_at(number, 0u), patch_at(number, TILE - 1u), keys);
}

// The same of the tile that is in work, and the last of its valid keys.
var<private> listed: Neighbours;
var<private> last_key: u32;

// Notes it, and returns it for what has to be the same for a whole workgroup.
fn begin_neighbours(number: u32, keys: u32) -> Neighbours {
    let around = neighbours_of_tile(number, keys);
    listed = around;
    last_key = max(keys, 1u) - 1u;
    return around;
}

fn count_of_neighbours(listed: Neighbours) -> u32 {
    if (GRID == 0u) {
        return listed.column_end - listed.column_begin;
    }
    return listed.leading + (listed.row_end - listed.row_begin) * (listed.column_end - listed.column_begin);
}

// The key at an index of a list. It may lie behind the valid ones, where an image is cut off within a row.
fn neighbour_at(listed: Neighbours, index: u32) -> u32 {
    if (GRID == 0u) {
        return listed.column_begin + index;
    }
    let near = params.sizes.near;
    let width = listed.column_end - listed.column_begin;
    let place = index - min(listed.leading, index);
    let key = near.leading + (listed.row_begin + place / width) * near.columns + listed.column_begin + place % width;
    return select(key, index, index < listed.leading);
}

// Whether a run is known to hold no key of a list. May be false although it holds none.
fn misses_neighbours(listed: Neighbours, begin: u32, end: u32) -> bool {
    if (GRID == 0u) {
        return end <= listed.column_begin || begin >= listed.column_end;
    }
    let near = params.sizes.near;
    let first = near.leading + listed.row_begin * near.columns + listed.column_begin;
    let last = near.leading + max(listed.row_end, 1u) * near.columns;
    return begin >= near.leading && (end <= first || begin >= last);
}
