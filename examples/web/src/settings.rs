//! What a page asks for: a method by name and its settings, checked before anything is computed.

use clustered_attention::{Clustering, Guard, GuardAction, Method, Space, Stitched};
use serde::{Deserialize, Serialize};

/// Options of the methods that cluster, as one object; exact attention needs none of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    pub clusters: usize,
    pub top_k: usize,
    pub window: Option<usize>,
    /// Left out, there are no key groups, as before there were any.
    #[serde(default)]
    pub key_groups: usize,
    /// Left out, nothing is measured.
    #[serde(default)]
    pub guard: GuardAction,
    #[serde(default)]
    pub space: Space,
    #[serde(default = "samples")]
    pub samples: usize,
    pub bits: usize,
    pub iterations: usize,
    pub euclidean_steps: usize,
    pub center: bool,
    pub bias: bool,
    pub seed: u64,
}

fn samples() -> usize {
    Clustering::paper(1).samples
}

impl Settings {
    /// The paper's clustering.
    pub fn paper() -> Self {
        Self::of(&Method::improved(25))
    }

    /// The defaults of stitched attention.
    pub fn stitched() -> Self {
        Self::of(&Method::stitched(25))
    }

    fn of(method: &Method) -> Self {
        let clustering = method.clustering().copied().unwrap_or(Clustering::paper(25));
        let Clustering { clusters, space, bits, iterations, bias, center, euclidean_steps, samples, seed, .. } =
            clustering;
        // Both share a window and key groups, so that a preset changes the grouping of queries only.
        let stitched = Stitched::new(clusters);
        Self {
            clusters,
            top_k: method.top_k(),
            window: Method::Stitched(stitched).window(),
            key_groups: stitched.key_groups.groups,
            guard: stitched.guard.action,
            space,
            samples,
            bits,
            iterations,
            euclidean_steps,
            center,
            bias,
            seed,
        }
    }

    /// The same grouping, whatever the window and the guard: what is computed for one serves the other.
    pub fn grouping(self) -> Self {
        Self { window: None, guard: GuardAction::Off, ..self }
    }

    fn clustering(&self) -> Clustering {
        let Self { clusters, space, samples, bits, iterations, euclidean_steps, center, bias, seed, .. } = *self;
        let mut clustering = Clustering::paper(clusters);
        (clustering.space, clustering.samples) = (space, samples);
        (clustering.bits, clustering.iterations, clustering.bias) = (bits, iterations, bias);
        (clustering.center, clustering.euclidean_steps, clustering.seed) = (center, euclidean_steps, seed);
        clustering
    }
}

/// A method by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MethodName {
    Exact,
    Clustered,
    Improved,
    Stitched,
}

impl MethodName {
    pub const ALL: [Self; 4] = [Self::Exact, Self::Clustered, Self::Improved, Self::Stitched];

    pub fn parse(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|method| method.name() == name);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("there is no method `{name}`; there are {names}")
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Clustered => "clustered",
            Self::Improved => "improved",
            Self::Stitched => "stitched",
        }
    }

    pub fn with(self, settings: &Settings) -> Method {
        let clustering = settings.clustering();
        match self {
            Self::Exact => Method::Exact,
            Self::Clustered => Method::clustered(1).with_clustering(|options| *options = clustering),
            Self::Improved => {
                Method::improved(1).with_clustering(|options| *options = clustering).with_top_k(settings.top_k)
            }
            Self::Stitched => Method::stitched(1)
                .with_clustering(|options| *options = clustering)
                .with_top_k(settings.top_k)
                .with_window(settings.window)
                .with_key_groups(settings.key_groups)
                .with_guard(Guard::new().with_action(settings.guard)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_the_methods_defaults() {
        assert_eq!(MethodName::Improved.with(&Settings::paper()), Method::improved(25));
        assert_eq!(MethodName::Clustered.with(&Settings::paper()), Method::clustered(25));
        assert_eq!(MethodName::Stitched.with(&Settings::stitched()), Method::stitched(25));
    }

    #[test]
    fn names_are_found_and_others_are_told_apart() {
        for method in MethodName::ALL {
            assert_eq!(MethodName::parse(method.name()), Ok(method));
        }
        assert!(MethodName::parse("fast").unwrap_err().contains("exact, clustered, improved, stitched"));
    }
}
