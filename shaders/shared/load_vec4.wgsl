// Four columns of a row of TENSOR, whose rows begin at multiples of four elements.
fn load_TENSOR(row: u32, column: u32) -> vec4f {
    return load_at_TENSOR(at_TENSOR(row), column);
}

// The same in two steps, for rows of which many columns are loaded.
fn at_TENSOR(row: u32) -> u32 {
    return row / 4u;
}

fn load_at_TENSOR(place: u32, column: u32) -> vec4f {
    return stored_TENSOR(place + min(column, TENSOR_VECTORS - 1u));
}
