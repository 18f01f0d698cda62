//! What is built on Burn, the feature `burn` and the examples with pretrained models, and on candle.

use crate::environment::Environment;
use crate::lint;
use crate::outcome::Outcome;
use crate::process::{cargo, root, run};
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::Command;

/// The library and the packages on Burn and candle. They are always built together, the library's tests or not, and with the same features:
/// Burn is large, and most of it would be built once more for every other choice. Of candle's dependencies it has the half.
const PACKAGES: [&str; 8] = [
    "clustered-attention",
    "clustered-attention-burn",
    "clustered-attention-candle",
    "clustered-attention-models",
    "clustered-attention-whisper",
    "clustered-attention-embed",
    "clustered-attention-vision",
    "clustered-attention-accuracy",
];
/// Where the tests of the three steps lie.
const BURN_FOLDER: &str = "examples/burn";
const CANDLE_FOLDER: &str = "examples/candle";
/// The test of the program that takes times.
const TIMES: &str = "layer_times";
const MODEL_FOLDERS: [&str; 5] =
    ["examples/models", "examples/whisper", "examples/embed", "examples/vision", "examples/accuracy"];
/// Both of Burn's backends that the examples know.
const FEATURES: &str =
    "clustered-attention-accuracy/wgpu,clustered-attention-embed/wgpu,clustered-attention-vision/wgpu,clustered-attention-whisper/wgpu";

/// A cargo command on all packages.
fn on_packages(environment: &Environment, command: &str) -> Command {
    let mut cargo = cargo(environment, command);
    // Burn tries many kernels for each shape that is new to it; one a kind is enough where nothing is timed.
    cargo.env("CUBECL_AUTOTUNE_LEVEL", "minimal");
    for package in PACKAGES {
        cargo.args(["--package", package]);
    }
    cargo.args(["--features", FEATURES]);
    cargo
}

/// Clippy and rustdoc have no warnings. Dependencies are built as for the tests without fusion, the models' among them.
pub fn lint(environment: &Environment) -> Result<()> {
    lint::run(on_packages(environment, "build").arg("--all-targets"))
}

/// Attention on Burn's tensors, on its CPU backend and on its wgpu backend, with fusion and without it.
pub fn test(environment: &Environment) -> Result<()> {
    for fusion in [true, false] {
        let mut tests = on_packages(environment, "test");
        if fusion {
            tests.args(["--features", "clustered-attention-burn/fusion"]);
        }
        tests.args(["--bin", "burn", "--example", "layer"]);
        // The program that takes times is the same with fusion; its test takes longest of all.
        for name in test_names(BURN_FOLDER)?.iter().filter(|name| !fusion || *name != TIMES) {
            tests.args(["--test", name]);
        }
        run(&mut tests)?;
    }
    let mut examples = on_packages(environment, "test");
    run(examples.args(["--doc", "--", "burn::"]))
}

/// Attention on candle's tensors, against candle's own operations.
pub fn test_candle(environment: &Environment) -> Result<()> {
    let mut tests = on_packages(environment, "test");
    add_test_files(&mut tests, CANDLE_FOLDER)?;
    run(&mut tests)?;
    // Of the library, what is in the module `candle` alone.
    for (kind, filter) in [("--lib", "candle::"), ("--doc", "candle")] {
        run(on_packages(environment, "test").args([kind, "--", filter]))?;
    }
    Ok(())
}

/// Speech recognition, embeddings and features of photographs. Where the models cannot be fetched, only what needs none, which is said in the summary.
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
        "vision",
        "--bin",
        "accuracy",
    ]);
    for folder in MODEL_FOLDERS {
        add_test_files(&mut tests, folder)?;
    }
    // `--lib` names the library's own tests too; those of kernels take two minutes and ran in the step `test`.
    tests.args(["--", "--skip", "gpu::tests"]);
    run(&mut tests)?;
    Ok(match fetched {
        Ok(()) => Outcome::Passed,
        Err(error) => Outcome::Skipped(format!("what needs pretrained models, since {error:#}")),
    })
}

/// Fetches the models and what they are tried on. Without features, the package that does it has nothing of Burn.
pub fn fetch(environment: &Environment, names: &[String]) -> Result<()> {
    let arguments = ["--quiet", "--package", "clustered-attention-models", "--"];
    run(cargo(environment, "run").args(arguments).args(names)).context("models could not be fetched")
}

/// Names the test files of a package. All packages share a command, so each file is asked for by name.
fn add_test_files(command: &mut Command, folder: &str) -> Result<()> {
    for name in test_names(folder)? {
        command.args(["--test", &name]);
    }
    Ok(())
}

/// Names of the test files of a package, in order.
fn test_names(package: &str) -> Result<Vec<String>> {
    let folder = root().join(package).join("tests");
    if !folder.is_dir() {
        return Ok(vec![]);
    }
    let entries = folder.read_dir().with_context(|| folder.display().to_string())?;
    let paths = entries.flatten().map(|entry| entry.path());
    // A file, or a folder of several.
    let is_test =
        |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rs") || path.join("main.rs").is_file();
    let names = paths.filter(is_test);
    let mut names: Vec<String> =
        names.filter_map(|path| path.file_stem().map(|name| name.to_string_lossy().into_owned())).collect();
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A test file is asked for by name of all packages at once, so a second one of that name would run in a step that it is not of.
    #[test]
    fn no_two_steps_have_tests_of_one_name() {
        let names = |packages: &[&str]| -> Vec<String> {
            packages.iter().flat_map(|package| test_names(package).expect("a folder of tests")).collect()
        };
        let steps = [names(&["."]), names(&[BURN_FOLDER]), names(&[CANDLE_FOLDER]), names(&MODEL_FOLDERS)];
        assert!(steps[1].contains(&TIMES.to_string()));
        for (index, step) in steps.iter().enumerate() {
            assert!(!step.is_empty());
            let others = steps[index + 1..].iter().flatten();
            let twice: Vec<&String> = others.filter(|name| step.contains(name)).collect();
            assert!(twice.is_empty(), "{twice:?}");
        }
    }
}
