// Rows of a side, see `sides`: queries or keys. Kernels bind `side`, which is either tensor, so that no load asks which.
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
