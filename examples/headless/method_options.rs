//! Methods and their options on the command line, for every program that compares methods.

use clap::{Args, ValueEnum};
use clustered_attention::{Clustering, Grid, Guard, GuardAction, KeyGroups, Method, Space};

/// Which methods, and how they are to be set.
#[derive(Debug, Clone, Args)]
pub struct MethodOptions {
    /// Methods, separated by commas; `window` is exact attention to neighbours, `auto` the faster of exact and stitched attention
    /// [default: all but window and auto]
    #[arg(long, value_name = "METHODS", value_enum, value_delimiter = ',')]
    pub method: Vec<MethodName>,
    /// Clusters of each head
    #[arg(long, value_name = "C", default_value_t = 25)]
    pub clusters: usize,
    /// Keys of each cluster that are computed exactly (improved, stitched, auto) [default: 32 for improved, otherwise 64]
    #[arg(long, value_name = "K")]
    pub top_k: Option<usize>,
    /// Half-width of the exact band (stitched, auto), or `none` [default: 16; none where queries and keys differ in number]
    #[arg(long, value_name = "W")]
    pub window: Option<Window>,
    /// Instead of the band, rows and columns of an image's patches, and leading tokens if there are any: `74x74+1` (stitched, auto)
    #[arg(long, value_name = "ROWSxCOLUMNS[+LEADING]", conflicts_with = "window")]
    pub grid: Option<Grid>,
    /// Rows and columns around a patch that are computed exactly: `2`, or `2x3` (stitched, auto) [default: 2]
    #[arg(long, value_name = "R", requires = "grid", value_parser = radius)]
    pub radius: Option<Radius>,
    /// Keys before a position that it sees (window), or `none` for all
    #[arg(long, value_name = "KEYS", default_value = "128")]
    pub left: Window,
    /// Keys behind a position that it sees (window), or `none` for all
    #[arg(long, value_name = "KEYS", default_value = "128")]
    pub right: Window,
    /// First keys that every position sees (window)
    #[arg(long, value_name = "KEYS", default_value_t = 0)]
    pub sinks: usize,
    /// Groups of the keys outside the top-k (stitched, auto), or 0 for none [default: 16]
    #[arg(long, value_name = "G")]
    pub key_groups: Option<usize>,
    /// Rounds of K-means on a sample of the keys (stitched, auto) [default: 2]
    #[arg(long, value_name = "ROUNDS")]
    pub key_rounds: Option<usize>,
    /// Keys that K-means looks at (stitched, auto) [default: 384]
    #[arg(long, value_name = "SAMPLES")]
    pub key_samples: Option<usize>,
    /// Take keys that their group stands for badly into the top-k (stitched, auto) [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub spread: Option<bool>,
    /// Measure the error of each head on a few exact rows (stitched, auto): `off`, `report`, or `recompute` those in error exactly
    /// [default: off]
    #[arg(long, value_name = "ACTION")]
    pub guard: Option<GuardAction>,
    /// Rows of each head that the guard looks at [default: 8]
    #[arg(long, value_name = "ROWS", requires = "guard")]
    pub guard_rows: Option<usize>,
    /// Relative error above which the guard has a head computed exactly [default: 0.2]
    #[arg(long, value_name = "ERROR", requires = "guard")]
    pub guard_tolerance: Option<f32>,
    /// Where K-means groups the queries: by codes in Hamming space, or in the metric of the logits [default: metric for stitched and auto, otherwise hamming]
    #[arg(long, value_name = "SPACE")]
    pub space: Option<Space>,
    /// Bits of a code (hamming) [default: 63]
    #[arg(long, value_name = "B")]
    pub bits: Option<usize>,
    /// Rounds of K-means [default: 10 in Hamming space, 4 in the metric]
    #[arg(long, value_name = "ROUNDS")]
    pub iterations: Option<usize>,
    /// Queries that K-means looks at (metric) [default: 384]
    #[arg(long, value_name = "SAMPLES")]
    pub samples: Option<usize>,
    /// Euclidean steps after the Hamming K-means [default: 2 for stitched and auto, otherwise 0]
    #[arg(long, value_name = "STEPS")]
    pub euclidean_steps: Option<usize>,
    /// Subtract the mean query before hashing (hamming) [default: true for stitched and auto, otherwise false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub center: Option<bool>,
}

impl MethodOptions {
    /// Whether a method was asked for by name.
    pub fn names(&self, method: MethodName) -> bool {
        self.method.contains(&method)
    }

    /// The methods asked for, on a problem that has as many queries as keys (`square`) or not.
    pub fn methods(&self, square: bool, seed: u64) -> Vec<Method> {
        MethodName::chosen(&self.method).map(|name| self.configure(name, square, seed)).collect()
    }

