// The running softmax of a tile of which each query is shared by eight invocations (`block_lanes`), with four keys of a block each.
#import block_lanes

// Vectors of an invocation: of its queries, side by side, and of a row of its sums.
const LANE_QUERY_VECTORS: u32 = LANE_QUERIES / 4u;
const LANE_VECTORS: u32 = (VALUE_REGISTERS + SIDE - 1u) / SIDE;

// [invocation of the side][four queries]: largest logits, or sums of weights.
var<workgroup> shares: array<vec4f, SIDE * WEIGHT_STRIDE>;

var<private> sums: array<vec4f, LANE_QUERIES * LANE_VECTORS>;
var<private> running_maximum: array<f32, LANE_QUERIES>;
// Over the invocation's own keys.
var<private> running_sum: array<f32, LANE_QUERIES>;

fn begin_tile() {
    for (var i = 0u; i < LANE_QUERIES; i++) {
        running_maximum[i] = LOWEST;
        running_sum[i] = 0.0;
    }
    for (var m = 0u; m < LANE_QUERIES * LANE_VECTORS; m++) {
        sums[m] = vec4f();
    }
}

// The query that decides what an invocation's tile is about: the same in a workgroup.
fn deciding_place(lane: u32) -> u32 {
    return 0u;
}

// Goes on from a softmax so far.
fn resume(lane: u32, own: u32, maximum: f32, sum: f32) {
    running_maximum[own] = maximum;
    running_sum[own] = select(0.0, sum, holds_queries(lane));
}

fn maximum_of(own: u32) -> f32 {
    return running_maximum[own];
}

fn sum_of(own: u32) -> f32 {
    return running_sum[own];
}

// Shows the others the largest logits of four of an invocation's queries.
fn share_highest(lane: u32, v: u32, highest: vec4f) {
    shares[lane % SIDE * WEIGHT_STRIDE + first_vector(lane) + v] = highest;
}

// The largest of all that share them, of four queries.
fn shared_highest(lane: u32, v: u32) -> vec4f {
    let first = first_vector(lane);
    var highest = shares[first + v];
    for (var other = 1u; other < SIDE; other++) {
        highest = max(highest, shares[other * WEIGHT_STRIDE + first + v]);
    }
    return highest;
}

// The first of an invocation's vectors of four queries.
fn first_vector(lane: u32) -> u32 {
    return lane / SIDE * LANE_QUERY_VECTORS;
}

// Makes the sums of weights whole.
fn end_sums(lane: u32) {
    let first = first_vector(lane);
    for (var v = 0u; v < LANE_QUERY_VECTORS; v++) {
        let i = 4u * v;
        let own = vec4f(running_sum[i], running_sum[i + 1u], running_sum[i + 2u], running_sum[i + 3u]);
        shares[lane % SIDE * WEIGHT_STRIDE + first + v] = own;
    }
    workgroupBarrier();
    for (var v = 0u; v < LANE_QUERY_VECTORS; v++) {
        var total = vec4f();
        for (var other = 0u; other < SIDE; other++) {
            total += shares[other * WEIGHT_STRIDE + first + v];
        }
        for (var i = 0u; i < 4u; i++) {
            running_sum[4u * v + i] = total[i];
        }
    }
}

// The column, in vectors, of an invocation's sums; past all of them where it has none.
fn lane_column(lane: u32, m: u32, value_part: u32) -> u32 {
    let column = lane % SIDE + m * SIDE;
    return select(VALUE_VECTORS, value_part * VALUE_REGISTERS + column, column < VALUE_REGISTERS);
}
