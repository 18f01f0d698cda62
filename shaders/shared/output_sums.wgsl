// The weighted values of a tile's queries, written to the output and read again.
#import tile

fn store_sums(row: u32, value_part: u32, factor: f32) {
    for (var m = 0u; m < VALUE_REGISTERS; m++) {
        store_output(row, value_part * VALUE_REGISTERS + m, sums[m] * factor);
    }
}

fn load_sums(row: u32, value_part: u32) {
    for (var m = 0u; m < VALUE_REGISTERS; m++) {
        sums[m] = load_output(row, value_part * VALUE_REGISTERS + m);
    }
}
