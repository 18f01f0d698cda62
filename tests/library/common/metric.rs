//! Clustering in a metric as `docs/method.md` has it, written out again: samples, covariances, K-means, and how badly a group stands for a key.

use super::case::Slice;
use super::clustering::{strata, stream};
use super::reference::{centroids, widen, Matrix, Real, ROUNDING};
use clustered_attention::Clustering;

/// Rows that a covariance is taken of, at most.
const COVARIANCE_SAMPLES: usize = 256;

/// The sampled keys less their mean.
pub fn centred_keys<F: Real>(slice: &Slice, clustering: &Clustering, width: usize) -> Matrix<F> {
    let mut rows = widen::<F>(&sampled(&slice.keys, clustering));
    let mut mean = vec![F::from(0.0); width];
    rows.iter().for_each(|row| mean.iter_mut().zip(row).for_each(|(mean, &value)| *mean += value));
    let count = F::from(rows.len().max(1) as f32);
    mean.iter_mut().for_each(|mean| *mean = *mean / count);
    rows.iter_mut().for_each(|row| subtract(row, &mean));
    rows
}

/// The sampled queries less their centroids.
pub fn centred_queries<F: Real>(slice: &Slice, clustering: &Clustering, assignment: &[u32], width: usize) -> Matrix<F> {
    let means = centroids::<F>(slice, assignment, clustering.clusters, width);
    let mut rows = widen::<F>(&sampled(&slice.queries, clustering));
    let positions = strata(clustering.seed, stream::SAMPLES, COVARIANCE_SAMPLES, slice.queries.len());
    for (row, position) in rows.iter_mut().zip(positions) {
        subtract(row, &means[assignment[position] as usize]);
    }
    rows
}

fn sampled(rows: &[Vec<f32>], clustering: &Clustering) -> Vec<Vec<f32>> {
    let positions = strata(clustering.seed, stream::SAMPLES, COVARIANCE_SAMPLES, rows.len());
    positions.into_iter().map(|position| rows[position].clone()).collect()
}

fn subtract<F: Real>(row: &mut [F], mean: &[F]) {
    row.iter_mut().zip(mean).for_each(|(value, &mean)| *value = *value - mean);
}

/// Mean product of every two columns.
pub fn covariance<F: Real>(rows: &[Vec<F>], width: usize) -> Matrix<F> {
    let count = F::from(rows.len().max(1) as f32);
    let mut sums = vec![vec![F::from(0.0); width]; width];
    for row in rows {
        for (sums, &factor) in sums.iter_mut().zip(row) {
            sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += factor * value);
        }
    }
    sums.iter_mut().flatten().for_each(|sum| *sum = *sum / count);
    sums
}

/// A metric, and the sizes of what its entries are sums of, which rounding goes by.
pub struct Metric {
    matrix: Matrix<f64>,
    sizes: Matrix<f64>,
}

impl Metric {
    /// The covariance of centred rows.
    pub fn new(rows: &[Vec<f64>], width: usize) -> Self {
        let magnitudes: Matrix<f64> = rows.iter().map(|row| row.iter().map(|value| value.abs()).collect()).collect();
        Self { matrix: covariance(rows, width), sizes: covariance(&magnitudes, width) }
    }

    /// The same, or L2 where it is zero.
    pub fn or_euclidean(self) -> Self {
        if self.matrix.iter().flatten().any(|&value| value != 0.0) {
            return self;
        }
        let width = self.matrix.len();
        let unit = |i: usize| (0..width).map(|j| f64::from(u8::from(i == j))).collect();
        let matrix: Matrix<f64> = (0..width).map(unit).collect();
        Self { sizes: matrix.clone(), matrix }
    }
}

fn product(matrix: &[Vec<f64>], column: &[f64]) -> Vec<f64> {
    matrix.iter().map(|row| row.iter().zip(column).map(|(a, b)| a * b).sum()).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// A mean of rows, and of their magnitudes.
#[derive(Clone)]
struct Centre {
    mean: Vec<f64>,
    size: Vec<f64>,
}

impl Centre {
    fn of<'a>(rows: impl Iterator<Item = &'a Vec<f32>> + Clone) -> Option<Self> {
        let count = rows.clone().count();
        let mean = |size: fn(f64) -> f64| -> Option<Vec<f64>> {
            let sum = |mut sum: Vec<f64>, row: Vec<f64>| {
                sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
                sum
            };
            let rows = rows.clone().map(|row| row.iter().map(|&value| size(f64::from(value))).collect());
            rows.reduce(sum).map(|sum: Vec<f64>| sum.into_iter().map(|sum| sum / count as f64).collect())
        };
        Some(Self { mean: mean(|value| value)?, size: mean(f64::abs)? })
    }
}

