// The weighted values of a tile's queries, written to the output, and read where they rest.
#import tile

fn store_sums(lane: u32, own: u32, row: u32, value_part: u32, factor: f32) {
    for (var m = 0u; m < LANE_VECTORS; m++) {
        store_output(row, lane_column(lane, m, value_part), sums[own * LANE_VECTORS + m] * factor);
    }
}

fn load_sums(lane: u32, own: u32, slice: Slice, position: u32, value_part: u32) {
    for (var m = 0u; m < LANE_VECTORS; m++) {
        sums[own * LANE_VECTORS + m] = load_sum(slice, position, lane_column(lane, m, value_part));
    }
}
