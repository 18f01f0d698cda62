//! Images as grids of patches: which patches are computed together, and which keys lie around them. Twin of `shaders/shared/neighbours.wgsl`.

use super::clustering::in_range;
use super::{Method, Shape};
use crate::{Error, Result};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// The tokens of an image: first those that stand for no place in it (a class token, registers), then its patches, row by row.
///
/// Around a patch, the patches at most so many rows and columns away are computed exactly, as far as there are any, and all leading tokens. The
/// leading tokens' own rows are exact attention. Where a sequence is shorter than its tensor, the last patches are the padding.
///
/// ```
/// use clustered_attention::{Grid, Method, Problem, Shape};
/// // A photograph of 1,036 by 1,036 pixels in patches of 14, behind a class token.
/// let method = Method::stitched(25).with_key_groups(64).with_grid(Grid::new(74, 74).with_leading(1));
/// let problem = Problem::new(Shape::self_attention(1, 6, 5477, 64), method)?;
/// # Ok::<(), clustered_attention::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Grid {
    /// Rows of patches.
    pub rows: usize,
    /// Patches of a row.
    pub columns: usize,
    /// Tokens before the first patch. Default 0.
    #[cfg_attr(feature = "serde", serde(default))]
    pub leading: usize,
    /// Rows above and below that are computed exactly. Default 2.
    #[cfg_attr(feature = "serde", serde(default = "default_radius"))]
    pub row_radius: usize,
    /// Columns to the left and to the right that are. Default 2.
    #[cfg_attr(feature = "serde", serde(default = "default_radius"))]
    pub column_radius: usize,
}

const fn default_radius() -> usize {
    2
}

impl Grid {
    /// So many rows and columns, without leading tokens, with a radius of 2.
    pub fn new(rows: usize, columns: usize) -> Self {
        Self { rows, columns, leading: 0, row_radius: default_radius(), column_radius: default_radius() }
    }

    /// The same behind so many leading tokens.
    pub fn with_leading(self, leading: usize) -> Self {
        Self { leading, ..self }
    }

    /// The same with another radius.
    pub fn with_radius(self, radius: usize) -> Self {
        self.with_radii(radius, radius)
    }

    /// The same with a radius of rows and one of columns.
    pub fn with_radii(self, row_radius: usize, column_radius: usize) -> Self {
        Self { row_radius, column_radius, ..self }
    }

    /// The same with a radius as text: `2`, or `2x3` of rows and of columns.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] names what cannot be read.
    pub fn with_radius_text(self, text: &str) -> Result<Self> {
        let (rows, columns) = text.split_once('x').unwrap_or((text, text));
        let (Ok(rows), Ok(columns)) = (rows.parse(), columns.parse()) else {
            return Err(Error::OutOfRange {
                argument: "radius",
                value: format!("`{text}`"),
                allowed: "a whole number, or one of rows and one of columns such as 2x3".into(),
            });
        };
        Ok(self.with_radii(rows, columns))
    }

    /// The radius as [`with_radius_text`](Self::with_radius_text) reads it.
    pub fn radius_text(&self) -> String {
        let Self { row_radius, column_radius, .. } = self;
        if row_radius == column_radius {
            row_radius.to_string()
        } else {
            format!("{row_radius}x{column_radius}")
        }
    }

    pub(super) fn validate(&self, shape: &Shape) -> Result<()> {
        let Self { rows, columns, leading, row_radius, column_radius } = *self;
        for (argument, count) in [("grid rows", rows), ("grid columns", columns)] {
            in_range(argument, count, 1, Method::MAX_WINDOW)?;
        }
        for (argument, radius) in [("grid row_radius", row_radius), ("grid column_radius", column_radius)] {
            in_range(argument, radius, 0, Method::MAX_WINDOW)?;
        }
        let (queries, keys) = (shape.queries, shape.keys);
        let positions = rows.checked_mul(columns).and_then(|patches| patches.checked_add(leading));
        if positions != Some(queries) || queries != keys {
            return Err(Error::GridDoesNotFit { rows, columns, leading, queries, keys });
        }
        Ok(())
    }
}

