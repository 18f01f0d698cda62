// The members of one cluster, listed by a workgroup of LISTING invocations, which kernels define, a multiple of 16: of LISTED rows at a time, in order
// of position, each invocation looking at a run of RUN. Kernels have `clusters`, the cluster of each row. Workgroup memory: 2.3 KiB with 64
// invocations, 5.1 KiB with 256.

const RUN: u32 = max(512u / LISTING, 4u);
const LISTED: u32 = LISTING * RUN;
// Invocations whose counts are added up together.
const SEGMENT: u32 = 16u;

var<workgroup> run_counts: array<u32, LISTING>;
var<workgroup> segment_counts: array<u32, LISTING / SEGMENT>;
var<workgroup> listed: array<u32, LISTED>;

// Lists the members among LISTED rows from `first` on, of so many whose clusters begin at `assigned`; returns how many there are. In uniform
// control flow only.
fn list_members(assigned: u32, cluster: u32, first: u32, rows: u32, lane: u32) -> u32 {
    let begin = first + lane * RUN;
    var own_clusters = array<u32, RUN>();
    for (var i = 0u; i < RUN; i++) {
        own_clusters[i] = clusters[assigned + min(begin + i, rows - 1u)];
    }
    var own = 0u;
    for (var i = 0u; i < RUN; i++) {
        own += select(0u, 1u, begin + i < rows && own_clusters[i] == cluster);
    }
    // Those listed before have been used.
    workgroupBarrier();
    run_counts[lane] = own;
    workgroupBarrier();
    if (lane < LISTING / SEGMENT) {
        var count = 0u;
        for (var i = 0u; i < SEGMENT; i++) {
            count += run_counts[lane * SEGMENT + i];
        }
        segment_counts[lane] = count;
    }
    workgroupBarrier();
    var place = 0u;
    var all = 0u;
    for (var i = 0u; i < LISTING / SEGMENT; i++) {
        place += select(0u, segment_counts[i], i < lane / SEGMENT);
        all += segment_counts[i];
    }
    for (var i = 0u; i < SEGMENT; i++) {
        place += select(0u, run_counts[lane / SEGMENT * SEGMENT + i], i < lane % SEGMENT);
    }
    for (var i = 0u; i < RUN; i++) {
        if (begin + i < rows && own_clusters[i] == cluster) {
            listed[place] = begin + i;
            place++;
        }
    }
    workgroupBarrier();
    return all;
}
