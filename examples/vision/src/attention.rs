//! Methods of attention for images of any size.

use clustered_attention::{Grid, Method};
use clustered_attention_models::methods::with_seed;

/// A method of attention; what is exact around a patch depends on the image, so methods with an image are made for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attention {
    /// Any method, as it is.
    Plain(Method),
    /// Stitched attention with the patches at most so many rows and columns away.
    Image {
        /// Its options.
        stitched: Method,
        /// Rows and columns.
        radius: usize,
    },
}

impl Attention {
    /// Top keys of stitched attention for images, unless others are asked for.
    pub const TOP_K: usize = 32;
    /// Rows and columns around a patch that are exact, likewise.
    pub const RADIUS: usize = 2;

    /// Stitched attention for images, with so many clusters and key groups, and otherwise what is usual here.
    pub fn image(clusters: usize, key_groups: usize) -> Self {
        let stitched = Method::stitched(clusters).with_key_groups(key_groups).with_top_k(Self::TOP_K);
        Self::Image { stitched, radius: Self::RADIUS }
    }

    /// The method for an image of so many rows and columns of patches behind a class token.
    pub fn method(&self, rows: usize, columns: usize) -> Method {
        match *self {
            Self::Plain(method) => method,
            Self::Image { stitched, radius } => {
                stitched.with_grid(Grid::new(rows, columns).with_leading(1).with_radius(radius))
            }
        }
    }

    /// The same with another seed; exact attention has none.
    pub fn with_seed(self, seed: u64) -> Self {
        match self {
            Self::Plain(method) => Self::Plain(with_seed(method, seed)),
            Self::Image { stitched, radius } => Self::Image { stitched: with_seed(stitched, seed), radius },
        }
    }

    /// In a few words.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Plain(method) if method.name() == "stitched" => "stitched, as a sequence",
            Self::Plain(method) => method.name(),
            Self::Image { .. } => "stitched, as an image",
        }
    }

    /// Whether seeds make a difference.
    pub fn is_seeded(&self) -> bool {
        !matches!(self, Self::Plain(Method::Exact))
    }
}
