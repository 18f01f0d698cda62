//! The library and the small packages around it: everything but what is built on Burn.

use crate::environment::Environment;
use crate::lint;
use crate::outcome::Outcome;
use crate::process::{self, cargo, root, run};
use anyhow::Result;
use std::path::PathBuf;
use std::process::Command;

/// The library, then the packages that only serve its tests, and the page's. One command builds them all: alone, each would give shared
/// dependencies other features, and wgpu would be built once for each.
const PACKAGES: [&str; 5] =
    ["clustered-attention", "xtask", "clustered-attention-browser-test", "bindgen", "clustered-attention-web"];

/// A cargo command on all packages.
fn on_packages(environment: &Environment, command: &str) -> Command {
    let mut cargo = cargo(environment, command);
    for package in PACKAGES {
        cargo.args(["--package", package]);
    }
    cargo.args(["--features", "clustered-attention/serde"]);
    cargo
}

/// Sets of features that no other step builds: without wgpu, and with wgpu for no API.
const FEATURES: [&str; 4] = ["", "serde", "candle", "gpu"];

/// The library alone has no warnings with any set of features.
pub fn features(environment: &Environment) -> Result<()> {
    for features in FEATURES {
        let arguments = ["--package", "clustered-attention", "--lib", "--no-default-features", "--features", features];
        lint::run(cargo(environment, "check").args(arguments))?;
    }
    Ok(())
}

/// rustfmt finds nothing to change.
pub fn format(environment: &Environment) -> Result<()> {
    run(cargo(environment, "fmt").args(["--all", "--check"]))
}

/// Clippy and rustdoc have no warnings.
pub fn lint(environment: &Environment) -> Result<()> {
    lint::run(on_packages(environment, "build").arg("--all-targets"))
}

/// Tests that every adapter gets: reference cases, stages, an app's own device, and what is about OpenGL.
const EVERYWHERE: [&str; 4] = ["every_vector_file", "stages", "own_device", "opengl"];

/// All tests, and the examples in the documentation. With `all` adapters, the other tests run on one software driver of two; the quick
/// tier has them on the other.
pub fn test(environment: &Environment, all: bool) -> Result<()> {
    let mut tests = on_packages(environment, "test");
    let Some((variable, adapters)) = Environment::with_swiftshader_alone().filter(|_| all) else {
        return run(&mut tests);
    };
    run(tests.env(variable, adapters).args(["--", "--skip", EVERYWHERE[0]]))?;
    let mut everywhere = on_packages(environment, "test");
    run(everywhere.args(["--test", "library", "--test", "vectors", "--", "--skip", "halves"]).args(EVERYWHERE))
}

/// Every benchmark runs once.
pub fn bench(environment: &Environment) -> Result<Outcome> {
    if !root().join("benches").is_dir() {
        return Ok(Outcome::Skipped("there is no folder `benches`".into()));
    }
    run(on_packages(environment, "test").args(["--bench", "*"]))?;
    Ok(Outcome::Passed)
}

/// The main job runs on a short input.
pub fn demo(environment: &Environment) -> Result<Outcome> {
    if !root().join("examples/headless.rs").is_file() && !root().join("examples/headless").is_dir() {
        return Ok(Outcome::Skipped("there is no example `headless`".into()));
    }
    // The profile of the tests: everything is built already.
    let program = build_program(environment, &["--profile", "test", "--example", "headless"])?;
    run(Command::new(program).current_dir(root()).envs(environment.variables()).args(["--length", "700"]))?;
    Ok(Outcome::Passed)
}

/// Builds all tests, as the step `test` does, and tells where those of a target are.
pub fn build_tests(environment: &Environment, target: &str) -> Result<PathBuf> {
    process::build_target(on_packages(environment, "test").arg("--no-run"), target)
}

/// Builds a program of the packages and tells where it is. (`cargo run` takes one package, so dependencies would be built once more.)
pub fn build_program(environment: &Environment, arguments: &[&str]) -> Result<PathBuf> {
    process::build_program(on_packages(environment, "build").arg("--quiet").args(arguments))
}
