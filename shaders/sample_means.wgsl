// Centres of K-means on a sample, times the metric: where they start, and then the means of their members. Twin of
// `src/cpu/sample_means.rs`.
//
// One centre a workgroup. Its members in the sample are listed first, in order (`shared/listed_members.wgsl`). COLUMNS invocations read a row
// together (coalesced), SAMPLE_LANES / COLUMNS rows at a time: of the members, then of the metric. A centre without members stays
// what it was; a surplus one is never chosen.
// Traffic: the clusters of the sample and the metric once a centre, each row of the sample once. Workgroup memory: at most 10.4 KiB, 5 KiB with 64 invocations.

#import side_rows
#import positions
#import listed_members
#import centroids
#import covariances

@group(0) @binding(1) var<storage, read> side: array<element>;
@group(0) @binding(2) var<storage, read> lengths: array<u32>;
@group(0) @binding(3) var<storage, read> starts: array<u32>;
@group(0) @binding(4) var<storage, read> clusters: array<u32>;
@group(0) @binding(5) var<storage, read> covariances: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> centroids: array<vec4f>;

const LISTING: u32 = SAMPLE_LANES;
const COLUMNS: u32 = WIDTH_VECTORS;
const ROWS: u32 = SAMPLE_LANES / COLUMNS;
// Invocations that have a number to add.
const NUMBERS: u32 = 64u;

var<workgroup> row_sums: array<vec4f, SAMPLE_LANES>;
var<workgroup> numbers: array<f32, NUMBERS>;
var<workgroup> octets: array<f32, 8>;
var<workgroup> centre: array<vec4f, WIDTH_VECTORS>;

// The sum of `numbers`, in eights.
fn sum_of_numbers(lane: u32) -> f32 {
    workgroupBarrier();
    if (lane < 8u) {
        var octet = 0.0;
        for (var i = 0u; i < 8u; i++) {
            octet += numbers[8u * lane + i];
        }
        octets[lane] = octet;
    }
    workgroupBarrier();
    var sum = 0.0;
    for (var i = 0u; i < 8u; i++) {
        sum += octets[i];
    }
    return sum;
}

@compute @workgroup_size(SAMPLE_LANES)
fn sample_means(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let cluster = params.share.tile_begin + workgroup.x;
    let length = side_length(slice);
    let column = lane % COLUMNS;
    let row = lane / COLUMNS;
    let keeps = of_sample();
    // Members are summed relative to the first row, so that the mean of equal rows is that row.
    var reference = vec4f();
    if (keeps && length > 0u) {
        reference = load_side(side_row(slice, 0u), column);
    }
    var sum = vec4f();
    var count = 0.0;
    if (keeps) {
        let samples = min(sample_count(), length);
        for (var first = 0u; first < samples; first += LISTED) {
            let members = list_members(assigned_samples(slice), cluster, first, samples, lane);
            count += f32(members);
            for (var member = row; member < members; member += ROWS) {
                if (row < ROWS) {
                    let position = sample_position(listed[member], sample_count(), length);
                    sum += load_side(side_row(slice, position), column) - reference;
                }
            }
        }
    } else {
        var position = run_position(starts[side_first() + cluster], cluster, side_count(), length);
        var chosen = run_size(cluster, side_count(), length) > 0u;
        if (params.share.role == ROLE_GIVEN_POSITIONS || params.share.role == ROLE_GIVEN_KEY_POSITIONS) {
            position = starts[side_first() + cluster];
            chosen = position < length;
        }
        if (chosen) {
            count = 1.0;
            if (row == 0u) {
                sum = load_side(side_row(slice, position), column);
            }
        }
    }
    row_sums[lane] = sum;
    workgroupBarrier();
    if (lane < COLUMNS) {
        for (var other = 1u; other < ROWS; other++) {
            sum += row_sums[other * COLUMNS + lane];
        }
        centre[lane] = reference + sum / max(count, 1.0);
    }
    workgroupBarrier();

    let metric = select(KEY_COVARIANCE, QUERY_COVARIANCE, of_keys());
    var product = vec4f();
    if (row < ROWS) {
        for (var j = row; j < WIDTH; j += ROWS) {
            let factor = centre[j / 4u][j % 4u];
            product = fma(vec4f(factor), covariances[covariance_row(slice, metric, j) + column], product);
        }
    }
    row_sums[lane] = product;
    if (lane < NUMBERS) {
        numbers[lane] = trace_part(slice, metric, lane);
    }
    let trace = sum_of_numbers(lane);
    if (lane < COLUMNS) {
        for (var other = 1u; other < ROWS; other++) {
            product += row_sums[other * COLUMNS + lane];
        }
        // A metric that is zero gives way to L2.
        product = select(centre[lane], product / trace, trace > 0.0);
    }
    workgroupBarrier();
    if (lane < NUMBERS) {
        numbers[lane] = select(0.0, dot(product, centre[min(lane, COLUMNS - 1u)]), lane < COLUMNS);
    }
    let norm = sum_of_numbers(lane);
    let out = centroid_row(slice, side_first() + cluster);
    if (count > 0.0 || !keeps) {
        if (lane < COLUMNS) {
            centroids[out + lane] = product;
        }
        if (lane == 0u) {
            centroids[out + WIDTH_VECTORS] = vec4f(norm, count, 0.0, 0.0);
        }
    }
}
