// The last of some clusters that begins at or before an index, by the numbers in `groups` from `begins` on.
fn cluster_of(begins: u32, clusters: u32, index: u32) -> u32 {
    var low = 0u;
    var high = clusters;
    while (low < high) {
        let middle = (low + high + 1u) / 2u;
        if (groups[begins + middle] <= index) {
            low = middle;
        } else {
            high = middle - 1u;
        }
    }
    return low;
}
