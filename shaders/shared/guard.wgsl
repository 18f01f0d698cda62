// `guard` of a slice: squared error and squared norm of the rows that were looked at, whether the slice is to be computed exactly, the
// relative error, then the rows' positions. Without a guard it holds nothing.
#import params

const VERDICT_WORDS: u32 = 4u;
// Stands in the list of a slice that has fewer queries.
const NO_ROW: u32 = 0xffffffffu;

fn verdict_of(slice: Slice) -> u32 {
    return slice.index * (VERDICT_WORDS + params.sizes.guard_rows);
}

fn guard_list(slice: Slice) -> u32 {
    return verdict_of(slice) + VERDICT_WORDS;
}

fn exceeds(slice: Slice) -> bool {
    return guard[verdict_of(slice) + 2u] != 0u;
}
