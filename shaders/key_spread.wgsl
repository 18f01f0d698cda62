// How badly its group stands for each key: `λ/(2t)·ln(max(t²·d², 1e-6))`, with `d²` the squared distance to the group's centre in the
// covariance of the queries about their centroids. Twin of `src/cpu/key_spread.rs`.
//
// Tile: 64 keys of a slice, one an invocation; all share the metric, read at uniform addresses.
// Traffic: each key row once, the metric once a tile. Workgroup memory: 256 bytes.

#import lengths
#import centroids
#import covariances

@group(0) @binding(1) var<storage, read> keys: array<element>;
@group(0) @binding(2) var<storage, read> lengths: array<u32>;
@group(0) @binding(3) var<storage, read> clusters: array<u32>;
@group(0) @binding(4) var<storage, read> centroids: array<vec4f>;
@group(0) @binding(5) var<storage, read> covariances: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> spreads: array<f32>;

// Half the weight that the logarithm has in the selection, and the logarithm of the least `t²·d²` that counts.
const WEIGHT: f32 = 1.0;
const LEAST: f32 = -13.815511;
// Keeps logarithms finite.
const SMALLEST: f32 = 1e-37;

var<workgroup> traces: array<f32, 64>;
var<private> offset: array<vec4f, WIDTH_VECTORS>;

@compute @workgroup_size(64)
fn key_spread(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let key = (params.share.tile_begin + workgroup.x) * 64u + lane;
    let known = min(key, params.sizes.keys - 1u);
    traces[lane] = trace_part(slice, QUERY_COVARIANCE, lane);
    workgroupBarrier();
    var trace = 0.0;
    for (var i = 0u; i < 64u; i++) {
        trace += traces[i];
    }
    trace = max(trace, SMALLEST);
    let row = row_of(params.sizes.key_layout, slice.batch, key_head(slice), known);
    let assigned = clusters[slice.index * params.cut.clusters_words + params.sizes.queries + known];
    let centre = centroid_row(slice, params.sizes.clusters + min(assigned, params.sizes.groups - 1u));
    for (var column = 0u; column < WIDTH_VECTORS; column++) {
        offset[column] = load_keys(row, column) - centroids[centre + column];
    }
    var square = 0.0;
    for (var i = 0u; i < WIDTH; i++) {
        var products = vec4f();
        let metric = covariance_row(slice, QUERY_COVARIANCE, i);
        for (var column = 0u; column < WIDTH_VECTORS; column++) {
            products = fma(covariances[metric + column], offset[column], products);
        }
        // By the trace, so that nothing overflows.
        square += dot(products, vec4f(1.0)) / trace * offset[i / 4u][i % 4u];
    }
    if (key < valid_keys(slice)) {
        let scale = params.sizes.scale;
        let logarithm = log(max(square, SMALLEST)) + log(trace) + 2.0 * log(scale);
        spreads[slice.index * params.cut.keys_padded + key] = WEIGHT / scale * max(logarithm, LEAST);
    }
}
