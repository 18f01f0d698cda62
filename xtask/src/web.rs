//! The page for browsers and the package behind it: built, served and tested.

use crate::environment::Environment;
use crate::process::{find_program, output, root, run};
use crate::{browser, library, say, wasm};
use anyhow::{bail, Context, Result};
use std::path::PathBuf;
use std::process::Command;

/// The oldest Node.js that Vite runs on.
const NODE: (u32, u32) = (20, 19);

/// Where the page's sources are; `dist` in it is what one uploads.
pub fn folder() -> PathBuf {
    root().join("examples/web")
}

/// Builds the package into `npm` and the page into `dist`.
pub fn build(environment: &Environment) -> Result<()> {
    node()?;
    wasm::WEB.build(environment)?;
    wasm::WEB.write_bindings(environment, &folder().join("npm"))?;
    run(npm()?.args(["ci", "--no-audit", "--no-fund"]))?;
    run(npm()?.args(["run", "check"]))?;
    run(npm()?.args(["run", "build"]))?;
    run(npm()?.args(["pack", "--dry-run", "./npm"]))?;
    say!("the page is in {}", folder().join("dist").display())?;
    Ok(())
}

/// Serves the built page until it is stopped.
pub fn serve(port: u16) -> Result<()> {
    run(npm()?.args(["run", "preview", "--", "--port", &port.to_string(), "--strictPort"]))
}

/// Runs the page's tests, in every browser there is.
pub fn test(environment: &Environment) -> Result<()> {
    let kernels = write_kernels(environment)?;
    let mut command = Command::new(node()?);
    command.current_dir(folder()).arg("test/run.mjs").envs(environment.variables());
    command.env("CLUSTERED_ATTENTION_KERNELS", kernels);
    if let Some(chromium) = browser::find() {
        command.env(browser::VARIABLE, chromium);
    }
    run(&mut command)
}

/// Writes kernels as hardware gets them, which the browsers' own compilers are to take: a folder for each set of sizes.
fn write_kernels(environment: &Environment) -> Result<PathBuf> {
    // The profile of the tests, which have built it already; with optimisation it takes minutes.
    let headless = library::build_program(environment, &["--profile", "test", "--example", "headless"])?;
    let folder = root().join("target/kernels");
    for (set, sizes) in [
        ("even", "--length 1500 --method exact,clustered,improved,stitched,window --guard recompute"),
        ("odd", "--length 300 --width 30 --method exact,stitched --spread"),
        ("wide", "--length 300 --width 100 --method window,stitched --key-groups 0 --space hamming"),
    ] {
        let kernels = folder.join(set);
        if kernels.exists() {
            std::fs::remove_dir_all(&kernels)?;
        }
        let mut command = Command::new(&headless);
        command.envs(environment.variables()).args(["--backend", "cpu", "--write-kernels"]).arg(kernels);
        run(command.args(sizes.split_whitespace()))?;
    }
    Ok(folder)
}

/// Firefox, in which the page is tested where it is there.
pub fn firefox() -> Option<PathBuf> {
    ["firefox-esr", "firefox"].iter().find_map(find_program)
}

/// Node.js, recent enough.
pub fn node() -> Result<PathBuf> {
    let node = find_program("node").context("Node.js was not found: the page is built with it (https://nodejs.org)")?;
    let printed = output(Command::new(&node).arg("--version")).unwrap_or_default();
    let version = version(&printed).with_context(|| format!("Node.js says it is version `{}`", printed.trim()))?;
    if version < NODE {
        bail!("Node.js is {}.{}; the page is built with {}.{} or later", version.0, version.1, NODE.0, NODE.1);
    }
    Ok(node)
}

/// Major and minor of a version like `v20.20.2`.
fn version(printed: &str) -> Option<(u32, u32)> {
    let mut numbers = printed.trim().trim_start_matches('v').split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// npm in the page's folder. On Windows it is a script, which only a shell starts.
fn npm() -> Result<Command> {
    let mut command = if cfg!(windows) {
        let mut command = Command::new("cmd");
        command.args(["/C", "npm"]);
        command
    } else {
        Command::new(find_program("npm").context("npm was not found; it comes with Node.js")?)
    };
    command.current_dir(folder());
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(version("v20.20.2\n"), Some((20, 20)));
        assert_eq!(version("v6.0"), Some((6, 0)));
        assert_eq!(version(""), None);
        assert!(version("v18.20.4").unwrap() < NODE);
    }
}
