//! The methods and their options.

use super::Shape;
use crate::{Error, Result};

/// How queries are grouped (paper, section 3.2; `docs/method.md`).
///
/// Queries of a slice are hashed to `bits` bits, grouped by K-means in Hamming space and, for stitched attention, moved by a few
/// Euclidean steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Clustering {
    /// Clusters of a slice (`C`). More than there are valid queries is allowed; the surplus stays empty.
    pub clusters: usize,
    /// Bits of a code (`B`), at most [`Clustering::MAX_BITS`]. Default 63.
    pub bits: usize,
    /// Rounds of assignment in Hamming space, at least 1. Default 10.
    pub iterations: usize,
    /// Compare projections with random thresholds instead of zero (ignored with `center`). Default on for the paper's methods.
    pub bias: bool,
    /// Subtract the mean valid query before hashing. Default on for stitched attention.
    pub center: bool,
    /// Euclidean steps after the Hamming K-means. Default 2 for stitched attention, otherwise 0.
    pub euclidean_steps: usize,
    /// Seed of the hash planes and of the starting positions. Default 0.
    pub seed: u64,
}

impl Clustering {
    /// The largest number of bits of a code.
    pub const MAX_BITS: usize = 256;
    /// The largest number of clusters.
    pub const MAX_CLUSTERS: usize = 65_536;

    /// The paper's settings: 63 bits, 10 iterations, thresholds, no centring, no Euclidean step.
    pub fn paper(clusters: usize) -> Self {
        Self { clusters, bits: 63, iterations: 10, bias: true, center: false, euclidean_steps: 0, seed: 0 }
    }

    /// The settings of stitched attention: 63 bits, 10 iterations, centring, 2 Euclidean steps.
    pub fn stitched(clusters: usize) -> Self {
        Self { bias: false, center: true, euclidean_steps: 2, ..Self::paper(clusters) }
    }

    /// 32-bit words of a code.
    pub(crate) fn words(&self) -> usize {
        self.bits.div_ceil(32)
    }

    /// Whether the thresholds are random; centring sets them to zero, or the codes would lose their meaning.
    pub(crate) fn random_thresholds(&self) -> bool {
        self.bias && !self.center
    }

    fn validate(&self) -> Result<()> {
        in_range("clusters", self.clusters, 1, Self::MAX_CLUSTERS)?;
        in_range("bits", self.bits, 1, Self::MAX_BITS)?;
        in_range("iterations", self.iterations, 1, 1000)?;
        in_range("euclidean_steps", self.euclidean_steps, 0, 1000)
    }
}

fn in_range(argument: &'static str, value: usize, minimum: usize, maximum: usize) -> Result<()> {
    if (minimum..=maximum).contains(&value) {
        return Ok(());
    }
    Err(Error::OutOfRange { argument, value: value.to_string(), allowed: format!("from {minimum} to {maximum}") })
}

/// A way to compute attention. Costs are for a slice of `L` queries and `S` keys of width `E`, values of width `M`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(tag = "method", rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Method {
    /// Softmax attention over all valid keys, fused: `O(L·S·(E+M))` operations, at most `O(L)` scratch.
    Exact,
    /// Every query takes its centroid's attention (paper, section 3.2): `O(C·S·(E+M))`.
    #[non_exhaustive]
    Clustered {
        /// How queries are grouped.
        clustering: Clustering,
    },
    /// The centroid's attention with its `top_k` keys computed exactly (paper, section 3.3): `+ O(L·k·(E+M))`.
    #[non_exhaustive]
    Improved {
        /// How queries are grouped.
        clustering: Clustering,
        /// Keys of a cluster that are computed exactly; more than there are keys takes them all.
        top_k: usize,
    },
    /// One softmax over a row that is exact at the cluster's `top_k` keys and inside the window, and the centroid's elsewhere
    /// (this crate's own; `docs/method.md`): `+ O(L·(k+2w+1)·(E+M))`.
    #[non_exhaustive]
    Stitched {
        /// How queries are grouped.
        clustering: Clustering,
        /// Keys of a cluster that are computed exactly.
        top_k: usize,
        /// Keys at most this far from the query's own position are computed exactly. Needs as many queries as keys.
        window: Option<usize>,
    },
    /// Softmax attention over a window around the query's own position, exactly: for layers of models that were trained so.
    /// `O(L·(left + right + sinks)·(E+M))`.
    ///
    /// Query `i` of a sequence stands at key `i + key_length - query_length`, by the sequence's own lengths, so that fewer queries than keys
    /// are the last positions; never below `i` where the tensors hold as many queries as keys. A query whose window holds no key gives zeros. With [`Problem::with_causal`](crate::Problem::with_causal)
    /// nothing behind the position is seen, the first keys included.
    #[non_exhaustive]
    Window {
        /// Keys before the position that a query sees; `None`: all.
        left: Option<usize>,
        /// Keys behind the position that a query sees; `None`: all.
        right: Option<usize>,
        /// First keys of the sequence that every query sees.
        sinks: usize,
    },
    /// Exact or stitched attention, whichever is estimated to be faster for the shape and the target; exact where it costs no more.
    ///
    /// [`Plan::new`](crate::Plan::new) chooses, from counts and not by measuring (`docs/method.md`): the same problem and target always
    /// get the same method, and [`Plan::method`](crate::Plan::method) tells which. Results are those of the method taken, bit for bit.
    /// Another target may take the other one; memory has no say.
    #[non_exhaustive]
    Auto {
        /// How queries are grouped, where stitched attention is taken.
        clustering: Clustering,
        /// As for stitched attention.
        top_k: usize,
        /// As for stitched attention; but where there are not as many queries as keys, the window is dropped instead of refused.
        window: Option<usize>,
    },
}

