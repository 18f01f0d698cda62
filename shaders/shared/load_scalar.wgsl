// Four columns of a row of TENSOR of any width and alignment; columns past the width are zero.
fn load_TENSOR(row: u32, column: u32) -> vec4f {
    return load_at_TENSOR(at_TENSOR(row), column);
}

// The same in two steps, for rows of which many columns are loaded.
fn at_TENSOR(row: u32) -> u32 {
    return row;
}

fn load_at_TENSOR(place: u32, column: u32) -> vec4f {
    let first = 4u * column;
    let last = TENSOR_WIDTH - 1u;
    return vec4f(
        select(0.0, stored_TENSOR(place + min(first, last)), first <= last),
        select(0.0, stored_TENSOR(place + min(first + 1u, last)), first + 1u <= last),
        select(0.0, stored_TENSOR(place + min(first + 2u, last)), first + 2u <= last),
        select(0.0, stored_TENSOR(place + min(first + 3u, last)), first + 3u <= last),
    );
}
