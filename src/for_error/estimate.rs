//! The error of all rows, from exact rows and from what methods differ by among themselves.

use super::found::Trial;
use super::ladder::Candidate;
use crate::accuracy::{relative, squares};
use crate::{ExactRows, Problem};

/// Rows of an output, one after another: those of the comparison, then those that are known exactly, slice by slice.
#[derive(Debug)]
pub(super) struct OutputRows {
    pub compared: Vec<f32>,
    pub exact: Vec<f32>,
}

/// Positions of rows of each slice, ascending.
pub(super) type Positions = [Vec<usize>];

/// A mean over drawn rows, and its variance.
#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    mean: f64,
    variance: f64,
}

impl Mean {
    /// Of numbers drawn among `all` rows. Where all were drawn, nothing is left to chance.
    fn of(numbers: impl Iterator<Item = f64> + Clone, all: usize) -> Self {
        let count = numbers.clone().count();
        if count == 0 {
            return Self::default();
        }
        let mean = numbers.clone().sum::<f64>() / count as f64;
        if count >= all {
            return Self { mean, variance: 0.0 };
        }
        let squares: f64 = numbers.map(|number| (number - mean).powi(2)).sum();
        let left = 1.0 - count as f64 / all as f64;
        Self { mean, variance: left * squares / (count.max(2) - 1) as f64 / count as f64 }
    }
}

/// What outputs are held against.
pub(super) struct Judge<'a> {
    problem: &'a Problem,
    exact: &'a ExactRows,
    compared: &'a Positions,
    /// Valid queries of each slice.
    valid: Vec<usize>,
    reference: OutputRows,
    /// Standard errors between the error and what has to meet the target.
    margin: f64,
}

impl<'a> Judge<'a> {
    pub fn new(
        problem: &'a Problem,
        exact: &'a ExactRows,
        compared: &'a Positions,
        query_lengths: Option<&[u32]>,
        reference: OutputRows,
        margin: f64,
    ) -> Self {
        let shape = problem.shape();
        let valid = |slice| query_lengths.map_or(shape.queries, |lengths| lengths[slice / shape.query_heads] as usize);
        Self { problem, exact, compared, valid: (0..shape.slices()).map(valid).collect(), reference, margin }
    }

    /// The error of the method whose rows are the reference.
    pub fn judge_reference(&self, candidate: &Candidate) -> Trial {
        self.judge(candidate, &self.reference)
    }