impl Method {
    /// The largest `top_k`.
    pub const MAX_TOP_K: usize = 1024;
    /// The largest reach of a window, and number of first keys.
    pub const MAX_WINDOW: usize = 1 << 28;

    /// Clustered attention with the paper's settings.
    pub fn clustered(clusters: usize) -> Self {
        Self::Clustered { clustering: Clustering::paper(clusters) }
    }

    /// Improved clustered attention with the paper's settings and `top_k` 32.
    pub fn improved(clusters: usize) -> Self {
        Self::Improved { clustering: Clustering::paper(clusters), top_k: 32 }
    }

    /// Stitched attention with its defaults: `top_k` 32 and a window of 16. 25 clusters serve up to some thousand queries.
    pub fn stitched(clusters: usize) -> Self {
        Self::Stitched { clustering: Clustering::stitched(clusters), top_k: 32, window: Some(16) }
    }

    /// Exact attention to the `left` keys before each position, the one at it, and the `right` ones behind it; `None` is all.
    pub fn sliding_window(left: impl Into<Option<usize>>, right: impl Into<Option<usize>>) -> Self {
        Self::Window { left: left.into(), right: right.into(), sinks: 0 }
    }

    /// The faster of exact and stitched attention, with the defaults of [`Method::stitched`].
    pub fn auto(clusters: usize) -> Self {
        Self::Auto { clustering: Clustering::stitched(clusters), top_k: 32, window: Some(16) }
    }

    /// The method's name in lower case.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Clustered { .. } => "clustered",
            Self::Improved { .. } => "improved",
            Self::Stitched { .. } => "stitched",
            Self::Window { .. } => "window",
            Self::Auto { .. } => "auto",
        }
    }

    /// How queries are grouped; `None` for exact attention and windows.
    pub fn clustering(&self) -> Option<&Clustering> {
        match self {
            Self::Exact | Self::Window { .. } => None,
            Self::Clustered { clustering }
            | Self::Improved { clustering, .. }
            | Self::Stitched { clustering, .. }
            | Self::Auto { clustering, .. } => Some(clustering),
        }
    }

    /// The same method with its clustering options changed. Methods without clusters are returned as they are.
    pub fn with_clustering(mut self, change: impl FnOnce(&mut Clustering)) -> Self {
        match &mut self {
            Self::Exact | Self::Window { .. } => {}
            Self::Clustered { clustering }
            | Self::Improved { clustering, .. }
            | Self::Stitched { clustering, .. }
            | Self::Auto { clustering, .. } => change(clustering),
        }
        self
    }

    /// The same method with another `top_k`. Methods without one are returned as they are.
    pub fn with_top_k(mut self, value: usize) -> Self {
        if let Self::Improved { top_k, .. } | Self::Stitched { top_k, .. } | Self::Auto { top_k, .. } = &mut self {
            *top_k = value;
        }
        self
    }

    /// The same method with another band. Methods without one are returned as they are.
    pub fn with_window(mut self, value: Option<usize>) -> Self {
        if let Self::Stitched { window, .. } | Self::Auto { window, .. } = &mut self {
            *window = value;
        }
        self
    }

    /// The same window with so many first keys that every query sees. Other methods are returned as they are.
    pub fn with_sinks(mut self, value: usize) -> Self {
        if let Self::Window { sinks, .. } = &mut self {
            *sinks = value;
        }
        self
    }

    /// Keys of a cluster that are computed exactly; 0 where the method has none.
    pub fn top_k(&self) -> usize {
        match *self {
            Self::Improved { top_k, .. } | Self::Stitched { top_k, .. } | Self::Auto { top_k, .. } => top_k,
            _ => 0,
        }
    }

    /// Half-width of stitched attention's exact band; `None` where the method has none, as [`Method::Window`] has.
    pub fn window(&self) -> Option<usize> {
        match *self {
            Self::Stitched { window, .. } | Self::Auto { window, .. } => window,
            _ => None,
        }
    }

    pub(crate) fn validate(&self, shape: &Shape) -> Result<()> {
        if let Some(clustering) = self.clustering() {
            clustering.validate()?;
        }
        in_range("top_k", self.top_k(), 0, Self::MAX_TOP_K)?;
        if let Some(window) = self.window() {
            in_range("window", window, 0, Self::MAX_WINDOW)?;
            if shape.queries != shape.keys && !matches!(self, Self::Auto { .. }) {
                return Err(Error::WindowNeedsSquare { queries: shape.queries, keys: shape.keys });
            }
        }
        if let Self::Window { left, right, sinks } = *self {
            for (argument, value) in [("left", left), ("right", right), ("sinks", Some(sinks))] {
                in_range(argument, value.unwrap_or(0), 0, Self::MAX_WINDOW)?;
            }
        }
        Ok(())
    }
}
