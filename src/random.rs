//! Random numbers that depend on a seed and a position only, the same on every platform and in the browser.
//!
//! SplitMix64 (Steele, Lea, Flood 2014) used as a counter-based generator: value `i` of stream `s` is a mix of the two, so nothing
//! is carried from draw to draw. The normal numbers go through `libm`, whose software logarithm and cosine give the same bits everywhere.

/// A stream of numbers for one purpose.
#[derive(Clone, Copy)]
pub(crate) enum Stream {
    Planes = 1,
    Thresholds = 2,
    Positions = 3,
    Rows = 4,
    KeyPositions = 5,
    Samples = 6,
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// 64 random bits at position `index` of a stream.
pub(crate) fn bits(seed: u64, stream: Stream, index: u64) -> u64 {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let key = mix(seed.wrapping_add(GOLDEN.wrapping_mul(stream as u64)));
    mix(key.wrapping_add(GOLDEN.wrapping_mul(index.wrapping_add(1))))
}

/// A standard normal number at position `index` of a stream (Box and Muller 1958, the cosine branch).
pub(crate) fn normal(seed: u64, stream: Stream, index: u64) -> f32 {
    let unit = |bits: u64| ((bits >> 11) as f64 + 0.5) * (1.0 / (1u64 << 53) as f64);
    let radius = libm::sqrt(-2.0 * libm::log(unit(bits(seed, stream, 2 * index))));
    let angle = std::f64::consts::TAU * unit(bits(seed, stream, 2 * index + 1));
    (radius * libm::cos(angle)) as f32
}

/// Hash planes of `bits` rows of `width + 1` columns: a normal vector `a_b` and its threshold `c_b`.
pub(crate) fn planes(seed: u64, bits: usize, width: usize, thresholds: bool) -> Vec<f32> {
    let mut planes = Vec::with_capacity(bits * (width + 1));
    for bit in 0..bits {
        for column in 0..width {
            // The position does not depend on the width, so the same bit has the same plane in every model.
            let index = (bit * crate::Shape::MAX_WIDTH + column) as u64;
            planes.push(normal(seed, Stream::Planes, index));
        }
        planes.push(if thresholds { normal(seed, Stream::Thresholds, bit as u64) } else { 0.0 });
    }
    planes
}

/// 32-bit numbers, from which positions are chosen: one a cluster ([`Stream::Positions`]), a key group or a sample.
pub(crate) fn starts(seed: u64, stream: Stream, count: usize) -> Vec<u32> {
    (0..count as u64).map(|index| (bits(seed, stream, index) >> 32) as u32).collect()
}

/// Position of a sample among `length` valid rows, of as many samples as there are numbers, or as rows.
pub(crate) fn sample_position(numbers: &[u32], sample: usize, length: usize) -> usize {
    start_position(numbers[sample], sample, numbers.len().min(length), length).unwrap_or(0)
}

/// Starting position of a cluster among `length` valid queries: the range is cut into as many strata as clusters and one query drawn
/// from each, so the positions are distinct. `None` for a surplus cluster (more clusters than queries).
pub(crate) fn start_position(start: u32, cluster: usize, clusters: usize, length: usize) -> Option<usize> {
    let (stratum, rest) = (length / clusters, length % clusters);
    let begin = cluster * stratum + cluster.min(rest);
    let size = stratum + usize::from(cluster < rest);
    (size > 0).then(|| begin + start as usize % size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_pinned() {
        // A change of these numbers changes every user's result for a seed.
        assert_eq!(bits(0, Stream::Planes, 0), bits(0, Stream::Planes, 0));
        assert_ne!(bits(0, Stream::Planes, 0), bits(0, Stream::Thresholds, 0));
        assert_ne!(bits(0, Stream::Planes, 0), bits(1, Stream::Planes, 0));
        let normals: Vec<u32> = (0..3).map(|i| normal(7, Stream::Planes, i).to_bits()).collect();
        assert_eq!(normals, PINNED_NORMALS);
    }

    const PINNED_NORMALS: [u32; 3] = [3203647282, 3210623064, 1058636530];

    #[test]
    fn normals_have_mean_zero_and_variance_one() {
        let count = 20_000;
        let values: Vec<f64> = (0..count).map(|i| normal(3, Stream::Planes, i) as f64).collect();
        let mean = values.iter().sum::<f64>() / count as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count as f64;
        assert!(mean.abs() < 0.03, "{mean}");
        assert!((variance - 1.0).abs() < 0.05, "{variance}");
    }

    #[test]
    fn start_positions_are_distinct_and_valid() {
        for (clusters, length) in [(1, 1), (7, 7), (7, 20), (25, 1500), (9, 4), (3, 0)] {
            let starts = starts(5, Stream::Positions, clusters);
            let positions: Vec<usize> =
                (0..clusters).filter_map(|c| start_position(starts[c], c, clusters, length)).collect();
            assert_eq!(positions.len(), clusters.min(length));
            assert!(positions.windows(2).all(|pair| pair[0] < pair[1]));
            assert!(positions.iter().all(|&p| p < length));
        }
    }
}