/// Centres of K-means; `None` is never chosen.
pub struct Centres(Vec<Option<Centre>>);

impl Centres {
    /// Rows at some positions; there is none behind the last.
    pub fn at(rows: &[Vec<f32>], positions: &[usize], count: usize) -> Self {
        let centre =
            |index: usize| Centre::of(positions.get(index).and_then(|&position| rows.get(position)).into_iter());
        Self((0..count).map(centre).collect())
    }

    /// Moves them to the means of the sampled rows that went to them; one without such rows stays.
    pub fn follow(&mut self, rows: &[Vec<f32>], sample: &[usize], assigned: &[u32]) {
        for (index, centre) in (0..).zip(&mut self.0) {
            let members =
                sample.iter().filter(|&&position| assigned[position] == index).map(|&position| &rows[position]);
            *centre = Centre::of(members).or_else(|| centre.take());
        }
    }

    /// Checks that every row went to the nearest centre, or to one that is as near to within float32 rounding. Returns how many did not go
    /// to the nearest.
    pub fn check(&self, metric: &Metric, rows: &[Vec<f32>], assigned: &[u32]) -> Result<usize, String> {
        struct Scaled {
            index: u32,
            row: Vec<f64>,
            norm: f64,
            size: Vec<f64>,
            norm_size: f64,
        }
        let scaled = |(index, centre): (usize, &Option<Centre>)| {
            let Centre { mean, size } = centre.as_ref()?;
            let (row, sizes) = (product(&metric.matrix, mean), product(&metric.sizes, size));
            Some(Scaled { index: index as u32, norm: dot(&row, mean), norm_size: dot(&sizes, size), row, size: sizes })
        };
        let centres: Vec<Scaled> = self.0.iter().enumerate().filter_map(scaled).collect();
        let mut close = 0;
        for (position, (row, &chosen)) in rows.iter().zip(assigned).enumerate() {
            let row: Vec<f64> = row.iter().map(|&value| value.into()).collect();
            let magnitude: Vec<f64> = row.iter().map(|value| value.abs()).collect();
            let score = |centre: &Scaled| 2.0 * dot(&row, &centre.row) - centre.norm;
            let size = |centre: &Scaled| 2.0 * dot(&magnitude, &centre.size) + centre.norm_size;
            let Some(best) = centres.iter().reduce(|a, b| if score(b) > score(a) { b } else { a }) else {
                if chosen == 0 {
                    continue;
                }
                return Err(format!("row {position} went to {chosen} of no centre"));
            };
            let Some(own) = centres.iter().find(|centre| centre.index == chosen) else {
                return Err(format!("row {position} went to {chosen}, which is no centre"));
            };
            let further = score(best) - score(own);
            close += usize::from(further > 0.0);
            if further > 16.0 * ROUNDING * (size(best) + size(own)) {
                return Err(format!(
                    "row {position} went to {chosen}, which is {further:e} further than {}",
                    best.index
                ));
            }
        }
        Ok(close)
    }
}

/// What is added to each key's logits for the selection: the least and the most that float32 may make of it.
pub fn spread(slice: &Slice, metric: &Metric, key_groups: &[u32], groups: usize) -> Vec<(f64, f64)> {
    let of_group = |group: usize| {
        let members = slice.keys.iter().zip(key_groups).filter(move |(_, &other)| other as usize == group);
        Centre::of(members.map(|(key, _)| key))
    };
    let centres: Vec<Option<Centre>> = (0..groups).map(of_group).collect();
    let scale = f64::from(slice.scale);
    let of_key = |(key, &group): (&Vec<f32>, &u32)| {
        let centre = centres[group as usize].as_ref().expect("the group of a key has a key");
        let offset: Vec<f64> = key.iter().zip(&centre.mean).map(|(&value, mean)| f64::from(value) - mean).collect();
        let size: Vec<f64> = key.iter().zip(&centre.size).map(|(&value, size)| f64::from(value.abs()) + size).collect();
        let (square, rounding) = (
            dot(&offset, &product(&metric.matrix, &offset)),
            16.0 * ROUNDING * dot(&size, &product(&metric.sizes, &size)),
        );
        let logarithm = |square: f64| (scale * scale * square).max(1e-6).ln() / scale;
        // The logarithm and its product are rounded themselves.
        let (low, high) = (logarithm(square - rounding), logarithm(square + rounding));
        (low - 4.0 * ROUNDING * low.abs(), high + 4.0 * ROUNDING * high.abs())
    };
    slice.keys.iter().zip(key_groups).map(of_key).collect()
}
