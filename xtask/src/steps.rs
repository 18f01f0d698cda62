//! The steps of the tests, their times and their results.

use crate::environment::Environment;
use crate::process::{cargo, root, run as run_command};
use crate::{browser, burn, rust_version, setup, wasm, web, Options};
use anyhow::{bail, Context, Result};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The library, then the packages that only serve its tests. One at a time: in one build of the whole workspace, the features of
/// shared dependencies would differ from those of a plain build, and everything would be built twice.
const PACKAGES: [&str; 5] =
    ["clustered-attention", "xtask", "clustered-attention-browser-test", "bindgen", "clustered-attention-web"];
/// What the package registry accepts.
const LARGEST_PACKAGE_BYTES: u64 = 10_000_000;

/// One step of the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Setup,
    Format,
    Clippy,
    Documentation,
    Test,
    Bench,
    Demo,
    Wasm,
    Browser,
    Web,
    Burn,
    Models,
    Package,
    RustVersion,
}

/// How a step that did not fail ended.
pub enum Outcome {
    Passed,
    /// Left out, and why.
    Skipped(String),
}

impl Step {
    pub const ALL: [Self; 14] = [
        Self::Setup,
        Self::Format,
        Self::Clippy,
        Self::Documentation,
        Self::Test,
        Self::Bench,
        Self::Demo,
        Self::Wasm,
        Self::Browser,
        Self::Web,
        Self::Burn,
        Self::Models,
        Self::Package,
        Self::RustVersion,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Format => "fmt",
            Self::Clippy => "clippy",
            Self::Documentation => "doc",
            Self::Test => "test",
            Self::Bench => "bench",
            Self::Demo => "demo",
            Self::Wasm => "wasm",
            Self::Browser => "browser",
            Self::Web => "web",
            Self::Burn => "burn",
            Self::Models => "models",
            Self::Package => "package",
            Self::RustVersion => "msrv",
        }
    }

    pub fn describe(self) -> &'static str {
        match self {
            Self::Setup => {
                "what the tests need from the system: a software Vulkan driver, OpenGL ES, Chromium, Firefox"
            }
            Self::Format => "rustfmt finds nothing to change",
            Self::Clippy => "Clippy has no warnings",
            Self::Documentation => "rustdoc has no warnings",
            Self::Test => "all tests, on the CPU and on every adapter, and the examples in the documentation",
            Self::Bench => "every benchmark runs once",
            Self::Demo => "the main job runs on a short input",
            Self::Wasm => "the library compiles for WebAssembly",
            Self::Browser => "every method in a headless Chromium, against the CPU",
            Self::Web => "the page is built and does in Chromium and Firefox what it should",
            Self::Burn => "attention on Burn's tensors, with Burn's fusion and without",
            Self::Models => "speech recognition and embeddings with pretrained models, which are fetched",
            Self::Package => "the package builds by itself and is small enough to publish",
            Self::RustVersion => "the stated minimum Rust version is true",
        }
    }

    /// Steps of a list like `fmt,clippy`.
    pub fn parse_list(list: &str) -> Result<Vec<Self>> {
        let parse = |name: &str| {
            let step = Self::ALL.into_iter().find(|step| step.name() == name);
            step.with_context(|| {
                let names: Vec<&str> = Self::ALL.iter().map(|step| step.name()).collect();
                format!("there is no step `{name}`; there are {}", names.join(", "))
            })
        };
        list.split(',').map(str::trim).map(parse).collect()
    }

    fn run(self, environment: &Environment, options: &Options) -> Result<Outcome> {
        let cargo = || cargo(environment);
        match self {
            Self::Setup => setup::setup(options)?,
            Self::Format => run_command(cargo().args(["fmt", "--all", "--check"]))?,
            Self::Clippy => {
                for package in PACKAGES {
                    run_command(cargo().args([
                        "clippy",
                        "--package",
                        package,
                        "--all-targets",
                        "--",
                        "-D",
                        "warnings",
                    ]))?;
                }
                burn::clippy(environment)?;
            }
            Self::Documentation => {
                let arguments = ["doc", "--package", "clustered-attention", "--no-deps"];
                run_command(cargo().args(arguments).env("RUSTDOCFLAGS", "-D warnings"))?;
                burn::document(environment)?;
            }
            Self::Test => {
                for package in PACKAGES {
                    run_command(cargo().args(["test", "--package", package]))?;
                }
            }
            Self::Bench => {
                if !root().join("benches").is_dir() {
                    return Ok(Outcome::Skipped("there is no folder `benches`".into()));
                }
                run_command(cargo().args(["test", "--bench", "*"]))?;
            }
            Self::Demo => {
                if !root().join("examples/headless.rs").is_file() && !root().join("examples/headless").is_dir() {
                    return Ok(Outcome::Skipped("there is no example `headless`".into()));
                }
                // The profile of the tests: everything is built already.
                run_command(cargo().args([
                    "run",
                    "--profile",
                    "test",
                    "--example",
                    "headless",
                    "--",
                    "--length",
                    "700",
                ]))?;
            }
            Self::Wasm => wasm::BROWSER_TEST.build(environment)?,
            Self::Browser => browser::test(environment)?,
            Self::Web => {
                web::build(environment)?;
                web::test(environment)?;
            }
            Self::Burn => burn::test(environment)?,
            Self::Models => return burn::test_models(environment),
            Self::Package => package(environment)?,
            Self::RustVersion => return rust_version::check(environment),
        }
        Ok(Outcome::Passed)
    }
}

