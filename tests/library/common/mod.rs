//! What the integration tests share: back ends to run on, comparison, and inputs without structure.

pub mod case;
pub mod clustering;
pub mod device;
pub mod halves;
pub mod metric;
pub mod reference;

use clustered_attention::{adapters_blocking, Attention, Backend, Grid, Method, Stitched};
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, RngSeed, TestCaseError, TestError, TestRunner};
use std::sync::OnceLock;

/// Set on a machine that is known to have no adapter at all; without it, a missing adapter fails the tests.
pub const NO_ADAPTER_VARIABLE: &str = "CLUSTERED_ATTENTION_NO_ADAPTER";

/// Only adapters whose name, API or driver contains this text, in any case, are tested; for quick work on one of several adapters.
pub const ADAPTER_VARIABLE: &str = "CLUSTERED_ATTENTION_ADAPTER";

/// Whether an adapter, described by all that is known of it, is to be tested.
fn is_wanted(description: &str) -> bool {
    std::env::var(ADAPTER_VARIABLE).map_or(true, |wanted| description.to_lowercase().contains(&wanted.to_lowercase()))
}

/// Stitched attention with its defaults, and by codes without key groups.
pub fn stitched_forms(clusters: usize) -> [Method; 2] {
    [Method::stitched(clusters), Method::Stitched(Stitched::hamming(clusters))]
}

/// Some image of so many positions, with what is left of them in front of it.
pub fn grid_of(positions: usize, seed: u64) -> Grid {
    let columns = 1 + seed as usize / 7 % positions.min(40);
    let rows = positions / columns;
    let radii = (seed as usize / 3 % 4, seed as usize / 11 % 5);
    Grid::new(rows, columns).with_leading(positions - rows * columns).with_radii(radii.0, radii.1)
}

/// A back end and its name.
pub struct Engine {
    pub name: String,
    pub attention: Attention,
}

/// The CPU and every adapter there is.
pub fn engines() -> Vec<Engine> {
    let mut engines =
        vec![Engine { name: "cpu".into(), attention: Attention::new_blocking(Backend::Cpu).expect("the CPU") }];
    engines.extend(gpu_engines());
    engines
}

/// [`engines`] that tests share: adapters are opened once, and kernels that several tests need are compiled once.
pub fn shared_engines() -> &'static [Engine] {
    static ENGINES: OnceLock<Vec<Engine>> = OnceLock::new();
    ENGINES.get_or_init(engines)
}

/// Every adapter there is; at least one, unless the machine is said to have none.
pub fn gpu_engines() -> Vec<Engine> {
    let mut adapters = adapters_blocking();
    adapters.retain(|adapter| is_wanted(&adapter.to_string()));
    if adapters.is_empty() {
        assert!(
            std::env::var_os(NO_ADAPTER_VARIABLE).is_some(),
            "no GPU adapter was found; install a software one (Debian: mesa-vulkan-drivers) or set {NO_ADAPTER_VARIABLE}=1"
        );
        println!("no adapter: the GPU half of this test was left out, as {NO_ADAPTER_VARIABLE} says");
    }
    adapters
        .into_iter()
        .map(|adapter| {
            let name = adapter.to_string();
            let attention = Attention::with_adapter_blocking(adapter).expect("the adapter opens");
            Engine { name, attention }
        })
        .collect()
}

/// Draws the same cases on every machine and writes no file where one fails.
fn test_runner(cases: u32, seed: u64) -> TestRunner {
    TestRunner::new(Config {
        cases,
        failure_persistence: None,
        rng_algorithm: RngAlgorithm::ChaCha,
        rng_seed: RngSeed::Fixed(seed),
        max_shrink_iters: 12,
        ..Config::default()
    })
}

/// Runs a property; panics with its message, without the tensors of the case that failed.
pub fn assert_holds<S: Strategy>(
    cases: u32,
    seed: u64,
    strategy: &S,
    property: impl Fn(S::Value) -> Result<(), String>,
) {
    let result = test_runner(cases, seed).run(strategy, |case| property(case).map_err(TestCaseError::fail));
    match result {
        Ok(()) => {}
        Err(TestError::Fail(reason, _)) => panic!("{reason}"),
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}

/// Largest difference, relative to the largest value of `expected`.
pub fn relative_difference(actual: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(actual.len(), expected.len());
    let largest = expected.iter().fold(0.0f64, |largest, &value| largest.max((value as f64).abs()));
    let difference = actual.iter().zip(expected).fold(0.0f64, |difference, (&a, &b)| {
        let d = (a as f64 - b as f64).abs();
        // NaN must not pass as zero.
        if d.is_nan() {
            f64::INFINITY
        } else {
            difference.max(d)
        }
    });
    if largest > 0.0 {
        difference / largest
    } else {
        difference
    }
}

/// Roughly normal numbers that depend on the seed only.
pub fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def0;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    (0..count).map(|_| (0..6).map(|_| uniform()).sum::<f32>() * 1.414 - 4.242).collect()
}
