// Valid queries and keys of a sequence: `lengths` holds N query lengths, then N key lengths (and, where
// PLACED, a position for each query). Values from the device are not trusted.
#import params

fn query_length(slice: Slice) -> u32 {
    return min(lengths[slice.batch], params.sizes.queries);
}

fn valid_keys(slice: Slice) -> u32 {
    return min(lengths[params.sizes.batch + slice.batch], params.sizes.keys);
}
