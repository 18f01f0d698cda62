// `centroids` of a slice: rows of WIDTH_VECTORS vectors, then one with what else is known of the cluster. Those of clusters, then those of
// key groups. While K-means goes on in a metric, centres are multiplied by it.
#import params

const CENTROID_ROW: u32 = WIDTH_VECTORS + 1u;

struct CentroidFacts {
    // Squared norm, in the metric.
    norm: f32,
    members: f32,
}

fn centroid_facts(row: u32) -> CentroidFacts {
    let vector = centroids[row + WIDTH_VECTORS];
    return CentroidFacts(vector.x, vector.y);
}

fn centroid_row(slice: Slice, cluster: u32) -> u32 {
    return (slice.index * (params.sizes.clusters + params.sizes.groups) + cluster) * CENTROID_ROW;
}
