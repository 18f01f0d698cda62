//! How queries are grouped.

use crate::{Error, Result};

/// Where K-means groups the queries of a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Space {
    /// In Hamming space, by codes of all queries (paper, section 3.2), and then by a few Euclidean steps.
    #[default]
    Hamming,
    /// In the metric of the logits, the covariance of the keys, on a sample of the queries: queries far apart in a direction that no key looks
    /// along need no cluster of their own (`docs/method.md`).
    Metric,
}

/// Rows that K-means in a metric looks at.
pub(super) const SAMPLES: usize = 384;

#[cfg(feature = "serde")]
fn default_samples() -> usize {
    SAMPLES
}

/// How queries are grouped (`docs/method.md`): by K-means in Hamming space, to which the queries of a slice are hashed (paper, section 3.2), or
/// in the metric of the logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Clustering {
    /// Clusters of a slice (`C`). More than there are valid queries is allowed; the surplus stays empty.
    pub clusters: usize,
    /// Where K-means goes on. Default [`Space::Hamming`] for the paper's methods.
    #[cfg_attr(feature = "serde", serde(default))]
    pub space: Space,
    /// Bits of a code (`B`), at most [`Clustering::MAX_BITS`]. Default 63. [`Space::Hamming`] only, as are `bias`, `center` and
    /// `euclidean_steps`.
    pub bits: usize,
    /// Rounds of K-means. In Hamming space of assignment, at least 1, default 10; in the metric on the sample, before all queries are assigned,
    /// default 5.
    pub iterations: usize,
    /// Compare projections with random thresholds instead of zero (ignored with `center`). Default on for the paper's methods.
    pub bias: bool,
    /// Subtract the mean valid query before hashing. Default on for stitched attention.
    pub center: bool,
    /// Euclidean steps after the Hamming K-means. Default 2 for stitched attention, otherwise 0.
    pub euclidean_steps: usize,
    /// Queries that K-means in the metric looks at, at most. Default 384. [`Space::Metric`] only.
    #[cfg_attr(feature = "serde", serde(default = "default_samples"))]
    pub samples: usize,
    /// Seed of the hash planes, of the starting positions and of the samples. Default 0.
    pub seed: u64,
}

impl Clustering {
    /// The largest number of bits of a code.
    pub const MAX_BITS: usize = 256;
    /// The largest number of clusters.
    pub const MAX_CLUSTERS: usize = 65_536;
    /// The largest sample.
    pub const MAX_SAMPLES: usize = 65_536;

    /// The paper's settings: 63 bits, 10 iterations, thresholds, no centring, no Euclidean step.
    pub fn paper(clusters: usize) -> Self {
        Self {
            clusters,
            space: Space::Hamming,
            bits: 63,
            iterations: 10,
            bias: true,
            center: false,
            euclidean_steps: 0,
            samples: SAMPLES,
            seed: 0,
        }
    }

    /// In Hamming space, as serves stitched attention better: 63 bits, 10 iterations, centring, 2 Euclidean steps.
    pub fn hamming(clusters: usize) -> Self {
        Self { bias: false, center: true, euclidean_steps: 2, ..Self::paper(clusters) }
    }

    /// The settings of stitched attention: in the metric, 4 rounds on 384 samples.
    pub fn metric(clusters: usize) -> Self {
        Self { space: Space::Metric, iterations: 4, ..Self::hamming(clusters) }
    }

    /// 32-bit words of a code.
    pub(crate) fn words(&self) -> usize {
        self.bits.div_ceil(32)
    }

    /// Whether the thresholds are random; centring sets them to zero, or the codes would lose their meaning.
    pub(crate) fn random_thresholds(&self) -> bool {
        self.bias && !self.center
    }

    pub(super) fn validate(&self) -> Result<()> {
        in_range("clusters", self.clusters, 1, Self::MAX_CLUSTERS)?;
        in_range("bits", self.bits, 1, Self::MAX_BITS)?;
        in_range("iterations", self.iterations, usize::from(self.space == Space::Hamming), 1000)?;
        in_range("samples", self.samples, 1, Self::MAX_SAMPLES)?;
        in_range("euclidean_steps", self.euclidean_steps, 0, 1000)
    }
}

pub(super) fn in_range(argument: &'static str, value: usize, minimum: usize, maximum: usize) -> Result<()> {
    if (minimum..=maximum).contains(&value) {
        return Ok(());
    }
    Err(Error::OutOfRange { argument, value: value.to_string(), allowed: format!("from {minimum} to {maximum}") })
}
