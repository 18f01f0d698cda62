// Members of each cluster, or of each key group (ROLE_KEYS), in order of position: a stable counting sort. Twin of `src/cpu/group_by_cluster.rs`.
//
// count_members: a block of `group_length` rows and 64 clusters a workgroup, one cluster an invocation, which looks at every row.
// group_offsets: one workgroup a slice; 64 invocations take a run of clusters each. Workgroup memory: 512 bytes.
// scatter_members: as count_members; each invocation writes its cluster's members in order.
// Traffic: each row's cluster once for every 64 clusters, in both passes; the counters of all blocks twice.
//
// group_members does all of it where rows and clusters are few: a cluster a workgroup, which counts the members of the clusters before it, then
// lists its own (`shared/listed_members.wgsl`). Traffic: each row's cluster twice a cluster. Workgroup memory: 9.1 KiB. Integer atomics in
// workgroup memory only.

#import sides
#import listed_members

@group(0) @binding(1) var<storage, read> clusters: array<u32>;
@group(0) @binding(2) var<storage, read_write> block_counts: array<u32>;
@group(0) @binding(3) var<storage, read_write> groups: array<u32>;

const LISTING: u32 = 256u;
// Members of a tile; of key groups, of a tile in `group_remainder`.
const TILE: u32 = 64u;

fn members_of_tile() -> u32 {
    return select(TILE, KEY_TILE, of_keys());
}

fn blocks() -> u32 {
    return (side_rows() + params.cut.group_length - 1u) / params.cut.group_length;
}

fn block_count(slice: Slice, block: u32, cluster: u32) -> u32 {
    return (slice.index * blocks() + block) * (side_count() + 1u) + cluster;
}

@compute @workgroup_size(64)
fn count_members(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let block = params.share.tile_begin + workgroup.x;
    let cluster = workgroup.z * 64u + lane;
    let end = min((block + 1u) * params.cut.group_length, side_rows());
    var count = 0u;
    for (var position = block * params.cut.group_length; position < end; position++) {
        count += select(0u, 1u, clusters[assigned_rows(slice) + position] == cluster);
    }
    if (cluster <= side_count()) {
        block_counts[block_count(slice, block, cluster)] = count;
    }
}

// Of the clusters of each invocation.
var<workgroup> member_sums: array<u32, 64>;
var<workgroup> tile_sums: array<u32, 64>;

@compute @workgroup_size(64)
fn group_offsets(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let count = side_count() + 1u;
    let tile = members_of_tile();
    let run = (count + 63u) / 64u;
    let begin = min(lane * run, count);
    let end = min(begin + run, count);
    let offsets = groups_of(slice);
    let tiles = tiles_of(slice);
    var member_sum = 0u;
    var tile_sum = 0u;
    for (var cluster = begin; cluster < end; cluster++) {
        var total = 0u;
        for (var block = 0u; block < blocks(); block++) {
            let index = block_count(slice, block, cluster);
            let in_block = block_counts[index];
            block_counts[index] = total;
            total += in_block;
        }
        groups[offsets + cluster] = member_sum;
        groups[tiles + cluster] = tile_sum;
        member_sum += total;
        tile_sum += (total + tile - 1u) / tile;
    }
    member_sums[lane] = member_sum;
    tile_sums[lane] = tile_sum;
    workgroupBarrier();
    var member_base = 0u;
    var tile_base = 0u;
    for (var before = 0u; before < lane; before++) {
        member_base += member_sums[before];
        tile_base += tile_sums[before];
    }
    for (var cluster = begin; cluster < end; cluster++) {
        groups[offsets + cluster] += member_base;
        groups[tiles + cluster] += tile_base;
    }
    if (lane == 63u) {
        groups[offsets + count] = member_base + member_sum;
        groups[tiles + count] = tile_base + tile_sum;
    }
}

@compute @workgroup_size(64)
fn scatter_members(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let block = params.share.tile_begin + workgroup.x;
    let cluster = workgroup.z * 64u + lane;
    let known = min(cluster, side_count());
    let offsets = groups_of(slice);
    let members = members_of(slice);
    var next = groups[offsets + known] + block_counts[block_count(slice, block, known)];
    let end = min((block + 1u) * params.cut.group_length, side_rows());
    for (var position = block * params.cut.group_length; position < end; position++) {
        if (clusters[assigned_rows(slice) + position] == cluster) {
            groups[members + next] = position;
            next++;
        }
    }
}

var<workgroup> sizes: array<atomic<u32>, CLUSTERS_AT_ONCE>;
var<workgroup> all_before: atomic<u32>;
var<workgroup> tiles_before: atomic<u32>;

@compute @workgroup_size(LISTING)
fn group_members(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let cluster = params.share.tile_begin + workgroup.x;
    let assigned = assigned_rows(slice);
    let tile = members_of_tile();
    for (var before = lane; before < cluster; before += LISTING) {
        atomicStore(&sizes[before], 0u);
    }
    if (lane == 0u) {
        atomicStore(&all_before, 0u);
        atomicStore(&tiles_before, 0u);
    }
    workgroupBarrier();
    for (var row = lane; row < side_rows(); row += LISTING) {
        let other = clusters[assigned + row];
        if (other < cluster) {
            atomicAdd(&sizes[other], 1u);
        }
    }
    workgroupBarrier();
    var member_sum = 0u;
    var tile_sum = 0u;
    for (var before = lane; before < cluster; before += LISTING) {
        let size = atomicLoad(&sizes[before]);
        member_sum += size;
        tile_sum += (size + tile - 1u) / tile;
    }
    if (member_sum > 0u) {
        atomicAdd(&all_before, member_sum);
        atomicAdd(&tiles_before, tile_sum);
    }
    workgroupBarrier();
    let first = atomicLoad(&all_before);
    let first_tile = atomicLoad(&tiles_before);
    let list = members_of(slice) + first;
    var members = 0u;
    for (var row = 0u; row < side_rows(); row += LISTED) {
        let found = list_members(assigned, cluster, row, side_rows(), lane);
        for (var i = lane; i < found; i += LISTING) {
            groups[list + members + i] = listed[i];
        }
        members += found;
    }
    if (lane == 0u) {
        groups[groups_of(slice) + cluster] = first;
        groups[tiles_of(slice) + cluster] = first_tile;
        // The padding is behind the last cluster; what follows it is where all end.
        if (cluster == side_count()) {
            groups[groups_of(slice) + cluster + 1u] = first + members;
            groups[tiles_of(slice) + cluster + 1u] = first_tile + (members + tile - 1u) / tile;
        }
    }
}
