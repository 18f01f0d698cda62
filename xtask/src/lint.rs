//! Clippy and rustdoc over a build's own crates, with the dependencies that the tests are built with.
//!
//! `cargo clippy` and `cargo doc` have dependencies compiled once more, for their types alone; for Burn that takes minutes. Here Cargo
//! builds as for tests but starts this program for the workspace's crates, as `cargo clippy` has its own started
//! (`RUSTC_WORKSPACE_WRAPPER`). It runs Clippy's compiler without generating code, then rustdoc on the same arguments.

use crate::caller;
use crate::environment::TemporaryFolder;
use crate::process::{output, run as run_command};
use anyhow::{ensure, Context, Result};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// Tells this program that Cargo started it, and where Clippy's compiler and rustdoc are.
pub const VARIABLE: &str = "CLUSTERED_ATTENTION_LINT";

/// Runs a `cargo build` that fails where Clippy or rustdoc warns.
pub fn run(build: &mut Command) -> Result<()> {
    let sysroot = output(Command::new("rustc").args(["--print", "sysroot"])).context("rustc cannot be started")?;
    let folder = Path::new(sysroot.trim()).join("bin");
    for program in ["clippy-driver", "rustdoc"] {
        let path = tool(&folder, program);
        ensure!(path.is_file(), "{} is missing: rustup component add clippy", path.display());
    }
    // Code for the workspace's crates is not generated, whatever their profile says.
    run_command(build.env("RUSTC_WORKSPACE_WRAPPER", caller::program()?).env(VARIABLE, folder))
}

/// What Cargo starts in place of the compiler: `arguments` begin with the compiler's path. Returns whether all went well.
pub fn compile(tools: &Path, arguments: &[OsString]) -> Result<bool> {
    let (compiler, arguments) = arguments.split_first().context("no compiler was named")?;
    let texts: Vec<String> = arguments.iter().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let succeeds = |command: &mut Command| -> Result<bool> {
        Ok(command.status().with_context(|| format!("cannot start {}", command.get_program().display()))?.success())
    };
    let Some(unit) = Unit::parse(&texts) else {
        // A question about the compiler, or a program that the build runs.
        return succeeds(Command::new(compiler).args(arguments));
    };
    let record = format!("{}\n{}", tools.display(), unit.compiler.join("\n"));
    if unit.is_unchanged(&record) {
        return Ok(true);
    }
    let begin = SystemTime::now();
    let mut clippy = Command::new(tool(tools, "clippy-driver"));
    if !succeeds(clippy.arg(compiler).args(&unit.compiler).arg("-Dwarnings"))? {
        return Ok(false);
    }
    if let Some(arguments) = &unit.rustdoc {
        let folder = TemporaryFolder::new("rustdoc")?;
        let mut rustdoc = Command::new(tool(tools, "rustdoc"));
        if !succeeds(rustdoc.args(arguments).arg("-Dwarnings").arg("-o").arg(folder.path()))? {
            return Ok(false);
        }
    }
    // What is written from here on is newer than the note, and so checked again.
    std::fs::write(unit.stamp(), record).context("cannot note what was checked")?;
    let stamp = std::fs::File::options().write(true).open(unit.stamp())?;
    stamp.set_modified(begin)?;
    Ok(true)
}

