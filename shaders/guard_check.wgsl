// The error of stitched attention on some rows of each slice, which are computed exactly. Twin of `src/cpu/guard_check.rs`.
//
// guard_attention: eight rows and 512 keys a workgroup; each row has eight invocations, which attend to 64 keys each (`shared/tile_rows.wgsl`), and
// whose softmaxes are put together in order. Traffic: the keys and values once for every eight rows. Workgroup memory: 5.5 KiB.
// guard_compare: one workgroup a slice, which puts the blocks together in order, four columns of a row an invocation, and sums errors in order.
// Traffic: the blocks' softmaxes twice, the output's rows twice. Workgroup memory: 512 bytes.

#import lengths
#import tile_rows
#import tile_keys
#import attention
#import guard

@group(0) @binding(1) var<storage, read> queries: array<element>;
@group(0) @binding(2) var<storage, read> keys: array<element>;
@group(0) @binding(3) var<storage, read> values: array<element>;
@group(0) @binding(4) var<storage, read> output: array<element>;
@group(0) @binding(5) var<storage, read> lengths: array<u32>;
@group(0) @binding(6) var<storage, read_write> guard: array<u32>;
@group(0) @binding(7) var<storage, read_write> guard_parts: array<vec4f>;

const TILE: u32 = 64u;
const ROWS: u32 = 8u;
const SPLITS: u32 = TILE / ROWS;
const SPLIT_KEYS: u32 = GUARD_LENGTH / SPLITS;
// A row of a block: maximum and sum, and the weighted values.
const PART_ROW: u32 = VALUE_VECTORS + 1u;
// Keep quotients finite, and squares.
const SMALLEST: f32 = 1e-37;
const LARGEST: f32 = 1e37;
const UNBOUNDED: f32 = 3.4028234e38;

var<workgroup> maxima: array<f32, TILE>;
var<workgroup> totals: array<f32, TILE>;
var<workgroup> staged: array<vec4f, TILE>;
var<private> first_key: u32;

fn key_at(index: u32) -> u32 {
    return first_key + index;
}

fn weight_of(own: u32, index: u32, score: f32, maximum: f32) -> f32 {
    return softmax_weight(score, maximum);
}

fn part_row(slice: Slice, block: u32, row: u32) -> u32 {
    let blocks = (params.sizes.keys + GUARD_LENGTH - 1u) / GUARD_LENGTH;
    return ((slice.index * blocks + block) * params.sizes.guard_rows + row) * PART_ROW;
}

// The position of a row of the list, which may hold fewer.
fn listed_position(slice: Slice, row: u32) -> u32 {
    let listed = guard[guard_list(slice) + min(row, params.sizes.guard_rows - 1u)];
    return min(listed, max(query_length(slice), 1u) - 1u);
}

@compute @workgroup_size(64)
fn guard_attention(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let block = params.share.tile_begin + workgroup.x;
    let value_part = workgroup.z % VALUE_PARTS;
    let row = workgroup.z / VALUE_PARTS * ROWS + lane % ROWS;
    let split = lane / ROWS;
    let query = query_row(slice, listed_position(slice, row));
    begin_keys(slice);
    begin_tile();
    set_query(0u, query);
    first_key = block * GUARD_LENGTH + split * SPLIT_KEYS;
    let end = min(first_key + SPLIT_KEYS, valid_keys(slice));
    let listed = end - min(first_key, end);
    for (var begin = 0u; begin < listed; begin += SCORE_BLOCK) {
        let count = min(SCORE_BLOCK, listed - begin);
        score_block(begin, count, lane);
        attend_block(begin, count, lane, value_part);
    }
    maxima[lane] = running_maximum;
    totals[lane] = running_sum;
    workgroupBarrier();
    var highest = LOWEST;
    for (var i = 0u; i < SPLITS; i++) {
        highest = max(highest, maxima[i * ROWS + lane % ROWS]);
    }
    let factor = exp(running_maximum - highest);
    let out = part_row(slice, block, min(row, params.sizes.guard_rows - 1u));
    let writes = split == 0u && row < params.sizes.guard_rows;
    if (writes && value_part == 0u) {
        var total = 0.0;
        for (var i = 0u; i < SPLITS; i++) {
            total += totals[i * ROWS + lane] * exp(maxima[i * ROWS + lane] - highest);
        }
        guard_parts[out] = vec4f(highest, total, 0.0, 0.0);
    }
    for (var m = 0u; m < VALUE_REGISTERS; m++) {
        staged[lane] = sums[m] * factor;
        workgroupBarrier();
        let column = value_part * VALUE_REGISTERS + m;
        if (writes && column < VALUE_VECTORS) {
            var sum = vec4f();
            for (var i = 0u; i < SPLITS; i++) {
                sum += staged[i * ROWS + lane];
            }
            guard_parts[out + 1u + column] = sum;
        }
        workgroupBarrier();
    }
}

