// Mean of the valid queries of each cluster, or of the keys of each group (ROLE_KEYS), its squared norm and size. Twin of `src/cpu/centroid_means.rs`.
//
// partial_means: a part of a cluster's members a workgroup, so that one large cluster does not serialise the pass. COLUMNS invocations
// read a row together (coalesced), 64 / COLUMNS rows at a time. Workgroup memory: 1 KiB. In ROLE_ALL_QUERIES the only cluster is all valid
// queries in order of position: its mean is what centring subtracts.
// combine_means: one cluster a workgroup, one vector of columns an invocation; sums the parts in order.
// member_means: one cluster a workgroup, where there is one part.
// Traffic: each row once; the parts twice.

#import side_rows
#import centroids

@group(0) @binding(1) var<storage, read> side: array<element>;
@group(0) @binding(2) var<storage, read> groups: array<u32>;
@group(0) @binding(3) var<storage, read> lengths: array<u32>;
@group(0) @binding(4) var<storage, read_write> mean_partials: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> centroids: array<vec4f>;

const COLUMNS: u32 = WIDTH_VECTORS;
const ROWS: u32 = 64u / COLUMNS;

var<workgroup> row_sums: array<vec4f, 64>;

struct Members {
    first: u32,
    count: u32,
}

fn members_in(slice: Slice, cluster: u32) -> Members {
    if (params.share.role == ROLE_ALL_QUERIES) {
        return Members(0u, query_length(slice));
    }
    let offsets = groups_of(slice);
    let first = groups[offsets + cluster];
    return Members(first, groups[offsets + cluster + 1u] - first);
}

fn clusters_in_work() -> u32 {
    return select(side_count(), 1u, params.share.role == ROLE_ALL_QUERIES);
}

fn partial_index(slice: Slice, cluster: u32, part: u32) -> u32 {
    let index = (slice.index * clusters_in_work() + cluster) * params.share.parts + part;
    return index * (WIDTH_VECTORS + 1u);
}

// The sum of a row of the members from `begin` to `end`, four columns an invocation, which the first COLUMNS have.
fn sum_of_members(slice: Slice, members: Members, begin: u32, end: u32, lane: u32) -> vec4f {
    let list = members_of(slice) + members.first;
    let column = lane % COLUMNS;
    let row = lane / COLUMNS;
    var sum = vec4f();
    if (row < ROWS) {
        for (var member = begin + row; member < end; member += ROWS) {
            var position = member;
            if (params.share.role != ROLE_ALL_QUERIES) {
                position = groups[list + member];
            }
            sum += load_side(side_row(slice, position), column);
        }
    }
    row_sums[lane] = sum;
    workgroupBarrier();
    if (lane < COLUMNS) {
        for (var other = 1u; other < ROWS; other++) {
            sum += row_sums[other * COLUMNS + lane];
        }
    }
    return sum;
}

// Writes a mean, of which the first COLUMNS invocations have four columns each, and what is known of its cluster.
fn store_mean(slice: Slice, cluster: u32, members: u32, mean: vec4f, lane: u32) {
    let out = centroid_row(slice, side_first() + cluster);
    // In the place of sums that nobody else read.
    if (lane < COLUMNS) {
        centroids[out + lane] = mean;
        row_sums[lane] = mean * mean;
    }
    workgroupBarrier();
    if (lane == 0u) {
        var norm = 0.0;
        for (var column = 0u; column < COLUMNS; column++) {
            norm += dot(row_sums[column], vec4f(1.0));
        }
        centroids[out + WIDTH_VECTORS] = vec4f(norm, f32(members), 0.0, 0.0);
    }
}

@compute @workgroup_size(64)
fn partial_means(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let tile = params.share.tile_begin + workgroup.x;
    let cluster = tile / params.share.parts;
    let part = tile % params.share.parts;
    let members = members_in(slice, cluster);
    let share = (members.count + params.share.parts - 1u) / params.share.parts;
    let begin = min(part * share, members.count);
    let sum = sum_of_members(slice, members, begin, min(begin + share, members.count), lane);
    if (lane < COLUMNS) {
        mean_partials[partial_index(slice, cluster, part) + lane] = sum;
    }
}

@compute @workgroup_size(64)
fn combine_means(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let cluster = params.share.tile_begin + workgroup.x;
    let members = members_in(slice, cluster).count;
    var sum = vec4f();
    if (lane < COLUMNS) {
        for (var part = 0u; part < params.share.parts; part++) {
            sum += mean_partials[partial_index(slice, cluster, part) + lane];
        }
    }
    store_mean(slice, cluster, members, sum / max(f32(members), 1.0), lane);
}

@compute @workgroup_size(64)
fn member_means(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let cluster = params.share.tile_begin + workgroup.x;
    let members = members_in(slice, cluster);
    let sum = sum_of_members(slice, members, 0u, members.count, lane);
    store_mean(slice, cluster, members.count, sum / max(f32(members.count), 1.0), lane);
}
