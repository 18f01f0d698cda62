//! The options of stitched attention.

use super::clustering::{in_range, Clustering, SAMPLES};
use super::guard::Guard;
use super::Neighbourhood;
use crate::Result;

/// Stitched attention's options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Stitched {
    /// How queries are grouped.
    pub clustering: Clustering,
    /// Keys of a cluster that are computed exactly. Default 64.
    pub top_k: usize,
    /// Keys around the query's own position that are computed exactly. Needs as many queries as keys. Default: a band of 16.
    pub window: Option<Neighbourhood>,
    /// How keys are grouped.
    #[cfg_attr(feature = "serde", serde(default))]
    pub key_groups: KeyGroups,
    /// What watches over the error. Default [`Guard::OFF`].
    #[cfg_attr(feature = "serde", serde(default))]
    pub guard: Guard,
}

impl Stitched {
    /// The defaults: clusters in the metric of the logits, 16 key groups, `top_k` 64 and a window of 16.
    pub fn new(clusters: usize) -> Self {
        Self {
            clustering: Clustering::metric(clusters),
            top_k: 64,
            window: Some(Neighbourhood::Band(16)),
            key_groups: KeyGroups::new(16),
            guard: Guard::OFF,
        }
    }

    /// Clusters in Hamming space, no key groups, and a `top_k` of 32: what stitched attention was before there were key groups.
    pub fn hamming(clusters: usize) -> Self {
        let (clustering, key_groups) = (Clustering::hamming(clusters), KeyGroups::NONE);
        Self { clustering, top_k: 32, key_groups, ..Self::new(clusters) }
    }
}

/// How the keys outside a cluster's top-k are grouped: each group of a cluster is one pseudo-key, which leans towards each query
/// (`docs/method.md`). Groups are made by K-means on a sample of the keys, in the metric of what queries differ by from their centroids.
///
/// The default is none: the centroid's attention as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct KeyGroups {
    /// Groups of a slice (`G`), at most [`KeyGroups::MAX_GROUPS`]; 0 is none. More than there are valid keys is allowed; the surplus stays
    /// empty.
    pub groups: usize,
    /// Keys that K-means looks at, at most. Default 384.
    pub samples: usize,
    /// Rounds of K-means on the sample, before all keys are assigned. Default 2.
    pub rounds: usize,
    /// Whether a key that its group stands for badly enters the top-k earlier.
    pub spread: bool,
}

impl KeyGroups {
    /// The largest number of groups.
    pub const MAX_GROUPS: usize = 1024;
    /// No groups.
    pub const NONE: Self = Self { groups: 0, samples: SAMPLES, rounds: 2, spread: false };

    /// So many groups, with the defaults.
    pub fn new(groups: usize) -> Self {
        Self { groups, ..Self::NONE }
    }

    /// The same with another sample.
    pub fn with_samples(self, samples: usize) -> Self {
        Self { samples, ..self }
    }

    /// The same with other rounds.
    pub fn with_rounds(self, rounds: usize) -> Self {
        Self { rounds, ..self }
    }

    /// The same with or without the spread of groups in the selection of the top-k.
    pub fn with_spread(self, spread: bool) -> Self {
        Self { spread, ..self }
    }

    pub(super) fn validate(&self) -> Result<()> {
        in_range("key_groups", self.groups, 0, Self::MAX_GROUPS)?;
        in_range("key_samples", self.samples, 1, Clustering::MAX_SAMPLES)?;
        in_range("key_rounds", self.rounds, 0, 1000)
    }
}

impl Default for KeyGroups {
    fn default() -> Self {
        Self::NONE
    }
}

impl From<usize> for KeyGroups {
    fn from(groups: usize) -> Self {
        Self::new(groups)
    }
}
