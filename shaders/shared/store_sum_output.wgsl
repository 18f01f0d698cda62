// Where a query's weighted values rest before a later kernel goes on with them: in the output, as what is done does.
fn store_sum(slice: Slice, position: u32, column: u32, sum: vec4f, rests: bool) {
    store_output(output_row(slice, position), column, sum);
}
