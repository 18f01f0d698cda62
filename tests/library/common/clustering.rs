//! The clustering of `docs/method.md` written out again: seeds, codes, K-means in Hamming space and Euclidean steps.

use super::case::Slice;
use super::reference::{centroids, ROUNDING};
use clustered_attention::Clustering;

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn random(seed: u64, stream: u64, index: u64) -> u64 {
    let key = mix(seed.wrapping_add(stream.wrapping_mul(GOLDEN)));
    mix(key.wrapping_add((index + 1).wrapping_mul(GOLDEN)))
}

fn normal(seed: u64, stream: u64, index: u64) -> f32 {
    let unit = |index| ((random(seed, stream, index) >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    ((-2.0 * unit(2 * index).ln()).sqrt() * (std::f64::consts::TAU * unit(2 * index + 1)).cos()) as f32
}

/// Hash planes `[bits, width + 1]` of a seed.
pub fn planes(clustering: &Clustering, width: usize) -> Vec<f32> {
    let thresholds = clustering.bias && !clustering.center;
    let row = |bit: usize| {
        let columns = (0..width).map(move |column| normal(clustering.seed, 1, (256 * bit + column) as u64));
        columns.chain([if thresholds { normal(clustering.seed, 2, bit as u64) } else { 0.0 }])
    };
    (0..clustering.bits).flat_map(row).collect()
}

/// Purposes of random numbers.
pub mod stream {
    pub const POSITIONS: u64 = 3;
    pub const KEY_POSITIONS: u64 = 5;
    pub const SAMPLES: u64 = 6;
}

/// A position from each of `count` equal runs of `length` rows, or every position where there are not more.
pub fn strata(seed: u64, stream: u64, count: usize, length: usize) -> Vec<usize> {
    let (size, longer) = (length / count, length % count);
    (0..count.min(length))
        .map(|c| {
            let begin = c * size + c.min(longer);
            begin + (random(seed, stream, c as u64) >> 32) as usize % (size + usize::from(c < longer))
        })
        .collect()
}

/// Checks the codes of a slice's valid queries, `[L, words]`: every bit whose projection is further from its threshold than float32
/// rounding must be right. Returns how many bits were closer.
pub fn check_codes(slice: &Slice, clustering: &Clustering, planes: &[f32], codes: &[u32]) -> Result<usize, String> {
    let (words, count) = (clustering.bits.div_ceil(32), slice.queries.len());
    let width = planes.len() / clustering.bits - 1;
    let (mut mean, mut size) = (vec![0.0; width], vec![0.0; width]);
    if clustering.center {
        for query in &slice.queries {
            for (column, &value) in query.iter().enumerate() {
                mean[column] += f64::from(value) / count as f64;
                size[column] += f64::from(value.abs()) / count as f64;
            }
        }
    }
    let mut close = 0;
    for (position, query) in slice.queries.iter().enumerate() {
        let code = &codes[position * words..][..words];
        for (bit, plane) in planes.chunks(width + 1).enumerate() {
            let mut margin = -f64::from(plane[width]);
            let mut magnitude = f64::from(plane[width].abs());
            for column in 0..width {
                let (value, factor) = (f64::from(query[column]), f64::from(plane[column]));
                margin += (value - mean[column]) * factor;
                // Sums of a few hundred rounded terms: their error grows with the root of their number.
                magnitude += (value.abs() + 16.0 * size[column]) * factor.abs();
            }
            let set = code[bit / 32] >> (bit % 32) & 1 == 1;
            if margin.abs() <= 4.0 * ROUNDING * magnitude {
                close += 1;
            } else if set != (margin > 0.0) {
                return Err(format!("bit {bit} of query {position} is {set}, its projection is {margin:e}"));
            }
        }
        if !clustering.bits.is_multiple_of(32) && code[words - 1] >> (clustering.bits % 32) != 0 {
            return Err(format!("an unused bit of query {position} is set"));
        }
    }
    Ok(close)
}

/// K-means in Hamming space from given codes, `[L, words]`; nothing in it is rounded.
pub fn hamming_assignment(clustering: &Clustering, codes: &[u32], length: usize) -> Vec<u32> {
    let words = clustering.bits.div_ceil(32);
    let code = |position: usize| &codes[position * words..][..words];
    let starts = strata(clustering.seed, stream::POSITIONS, clustering.clusters, length);
    let mut centroids: Vec<Vec<u32>> = starts.into_iter().map(|start| code(start).to_vec()).collect();
    let distance = |a: &[u32], b: &[u32]| a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>();
    let assign = |centroids: &[Vec<u32>]| -> Vec<u32> {
        let nearest =
            |position| (0..centroids.len()).min_by_key(|&c| distance(&centroids[c], code(position))).unwrap_or(0);
        (0..length).map(|position| nearest(position) as u32).collect()
    };
    let mut assignment = assign(&centroids);
    for _ in 1..clustering.iterations {
        for (cluster, centroid) in centroids.iter_mut().enumerate() {
            let members: Vec<usize> = (0..length).filter(|&i| assignment[i] as usize == cluster).collect();
            if members.is_empty() {
                continue;
            }
            for bit in 0..clustering.bits {
                let votes = members.iter().filter(|&&i| code(i)[bit / 32] >> (bit % 32) & 1 == 1).count();
                let mask = 1 << (bit % 32);
                centroid[bit / 32] =
                    if 2 * votes > members.len() { centroid[bit / 32] | mask } else { centroid[bit / 32] & !mask };
            }
        }
        assignment = assign(&centroids);
    }
    assignment
}

/// Checks one Euclidean step: every query must have gone to the nearest mean of the earlier clusters, or to one that is as near to within
/// float32 rounding. Returns how many did not go to the nearest.
pub fn check_euclidean(slice: &Slice, clusters: usize, earlier: &[u32], later: &[u32]) -> Result<usize, String> {
    let width = slice.queries.first().map_or(0, Vec::len);
    let means = centroids::<f64>(slice, earlier, clusters, width);
    let candidates: Vec<usize> = (0..clusters).filter(|&c| earlier.contains(&(c as u32))).collect();
    let mut close = 0;
    for (position, (query, &chosen)) in slice.queries.iter().zip(later).enumerate() {
        if !candidates.contains(&(chosen as usize)) {
            return Err(format!("query {position} went to cluster {chosen}, which is empty"));
        }
        let score = |cluster: usize| {
            let terms = query.iter().zip(&means[cluster]).map(|(&q, &c)| {
                let q = f64::from(q);
                (2.0 * q * c - c * c, (2.0 * q * c).abs() + 3.0 * c * c)
            });
            terms.fold((0.0, 0.0), |(score, size), (term, magnitude)| (score + term, size + magnitude))
        };
        let (own, own_size) = score(chosen as usize);
        let (best, size) = candidates.iter().map(|&c| score(c)).fold((f64::NEG_INFINITY, 0.0), |best, next| {
            if next.0 > best.0 {
                next
            } else {
                best
            }
        });
        if best > own {
            close += 1;
            if best - own > 16.0 * ROUNDING * (size + own_size) {
                return Err(format!("query {position} went to {chosen}, which is {:e} further", best - own));
            }
        }
    }
    Ok(close)
}
