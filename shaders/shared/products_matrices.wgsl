// Products of a tile's queries with keys that all of them share, by matrix units: of halves, summed in float32. As `products_blocks`, but only what
// attention by `tile_matrices` goes on from.
//
// A subgroup has TILES of the matrices that make up the product of the tile's 64 queries with a block of 32 keys. Matrices have no elements to
// look at, so products pass through workgroup memory.
//
// Range: what becomes halves is multiplied by a power of two first, so that the largest of a tile's or block's columns is just below 2^15, and
// what is 2^29 times smaller keeps its digits.
// PAIRS: each number is two halves, the first eleven bits and what is left of it times 2^11, and each product three of the four.
//
// Kernels define what they do for `products_blocks`. They call `stage_queries_once` and `score_block` in uniform control flow. Three barriers a
// block. Workgroup memory: with that of `tile_matrices` 30 KiB.
#import block_lanes

const LANE_QUERIES: u32 = 4u;
// Of the largest of some numbers as halves.
const HALF_EXPONENT: i32 = 14;

// Columns that are staged at a time, of queries and keys, and of values; of a row in memory. Rows are further apart where there is room, so that
// those of a matrix meet in no bank.
const STAGED_COLUMNS: u32 = 64u / (1u + PAIRS);
const ROOM: u32 = 8u * (1u - PAIRS);
const PART_COLUMNS: u32 = min((4u * WIDTH_VECTORS + 15u) / 16u * 16u, STAGED_COLUMNS);
const PART_VECTORS: u32 = PART_COLUMNS / 4u;
const PARTS: u32 = (4u * WIDTH_VECTORS + PART_COLUMNS - 1u) / PART_COLUMNS;
const ROW_STRIDE: u32 = STAGED_COLUMNS + ROOM;
const WEIGHT_ROW: u32 = BLOCK + ROOM;
const SCORE_ROW: u32 = BLOCK + ROOM / 2u;
// What follows the first of a pair.
const QUERY_PLANE: u32 = TILE * ROW_STRIDE;
const KEY_PLANE: u32 = BLOCK * ROW_STRIDE;
const WEIGHT_PLANE: u32 = TILE * WEIGHT_ROW;
// Weights lie behind values.
const WEIGHTS_BEGIN: u32 = (1u + PAIRS) * KEY_PLANE;

// Matrices beside each other in 32 columns, and those of a subgroup in a product.
const MATRICES_ACROSS: u32 = BLOCK / MATRIX_SIDE;
const TILES: u32 = TILE / MATRIX_SIDE * MATRICES_ACROSS * SUBGROUP_LANES / LANES;

var<workgroup> staged_queries: array<f16, (1u + PAIRS) * QUERY_PLANE>;
// Keys, then values and weights.
var<workgroup> staged: array<f16, WEIGHTS_BEGIN + (1u + PAIRS) * WEIGHT_PLANE>;
// [query][32 columns]: logits, or sums on their way.
var<workgroup> passing: array<f32, TILE * SCORE_ROW>;
// Bits of the largest number of queries and of keys.
var<workgroup> peak_of_queries: atomic<u32>;
var<workgroup> peak_of_keys: atomic<u32>;

var<private> query_exponent: i32;

// 2^exponent, as far as float32 has it.
fn power(exponent: i32) -> f32 {
    return bitcast<f32>(u32(clamp(exponent + 127, 1, 254)) << 23u);
}

fn peak_bits(vector: vec4f) -> u32 {
    let size = abs(vector);
    return bitcast<u32>(max(max(size.x, size.y), max(size.z, size.w)));
}

// Of what makes numbers halves, whose largest has these bits.
fn exponent_for(peak: u32) -> i32 {
    return clamp(HALF_EXPONENT + 127 - i32(peak >> 23u), -126, 126);
}

// The first of a pair: what a half has room for, cut by an integer mask, since compilers fold conversions there and back.
fn high_part(x: vec4f) -> vec4f {
    return bitcast<vec4f>(bitcast<vec4u>(x) & vec4u(0xffffe000u));
}

fn stage_query(cell: u32, vector: vec4f) {
    let high = select(vector, high_part(vector), PAIRS == 1u);
    for (var i = 0u; i < 4u; i++) {
        staged_queries[cell + i] = f16(high[i]);
        if (PAIRS == 1u) {
            staged_queries[PAIRS * QUERY_PLANE + cell + i] = f16((vector[i] - high[i]) * 2048.0);
        }
    }
}

fn stage(cell: u32, plane: u32, vector: vec4f) {
    let high = select(vector, high_part(vector), PAIRS == 1u);
    for (var i = 0u; i < 4u; i++) {
        staged[cell + i] = f16(high[i]);
        if (PAIRS == 1u) {
            staged[plane + cell + i] = f16((vector[i] - high[i]) * 2048.0);
        }
    }
}

// Vectors of a part of the queries that an invocation stages.
const QUERY_LOADS: u32 = (PART_VECTORS + SIDE - 1u) / SIDE;

fn query_vector(lane: u32, part: u32, i: u32) -> vec4f {
    let own = i / QUERY_LOADS;
    let column = part * PART_VECTORS + lane % SIDE + i % QUERY_LOADS * SIDE;
    return select(vec4f(), load_query(own, query_places[own], column), column < WIDTH_VECTORS);
}

