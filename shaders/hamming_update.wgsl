// New code of each cluster: a bit is 1 iff strictly more than half of the members have it. Twin of `src/cpu/hamming_update.rs`.
//
// vote: tile of `vote_length` queries and up to VOTE_CLUSTERS clusters a workgroup. Each invocation owns some bits and counts them for
// every cluster, so nothing is atomic and the counts do not depend on any order. Traffic: each code and cluster once for every
// VOTE_CLUSTERS clusters. Workgroup memory: VOTE_CLUSTERS * (32 * WORDS + 1) counters, at most 8 KiB and a little.
// majority: one word of one cluster an invocation; reads its counters of all blocks, and notes whether the word changed. Once none of a
// slice did, later rounds of `vote` and `hamming_assign` end at once, without the host knowing.
//
// update_code does both where rows and clusters are few: a cluster a workgroup, which lists its members (`shared/listed_members.wgsl`); each
// invocation owns a bit of every 64. It looks at no notes, which others of the same dispatch are writing. Workgroup memory: 3.3 KiB.

#import centroid_codes
#import listed_members

@group(0) @binding(1) var<storage, read> codes: array<u32>;
@group(0) @binding(2) var<storage, read> clusters: array<u32>;
@group(0) @binding(3) var<storage, read_write> votes: array<u32>;
@group(0) @binding(4) var<storage, read_write> centroid_codes: array<u32>;

const LISTING: u32 = 64u;
const BITS: u32 = 32u * WORDS;
// Counters of a cluster: one a bit, then the number of members.
const ROW: u32 = BITS + 1u;

var<workgroup> counters: array<u32, VOTE_CLUSTERS * ROW>;

fn clusters_at(index: vec4u) -> vec4u {
    return vec4u(clusters[index.x], clusters[index.y], clusters[index.z], clusters[index.w]);
}

fn words_at(index: vec4u) -> vec4u {
    return vec4u(codes[index.x], codes[index.y], codes[index.z], codes[index.w]);
}

fn add_vote(row: u32, count: u32, bit: u32, vote: u32) {
    if (row < count) {
        counters[row * ROW + bit] += vote;
    }
}

@compute @workgroup_size(64)
fn vote(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    if (!codes_changed(slice)) {
        // Nothing was assigned anew, so the last votes stand.
        return;
    }
    let block = params.share.tile_begin + workgroup.x;
    let first = workgroup.z * VOTE_CLUSTERS;
    let count = min(VOTE_CLUSTERS, params.sizes.clusters - first);
    for (var bit = lane; bit < ROW; bit += 64u) {
        for (var cluster = 0u; cluster < count; cluster++) {
            counters[cluster * ROW + bit] = 0u;
        }
    }
    let origin = slice.index * params.sizes.queries;
    let assigned = slice.index * params.cut.clusters_words;
    let end = min((block + 1u) * params.cut.vote_length, params.sizes.queries);
    // Four queries at a time, so that four loads are under way together.
    for (var position = block * params.cut.vote_length; position < end; position += 4u) {
        let four = vec4u(position) + vec4u(0u, 1u, 2u, 3u);
        let positions = min(four, vec4u(end - 1u));
        // Padding is cluster `clusters`, beyond every range, and so is what lies behind the end.
        let row = select(clusters_at(assigned + positions) - first, vec4u(params.sizes.clusters), four >= vec4u(end));
        for (var bit = lane; bit < BITS; bit += 64u) {
            let words = words_at((origin + positions) * WORDS + bit / 32u);
            let ones = (words >> vec4u(bit % 32u)) & vec4u(1u);
            add_vote(row.x, count, bit, ones.x);
            add_vote(row.y, count, bit, ones.y);
            add_vote(row.z, count, bit, ones.z);
            add_vote(row.w, count, bit, ones.w);
        }
        // The counter of the members has an owner, too: no invocation touches another's, so there are no barriers.
        if (lane == BITS % 64u) {
            add_vote(row.x, count, BITS, 1u);
            add_vote(row.y, count, BITS, 1u);
            add_vote(row.z, count, BITS, 1u);
            add_vote(row.w, count, BITS, 1u);
        }
    }
    let out = ((slice.index * params.cut.vote_blocks + block) * params.sizes.clusters + first) * ROW;
    for (var bit = lane; bit < ROW; bit += 64u) {
        for (var cluster = 0u; cluster < count; cluster++) {
            votes[out + cluster * ROW + bit] = counters[cluster * ROW + bit];
        }
    }
}

@compute @workgroup_size(64)
fn majority(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let index = (params.share.tile_begin + workgroup.x) * 64u + lane;
    let cluster = index / WORDS;
    if (cluster >= params.sizes.clusters) {
        return;
    }
    let word = index % WORDS;
    let first = (slice.index * params.cut.vote_blocks * params.sizes.clusters + cluster) * ROW;
    let stride = params.sizes.clusters * ROW;
    var members = 0u;
    for (var block = 0u; block < params.cut.vote_blocks; block++) {
        members += votes[first + block * stride + BITS];
    }
    let place = code_word(slice, cluster) + word;
    let changed = changed_word(slice, cluster) + word;
    if (members == 0u) {
        // An empty cluster keeps its code.
        centroid_codes[changed] = 0u;
        return;
    }
    var code = 0u;
    for (var bit = 0u; bit < 32u; bit++) {
        var count = 0u;
        for (var block = 0u; block < params.cut.vote_blocks; block++) {
            count += votes[first + block * stride + word * 32u + bit];
        }
        code |= select(0u, 1u, 2u * count > members) << bit;
    }
    centroid_codes[changed] = select(0u, 1u, code != centroid_codes[place]);
    centroid_codes[place] = code;
}

const LANE_BITS: u32 = (BITS + 63u) / 64u;

var<workgroup> set_bits: array<u32, 64u * LANE_BITS>;

@compute @workgroup_size(LISTING)
fn update_code(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let cluster = params.share.tile_begin + workgroup.x;
    let origin = slice.index * params.sizes.queries;
    let assigned = slice.index * params.cut.clusters_words;
    var ones = array<u32, LANE_BITS>();
    var members = 0u;
    for (var first = 0u; first < params.sizes.queries; first += LISTED) {
        let found = list_members(assigned, cluster, first, params.sizes.queries, lane);
        for (var own = 0u; own < LANE_BITS; own++) {
            let bit = own * 64u + lane;
            let word = min(bit / 32u, WORDS - 1u);
            for (var i = 0u; i < found; i++) {
                ones[own] += (codes[(origin + listed[i]) * WORDS + word] >> (bit % 32u)) & 1u;
            }
        }
        members += found;
    }
    for (var own = 0u; own < LANE_BITS; own++) {
        set_bits[own * 64u + lane] = select(0u, 1u, 2u * ones[own] > members);
    }
    workgroupBarrier();
    if (lane < WORDS) {
        let place = code_word(slice, cluster) + lane;
        var code = 0u;
        for (var bit = 0u; bit < 32u; bit++) {
            code |= set_bits[lane * 32u + bit] << bit;
        }
        // An empty cluster keeps its code.
        code = select(code, centroid_codes[place], members == 0u);
        centroid_codes[changed_word(slice, cluster) + lane] = select(0u, 1u, code != centroid_codes[place]);
        centroid_codes[place] = code;
    }
}
