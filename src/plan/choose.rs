//! What [`Method::Auto`] takes, as a pure function of the problem and the target.

use super::cost::{costs, StageCost};
use super::Plan;
use crate::limits::Limits;
use crate::problem::{Recipe, Visibility};
use crate::stages::{forward, Cut, Given, Pace};
use crate::{Method, Problem};

/// Where work runs, as far as its speed is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Host,
    SoftwareDevice,
    HardwareDevice,
}

impl Target {
    fn of(limits: &Limits) -> Self {
        match limits {
            Limits { host: true, .. } => Self::Host,
            Limits { software: true, .. } => Self::SoftwareDevice,
            _ => Self::HardwareDevice,
        }
    }
}

/// What starting a kernel, or its twin on the host, takes in microseconds, on the same three targets. Hardware: what each of the 27 dispatches of
/// 512 positions took on an H200, whose work is next to nothing (`docs/performance.md`).
const LAUNCH_MICROSECONDS: [f64; 3] = [2.0, 300.0, 20.0];

/// The method that is computed and its recipe: what [`Method::Auto`] takes, any other as it is.
pub(super) fn take(problem: &Problem, limits: &Limits) -> (Method, Recipe) {
    let shape = problem.shape();
    let mut candidates = Recipe::candidates(problem).into_iter();
    let first = candidates.next().unwrap_or((Method::Exact, Recipe::Exact(Visibility::ALL)));
    candidates.fold(first, |taken, next| {
        let seconds = |recipe: &Recipe| seconds(recipe, &Cut::new(shape, recipe, limits), Target::of(limits));
        // Beyond what can be counted, the one that grows with the square is the slower one.
        let taken_seconds = seconds(&taken.1);
        if taken_seconds.is_finite() && taken_seconds <= seconds(&next.1) {
            taken
        } else {
            next
        }
    })
}

impl Plan {
    /// Estimated seconds of the method that is computed, as [`Method::Auto`] compares them; infinity beyond what can be counted.
    pub(crate) fn estimated_seconds(&self) -> f64 {
        // As `take` has it: memory has no say.
        seconds(&self.recipe, &Cut::new(self.problem.shape(), &self.recipe, &self.limits), Target::of(&self.limits))
    }
}