fn find_peak_of_queries(lane: u32, part: u32) {
    var peak = 0u;
    for (var i = 0u; i < LANE_QUERIES * QUERY_LOADS; i++) {
        peak = max(peak, peak_bits(query_vector(lane, part, i)));
    }
    atomicMax(&peak_of_queries, peak);
}

fn stage_queries(lane: u32, part: u32) {
    query_exponent = exponent_for(atomicLoad(&peak_of_queries));
    for (var i = 0u; i < LANE_QUERIES * QUERY_LOADS; i++) {
        let column = lane % SIDE + i % QUERY_LOADS * SIDE;
        if (column < PART_VECTORS) {
            let cell = tile_place(lane, i / QUERY_LOADS) * ROW_STRIDE + 4u * column;
            stage_query(cell, query_vector(lane, part, i) * power(query_exponent));
        }
    }
}

// Takes the queries where they are staged as a whole; what is stored before it can be loaded after it.
fn stage_queries_once(lane: u32) {
    if (lane == 0u) {
        atomicStore(&peak_of_queries, 0u);
        atomicStore(&peak_of_keys, 0u);
    }
    workgroupBarrier();
    if (PARTS == 1u) {
        find_peak_of_queries(lane, 0u);
        workgroupBarrier();
        stage_queries(lane, 0u);
    }
}

// The tile, of those of a product, that a subgroup has: its first row and column.
fn tile_begin(lane: u32, i: u32) -> vec2u {
    let tile = lane / SUBGROUP_LANES * TILES + i;
    return vec2u(tile / MATRICES_ACROSS, tile % MATRICES_ACROSS) * MATRIX_SIDE;
}

const KEY_LOADS: u32 = BLOCK * PART_VECTORS / LANES;

// Logits, scaled, of up to BLOCK keys.
fn score_block(begin: u32, count: u32, lane: u32) {
    for (var i = 0u; i < LANE_QUERIES; i++) {
        logits[i] = vec4f();
    }
    for (var part = 0u; part < PARTS; part++) {
        var loaded = array<vec4f, KEY_LOADS>();
        var peak = 0u;
        for (var i = 0u; i < KEY_LOADS; i++) {
            let cell = lane + i * LANES;
            let column = part * PART_VECTORS + cell % PART_VECTORS;
            let vector = load_key(key_place(begin + min(cell / PART_VECTORS, count - 1u)), column);
            loaded[i] = select(vec4f(), vector, column < WIDTH_VECTORS);
            peak = max(peak, peak_bits(loaded[i]));
        }
        atomicMax(&peak_of_keys, peak);
        if (PARTS > 1u) {
            find_peak_of_queries(lane, part);
        }
        // The block before has been used.
        workgroupBarrier();
        let key_exponent = exponent_for(atomicLoad(&peak_of_keys));
        for (var i = 0u; i < KEY_LOADS; i++) {
            let cell = lane + i * LANES;
            stage(cell / PART_VECTORS * ROW_STRIDE + cell % PART_VECTORS * 4u, KEY_PLANE, loaded[i] * power(key_exponent));
        }
        if (PARTS > 1u) {
            stage_queries(lane, part);
        }
        workgroupBarrier();
        if (lane == 0u) {
            atomicStore(&peak_of_keys, 0u);
            if (PARTS > 1u) {
                atomicStore(&peak_of_queries, 0u);
            }
        }
        for (var i = 0u; i < TILES; i++) {
            let tile = tile_begin(lane, i);
            var products = matrix_sums();
            var low_products = matrix_sums();
            for (var e = 0u; e < PART_COLUMNS; e += MATRIX_SIDE) {
                let query_cell = tile.x * ROW_STRIDE + e;
                let key_cell = tile.y * ROW_STRIDE + e;
                let query = coopLoadT<matrix_left>(&staged_queries[query_cell], ROW_STRIDE);
                let key = coopLoad<matrix_right>(&staged[key_cell], ROW_STRIDE);
                products = coopMultiplyAdd(query, key, products);
                if (PAIRS == 1u) {
                    let low_query = coopLoadT<matrix_left>(&staged_queries[query_cell + PAIRS * QUERY_PLANE], ROW_STRIDE);
                    let low_key = coopLoad<matrix_right>(&staged[key_cell + PAIRS * KEY_PLANE], ROW_STRIDE);
                    low_products = coopMultiplyAdd(query, low_key, low_products);
                    low_products = coopMultiplyAdd(low_query, key, low_products);
                }
            }
            if (PAIRS == 1u) {
                products = products + low_products * (1.0 / 2048.0);
            }
            coopStoreT(products, &passing[tile.x * SCORE_ROW + tile.y], SCORE_ROW);
        }
        workgroupBarrier();
        // In two steps alike, so that neither leaves float32 where the product does not.
        let exponent = -query_exponent - key_exponent;
        let half = exponent / 2;
        for (var i = 0u; i < LANE_QUERIES; i++) {
            logits[i] += passing_vector(lane, i, lane_key(lane, 0u)) * power(half) * power(exponent - half);
        }
    }
    for (var i = 0u; i < LANE_QUERIES; i++) {
        logits[i] *= score_scale();
    }
    mask_block(count, lane);
}

// Four columns of one of an invocation's queries.
fn passing_vector(lane: u32, own: u32, column: u32) -> vec4f {
    let cell = tile_place(lane, own) * SCORE_ROW + column;
    return vec4f(passing[cell], passing[cell + 1u], passing[cell + 2u], passing[cell + 3u]);
}

