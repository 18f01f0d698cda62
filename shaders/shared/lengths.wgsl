// Valid queries and keys of a sequence: `lengths` holds N query lengths, then N key lengths. Values from the device are not trusted.

fn query_length(slice: Slice) -> u32 {
    return min(lengths[slice.batch], params.queries);
}

fn valid_keys(slice: Slice) -> u32 {
    return min(lengths[params.batch + slice.batch], params.keys);
}