/// Rows, columns and leading tokens: `74x74+1`, or `74x74`.
impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.rows, self.columns)?;
        match self.leading {
            0 => Ok(()),
            leading => write!(f, "+{leading}"),
        }
    }
}

/// Reads what `Display` writes; the radius is the default.
///
/// # Errors
/// [`Error::OutOfRange`] names what cannot be read.
impl FromStr for Grid {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let read = || {
            let (patches, leading) = text.split_once('+').unwrap_or((text, "0"));
            let (rows, columns) = patches.split_once('x')?;
            // A sign is no digit.
            let number = |text: &str| text.parse().ok().filter(|_| !text.starts_with('+'));
            let [rows, columns, leading] = [rows, columns, leading].map(number);
            Some(Self::new(rows?, columns?).with_leading(leading?))
        };
        read().ok_or_else(|| Error::OutOfRange {
            argument: "grid",
            value: format!("`{text}`"),
            allowed: "rows, columns and, where there are any, leading tokens, such as 74x74+1".into(),
        })
    }
}

/// A rectangle of patches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Patches {
    pub rows: Range<usize>,
    pub columns: Range<usize>,
}

impl Patches {
    pub const NONE: Self = Self { rows: 0..0, columns: 0..0 };

    pub fn contains(&self, row: usize, column: usize) -> bool {
        self.rows.contains(&row) && self.columns.contains(&column)
    }
}

impl Grid {
    /// A sequence, as one row.
    pub(crate) fn band(positions: usize, half_width: usize) -> Self {
        Self { rows: 1, columns: positions, leading: 0, row_radius: 0, column_radius: half_width }
    }

    /// Whether it is no more than that: then a tile and its keys are one run each.
    #[cfg(any(test, feature = "gpu"))]
    pub(crate) fn is_band(&self) -> bool {
        self.rows == 1 && self.leading == 0
    }

    /// Rows and columns of the rectangles of so many queries, a power of two from 8 on, that are computed together: the closer to a square, the
    /// fewer keys lie around them, but runs of keys shorter than eight queries' are slow to go through.
    pub(crate) fn tile_shape(&self, queries: usize) -> (usize, usize) {
        if self.rows == 1 {
            return (1, queries);
        }
        let rows = (queries / 8).min(self.rows.next_power_of_two());
        let columns = (queries / rows).min(self.columns.next_power_of_two()).max(1);
        (queries / columns, columns)
    }

    /// How many such rectangles a row has.
    pub(crate) fn tiles_across(&self, queries: usize) -> usize {
        self.columns.div_ceil(self.tile_shape(queries).1)
    }

    /// Positions of a row of them; of the tiles of a sequence, which follow one another, of one.
    pub(crate) fn row_of_tiles(&self, queries: usize) -> usize {
        match self.tile_shape(queries) {
            (1, columns) => columns,
            (rows, _) => rows * self.columns,
        }
    }

    /// How many there are.
    pub(crate) fn tiles(&self, queries: usize) -> usize {
        self.rows.div_ceil(self.tile_shape(queries).0) * self.tiles_across(queries)
    }

    /// One of them.
    pub(crate) fn tile(&self, queries: usize, number: usize) -> Patches {
        let (rows, columns) = self.tile_shape(queries);
        let across = self.tiles_across(queries);
        let (row, column) = (number / across * rows, number % across * columns);
        Patches { rows: row..(row + rows).min(self.rows), columns: column..(column + columns).min(self.columns) }
    }

    /// Those that hold any of some positions, and perhaps others.
    pub(crate) fn tiles_of(&self, queries: usize, positions: &Range<usize>) -> Range<usize> {
        let begin = positions.start.max(self.leading);
        if begin >= positions.end {
            return 0..0;
        }
        let ((rows, columns), across) = (self.tile_shape(queries), self.tiles_across(queries));
        let [first, last] = [begin, positions.end - 1].map(|position| self.place(position));
        if rows == 1 {
            first.0 * across + first.1 / columns..last.0 * across + last.1 / columns + 1
        } else {
            first.0 / rows * across..(last.0 / rows + 1) * across
        }
    }