fn tool(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

/// One crate that is to be checked.
struct Unit {
    /// Arguments for Clippy's compiler.
    compiler: Vec<String>,
    /// Arguments for rustdoc; tests have no documentation.
    rustdoc: Option<Vec<String>>,
    /// The path of what the compiler writes, without its extension.
    stem: PathBuf,
}

impl Unit {
    /// Reads the compiler's arguments; `None` where nothing is to be checked.
    fn parse(arguments: &[String]) -> Option<Self> {
        let value = |name: &str| {
            let at = arguments.iter().position(|argument| argument == name)?;
            arguments.get(at + 1).map(String::as_str)
        };
        let name = value("--crate-name")?;
        let folder = value("--out-dir")?;
        // A library for other languages has none.
        let suffix = arguments.iter().find_map(|argument| argument.strip_prefix("extra-filename=")).unwrap_or_default();
        let is_run_by_the_build = value("--crate-type") == Some("proc-macro") || name == "build_script_build";
        if is_run_by_the_build || !arguments.iter().any(|argument| argument.starts_with("--emit=")) {
            return None;
        }
        let compiler: Vec<String> = arguments.iter().map(|argument| without_code(argument)).collect();
        let is_documented = !arguments.iter().any(|argument| argument == "--test");
        // As `cargo doc` has it, private items of programs but not of examples are read.
        let is_program = value("--crate-type") == Some("bin") && !Path::new(folder).ends_with("examples");
        let rustdoc = is_documented.then(|| documenting(&compiler, is_program));
        Some(Self { compiler, rustdoc, stem: Path::new(folder).join(format!("{name}{suffix}")) })
    }

    /// Where it is noted that the crate was checked, and with what arguments.
    fn stamp(&self) -> PathBuf {
        self.stem.with_extension("checked")
    }

    /// Whether the crate was checked with these arguments since anything that it is made of was written. Cargo cannot tell: it misses
    /// the code.
    fn is_unchanged(&self, record: &str) -> bool {
        let written = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
        let Some(checked) = written(&self.stamp()) else { return false };
        if std::fs::read_to_string(self.stamp()).ok().as_deref() != Some(record) {
            return false;
        }
        let Ok(sources) = std::fs::read_to_string(self.stem.with_extension("d")) else { return false };
        let externs = self.compiler.iter().filter_map(|argument| Some(argument.split_once('=')?.1));
        let externs = externs.filter(|path| path.ends_with(".rmeta") || path.ends_with(".rlib")).map(PathBuf::from);
        let is_older = |path: PathBuf| written(&path).is_some_and(|time: SystemTime| time <= checked);
        sources_of(&sources).into_iter().chain(externs).all(is_older)
    }
}

/// An argument of a build, for a compilation that generates no code.
fn without_code(argument: &str) -> String {
    if let Some(kinds) = argument.strip_prefix("--emit=") {
        let information = if kinds.contains("dep-info") { "dep-info,metadata" } else { "metadata" };
        return format!("--emit={information}");
    }
    // A crate that was checked left its types alone.
    match argument.strip_suffix(".rlib").map(|stem| format!("{stem}.rmeta")) {
        Some(types) if argument.split_once('=').is_some_and(|(_, path)| !Path::new(path).exists()) => types,
        _ => argument.into(),
    }
}

/// The arguments by which rustdoc reads the same crate.
fn documenting(compiler: &[String], is_program: bool) -> Vec<String> {
    let mut arguments = vec![];
    let mut compiler = compiler.iter();
    while let Some(argument) = compiler.next() {
        match argument.as_str() {
            "-C" | "--out-dir" => {
                compiler.next();
            }
            emit if emit.starts_with("--emit=") => {}
            _ => arguments.push(argument.clone()),
        }
    }
    if is_program {
        arguments.push("--document-private-items".into());
    }
    arguments
}

/// The files in what the compiler tells a `make`: `target: file file`, with spaces in names as `\ `.
fn sources_of(rules: &str) -> Vec<PathBuf> {
    let files = rules.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(": "));
    let files = files.flat_map(|(_, files)| {
        let joined = files.replace("\\ ", "\0");
        joined.split_whitespace().map(|file| PathBuf::from(file.replace('\0', " "))).collect::<Vec<_>>()
    });
    files.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(text: &str) -> Vec<String> {
        text.split_whitespace().map(String::from).collect()
    }

    #[test]
    fn a_library_is_checked_and_documented_without_code() {
        let unit = Unit::parse(&arguments(
            "--crate-name some --edition=2021 src/lib.rs --crate-type lib --emit=dep-info,metadata,link -C opt-level=1 \
             -C extra-filename=-0123 --out-dir folder -L dependency=folder --extern other=folder/libother-4567.rlib",
        ));
        let unit = unit.expect("a library");
        let compiler = unit.compiler.join(" ");
        assert!(compiler.contains("--emit=dep-info,metadata -C"), "{compiler}");
        assert!(compiler.ends_with("--extern other=folder/libother-4567.rmeta"), "{compiler}");
        let expected = "--crate-name some --edition=2021 src/lib.rs --crate-type lib -L dependency=folder \
                        --extern other=folder/libother-4567.rmeta";
        assert_eq!(unit.rustdoc.expect("documentation"), arguments(expected));
        assert_eq!(unit.stem, Path::new("folder/some-0123"));
    }

    #[test]
    fn a_library_for_other_languages_is_checked_too() {
        let unit = Unit::parse(&arguments(
            "--crate-name some src/lib.rs --crate-type cdylib --crate-type rlib --emit=dep-info,metadata,link --out-dir folder",
        ));
        assert_eq!(unit.expect("a library").stem, Path::new("folder/some"));
    }

    #[test]
    fn tests_are_not_documented_and_questions_not_checked() {
        let test = "--crate-name some src/lib.rs --emit=dep-info,link --test -C extra-filename=-0 --out-dir folder";
        assert!(Unit::parse(&arguments(test)).expect("a test").rustdoc.is_none());
        assert!(Unit::parse(&arguments("- --crate-name ___ --print=file-names --crate-type bin")).is_none());
        let script =
            "--crate-name build_script_build build.rs --emit=dep-info,link -C extra-filename=-0 --out-dir folder";
        assert!(Unit::parse(&arguments(script)).is_none());
    }

    #[test]
    fn sources_are_read_from_rules() {
        let rules = "out/some.d: src/lib.rs a\\ b.rs\n\nsrc/lib.rs:\n\n# env-dep:NAME=a: b\n";
        assert_eq!(sources_of(rules), [PathBuf::from("src/lib.rs"), PathBuf::from("a b.rs")]);
    }
}
