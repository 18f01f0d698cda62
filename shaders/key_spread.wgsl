// How badly its group stands for each key: `λ/(2t)·ln(max(t²·d², 1e-6))`, with `d²` the squared distance to the group's centre in the
// covariance of the queries about their centroids. Twin of `src/cpu/key_spread.rs`.
//
// Tile: 64 keys of a slice, which share the metric (`shared/metric_squares.wgsl`). Traffic: each key row and its centre once for every block of the
// metric's rows, the metric once a tile.

#import lengths
#import metric_squares

@group(0) @binding(1) var<storage, read> keys: array<element>;
@group(0) @binding(2) var<storage, read> lengths: array<u32>;
@group(0) @binding(3) var<storage, read> clusters: array<u32>;
@group(0) @binding(4) var<storage, read> centroids: array<vec4f>;
@group(0) @binding(5) var<storage, read> covariances: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> spreads: array<f32>;

const TILE: u32 = 64u;
const TILE_QUERIES: u32 = BLOCK_QUERIES;
// Half the weight that the logarithm has in the selection, and the logarithm of the least `t²·d²` that counts.
const WEIGHT: f32 = 1.0;
const LEAST: f32 = -13.815511;

// Keys less their groups' centres stand where queries do.
fn query_place(row: u32) -> u32 {
    return at_keys(row);
}

fn load_query(own: u32, place: u32, column: u32) -> vec4f {
    return load_at_keys(place, column) - load_centre(own, column);
}

@compute @workgroup_size(LANES)
fn key_spread(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let first = (params.share.tile_begin + workgroup.x) * TILE;
    begin_metric(slice, QUERY_COVARIANCE, lane);
    for (var own = 0u; own < LANE_QUERIES; own++) {
        let key = min(first + tile_place(lane, own), params.sizes.keys - 1u);
        let assigned = clusters[slice.index * params.cut.clusters_words + params.sizes.queries + key];
        centres[own] = centroid_row(slice, params.sizes.clusters + min(assigned, params.sizes.groups - 1u));
        set_query(own, row_of(params.sizes.key_layout, slice.batch, key_head(slice), key));
    }
    square_rows(lane);
    for (var place = lane; place < TILE; place += LANES) {
        let key = first + place;
        if (key < valid_keys(slice)) {
            let scale = params.sizes.scale;
            let logarithm = log(max(square_of(place), SMALLEST)) + log(metric_trace) + 2.0 * log(scale);
            spreads[slice.index * params.cut.keys_padded + key] = WEIGHT / scale * max(logarithm, LEAST);
        }
    }
}
