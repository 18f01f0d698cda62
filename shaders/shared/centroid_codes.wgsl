// `centroid_codes` of a slice: the code of each cluster, then a number for each of their words that tells whether it changed last.
#import params

fn code_word(slice: Slice, cluster: u32) -> u32 {
    return (2u * slice.index * params.sizes.clusters + cluster) * WORDS;
}

fn changed_word(slice: Slice, cluster: u32) -> u32 {
    return ((2u * slice.index + 1u) * params.sizes.clusters + cluster) * WORDS;
}

// Whether any code of the slice changed. While they move, the first few numbers tell.
fn codes_changed(slice: Slice) -> bool {
    let first = changed_word(slice, 0u);
    for (var word = 0u; word < params.sizes.clusters * WORDS; word++) {
        if (centroid_codes[first + word] != 0u) {
            return true;
        }
    }
    return false;
}
