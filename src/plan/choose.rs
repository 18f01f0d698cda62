//! What [`Method::Auto`] takes, as a pure function of the problem and the target.

use super::cost::{costs, StageCost};
use super::Limits;
use crate::trace::Stage;
use crate::{Clustering, Method, Problem};

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

/// The count of a stage that its time follows.
enum Count {
    Operations,
    IntegerOperations,
    Bytes,
}

/// What one operation or byte of a stage takes, in picoseconds: on the host, on a software device, on a hardware device.
///
/// Host: measured on two x86-64 cores with AVX2, at 8 heads, length 8192, width 64, 25 clusters. Software device: measured with lavapipe
/// on the same cores and problem. Only ratios within a column decide, so more cores or faster ones change little.
///
/// Hardware device: NOT measured but derived, for a card of 8 TFLOP/s and 200 GB/s. Exact products with keys and the remainder are taken
/// to run at a quarter of that, other products and integers at a third; the window computes twice its count; `top_k`, grouping and means
/// wait for memory.
fn picoseconds(stage: Stage) -> (Count, [f64; 3]) {
    match stage {
        Stage::ExactAttention => (Count::Operations, [7.1, 333.0, 0.5]),
        Stage::HashCodes | Stage::EuclideanAssign => (Count::Operations, [9.4, 211.0, 0.375]),
        Stage::CentroidLogits => (Count::Operations, [11.4, 405.0, 0.375]),
        Stage::Remainder => (Count::Operations, [17.6, 405.0, 0.5]),
        Stage::RefineTopK => (Count::Operations, [14.9, 419.0, 0.5]),
        Stage::StitchWindow => (Count::Operations, [23.5, 669.0, 1.0]),
        Stage::TopK => (Count::Operations, [500.0, 12_200.0, 20.0]),
        Stage::HammingAssign | Stage::HammingUpdate => (Count::IntegerOperations, [26.0, 710.0, 0.375]),
        Stage::InitialCentroids | Stage::GroupByCluster | Stage::CentroidMeans => (Count::Bytes, [59.0, 1350.0, 5.0]),
    }
}

/// What starting a kernel, or its twin on the host, takes in microseconds, on the same three targets.
const LAUNCH_MICROSECONDS: [f64; 3] = [3.0, 20.0, 5.0];

/// Kernels that are started for a chunk; longer work is cut into more, of which each is long.
fn launches(clustering: Option<&Clustering>, window: Option<usize>) -> usize {
    let Some(clustering) = clustering else { return 1 };
    // Two of each mean; hash and starting codes; assignment, vote and majority; grouping in three, and two of the means after it.
    let hamming = 2 * usize::from(clustering.center) + 2 + 3 * clustering.iterations - 2;
    let groups = 5 + 6 * clustering.euclidean_steps;
    // Logits, top-k, two of the remainder, refinement.
    hamming + groups + 5 + usize::from(window.is_some())
}

/// The problem with the method that is computed: what [`Method::Auto`] takes, any other as it is.
pub(super) fn resolve(problem: &Problem, limits: &Limits) -> Problem {
    let Method::Auto { clustering, top_k, window } = *problem.method() else { return *problem };
    let square = problem.shape().queries == problem.shape().keys;
    let exact = problem.with_method(Method::Exact);
    let stitched = problem.with_method(Method::Stitched { clustering, top_k, window: window.filter(|_| square) });
    let target = Target::of(limits);
    // Beyond what can be counted, the one that grows with the square is the slower one.
    let exact_seconds = seconds(&exact, target);
    if exact_seconds.is_finite() && exact_seconds <= seconds(&stitched, target) {
        exact
    } else {
        stitched
    }
}

/// Estimated seconds of a problem; infinity where a count is saturated.
fn seconds(problem: &Problem, target: Target) -> f64 {
    let of_stage = |cost: &StageCost| {
        let (count, picoseconds) = picoseconds(cost.stage);
        let count = match count {
            Count::Operations => cost.operations,
            Count::IntegerOperations => cost.integer_operations,
            Count::Bytes => cost.bytes,
        };
        if count == u64::MAX {
            return f64::INFINITY;
        }
        1e-12 * picoseconds[target as usize] * count as f64
    };
    let method = problem.method();
    let launches = launches(method.clustering(), method.window()) as f64;
    costs(problem).iter().map(of_stage).sum::<f64>() + 1e-6 * LAUNCH_MICROSECONDS[target as usize] * launches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::dispatch::{dispatches, Given};
    use crate::plan::{Plan, DEFAULT_SCRATCH_BUDGET_BYTES};
    use crate::Shape;

    fn targets() -> [Limits; 3] {
        let hardware = Limits::webgpu_defaults();
        [Limits::host(), Limits { software: true, ..hardware }, hardware]
    }

    fn taken(shape: Shape, method: Method, limits: &Limits) -> &'static str {
        resolve(&Problem::new(shape, method).expect("a valid problem"), limits).method().name()
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
            assert_eq!(of_length(8, 1024, &limits), "stitched", "{limits:?}");
        }
        let [host, software, hardware] = targets().map(|limits| break_even(8, &limits));
        assert!((400..460).contains(&host), "{host}");
        assert!((200..300).contains(&software), "{software}");
        assert!((600..800).contains(&hardware), "{hardware}");
    }

    #[test]
    fn estimates_are_near_what_was_measured() {
        let measured = [
            (Target::Host, 512, 3.9e-3, 3.3e-3),
            (Target::Host, 8192, 0.976, 0.050),
            (Target::SoftwareDevice, 512, 0.177, 0.085),
            (Target::SoftwareDevice, 8192, 45.9, 1.25),
        ];
        for (target, length, exact, stitched) in measured {
            for (method, expected) in [(Method::Exact, exact), (Method::stitched(25), stitched)] {
                let shape = Shape::self_attention(1, 8, length, 64);
                let estimate = seconds(&Problem::new(shape, method).expect("a valid problem"), target);
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
                assert_eq!(resolve(&problem, &limits), problem);
            }
            let method = Method::auto(25).with_top_k(9).with_clustering(|clustering| clustering.seed = 5);
            let stitched = Method::stitched(25).with_top_k(9).with_clustering(|clustering| clustering.seed = 5);
            let problem = Problem::new(cross, method).expect("a window is no error");
            assert_eq!(*resolve(&problem, &limits).method(), stitched.with_window(None));
            let square = Problem::new(Shape { keys: 5000, ..cross }, method).expect("a valid problem");
            let plan = Plan::new(&square, &limits, DEFAULT_SCRATCH_BUDGET_BYTES).expect("a plan");
            assert_eq!(*plan.method(), stitched);
        }
    }

    #[test]
    fn launches_are_those_of_the_dispatches() {
        let changed = Method::improved(7).with_clustering(|clustering| clustering.iterations = 1);
        for method in [Method::Exact, Method::clustered(7), changed, Method::stitched(7)] {
            let problem = Problem::new(Shape::self_attention(1, 1, 100, 8), method).expect("a valid problem");
            let plan = Plan::new(&problem, &Limits::webgpu_defaults(), DEFAULT_SCRATCH_BUDGET_BYTES).expect("a plan");
            let chunk = plan.chunks().next().expect("a chunk");
            let counted = launches(method.clustering(), method.window());
            assert_eq!(counted, dispatches(&plan, &chunk, Given::default()).len(), "{method:?}");
        }
    }
}
