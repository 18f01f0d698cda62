// Attention of a tile of queries over keys that all of them share, as products of blocks: of 32 keys at a time, an invocation computes the
// logits of LANE_QUERIES queries with four keys, then eight columns of the weighted values of the same queries. `tile_rows` has the same functions.
//
// Kernels define TILE and TILE_QUERIES, how many of its queries an invocation has, 4 or 8, and of the key at an index `key_place` with `load_key`,
// `value_place` with `load_value` (both in `tile_keys`), and `weight_of`, its weight for a query. They call in uniform control flow only what has
// barriers: `meet_tile`, `score_block`, `attend_block`, `end_tile`.
//
// Keys are staged once a block, then the weights take their place; queries and values are read as they lie, by neighbours together. Loads of 16
// bytes feed 8 multiply-adds an invocation in the products with keys and 11 in those with values (LANE_QUERIES 4). Four barriers a block.
// Workgroup memory: 10 KiB for a tile of 64; 9 KiB for one of 32, 5 KiB where its width is at most 32.
#import products_blocks
#import block_softmax
#import tile_queries

// Whether sums so far are loaded only before `end_tile`.
const ADDS_SUMS_LAST: bool = false;

// Queries and keys are staged as blocks go.
fn stage_tile(lane: u32) {}

// The pairs of the tile's queries with so many keys of a block, shared among the invocations, neighbouring keys among neighbours: how many of
// them one has, which they are, and where what belongs to one is kept in workgroup memory, so that neighbours meet in no bank. What is written
// there before `score_block` can be read after it, until `attend_block` ends.
fn pairs_of_lane(count: u32) -> u32 {
    return BLOCK * TILE / LANES;
}

fn pair_place(lane: u32, pair: u32) -> u32 {
    return lane / BLOCK + pair * (LANES / BLOCK);
}

fn pair_key(lane: u32, pair: u32) -> u32 {
    return lane % BLOCK;
}

fn pair_cell(place: u32, key: u32) -> u32 {
    return place * BLOCK + (key ^ (place / LANE_QUERIES % 4u));
}

fn weight_cell(key: u32, column: u32) -> u32 {
    return key * WEIGHT_STRIDE + (column ^ (key / LANE_KEYS % SIDE));
}

// Adds the keys whose logits were computed last to the softmax.
fn attend_block(begin: u32, count: u32, lane: u32, value_part: u32) {
    let side = lane % SIDE;
    let first = first_vector(lane);
    for (var v = 0u; v < LANE_QUERY_VECTORS; v++) {
        var highest = vec4f();
        for (var i = 0u; i < 4u; i++) {
            let logit = logits[4u * v + i];
            highest[i] = max(max(logit.x, logit.y), max(logit.z, logit.w));
        }
        share_highest(lane, v, highest);
    }
    // From here on no key of the block is read again.
    workgroupBarrier();
    for (var v = 0u; v < LANE_QUERY_VECTORS; v++) {
        let highest = shared_highest(lane, v);
        for (var i = 0u; i < 4u; i++) {
            let own = 4u * v + i;
            let maximum = max(running_maximum[own], highest[i]);
            let factor = exp(running_maximum[own] - maximum);
            running_maximum[own] = maximum;
            var weights = vec4f();
            for (var j = 0u; j < LANE_KEYS; j++) {
                weights[j] = weight_of(own, begin + lane_key(lane, j), logits[own][j], maximum);
            }
            running_sum[own] = running_sum[own] * factor + (weights.x + weights.y + weights.z + weights.w);
            logits[own] = weights;
            for (var m = 0u; m < LANE_VECTORS; m++) {
                sums[own * LANE_VECTORS + m] *= factor;
            }
        }
        let keys = transpose(mat4x4f(logits[4u * v], logits[4u * v + 1u], logits[4u * v + 2u], logits[4u * v + 3u]));
        for (var j = 0u; j < LANE_KEYS; j++) {
            staged[weight_cell(lane_key(lane, j), first + v)] = keys[j];
        }
    }
    workgroupBarrier();
    var key = 0u;
    for (; key + LANE_KEYS <= count; key += LANE_KEYS) {
        for (var j = 0u; j < LANE_KEYS; j++) {
            add_value(begin, key, j, side, first, value_part);
        }
    }
    for (; key < count; key++) {
        add_value(begin, key, 0u, side, first, value_part);
    }
}

// Adds the weighted value of a key of the block.
fn add_value(begin: u32, key: u32, j: u32, side: u32, first: u32, value_part: u32) {
    let place = value_place(begin + key + j);
    for (var v = 0u; v < LANE_QUERY_VECTORS; v++) {
        // The columns of four keys are exchanged alike.
        let weights = staged[weight_cell(key % BLOCK, first + v) + j * WEIGHT_STRIDE];
        for (var m = 0u; m < LANE_VECTORS; m++) {
            let value = load_value(place, value_part * VALUE_REGISTERS + side + m * SIDE);
            for (var i = 0u; i < 4u; i++) {
                let sum = (4u * v + i) * LANE_VECTORS + m;
                sums[sum] = fma(vec4f(weights[i]), value, sums[sum]);
            }
        }
    }
}

// Makes the sums whole.
fn end_tile(lane: u32) {
    end_sums(lane);
}
