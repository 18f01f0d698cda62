// `centroids` of a slice: rows of WIDTH_VECTORS vectors, then one with what else is known of the cluster.
#import params

const CENTROID_ROW: u32 = WIDTH_VECTORS + 1u;

struct CentroidFacts {
    // Squared norm.
    norm: f32,
    members: f32,
}

fn centroid_facts(row: u32) -> CentroidFacts {
    let vector = centroids[row + WIDTH_VECTORS];
    return CentroidFacts(vector.x, vector.y);
}

fn centroid_row(slice: Slice, cluster: u32) -> u32 {
    return (slice.index * params.sizes.clusters + cluster) * CENTROID_ROW;
}