    fn configure(&self, name: MethodName, square: bool, seed: u64) -> Method {
        if name == MethodName::Window {
            return Method::sliding_window(self.left.0, self.right.0).with_sinks(self.sinks);
        }
        let method = name.with_clusters(self.clusters);
        let method = method.with_top_k(self.top_k.unwrap_or(method.top_k())).with_clustering(|clustering| {
            if let Some(space) = self.space.filter(|&space| space != clustering.space) {
                *clustering = match space {
                    Space::Metric => Clustering::metric(self.clusters),
                    _ => Clustering::hamming(self.clusters),
                };
            }
            clustering.seed = seed;
            clustering.samples = self.samples.unwrap_or(clustering.samples);
            clustering.bits = self.bits.unwrap_or(clustering.bits);
            clustering.iterations = self.iterations.unwrap_or(clustering.iterations);
            clustering.euclidean_steps = self.euclidean_steps.unwrap_or(clustering.euclidean_steps);
            clustering.center = self.center.unwrap_or(clustering.center);
        });
        let key_groups = method.stitched_options().map_or(KeyGroups::NONE, |stitched| stitched.key_groups);
        let key_groups = KeyGroups::new(self.key_groups.unwrap_or(key_groups.groups))
            .with_rounds(self.key_rounds.unwrap_or(key_groups.rounds))
            .with_samples(self.key_samples.unwrap_or(key_groups.samples))
            .with_spread(self.spread.unwrap_or(key_groups.spread));
        let method = method.with_key_groups(key_groups).with_guard(self.guard(&method));
        match (self.grid, self.window) {
            (Some(grid), _) => {
                method.with_grid(self.radius.map_or(grid, |Radius(rows, columns)| grid.with_radii(rows, columns)))
            }
            (None, Some(Window(window))) => method.with_window(window),
            (None, None) if square => method,
            (None, None) => method.with_window(None),
        }
    }

    fn guard(&self, method: &Method) -> Guard {
        let default = method.stitched_options().map_or(Guard::OFF, |stitched| stitched.guard);
        let mut guard = default.with_action(self.guard.unwrap_or(default.action));
        guard.rows = self.guard_rows.unwrap_or(guard.rows);
        guard.with_tolerance(self.guard_tolerance.unwrap_or(guard.tolerance.value()))
    }
}

/// Whether a method computes some keys of a cluster exactly, and so has a top-k.
pub fn is_refined(method: &Method) -> bool {
    matches!(method.name(), "improved" | "stitched" | "auto")
}

/// Such as `, top-k 32`, with the names of methods where they differ; nothing of methods without.
pub fn describe_top_k(methods: &[Method]) -> String {
    let refined: Vec<&Method> = methods.iter().filter(|method| is_refined(method)).collect();
    let Some((first, more)) = refined.split_first() else { return String::new() };
    if more.iter().all(|method| method.top_k() == first.top_k()) {
        return format!(", top-k {}", first.top_k());
    }
    let each: Vec<String> = refined.iter().map(|method| format!("{} ({})", method.top_k(), method.name())).collect();
    format!(", top-k {}", each.join(" and "))
}

/// A method by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MethodName {
    Exact,
    Clustered,
    Improved,
    Stitched,
    Window,
    Auto,
}

impl MethodName {
    /// All of them, with exact attention first so that speed-ups read from top to bottom.
    const ALL: [Self; 6] = [Self::Exact, Self::Clustered, Self::Improved, Self::Stitched, Self::Window, Self::Auto];
    /// Those that stand in for exact attention on any input, and it itself. A window is for models trained so, and `Auto` repeats one of the
    /// others: both have to be named.
    const USUAL: [Self; 4] = [Self::Exact, Self::Clustered, Self::Improved, Self::Stitched];

    /// Those asked for, each once.
    pub fn chosen(asked: &[Self]) -> impl Iterator<Item = Self> + '_ {
        let asked = if asked.is_empty() { &Self::USUAL } else { asked };
        Self::ALL.into_iter().filter(|name| asked.contains(name))
    }

    /// The method with a number of clusters and otherwise its defaults.
    pub fn with_clusters(self, clusters: usize) -> Method {
        match self {
            Self::Exact => Method::Exact,
            Self::Clustered => Method::clustered(clusters),
            Self::Improved => Method::improved(clusters),
            Self::Stitched => Method::stitched(clusters),
            Self::Window => Method::sliding_window(128, 128),
            Self::Auto => Method::auto(clusters),
        }
    }
}

/// A number of neighbours, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window(pub Option<usize>);

impl std::str::FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(None));
        }
        text.parse().map(|window| Self(Some(window))).map_err(|_| "a whole number or `none` is needed".into())
    }
}

/// Rows and columns around a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Radius(usize, usize);

fn radius(text: &str) -> Result<Radius, String> {
    let grid = Grid::new(1, 1).with_radius_text(text).map_err(|error| error.to_string())?;
    Ok(Radius(grid.row_radius, grid.column_radius))
}

/// A whole number above 0.
pub fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("a whole number of at least 1 is needed".into()),
    }
}

/// How often something is done: more would never end.
#[allow(dead_code)] // not every program repeats
pub fn times(text: &str) -> Result<usize, String> {
    const MOST: usize = 1_000_000;
    at_least_one(text)
        .ok()
        .filter(|&times| times <= MOST)
        .ok_or_else(|| format!("a whole number of at least 1 and at most {MOST} is needed"))
}