/// Runs steps, goes on after a failure, and sums up. Returns whether none failed.
pub fn run(options: &Options) -> Result<bool> {
    let mut results: Vec<(Step, Result<Outcome>, Duration)> = vec![];
    for &step in &options.steps {
        println!("\n=== {}: {}", step.name(), step.describe());
        let start = Instant::now();
        let result = if options.skip.contains(&step) {
            Ok(Outcome::Skipped("as asked".into()))
        } else {
            // Set-up may just have brought another driver.
            Environment::prepare().and_then(|environment| {
                let environment = environment.with_quick_software_compilers();
                // Burn takes an adapter by itself; SwiftShader is far slower than lavapipe.
                let takes_an_adapter = matches!(step, Step::Burn | Step::Models);
                step.run(&if takes_an_adapter { environment } else { environment.with_swiftshader() }, options)
            })
        };
        match &result {
            Ok(Outcome::Passed) => {}
            Ok(Outcome::Skipped(reason)) => println!("SKIPPED {}: {reason}", step.name()),
            Err(error) => println!("FAILED {}: {error:#}", step.name()),
        }
        results.push((step, result, start.elapsed()));
    }
    let [mut passed, mut failed, mut skipped] = [0; 3];
    println!("\n{:10}{:>9}  result", "step", "seconds");
    for (step, result, time) in &results {
        let (count, text) = match result {
            Ok(Outcome::Passed) => (&mut passed, "passed".into()),
            Ok(Outcome::Skipped(reason)) => (&mut skipped, format!("SKIPPED: {reason}")),
            Err(error) => (&mut failed, format!("FAILED: {error:#}")),
        };
        *count += 1;
        println!("{:10}{:9.1}  {text}", step.name(), time.as_secs_f64());
    }
    println!("\n{passed} passed, {failed} failed, {skipped} skipped");
    Ok(failed == 0)
}

/// Packs the library, builds it from the package and checks the size.
fn package(environment: &Environment) -> Result<()> {
    let target: PathBuf = crate::process::metadata(environment)?["target_directory"]
        .as_str()
        .context("`cargo metadata` names no target folder")?
        .into();
    // Naming the target folder lets the build from the package find the dependencies that are built already.
    let arguments = ["package", "--package", "clustered-attention", "--allow-dirty", "--target-dir"];
    run_command(cargo(environment).args(arguments).arg(&target))?;
    let folder = target.join("package");
    let archives = folder.read_dir().context("there is no package")?.flatten().map(|entry| entry.path());
    let newest = archives
        .filter(|path| path.extension().is_some_and(|extension| extension == "crate"))
        .max_by_key(|path| path.metadata().and_then(|metadata| metadata.modified()).ok())
        .context("there is no package")?;
    let bytes = newest.metadata()?.len();
    println!("{}: {:.2} MB", newest.display(), bytes as f64 / 1e6);
    if bytes > LARGEST_PACKAGE_BYTES {
        bail!("the package has {bytes} bytes; {LARGEST_PACKAGE_BYTES} are allowed");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_steps_are_read_by_name() {
        assert_eq!(Step::parse_list("fmt, msrv").unwrap(), [Step::Format, Step::RustVersion]);
        assert!(Step::parse_list("fmt,lint").unwrap_err().to_string().contains("`lint`"));
    }
}
