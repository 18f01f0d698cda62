// Metrics: the covariance of the keys (ROLE_KEYS), and that of the queries about their centroids, of a sample. Twin of
// `src/cpu/covariance.rs`.
//
// Tile: 64 squares of 4 x 4 of the result. Of the sample STAGED rows at a time lie in workgroup memory, of which each of four invocations that
// share a square takes every fourth: two loads for four vectors of multiply-adds. Traffic: 256 rows a tile, each result once. Workgroup memory:
// 8 KiB, and up to 2 KiB for the mean and the positions.

#import side_rows
#import positions
#import centroids
#import covariances

@group(0) @binding(1) var<storage, read> side: array<element>;
@group(0) @binding(2) var<storage, read> lengths: array<u32>;
@group(0) @binding(3) var<storage, read> starts: array<u32>;
@group(0) @binding(4) var<storage, read> clusters: array<u32>;
@group(0) @binding(5) var<storage, read> centroids: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> covariances: array<vec4f>;

const SAMPLES: u32 = COVARIANCE_SAMPLES;
const LANES: u32 = 256u;
const SQUARES: u32 = 64u;
// Invocations that share a square.
const SHARES: u32 = LANES / SQUARES;
const STAGED: u32 = 512u / WIDTH_VECTORS;
// Rows that are summed side by side.
const ROWS: u32 = LANES / WIDTH_VECTORS;

// Rows of the sample; before that, sums for their mean, and after it, those of the squares.
var<workgroup> staged: array<vec4f, 512>;
var<workgroup> mean: array<vec4f, WIDTH_VECTORS>;
var<workgroup> positions: array<u32, SAMPLES>;

// The mean of the sample of the keys; queries are taken relative to their centroids instead. WIDTH_VECTORS invocations read a row together.
fn centre_sample(slice: Slice, count: u32, lane: u32) {
    let column = lane % WIDTH_VECTORS;
    let row = lane / WIDTH_VECTORS;
    // Relative to the first, so that equal keys have no covariance.
    var origin = vec4f();
    var sum = vec4f();
    if (of_keys() && count > 0u && row < ROWS) {
        origin = load_side(side_row(slice, positions[0]), column);
        for (var sample = row; sample < count; sample += ROWS) {
            sum += load_side(side_row(slice, positions[sample]), column) - origin;
        }
    }
    staged[lane] = sum;
    workgroupBarrier();
    if (lane < WIDTH_VECTORS) {
        for (var other = 1u; other < ROWS; other++) {
            sum += staged[other * WIDTH_VECTORS + lane];
        }
        mean[lane] = origin + sum / f32(max(count, 1u));
    }
}

@compute @workgroup_size(LANES)
fn covariance(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let length = side_length(slice);
    let count = min(SAMPLES, length);
    for (var sample = lane; sample < SAMPLES; sample += LANES) {
        positions[sample] = sample_position(min(sample, max(count, 1u) - 1u), SAMPLES, length);
    }
    workgroupBarrier();
    centre_sample(slice, count, lane);
    let place = lane % SQUARES;
    let share = lane / SQUARES;
    let square = min((params.share.tile_begin + workgroup.x) * SQUARES + place, WIDTH_VECTORS * WIDTH_VECTORS - 1u);
    let rows = square / WIDTH_VECTORS;
    let vector = square % WIDTH_VECTORS;
    var sums = array<vec4f, 4>();
    for (var begin = 0u; begin < count; begin += STAGED) {
        workgroupBarrier();
        for (var i = lane; i < STAGED * WIDTH_VECTORS; i += LANES) {
            let sample = begin + i / WIDTH_VECTORS;
            let column = i % WIDTH_VECTORS;
            let position = positions[min(sample, count - 1u)];
            var value = load_side(side_row(slice, position), column);
            if (of_keys()) {
                value -= mean[column];
            } else {
                let cluster = min(clusters[assigned_rows(slice) + position], params.sizes.clusters - 1u);
                value -= centroids[centroid_row(slice, cluster) + column];
            }
            staged[i] = select(vec4f(), value, sample < count);
        }
        workgroupBarrier();
        let staged_rows = min(STAGED, count - begin);
        for (var i = share; i < staged_rows; i += SHARES) {
            let factors = staged[i * WIDTH_VECTORS + rows];
            let columns = staged[i * WIDTH_VECTORS + vector];
            sums[0] = fma(vec4f(factors.x), columns, sums[0]);
            sums[1] = fma(vec4f(factors.y), columns, sums[1]);
            sums[2] = fma(vec4f(factors.z), columns, sums[2]);
            sums[3] = fma(vec4f(factors.w), columns, sums[3]);
        }
    }
    // The later half of the shares is added to the earlier, until one is left.
    for (var left = SHARES / 2u; left > 0u; left /= 2u) {
        workgroupBarrier();
        if (share >= left && share < 2u * left) {
            for (var i = 0u; i < 4u; i++) {
                staged[((share - left) * 4u + i) * SQUARES + place] = sums[i];
            }
        }
        workgroupBarrier();
        if (share < left) {
            for (var i = 0u; i < 4u; i++) {
                sums[i] += staged[(share * 4u + i) * SQUARES + place];
            }
        }
    }
    if (share > 0u) {
        return;
    }
    let which = select(QUERY_COVARIANCE, KEY_COVARIANCE, of_keys());
    for (var i = 0u; i < 4u; i++) {
        if (4u * rows + i < WIDTH) {
            covariances[covariance_row(slice, which, 4u * rows + i) + vector] = sums[i] / f32(max(count, 1u));
        }
    }
}
