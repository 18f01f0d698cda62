//! The methods and their options.

use super::clustering::{in_range, Clustering};
use super::guard::Guard;
use super::stitched::{KeyGroups, Stitched};
use super::{Grid, Neighbourhood, Shape};
use crate::Result;

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
    /// One softmax over a row that is exact at the cluster's `top_k` keys and inside the window, and elsewhere the centroid's, leaned towards
    /// the query by groups of keys (this crate's own; `docs/method.md`): `+ O(L·(k+G+2w+1)·(E+M))`.
    Stitched(Stitched),
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
    /// Another target may take the other one; memory has no say. Where there are not as many queries as keys, a band is dropped instead
    /// of refused.
    Auto(Stitched),
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

    /// Stitched attention with its defaults ([`Stitched::new`]). 25 clusters serve up to some thousand queries.
    pub fn stitched(clusters: usize) -> Self {
        Self::Stitched(Stitched::new(clusters))
    }

    /// Exact attention to the `left` keys before each position, the one at it, and the `right` ones behind it; `None` is all.
    pub fn sliding_window(left: impl Into<Option<usize>>, right: impl Into<Option<usize>>) -> Self {
        Self::Window { left: left.into(), right: right.into(), sinks: 0 }
    }

    /// The faster of exact and stitched attention, with the defaults of [`Method::stitched`].
    pub fn auto(clusters: usize) -> Self {
        Self::Auto(Stitched::new(clusters))
    }

    /// The method's name in lower case.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Clustered { .. } => "clustered",
            Self::Improved { .. } => "improved",
            Self::Stitched(_) => "stitched",
            Self::Window { .. } => "window",
            Self::Auto(_) => "auto",
        }
    }

    /// How queries are grouped; `None` for exact attention and windows.
    pub fn clustering(&self) -> Option<&Clustering> {
        match self {
            Self::Exact | Self::Window { .. } => None,
            Self::Clustered { clustering }
            | Self::Improved { clustering, .. }
            | Self::Stitched(Stitched { clustering, .. })
            | Self::Auto(Stitched { clustering, .. }) => Some(clustering),
        }
    }

    /// The same method with its clustering options changed. Methods without clusters are returned as they are.
    pub fn with_clustering(mut self, change: impl FnOnce(&mut Clustering)) -> Self {
        match &mut self {
            Self::Exact | Self::Window { .. } => {}
            Self::Clustered { clustering }
            | Self::Improved { clustering, .. }
            | Self::Stitched(Stitched { clustering, .. })
            | Self::Auto(Stitched { clustering, .. }) => change(clustering),
        }
        self
    }

    /// The same method with another `top_k`. Methods without one are returned as they are.
    pub fn with_top_k(mut self, value: usize) -> Self {
        if let Self::Improved { top_k, .. } = &mut self {
            *top_k = value;
        }
        self.with_stitched(|stitched| stitched.top_k = value)
    }

    /// The same method with another band. Methods other than stitched and auto are returned as they are.
    pub fn with_window(self, value: Option<usize>) -> Self {
        self.with_stitched(|stitched| stitched.window = value.map(Neighbourhood::Band))
    }

    /// The same method with the neighbourhood of a patch of an image in place of a band. Methods other than stitched and
    /// auto are returned as they are.
    pub fn with_grid(self, value: Grid) -> Self {
        self.with_stitched(|stitched| stitched.window = Some(Neighbourhood::Grid(value)))
    }

    /// The same method with another number of key groups, or with other options of theirs; 0 is none. Methods without them are returned as they
    /// are.
    pub fn with_key_groups(self, value: impl Into<KeyGroups>) -> Self {
        let value = value.into();
        self.with_stitched(|stitched| stitched.key_groups = value)
    }

    /// The same method with another guard of its error. Methods without one are returned as they are.
    pub fn with_guard(self, value: Guard) -> Self {
        self.with_stitched(|stitched| stitched.guard = value)
    }

    fn with_stitched(mut self, change: impl FnOnce(&mut Stitched)) -> Self {
        if let Self::Stitched(stitched) | Self::Auto(stitched) = &mut self {
            change(stitched);
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
            Self::Improved { top_k, .. }
            | Self::Stitched(Stitched { top_k, .. })
            | Self::Auto(Stitched { top_k, .. }) => top_k,
            _ => 0,
        }
    }

    /// What stitched attention is set to; `None` for the other methods.
    pub fn stitched_options(&self) -> Option<&Stitched> {
        match self {
            Self::Stitched(stitched) | Self::Auto(stitched) => Some(stitched),
            _ => None,
        }
    }

    /// Neighbours that stitched attention computes exactly; `None` where the method has none, as [`Method::Window`] has.
    pub fn neighbourhood(&self) -> Option<Neighbourhood> {
        self.stitched_options().and_then(|stitched| stitched.window)
    }

    /// Half-width of stitched attention's exact band; `None` where the method has none.
    pub fn window(&self) -> Option<usize> {
        match self.neighbourhood()? {
            Neighbourhood::Band(half_width) => Some(half_width),
            Neighbourhood::Grid(_) => None,
        }
    }

    /// The image whose patches stitched attention computes exactly around each; `None` where the method has none.
    pub fn grid(&self) -> Option<Grid> {
        match self.neighbourhood()? {
            Neighbourhood::Band(_) => None,
            Neighbourhood::Grid(grid) => Some(grid),
        }
    }

    pub(crate) fn validate(&self, shape: &Shape) -> Result<()> {
        if let Some(clustering) = self.clustering() {
            clustering.validate()?;
        }
        in_range("top_k", self.top_k(), 0, Self::MAX_TOP_K)?;
        if let Some(stitched) = self.stitched_options() {
            stitched.key_groups.validate()?;
            stitched.guard.validate()?;
        }
        if let Some(neighbourhood) = self.neighbourhood() {
            neighbourhood.validate(shape, !matches!(self, Self::Auto(_)))?;
        }
        if let Self::Window { left, right, sinks } = *self {
            for (argument, value) in [("left", left), ("right", right), ("sinks", Some(sinks))] {
                in_range(argument, value.unwrap_or(0), 0, Self::MAX_WINDOW)?;
            }
        }
        Ok(())
    }
}
