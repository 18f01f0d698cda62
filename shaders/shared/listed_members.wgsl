// The members of one cluster, listed by a workgroup of 64 invocations: of LISTED rows at a time, in order of position, each invocation looking at
// a run of RUN. Kernels have `clusters`, the cluster of each row. Workgroup memory: 2.25 KiB.

const RUN: u32 = 8u;
const LISTED: u32 = 64u * RUN;

var<workgroup> run_counts: array<u32, 64>;
var<workgroup> listed: array<u32, LISTED>;

// Lists the members among LISTED rows from `first` on, of so many whose clusters begin at `assigned`; returns how many there are. In uniform
// control flow only.
fn list_members(assigned: u32, cluster: u32, first: u32, rows: u32, lane: u32) -> u32 {
    let begin = min(first + lane * RUN, rows);
    let end = min(begin + RUN, rows);
    var own = 0u;
    for (var row = begin; row < end; row++) {
        own += select(0u, 1u, clusters[assigned + row] == cluster);
    }
    // Those listed before have been used.
    workgroupBarrier();
    run_counts[lane] = own;
    workgroupBarrier();
    var place = 0u;
    var all = 0u;
    for (var i = 0u; i < 64u; i++) {
        place += select(0u, run_counts[i], i < lane);
        all += run_counts[i];
    }
    for (var row = begin; row < end; row++) {
        if (clusters[assigned + row] == cluster) {
            listed[place] = row;
            place++;
        }
    }
    workgroupBarrier();
    return all;
}
