// Where a query's weighted values rest before a later kernel goes on with them: in `softmax_parts`, since the output would round them.
fn store_sum(slice: Slice, position: u32, column: u32, sum: vec4f, rests: bool) {
    if (!rests) {
        store_output(output_row(slice, position), column, sum);
    } else if (column < VALUE_VECTORS) {
        softmax_parts[resting_sums(slice, position) + column] = sum;
    }
}