    /// The error of a method: the squared difference from the reference, which is known at many rows, and at the exact rows what it lacks of
    /// the squared error. The second differs little from row to row, so that few rows tell its mean.
    pub fn judge(&self, candidate: &Candidate, output: &OutputRows) -> Trial {
        let width = self.problem.shape().value_width;
        fn row(rows: &[f32], row: usize, width: usize) -> &[f32] {
            &rows[row * width..][..width]
        }
        let (mut difference, mut variance, mut norm) = (0.0, 0.0, 0.0);
        let (mut first_compared, mut first_exact) = (0, 0);
        let mut exact_begins = Vec::with_capacity(self.valid.len());
        for ((slice, positions), &valid) in self.exact.positions().iter().enumerate().zip(&self.valid) {
            let compared = self.compared[slice].len();
            let apart: Vec<(f64, f64)> = (first_compared..first_compared + compared)
                .map(|i| squares(row(&self.reference.compared, i, width), row(&output.compared, i, width)))
                .collect();
            let lacking: Vec<(f64, f64)> = (0..positions.len())
                .map(|place| {
                    let (exact, i) = (self.exact.row(slice, place), first_exact + place);
                    let (error, exact_norm) = squares(exact, row(&output.exact, i, width));
                    let (apart, reference_norm) =
                        squares(row(&self.reference.exact, i, width), row(&output.exact, i, width));
                    (error - apart, exact_norm - reference_norm)
                })
                .collect();
            let (apart_mean, lacking_mean) = (
                Mean::of(apart.iter().map(|(apart, _)| *apart), valid),
                Mean::of(lacking.iter().map(|(lacking, _)| *lacking), valid),
            );
            let norms = [
                Mean::of(apart.iter().map(|(_, norm)| *norm), valid),
                Mean::of(lacking.iter().map(|(_, norm)| *norm), valid),
            ];
            let rows = valid as f64;
            difference += rows * (apart_mean.mean + lacking_mean.mean);
            variance += rows * rows * (apart_mean.variance + lacking_mean.variance);
            norm += rows * (norms[0].mean + norms[1].mean);
            exact_begins.push(first_exact);
            (first_compared, first_exact) = (first_compared + compared, first_exact + positions.len());
        }
        // Few rows can say that there is less than no error, or no output; NaN must stay what it is.
        let at_least_zero = |number: f64| if number < 0.0 { 0.0 } else { number };
        let (difference, norm) = (at_least_zero(difference), at_least_zero(norm));
        let error_of =
            |difference| Some(relative(difference, norm)).filter(|error| !error.is_nan()).unwrap_or(f64::INFINITY);
        Trial {
            method: *candidate.problem.method(),
            estimated_seconds: candidate.estimated_seconds,
            error: error_of(difference),
            upper_error: error_of(difference + self.margin * variance.sqrt()),
            accuracy: self.exact.compare_rows(|slice, place| row(&output.exact, exact_begins[slice] + place, width)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Attention, Backend, Inputs, Method, Rows, Shape};

    /// The trial of an output that is exact attention times a factor, with so many exact rows a head, beside a reference of another factor.
    fn trial(factor: f32, reference: f32, per_head: usize) -> Trial {
        let shape = Shape::self_attention(1, 2, 40, 6);
        let problem = Problem::new(shape, Method::Exact).expect("a problem");
        let data: Vec<f32> = (0..shape.query_elements()).map(|i| (i as f32 * 0.37).sin()).collect();
        let (attention, inputs) =
            (Attention::new_blocking(Backend::Cpu).expect("the CPU"), Inputs::new(&data, &data, &data));
        let output = attention.run_blocking(&problem, &inputs).expect("an output");
        let rows = Rows::Sample { per_head, seed: 3 };
        let exact = ExactRows::compute_blocking(&attention, &problem, &inputs, rows).expect("exact rows");
        let all: Vec<Vec<usize>> = vec![(0..40).collect(); 2];
        let rows_of = |factor: f32, positions: &Positions| {
            let offsets = crate::for_error::source::offsets(&problem, positions);
            offsets.flat_map(|offset| &output[offset..][..6]).map(|value| factor * value).collect()
        };
        let rows = |factor| OutputRows { compared: rows_of(factor, &all), exact: rows_of(factor, exact.positions()) };
        let candidate = Candidate { problem, estimated_seconds: 1.0 };
        Judge::new(&problem, &exact, &all, None, rows(reference), 2.0).judge(&candidate, &rows(factor))
    }

    #[test]
    fn all_rows_leave_nothing_to_chance() {
        for (factor, reference) in [(1.25, 1.0), (1.25, 1.25), (0.75, 1.1), (1.0, 0.9)] {
            let trial = trial(factor, reference, 40);
            assert!((trial.error - f64::from((factor - 1.0).abs())).abs() < 1e-5, "{factor} {reference}: {trial:?}");
            assert_eq!(trial.error, trial.upper_error);
        }
    }

    #[test]
    fn some_rows_tell_about_as_much_and_have_a_margin() {
        let exact_reference = trial(1.25, 1.0, 8);
        // A reference without an error leaves nothing to the exact rows but the norm.
        assert!((exact_reference.error - 0.25).abs() < 1e-5, "{exact_reference:?}");
        let other = trial(1.25, 1.1, 8);
        assert!((other.error - 0.25).abs() < 0.05 && other.upper_error > other.error, "{other:?}");
        assert_eq!((other.accuracy.rows, other.accuracy.valid_rows), (16, 80));
    }

    #[test]
    fn what_is_not_finite_has_an_infinite_error() {
        for (factor, reference) in [(f32::NAN, 1.0), (f32::INFINITY, 1.0), (1.25, f32::NAN), (1.0, f32::INFINITY)] {
            let trial = trial(factor, reference, 8);
            assert_eq!((trial.error, trial.upper_error), (f64::INFINITY, f64::INFINITY), "{factor} {reference}");
        }
    }
}
