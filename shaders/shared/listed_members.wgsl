// The members of one cluster, listed by the first LISTING invocations of a workgroup: of LISTED rows at a time, in order of position, each of
// them looking at a run of RUN. Kernels have `clusters`, the cluster of each row. Workgroup memory: 2.25 KiB.

const LISTING: u32 = 64u;
const RUN: u32 = 8u;
const LISTED: u32 = LISTING * RUN;

var<workgroup> run_counts: array<u32, LISTING>;
var<workgroup> listed: array<u32, LISTED>;

// Lists the members among LISTED rows from `first` on, of so many whose clusters begin at `assigned`; returns how many there are. In uniform
// control flow only.
fn list_members(assigned: u32, cluster: u32, first: u32, rows: u32, lane: u32) -> u32 {
    let begin = first + lane * RUN;
    var runs = array<u32, RUN>();
    var own = 0u;
    if (lane < LISTING) {
        for (var i = 0u; i < RUN; i++) {
            runs[i] = clusters[assigned + min(begin + i, rows - 1u)];
        }
        for (var i = 0u; i < RUN; i++) {
            own += select(0u, 1u, begin + i < rows && runs[i] == cluster);
        }
    }
    // Those listed before have been used.
    workgroupBarrier();
    if (lane < LISTING) {
        run_counts[lane] = own;
    }
    workgroupBarrier();
    var place = 0u;
    var all = 0u;
    for (var i = 0u; i < LISTING; i++) {
        place += select(0u, run_counts[i], i < lane);
        all += run_counts[i];
    }
    if (lane < LISTING) {
        for (var i = 0u; i < RUN; i++) {
            if (begin + i < rows && runs[i] == cluster) {
                listed[place] = begin + i;
                place++;
            }
        }
    }
    workgroupBarrier();
    return all;
}
