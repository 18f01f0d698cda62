//! What is built on Burn: the feature `burn`, and the examples with pretrained models.

use crate::environment::Environment;
use crate::process::{cargo, root, run};
use crate::steps::Outcome;
use anyhow::{Context, Result};
use std::process::Command;

/// The packages on Burn. They are always built together, with the same features: Burn is large, and most of it would be built once more
/// for every other choice.
const PACKAGES: [&str; 5] = [
    "clustered-attention-burn",
    "clustered-attention-models",
    "clustered-attention-whisper",
    "clustered-attention-embed",
    "clustered-attention-accuracy",
];
/// Both of Burn's backends that the examples know.
const FEATURES: &str =
    "clustered-attention-accuracy/wgpu,clustered-attention-embed/wgpu,clustered-attention-whisper/wgpu";

/// A cargo command on all packages.
fn on_packages(environment: &Environment, command: &str) -> Command {
    let mut cargo = cargo(environment);
    cargo.arg(command);
    for package in PACKAGES {
        cargo.args(["--package", package]);
    }
    cargo.args(["--features", FEATURES]);
    cargo
}

/// Clippy has no warnings.
pub fn clippy(environment: &Environment) -> Result<()> {
    let mut clippy = on_packages(environment, "clippy");
    run(clippy.args(["--package", "clustered-attention", "--all-targets", "--", "-D", "warnings"]))
}

/// rustdoc has no warnings with the feature `burn`.
pub fn document(environment: &Environment) -> Result<()> {
    let mut doc = on_packages(environment, "doc");
    run(doc.args(["--package", "clustered-attention", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
}

/// Attention on Burn's tensors, on its CPU backend and on its wgpu backend, with fusion and without it.
pub fn test(environment: &Environment) -> Result<()> {
    for features in [&["--features", "clustered-attention-burn/fusion"][..], &[]] {
        let mut tests = on_packages(environment, "test");
        tests.args(features).args(["--bin", "burn", "--example", "layer"]);
        add_test_files(&mut tests, "burn")?;
        run(&mut tests)?;
    }
    let mut examples = on_packages(environment, "test");
    run(examples.args(["--package", "clustered-attention", "--doc", "--", "burn::"]))
}

/// Speech recognition and embeddings. Where the models cannot be fetched, only what needs none, which is said in the summary.
pub fn test_models(environment: &Environment) -> Result<Outcome> {
    let fetched = fetch(environment, &[]);
    let mut tests = on_packages(environment, "test");
    tests.args([
        "--lib",
        "--bin",
        "clustered-attention-models",
        "--bin",
        "whisper",
        "--bin",
        "embed",
        "--bin",
        "accuracy",
    ]);
    for example in ["models", "whisper", "embed", "accuracy"] {
        add_test_files(&mut tests, example)?;
    }
    run(&mut tests)?;
    Ok(match fetched {
        Ok(()) => Outcome::Passed,
        Err(error) => Outcome::Skipped(format!("what needs pretrained models, since {error:#}")),
    })
}

/// Fetches the models and what they are tried on. Without features, the package that does it has nothing of Burn.
pub fn fetch(environment: &Environment, names: &[String]) -> Result<()> {
    let arguments = ["run", "--quiet", "--package", "clustered-attention-models", "--"];
    run(cargo(environment).args(arguments).args(names)).context("models could not be fetched")
}

/// Names the test files of an example. All packages share a command, so each file is asked for by name.
fn add_test_files(command: &mut Command, example: &str) -> Result<()> {
    let folder = root().join("examples").join(example).join("tests");
    if !folder.is_dir() {
        return Ok(());
    }
    let entries = folder.read_dir().with_context(|| folder.display().to_string())?;
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs")) {
        command.arg("--test").arg(path.file_stem().unwrap_or_default());
    }
    Ok(())
}