    /// Row and column of a position that is no leading token's.
    pub(crate) fn place(&self, position: usize) -> (usize, usize) {
        let patch = position - self.leading;
        (patch / self.columns, patch % self.columns)
    }

    /// Positions of a rectangle in order.
    pub(crate) fn positions<'a>(&'a self, patches: &'a Patches) -> impl Iterator<Item = usize> + 'a {
        let position = |row: usize, column: usize| self.leading + row * self.columns + column;
        patches.rows.clone().flat_map(move |row| patches.columns.clone().map(move |column| position(row, column)))
    }

    /// The patches within reach of any of a rectangle.
    pub(crate) fn reach(&self, patches: &Patches) -> Patches {
        let widened = |range: &Range<usize>, radius: usize, count: usize| {
            range.start.saturating_sub(radius)..range.end.saturating_add(radius).min(count)
        };
        Patches {
            rows: widened(&patches.rows, self.row_radius, self.rows),
            columns: widened(&patches.columns, self.column_radius, self.columns),
        }
    }

    /// What is around one position.
    pub(crate) fn reach_of(&self, position: usize) -> Patches {
        let (row, column) = self.place(position);
        self.reach(&Patches { rows: row..row + 1, columns: column..column + 1 })
    }

    /// The keys of a reach, as runs in ascending order with the row of each; leading tokens have none. Only `keys` are valid.
    pub(crate) fn runs<'a>(
        &'a self,
        reach: &'a Patches,
        keys: usize,
    ) -> impl Iterator<Item = (Option<usize>, Range<usize>)> + Clone + 'a {
        let of_row = move |row: usize| {
            let begin = self.leading + row * self.columns;
            (Some(row), (begin + reach.columns.start).min(keys)..(begin + reach.columns.end).min(keys))
        };
        let leading = std::iter::once((None, 0..self.leading.min(keys)));
        leading.chain(reach.rows.clone().map(of_row)).filter(|(_, run)| !run.is_empty())
    }

    /// Whether a key is one of a reach.
    pub(crate) fn is_reached(&self, reach: &Patches, key: usize) -> bool {
        key < self.leading || {
            let (row, column) = self.place(key);
            reach.contains(row, column)
        }
    }

    /// Keys around so many queries, at most.
    pub(crate) fn keys_of_tile(&self, queries: usize) -> usize {
        let (rows, columns) = self.tile_shape(queries);
        let most = |tile: usize, radius: usize, count: usize| (tile + 2 * radius).min(count);
        self.leading + most(rows, self.row_radius, self.rows) * most(columns, self.column_radius, self.columns)
    }

    /// Pairs of a patch and a key around it. Saturates.
    pub(crate) fn pairs(&self) -> u64 {
        let along = |count: usize, radius: usize| {
            let (count, radius) = (count as u128, radius.min(count.saturating_sub(1)) as u128);
            count * (2 * radius + 1) - radius * (radius + 1)
        };
        let patches = along(self.rows, self.row_radius).saturating_mul(along(self.columns, self.column_radius));
        let leading = (self.leading as u128).saturating_mul(self.rows as u128 * self.columns as u128);
        u64::try_from(patches.saturating_add(leading)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Every kind of grid that few patches can tell apart.
    pub fn kinds() -> Vec<Grid> {
        let mut kinds = Vec::new();
        for (rows, columns) in [(1, 1), (1, 9), (1, 40), (2, 3), (3, 20), (5, 1), (9, 11), (40, 2)] {
            for leading in [0, 1, 5] {
                for (row_radius, column_radius) in [(0, 0), (2, 2), (1, 3), (7, 0), (1 << 28, 1 << 28)] {
                    kinds.push(Grid { rows, columns, leading, row_radius, column_radius });
                }
            }
        }
        kinds
    }

    impl Grid {
        /// Whether a query sees a key. The definition; what is above only counts by it.
        pub fn sees(&self, query: usize, key: usize) -> bool {
            let near = || {
                let ((row, column), (key_row, key_column)) = (self.place(query), self.place(key));
                row.abs_diff(key_row) <= self.row_radius && column.abs_diff(key_column) <= self.column_radius
            };
            key < self.leading || near()
        }
    }

    #[test]
    fn tiles_hold_every_patch_once_and_reach_what_any_of_theirs_sees() {
        for grid in kinds() {
            let positions = grid.leading + grid.rows * grid.columns;
            for queries in [16, 32] {
                let mut met = vec![0; positions];
                for number in 0..grid.tiles(queries) {
                    let tile = grid.tile(queries, number);
                    let own: Vec<usize> = grid.positions(&tile).collect();
                    assert!(!own.is_empty() && own.len() <= queries, "{grid:?}: {tile:?}");
                    own.iter().for_each(|&position| met[position] += 1);
                    let reach = grid.reach(&tile);
                    for keys in [positions, positions / 2, 1] {
                        let seen = |key: &usize| own.iter().any(|&query| grid.sees(query, *key));
                        let expected: Vec<usize> = (0..keys).filter(seen).collect();
                        let listed: Vec<usize> = grid.runs(&reach, keys).flat_map(|(_, run)| run).collect();
                        assert_eq!(listed, expected, "{grid:?}: {tile:?}");
                        assert!(listed.len() <= grid.keys_of_tile(queries));
                        assert!((0..keys).all(|key| grid.is_reached(&reach, key) == listed.contains(&key)));
                    }
                }
                assert!(met[..grid.leading].iter().all(|&count| count == 0), "{grid:?}");
                assert!(met[grid.leading..].iter().all(|&count| count == 1), "{grid:?}");
                for begin in 0..positions {
                    for end in begin + 1..=positions {
                        let tiles = grid.tiles_of(queries, &(begin..end));
                        let held =
                            |number: usize| grid.positions(&grid.tile(queries, number)).any(|p| p >= begin && p < end);
                        let needed: Vec<usize> = (0..grid.tiles(queries)).filter(|&number| held(number)).collect();
                        assert!(needed.iter().all(|number| tiles.contains(number)), "{grid:?}: {begin}..{end}");
                        assert!(needed.is_empty() || tiles.end <= grid.tiles(queries));
                    }
                }
            }
            let pairs = (grid.leading..positions).flat_map(|query| (0..positions).map(move |key| (query, key)));
            assert_eq!(grid.pairs(), pairs.filter(|&(query, key)| grid.sees(query, key)).count() as u64, "{grid:?}");
        }
    }

    #[test]
    fn bands_are_those_of_dense_masks() {
        for (positions, half_width) in (0..=9).flat_map(|positions| (0..=10).map(move |width| (positions, width))) {
            let band = Grid::band(positions, half_width);
            let near = |query: usize, key: usize| query.abs_diff(key) <= half_width;
            let pairs = (0..positions).flat_map(|query| (0..positions).map(move |key| (query, key)));
            assert_eq!(band.pairs(), pairs.filter(|&(query, key)| near(query, key)).count() as u64);
            assert!(band.is_band() && band.tiles(16) == positions.div_ceil(16));
            assert!((0..positions).all(|query| (0..positions).all(|key| band.sees(query, key) == near(query, key))));
        }
        assert_eq!(Grid::band(1 << 28, 16).pairs(), 33 * (1 << 28) - 16 * 17);
        assert_eq!(Grid::new(1 << 40, 1 << 40).with_radius(1 << 28).pairs(), u64::MAX);
    }

    #[test]
    fn text_is_read_as_it_is_written() {
        for grid in kinds().into_iter().map(|grid| grid.with_radius(2)) {
            assert_eq!(grid.to_string().parse(), Ok(grid));
        }
        for text in ["", "74", "74x", "x74", "74x74+", "74x74+a", "-1x3", "3x4x5", "74x74++1", "+74x74"] {
            let error = text.parse::<Grid>().expect_err(text).to_string();
            assert!(error.contains("`grid` is") && error.contains("74x74+1"), "{error}");
        }
    }
}
