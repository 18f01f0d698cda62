// Queries and their clusters, or keys and their groups: the same kernels serve both sides.
//
// `clusters` of a slice: a number a query, then one a key where keys are grouped, then one a sample. `groups` of a slice: first member of each
// cluster (C + 2 numbers; cluster C is the padding), first tile of members of each cluster (C + 2), then the members (L); then the same of key
// groups.
#import params

fn of_keys() -> bool {
    let role = params.share.role;
    return role == ROLE_KEYS || role == ROLE_KEY_SAMPLE || role == ROLE_KEY_STARTS || role == ROLE_GIVEN_KEY_POSITIONS;
}

fn of_sample() -> bool {
    return params.share.role == ROLE_SAMPLE || params.share.role == ROLE_KEY_SAMPLE;
}

// Clusters or groups.
fn side_count() -> u32 {
    return select(params.sizes.clusters, params.sizes.groups, of_keys());
}

// The first of them in `centroids`.
fn side_first() -> u32 {
    return select(0u, params.sizes.clusters, of_keys());
}

// Queries or keys.
fn side_rows() -> u32 {
    return select(params.sizes.queries, params.sizes.keys, of_keys());
}

fn sample_count() -> u32 {
    return select(params.cut.samples, params.cut.key_samples, of_keys());
}

// Where the clusters of the rows begin.
fn assigned_rows(slice: Slice) -> u32 {
    return slice.index * params.cut.clusters_words + select(0u, params.sizes.queries, of_keys());
}

// Where the clusters of the sample begin.
fn assigned_samples(slice: Slice) -> u32 {
    let keys = select(0u, params.sizes.keys, params.sizes.groups > 0u);
    return slice.index * params.cut.clusters_words + params.sizes.queries + keys;
}

// Where the members begin.
fn groups_of(slice: Slice) -> u32 {
    let queries = 2u * (params.sizes.clusters + 2u) + params.sizes.queries;
    return slice.index * params.cut.groups_words + select(0u, queries, of_keys());
}

fn tiles_of(slice: Slice) -> u32 {
    return groups_of(slice) + side_count() + 2u;
}

fn members_of(slice: Slice) -> u32 {
    return groups_of(slice) + 2u * (side_count() + 2u);
}