@compute @workgroup_size(64)
fn guard_compare(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
    let slice = slice_of(workgroup.y);
    let items = min(params.sizes.guard_rows, query_length(slice)) * VALUE_VECTORS;
    let blocks = (valid_keys(slice) + GUARD_LENGTH - 1u) / GUARD_LENGTH;
    var largest = 0.0;
    for (var item = lane; item < items; item += 64u) {
        let row = item / VALUE_VECTORS;
        let column = item % VALUE_VECTORS;
        var highest = LOWEST;
        for (var block = 0u; block < blocks; block++) {
            highest = max(highest, guard_parts[part_row(slice, block, row)].x);
        }
        var total = 0.0;
        var sum = vec4f();
        for (var block = 0u; block < blocks; block++) {
            let part = part_row(slice, block, row);
            let factor = exp(guard_parts[part].x - highest);
            total += guard_parts[part].y * factor;
            sum += guard_parts[part + 1u + column] * factor;
        }
        let exact = sum * inverse(total);
        // Kept in place of the first block, which nobody else reads these columns of.
        guard_parts[part_row(slice, 0u, row) + 1u + column] = exact;
        let actual = load_output(output_row(slice, listed_position(slice, row)), column);
        let greatest = max(abs(exact), abs(actual));
        largest = max(largest, max(max(greatest.x, greatest.y), max(greatest.z, greatest.w)));
    }
    maxima[lane] = largest;
    workgroupBarrier();
    for (var i = 0u; i < 64u; i++) {
        largest = max(largest, maxima[i]);
    }
    // Numbers of any size: squares are of what they are relative to the largest.
    let unit = clamp(largest, SMALLEST, LARGEST);
    var difference = 0.0;
    var norm = 0.0;
    for (var item = lane; item < items; item += 64u) {
        let row = item / VALUE_VECTORS;
        let column = item % VALUE_VECTORS;
        let exact = guard_parts[part_row(slice, 0u, row) + 1u + column] / unit;
        let error = load_output(output_row(slice, listed_position(slice, row)), column) / unit - exact;
        difference += dot(error, error);
        norm += dot(exact, exact);
    }
    totals[lane] = difference;
    staged[lane] = vec4f(norm);
    workgroupBarrier();
    if (lane == 0u) {
        for (var i = 1u; i < 64u; i++) {
            difference += totals[i];
            norm += staged[i].x;
        }
        // Not a number is neither, and too large whatever is allowed.
        let none = difference == 0.0;
        let some = norm > 0.0 && difference > 0.0;
        var error = select(UNBOUNDED, 0.0, none);
        if (some) {
            error = sqrt(difference / norm);
        }
        let verdict = verdict_of(slice);
        guard[verdict] = bitcast<u32>(difference);
        guard[verdict + 1u] = bitcast<u32>(norm);
        guard[verdict + 2u] = select(1u, 0u, (none || some) && error <= params.sizes.guard_tolerance);
        guard[verdict + 3u] = bitcast<u32>(error);
    }
}
