//! What a page asks for: a method by name and its settings, checked before anything is computed.

use clustered_attention::{Clustering, Method};
use serde::{Deserialize, Serialize};

/// Options of the methods that cluster, as one object; exact attention needs none of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    pub clusters: usize,
    pub top_k: usize,
    pub window: Option<usize>,
    pub bits: usize,
    pub iterations: usize,
    pub euclidean_steps: usize,
    pub center: bool,
    pub bias: bool,
    pub seed: u64,
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
        let Clustering { clusters, bits, iterations, bias, center, euclidean_steps, seed, .. } = clustering;
        // Both share a window, so that a preset changes the grouping only.
        let window = Method::stitched(25).window();
        Self { clusters, top_k: method.top_k(), window, bits, iterations, euclidean_steps, center, bias, seed }
    }

    /// The same grouping, whatever the window: what is computed for one serves the other.
    pub fn without_window(self) -> Self {
        Self { window: None, ..self }
    }

    fn clustering(&self) -> Clustering {
        let Self { clusters, bits, iterations, euclidean_steps, center, bias, seed, .. } = *self;
        let mut clustering = Clustering::paper(clusters);
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
                .with_window(settings.window),
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
