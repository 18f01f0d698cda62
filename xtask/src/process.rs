//! Starting other programs.

use crate::environment::Environment;
use crate::say;
use anyhow::{bail, Context, Result};
use serde_json::Value;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The workspace's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace's folder")
}

/// A Cargo command, in the environment that tests run in.
pub fn cargo(environment: &Environment, command: &str) -> Command {
    cargo_of(environment, None, command)
}

/// A Cargo command of another rustup toolchain than the one in use.
pub fn cargo_of(environment: &Environment, toolchain: Option<&str>, command: &str) -> Command {
    // Inside `cargo xtask`, CARGO names the toolchain's own program, which knows no other toolchains; on the path is rustup's.
    let mut cargo = match toolchain {
        None => Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())),
        Some(_) => Command::new("cargo"),
    };
    cargo.current_dir(root()).envs(environment.variables());
    if let Some(toolchain) = toolchain {
        cargo.env("RUSTUP_TOOLCHAIN", toolchain).env_remove("CARGO").env_remove("RUSTC");
    }
    cargo.arg(command);
    // What CI tests is what the lock file says. `cargo fmt` resolves nothing.
    if std::env::var_os("CI").is_some() && command != "fmt" {
        cargo.arg("--locked");
    }
    cargo
}

/// Runs a command whose output the user sees.
pub fn run(command: &mut Command) -> Result<()> {
    say!("$ {}", describe(command))?;
    let status = command.status().with_context(|| format!("cannot start `{}`", describe(command)))?;
    if !status.success() {
        bail!("`{}` failed ({status})", describe(command));
    }
    Ok(())
}

/// Runs a command and returns what it printed; `None` if it isn't there or fails.
pub fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A command as a person would type it.
fn describe(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_stem().unwrap_or(command.get_program());
    let mut words = vec![program.to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|argument| argument.to_string_lossy().into_owned()));
    words.join(" ")
}

/// Where a program is, if it is on the path.
pub fn find_program(name: impl AsRef<OsStr>) -> Option<PathBuf> {
    let file = format!("{}{}", name.as_ref().to_string_lossy(), std::env::consts::EXE_SUFFIX);
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(&file)).find(|path| path.is_file())
}

/// What `cargo metadata` says.
pub fn metadata(environment: &Environment) -> Result<Value> {
    let mut command = cargo(environment, "metadata");
    let output = command.args(["--format-version", "1"]).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("`cargo metadata` failed ({})", output.status);
    }
    serde_json::from_slice(&output.stdout).context("`cargo metadata` printed something unexpected")
}

/// Builds one program by a `cargo build`, and tells where it is: Cargo knows, whatever folder and target it builds into.
pub fn build_program(build: &mut Command) -> Result<PathBuf> {
    executable(&build_messages(build)?, None).context("Cargo built no program")
}

/// The same of several programs, for the one of a target.
pub fn build_target(build: &mut Command, name: &str) -> Result<PathBuf> {
    executable(&build_messages(build)?, Some(name)).with_context(|| format!("Cargo built no program {name}"))
}

fn build_messages(build: &mut Command) -> Result<String> {
    say!("$ {}", describe(build))?;
    let build = build.arg("--message-format=json-render-diagnostics").stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = build.output().with_context(|| format!("cannot start `{}`", describe(build)))?;
    if !output.status.success() {
        bail!("`{}` failed ({})", describe(build), output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The program among what Cargo says that it built: the first, or that of a target.
fn executable(messages: &str, target: Option<&str>) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut wanted = messages.filter(|message| target.is_none_or(|name| message["target"]["name"] == name));
    wanted.find_map(|message| Some(message["executable"].as_str()?.into()))
}

/// Where Cargo builds.
pub fn target_folder(environment: &Environment) -> Result<PathBuf> {
    Ok(metadata(environment)?["target_directory"].as_str().context("`cargo metadata` names no target folder")?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_what_cargo_says() {
        let messages = "{\"reason\":\"compiler-artifact\",\"executable\":null}\nno JSON\n\
                        {\"reason\":\"compiler-artifact\",\"executable\":\"/a b/release/examples/headless\"}\n\
                        {\"target\":{\"name\":\"vectors\"},\"executable\":\"/vectors\"}\n\
                        {\"reason\":\"build-finished\",\"success\":true}\n";
        assert_eq!(executable(messages, None), Some("/a b/release/examples/headless".into()));
        assert_eq!(executable(messages, Some("vectors")), Some("/vectors".into()));
        assert_eq!(executable(messages, Some("other")).or(executable("", None)), None);
    }

    #[test]
    fn cargo_builds_where_the_variable_says() {
        let folder = std::env::temp_dir().join("clustered-attention-elsewhere");
        let environment = Environment::of(vec![("CARGO_TARGET_DIR", folder.clone().into())]);
        assert_eq!(target_folder(&environment).unwrap(), folder);
    }
}
