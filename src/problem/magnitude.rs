//! How large the elements of a tensor are: NaN and infinities are found, and finite numbers whose products or sums would not be.

use super::{Method, Problem, Space, Stored, Strides};
use crate::parallel::each;
use crate::{Error, Result};
use pulp::{Arch, Simd, WithSimd};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// What sums and products may reach: float32's largest number, less what rounding adds.
pub(super) const MOST: f64 = f32::MAX as f64 * 0.999;

/// The valid rows of a tensor.
pub(super) struct Valid<'a, E> {
    pub tensor: &'static str,
    pub data: &'a [E],
    pub strides: Strides,
    /// Sequences, heads, rows, columns.
    pub size: [usize; 4],
    /// Valid rows of each sequence.
    pub lengths: Option<&'a [u32]>,
}

/// Rows of one task.
const BLOCK: usize = 1024;

impl<E: Stored> Valid<'_, E> {
    fn valid(&self, batch: usize) -> usize {
        self.lengths.map_or(self.size[2], |lengths| lengths[batch] as usize)
    }

    /// The largest magnitude of a valid element, or the first NaN or infinity. One read of the tensor.
    pub fn largest(&self) -> Result<f32> {
        let [batches, heads, rows, width] = self.size;
        let blocks = rows.div_ceil(BLOCK);
        // Magnitudes are ordered as numbers are; rows are numbered through all slices.
        let (all, first_bad) = (AtomicU32::new(0), AtomicUsize::new(usize::MAX));
        each(0..batches * heads * blocks, |number| {
            let (slice, begin) = (number / blocks, number % blocks * BLOCK);
            let (batch, head) = (slice / heads, slice % heads);
            let listed = BLOCK.min(self.valid(batch).saturating_sub(begin));
            if listed == 0 {
                return;
            }
            let data = &self.data[self.strides.offset(batch, head, begin)..];
            let rows_of = LargestOfRows { data, stride: self.strides.row, width, rows: listed };
            let (bad, largest) = Arch::new().dispatch(rows_of);
            all.fetch_max(largest as u32, Ordering::Relaxed);
            if let Some(row) = bad {
                first_bad.fetch_min(slice * rows + begin + row, Ordering::Relaxed);
            }
        });
        let first_bad = first_bad.into_inner();
        if first_bad == usize::MAX {
            return Ok(E::of_magnitude(all.into_inner() as i32));
        }
        let (slice, row) = (first_bad / rows, first_bad % rows);
        let (batch, head) = (slice / heads, slice % heads);
        let begin = self.strides.offset(batch, head, row);
        let values = &self.data[begin..begin + width];
        let column = values.iter().position(|value| value.magnitude() >= E::INFINITE).unwrap_or(0);
        let (tensor, value) = (self.tensor, values[column].wide());
        Err(Error::NotFinite { tensor, index: begin + column, batch, head, row, column, value })
    }

    /// The largest L2 norm of a valid row of a slice.
    fn largest_norm(&self, batch: usize, head: usize) -> f64 {
        let square = |row: usize| -> f64 {
            let row = &self.data[self.strides.offset(batch, head, row)..][..self.size[3]];
            row.iter().map(|&value| f64::from(value.wide()).powi(2)).sum()
        };
        (0..self.valid(batch)).map(square).fold(0.0, f64::max).sqrt()
    }
}

/// Checks that logits, and squared distances where queries are clustered and where keys are or make the metric, stay within float32. By the largest elements, which are known; only
/// where those leave it open, by the norms of the rows (Cauchy and Schwarz), which bound every partial sum too.
pub(super) fn check<E: Stored>(
    problem: &Problem,
    queries: &Valid<E>,
    query: f32,
    keys: &Valid<E>,
    key: f32,
) -> Result<()> {
    let shape = problem.shape();
    // The scale comes before the product on the CPU and behind it on a GPU; both have to be numbers.
    let factor = f64::from(problem.scale()).max(1.0);
    let clustered = !matches!(problem.method(), Method::Exact | Method::Window { .. });
    let grouped = problem.method().stitched_options().is_some_and(|stitched| stitched.key_groups.groups > 0);
    let grouped = grouped || problem.method().clustering().is_some_and(|clustering| clustering.space == Space::Metric);
    let (query, key, width) = (f64::from(query), f64::from(key), shape.width as f64);
    let squares_fit = |used: bool, largest: f64| !used || 4.0 * width * largest * largest <= MOST;
    if width * query * key.max(1.0) * factor <= MOST && squares_fit(clustered, query) && squares_fit(grouped, key) {
        return Ok(());
    }
    for batch in 0..shape.batch {
        for head in 0..shape.query_heads {
            let query = queries.largest_norm(batch, head);
            let key = keys.largest_norm(batch, head / (shape.query_heads / shape.key_heads));
            let logits = query * key.max(1.0) * factor;
            let squares = |used: bool, largest: f64| if used { 4.0 * largest * largest } else { 0.0 };
            let all = [
                ("logits", logits),
                ("squared distances of queries", squares(clustered, query)),
                ("squared distances of keys", squares(grouped, key)),
            ];
            if let Some((what, bound)) = all.into_iter().find(|(_, bound)| *bound > MOST) {
                return Err(Error::Overflow { what, batch, head, bound });
            }
        }
    }
    Ok(())
}

struct LargestOfRows<'a, E> {
    data: &'a [E],
    stride: usize,
    width: usize,
    rows: usize,
}

impl<E: Stored> WithSimd for LargestOfRows<'_, E> {
    /// The first row with an element that is not finite, and the largest magnitude before it.
    type Output = (Option<usize>, i32);

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Self::Output {
        let mut all = 0;
        let bad = self.data.chunks(self.stride).take(self.rows).position(|row| {
            // A maximum without branches vectorises.
            let largest = row[..self.width].iter().fold(0, |largest, value| largest.max(value.magnitude()));
            let finite = largest < E::INFINITE;
            if finite {
                all = all.max(largest);
            }
            !finite
        });
        (bad, all)
    }
}
