//! What stitched attention computes exactly beside the top-k keys.

use super::clustering::in_range;
use super::{Grid, Method, Shape};
use crate::{Error, Result};
use std::fmt;

/// The keys around a query's own position. Queries and keys are as many, and query `i` stands at key `i` whatever the lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(untagged))]
#[non_exhaustive]
pub enum Neighbourhood {
    /// Those at most so far away in the sequence.
    Band(usize),
    /// Those around its place in an image.
    Grid(Grid),
}

/// In words: `window 16`, `grid 74x74+1, radius 2`.
impl fmt::Display for Neighbourhood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Band(half_width) => write!(f, "window {half_width}"),
            Self::Grid(grid) => write!(f, "grid {grid}, radius {}", grid.radius_text()),
        }
    }
}

impl Neighbourhood {
    /// The same as a grid, which a sequence of so many positions is one row of.
    pub(crate) fn grid(self, positions: usize) -> Grid {
        match self {
            Self::Band(half_width) => Grid::band(positions, half_width),
            Self::Grid(grid) => grid,
        }
    }

    pub(super) fn validate(&self, shape: &Shape, needs_square: bool) -> Result<()> {
        match self {
            Self::Band(half_width) => {
                in_range("window", *half_width, 0, Method::MAX_WINDOW)?;
                if shape.queries != shape.keys && needs_square {
                    return Err(Error::WindowNeedsSquare { queries: shape.queries, keys: shape.keys });
                }
                Ok(())
            }
            Self::Grid(grid) => grid.validate(shape),
        }
    }
}