/// Estimated seconds of a recipe; infinity where a count is saturated.
fn seconds(recipe: &Recipe, cut: &Cut, target: Target) -> f64 {
    let of_stage = |cost: &StageCost| {
        let (count, picoseconds) = match &cost.stage.definition().pace {
            Pace::Operations(picoseconds) => (cost.operations, picoseconds),
            Pace::IntegerOperations(picoseconds) => (cost.integer_operations, picoseconds),
            Pace::Bytes(picoseconds) => (cost.bytes, picoseconds),
        };
        if count == u64::MAX {
            return f64::INFINITY;
        }
        1e-12 * picoseconds[target as usize] * count as f64
    };
    let launches = (forward(recipe, cut.passes(), Given::default()).iter())
        .map(|step| (step.stage.definition().launches)(step, cut).len())
        .sum::<usize>() as f64;
    costs(recipe, cut).iter().map(of_stage).sum::<f64>() + 1e-6 * LAUNCH_MICROSECONDS[target as usize] * launches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Clustering, Shape};

    fn targets() -> [Limits; 3] {
        let hardware = Limits::webgpu_defaults();
        [Limits::host(), Limits { software: true, ..hardware }, hardware]
    }

    fn taken(shape: Shape, method: Method, limits: &Limits) -> &'static str {
        take(&Problem::new(shape, method).expect("a valid problem"), limits).0.name()
    }

    fn of_length(heads: usize, length: usize, limits: &Limits) -> &'static str {
        taken(Shape::self_attention(1, heads, length, 64), Method::auto(25), limits)
    }

    /// The first length of 64-wide self-attention at which stitched attention is taken.
    fn break_even(heads: usize, limits: &Limits) -> usize {
        (1..10_000).find(|&length| of_length(heads, length, limits) == "stitched").expect("a length")
    }

    #[test]
    fn short_sequences_are_exact_and_long_ones_stitched() {
        for limits in targets() {
            assert_eq!(of_length(8, 128, &limits), "exact", "{limits:?}");
            assert_eq!(of_length(8, 2048, &limits), "stitched", "{limits:?}");
        }
        let [host, software, hardware] = targets().map(|limits| break_even(8, &limits));
        assert!((500..570).contains(&host), "{host}");
        assert!((400..460).contains(&software), "{software}");
        assert!((1100..1250).contains(&hardware), "{hardware}");
    }

    #[test]
    fn estimates_are_near_what_was_measured() {
        let [host, software, _] = targets();
        let measured = [
            (host, 512, 3.19e-3, 3.6e-3),
            (host, 8192, 0.795, 0.0385),
            (software, 512, 0.127, 0.105),
            (software, 8192, 31.2, 0.88),
        ];
        for (limits, length, exact, stitched) in measured {
            let target = Target::of(&limits);
            for (method, expected) in [(Method::Exact, exact), (Method::stitched(25), stitched)] {
                let shape = Shape::self_attention(1, 8, length, 64);
                let problem = Problem::new(shape, method).expect("a valid problem");
                let (_, recipe) = take(&problem, &limits);
                let estimate = seconds(&recipe, &Cut::new(&shape, &recipe, &limits), target);
                assert!((estimate / expected - 1.0).abs() < 0.1, "{target:?} {length}: {estimate} for {expected}");
            }
        }
    }

    #[test]
    fn more_slices_share_what_is_fixed() {
        let hardware = Limits::webgpu_defaults();
        assert!(break_even(1, &hardware) > 2 * break_even(64, &hardware));
        let batch = Shape::self_attention(64, 1, 700, 64);
        assert_eq!(taken(batch, Method::auto(25), &hardware), of_length(64, 700, &hardware));
    }

    #[test]
    fn once_stitched_is_taken_it_stays() {
        let lengths: Vec<usize> = (1..3000).step_by(7).chain((12..=28).map(|power| 1 << power)).collect();
        let fewer = Method::auto(1).with_top_k(0).with_window(None);
        let wide = Method::auto(25).with_top_k(1024).with_window(Some(700));
        for limits in targets() {
            for method in [Method::auto(25), Method::auto(400), fewer, wide] {
                for (heads, width) in [(1, 64), (8, 64), (40, 16), (3, 1)] {
                    let of = |&length: &usize| taken(Shape::self_attention(1, heads, length, width), method, &limits);
                    let names: Vec<&str> = lengths.iter().map(of).collect();
                    let first = names.iter().position(|&name| name == "stitched").expect("stitched attention");
                    assert!(names[first..].iter().all(|&name| name == "stitched"), "{limits:?} {method:?}");
                }
            }
        }
    }

    #[test]
    fn no_sizes_are_too_small_or_too_large() {
        for limits in targets() {
            let tiny = Shape { batch: 1, query_heads: 1, key_heads: 1, queries: 1, keys: 1, width: 1, value_width: 1 };
            assert_eq!(taken(tiny, Method::auto(1), &limits), "exact");
            assert_eq!(taken(tiny, Method::auto(Clustering::MAX_CLUSTERS), &limits), "exact");
            assert_eq!(taken(Shape { queries: 1, keys: 1 << 20, ..tiny }, Method::auto(25), &limits), "exact");
            assert_eq!(taken(Shape { queries: 1 << 20, keys: 1, ..tiny }, Method::auto(25), &limits), "exact");
            let huge = Shape::self_attention(1, 1 << 12, 1 << 28, 64);
            assert_eq!(taken(huge, Method::auto(25), &limits), "stitched");
            let most = Method::auto(Clustering::MAX_CLUSTERS).with_clustering(|clustering| {
                (clustering.bits, clustering.iterations, clustering.euclidean_steps) = (256, 1000, 1000);
            });
            assert_eq!(taken(huge, most.with_window(Some(1 << 28)), &limits), "stitched");
        }
    }

    #[test]
    fn other_methods_stay_and_cross_attention_has_no_window() {
        let cross = Shape { keys: 6000, ..Shape::self_attention(1, 8, 5000, 64) };
        for limits in targets() {
            for method in [Method::Exact, Method::clustered(25), Method::improved(25), Method::stitched(25)] {
                let problem = Problem::new(Shape::self_attention(1, 8, 5000, 64), method).expect("a valid problem");
                assert_eq!(take(&problem, &limits).0, method);
            }
            let method = Method::auto(25).with_top_k(9).with_clustering(|clustering| clustering.seed = 5);
            let stitched = Method::stitched(25).with_top_k(9).with_clustering(|clustering| clustering.seed = 5);
            let problem = Problem::new(cross, method).expect("a window is no error");
            assert_eq!(take(&problem, &limits).0, stitched.with_window(None));
            let square = Problem::new(Shape { keys: 5000, ..cross }, method).expect("a valid problem");
            let plan = Plan::new(&square, &limits).expect("a plan");
            assert_eq!(*plan.method(), stitched);
        }
    }

    #[test]
    fn causal_problems_are_computed_exactly() {
        let problem = Problem::new(Shape::self_attention(1, 8, 5000, 64), Method::auto(25)).expect("a valid problem");
        let causal = problem.with_causal(true).expect("a causal problem");
        assert_eq!(take(&causal, &Limits::host()).0, Method::Exact);
    }
}
