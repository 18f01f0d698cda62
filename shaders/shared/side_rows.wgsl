// Rows of a side, see `sides`: queries or keys.
#import lengths
#import sides

fn side_length(slice: Slice) -> u32 {
    if (of_keys()) {
        return valid_keys(slice);
    }
    return query_length(slice);
}

fn side_row(slice: Slice, position: u32) -> u32 {
    if (of_keys()) {
        return row_of(params.sizes.key_layout, slice.batch, key_head(slice), position);
    }
    return query_row(slice, position);
}

fn load_side(row: u32, column: u32) -> vec4f {
    if (of_keys()) {
        return load_keys(row, column);
    }
    return load_queries(row, column);
}
