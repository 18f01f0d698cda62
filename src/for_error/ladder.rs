//! The methods that are tried.

use crate::problem::{KeyGroups, Neighbourhood, Stitched};
use crate::{Clustering, Method, Plan, Problem, Result};

/// Clusters, key groups, top-k and window.
type Rung = (usize, usize, usize, usize);

/// Each rung errs less than those before it, wherever it was measured.
const LADDER: [Rung; 4] = [(16, 8, 16, 8), (25, 16, 32, 16), (25, 16, 64, 16), (50, 64, 64, 16)];

/// What rungs are compared with: it errs less than all of them, and elsewhere.
const REFERENCE: Rung = (100, 64, 128, 16);

/// The problem by a method, and the seconds that it is estimated to take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate {
    pub problem: Problem,
    pub estimated_seconds: f64,
}

/// The methods worth measuring on a target, and what exact attention is estimated to take there.
#[derive(Debug)]
pub(super) struct Ladder {
    /// Those estimated to cost less than exact attention, from the cheapest on.
    pub candidates: Vec<Candidate>,
    /// What they are compared with; where that does not fit the target, the one of them that errs least.
    pub reference: Candidate,
    pub exact: Candidate,
}

impl Ladder {
    /// By the plans that the target makes. A method whose plan does not fit there is left out.
    ///
    /// # Errors
    /// Exact attention does not fit.
    pub fn new(problem: &Problem, plan: impl Fn(&Problem) -> Result<Plan>) -> Result<Self> {
        let candidate = |method: Method| {
            let problem = problem.with_method(method);
            let estimated_seconds = plan(&problem)?.estimated_seconds();
            Ok(Candidate { problem, estimated_seconds })
        };
        let exact = candidate(Method::Exact)?;
        // Clusters do not see causally.
        let rungs = if problem.causal() { &[] } else { &LADDER[..] };
        let fit = rungs.iter().filter_map(|&rung| candidate(method(problem, rung)).ok());
        // Beyond what can be counted, exact attention is the slower one, as for `Method::Auto`.
        let pays = |candidate: &Candidate| {
            candidate.estimated_seconds < exact.estimated_seconds || !exact.estimated_seconds.is_finite()
        };
        let mut candidates: Vec<Candidate> = fit.filter(pays).collect();
        let last = candidates.last().copied().unwrap_or(exact);
        let reference =
            if candidates.is_empty() { last } else { candidate(method(problem, REFERENCE)).unwrap_or(last) };
        candidates.sort_by(|one, other| one.estimated_seconds.total_cmp(&other.estimated_seconds));
        Ok(Self { candidates, reference, exact })
    }
}

/// A rung for a problem: with the seed of its own clusters; around patches of an image, if it is one; and without a window where there is not a
/// key for each query.
fn method(problem: &Problem, (clusters, groups, top_k, window): Rung) -> Method {
    let seed = problem.method().clustering().map_or(0, |clustering| clustering.seed);
    let is_square = problem.shape().queries == problem.shape().keys;
    let grid = problem.method().grid().map(Neighbourhood::Grid);
    Method::Stitched(Stitched {
        clustering: Clustering { seed, ..Clustering::metric(clusters) },
        top_k,
        window: grid.or(is_square.then_some(Neighbourhood::Band(window))),
        key_groups: KeyGroups::new(groups),
        ..Stitched::new(clusters)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, Shape};

    fn ladder(problem: &Problem, limits: &Limits) -> Ladder {
        Ladder::new(problem, |problem| Plan::new(problem, limits)).expect("a plan")
    }

    #[test]
    fn rungs_come_from_the_cheapest_on_and_keep_the_seed() {
        let method = Method::auto(3).with_clustering(|clustering| clustering.seed = 7);
        let problem = Problem::new(Shape::self_attention(1, 8, 8192, 64), method).expect("a problem");
        for limits in [Limits::host(), Limits::webgpu_defaults()] {
            let Ladder { candidates, reference, exact } = ladder(&problem, &limits);
            assert_eq!((candidates.len(), exact.problem.method()), (4, &Method::Exact));
            assert_eq!(reference.problem.method().clustering().map(|c| (c.clusters, c.seed)), Some((100, 7)));
            let seconds: Vec<f64> = candidates.iter().map(|candidate| candidate.estimated_seconds).collect();
            assert!(seconds.is_sorted() && seconds[3] < exact.estimated_seconds, "{seconds:?}");
            let clusters =
                |candidate: &Candidate| candidate.problem.method().clustering().map(|c| (c.clusters, c.seed));
            assert!(candidates.iter().map(clusters).eq([16, 25, 25, 50].map(|clusters| Some((clusters, 7)))));
            assert_eq!(candidates[0].problem.method().window(), Some(8));
        }
    }

    #[test]
    fn patches_of_an_image_stay_such() {
        let grid = crate::Grid::new(90, 91).with_leading(2).with_radius(3);
        let method = Method::stitched(3).with_grid(grid);
        let problem = Problem::new(Shape::self_attention(1, 8, 8192, 64), method).expect("a problem");
        let Ladder { candidates, reference, .. } = ladder(&problem, &Limits::host());
        assert_eq!(candidates.len(), 4);
        assert!(candidates.iter().chain([&reference]).all(|tried| tried.problem.method().grid() == Some(grid)));
    }

    #[test]
    fn short_and_causal_problems_have_no_rung_and_cross_attention_no_window() {
        let of = |shape| Problem::new(shape, Method::Exact).expect("a problem");
        let shape = Shape::self_attention(1, 8, 8192, 64);
        assert!(ladder(&of(Shape::self_attention(1, 8, 100, 64)), &Limits::host()).candidates.is_empty());
        let causal = of(shape).with_causal(true).expect("a causal problem");
        assert!(ladder(&causal, &Limits::host()).candidates.is_empty());
        let cross = ladder(&of(shape.with_keys(9000)), &Limits::host()).candidates;
        assert!(cross.len() == 4 && cross.iter().all(|candidate| candidate.problem.method().window().is_none()));
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let problem = Problem::new(Shape::self_attention(1, 1, 4096, 64), Method::Exact).expect("a problem");
        let needed = |method| {
            let problem = Problem::new(*problem.shape(), method).expect("a problem");
            Plan::new(&problem, &Limits::host()).expect("a plan").scratch_bytes()
        };
        let all = ladder(&problem, &Limits::host());
        let bytes = needed(*all.candidates[0].problem.method());
        let some = ladder(&problem, &Limits::host().with_scratch_budget_bytes(bytes - 1));
        assert!(some.candidates.len() < 4, "{some:?}");
        let none = Ladder::new(&problem, |problem| Plan::new(problem, &Limits::host().with_scratch_budget_bytes(0)));
        assert!(none.map_or(true, |ladder| ladder.candidates.is_empty()));
    }
}
