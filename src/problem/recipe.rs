//! What is computed, with every choice made.

use super::{Clustering, Grid, Guard, GuardAction, KeyGroups, Method, Problem, Stitched, Visibility};

/// What a plan holds in place of a method: no choice is left in it, and no combination that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Recipe {
    /// Softmax over the keys that each query sees.
    Exact(Visibility),
    /// By clusters of queries.
    Grouped(Grouped),
}

/// Attention by clusters: what the centroids see, with some keys computed exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Grouped {
    pub clustering: Clustering,
    /// Keys of a cluster that are computed exactly; may be more than there are.
    pub top_k: usize,
    pub finish: Finish,
}

/// How the exact part and the centroid's become one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Finish {
    /// Improved clustered attention (paper, section 3.3): the top-k keys share the mass their centroid gave them. With no top-k keys it is
    /// clustered attention (paper, section 3.2).
    Improved,
    /// Stitched attention: one softmax over both, and over the neighbours where there are any; what is left is leaned towards the query where
    /// keys are grouped. A guard, where there is one, does something.
    Stitched { near: Option<Grid>, key_groups: Option<KeyGroups>, guard: Option<Guard> },
}

impl Recipe {
    /// The methods that a problem may be computed by, each with its recipe. The first costs least where sequences are short; the plan takes
    /// one where there are several.
    pub fn candidates(problem: &Problem) -> Vec<(Method, Self)> {
        let shape = problem.shape();
        let one = |method, recipe| vec![(method, recipe)];
        let grouped =
            |method, clustering, top_k, finish| one(method, Self::Grouped(Grouped { clustering, top_k, finish }));
        let method = *problem.method();
        match method {
            Method::Exact => one(method, Self::Exact(Visibility { causal: problem.causal(), ..Visibility::ALL })),
            Method::Window { left, right, sinks } => {
                one(method, Self::Exact(Visibility { left, right, sinks, causal: problem.causal() }))
            }
            Method::Clustered { clustering } => grouped(method, clustering, 0, Finish::Improved),
            Method::Improved { clustering, top_k } => grouped(method, clustering, top_k, Finish::Improved),
            Method::Stitched(Stitched { clustering, top_k, window, key_groups, guard }) => {
                let (near, key_groups) = (window.map(|window| window.grid(shape.queries)), Some(key_groups));
                let key_groups = key_groups.filter(|key_groups| key_groups.groups > 0);
                let guard = Some(guard).filter(|guard| guard.action != GuardAction::Off);
                grouped(method, clustering, top_k, Finish::Stitched { near, key_groups, guard })
            }
            Method::Auto(stitched) => {
                let window = stitched.window.filter(|_| shape.queries == shape.keys);
                let mut candidates = Self::candidates(&problem.with_method(Method::Exact));
                // Clusters do not see causally.
                if !problem.causal() {
                    let stitched = Method::Stitched(Stitched { window, ..stitched });
                    candidates.extend(Self::candidates(&problem.with_method(stitched)));
                }
                candidates
            }
        }
    }
}

impl Grouped {
    /// Neighbours that are computed exactly; of a sequence, as those of its one row.
    pub fn near(&self) -> Option<Grid> {
        match self.finish {
            Finish::Improved => None,
            Finish::Stitched { near, .. } => near,
        }
    }

    /// How keys are grouped, where they are.
    pub fn key_groups(&self) -> Option<KeyGroups> {
        match self.finish {
            Finish::Improved => None,
            Finish::Stitched { key_groups, .. } => key_groups,
        }
    }

    /// What watches over the error.
    pub fn guard(&self) -> Option<Guard> {
        match self.finish {
            Finish::Improved => None,
            Finish::Stitched { guard, .. } => guard,
        }
    }
}
