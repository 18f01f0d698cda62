//! The WebAssembly build of the browser test.

use crate::environment::Environment;
use crate::process::{cargo, cargo_of, metadata, output, run};
use anyhow::{bail, Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-unknown-unknown";
/// The rustup toolchain that is used where the one in use cannot get the target, on a machine without a way to rustup's server.
const FALLBACK_TOOLCHAIN: &str = "web";
/// The package of the browser test, and its library's file name.
const PACKAGE: &str = "clustered-attention-browser-test";
const LIBRARY: &str = "clustered_attention_browser_test";

/// Builds the browser test for WebAssembly.
pub fn build(environment: &Environment) -> Result<()> {
    let toolchain = toolchain()?;
    run(cargo_of(environment, toolchain).args(["build", "--release", "--package", PACKAGE, "--target", TARGET]))
}

/// Writes the browser test's library and the JavaScript that loads it into a folder: `test.js` and `test_bg.wasm`.
pub fn write_bindings(environment: &Environment, folder: &Path) -> Result<()> {
    let library = target_folder(environment)?.join(TARGET).join("release").join(LIBRARY).with_extension("wasm");
    if !library.exists() {
        bail!("{} is not there; the step `wasm` builds it", library.display());
    }
    run(cargo(environment).args(["run", "--quiet", "--package", "bindgen", "--"]).arg(library).arg(folder))
}

/// The toolchain to build with; `None` for the one in use.
fn toolchain() -> Result<Option<&'static str>> {
    if has_target(None) {
        return Ok(None);
    }
    if has_target(Some(FALLBACK_TOOLCHAIN)) {
        println!("building with the toolchain `{FALLBACK_TOOLCHAIN}`: the one in use lacks {TARGET}");
        return Ok(Some(FALLBACK_TOOLCHAIN));
    }
    run(Command::new("rustup").args(["target", "add", TARGET]))
        .with_context(|| format!("the target {TARGET} is not there and cannot be added"))?;
    Ok(None)
}

/// Whether a toolchain is there and has the target's standard library.
fn has_target(toolchain: Option<&str>) -> bool {
    let mut command = Command::new("rustc");
    if let Some(toolchain) = toolchain {
        command.env("RUSTUP_TOOLCHAIN", toolchain);
    }
    let folder = output(command.args(["--print", "target-libdir", "--target", TARGET]));
    folder.is_some_and(|folder| Path::new(folder.trim()).is_dir())
}

fn target_folder(environment: &Environment) -> Result<PathBuf> {
    let metadata = metadata(environment)?;
    Ok(metadata["target_directory"].as_str().context("`cargo metadata` names no target folder")?.into())
}
