//! What real GPUs' compilers make of the kernels, without a GPU: `cargo xtask isa`.

mod drivers;
mod figures;
mod limits;
mod sets;
mod target;

use crate::environment::Environment;
use crate::outcome::Outcome;
use crate::process::{self, cargo, root, run as run_command};
use crate::{build_headless, caller, library, lint, say};
use anyhow::{bail, Context, Result};
use drivers::Drivers;
use figures::{Report, Row};
use lexopt::{Arg, Parser, ValueExt};
use limits::Limits;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use target::Target;

/// Where the drivers are, or are to be set up.
pub const VARIABLE: &str = "CLUSTERED_ATTENTION_ISA";

/// The program that compiles kernels and reads assembly, a workspace of its own.
const PROGRAM: &str = "benches/isa/Cargo.toml";

/// What the command line asks for.
struct Options {
    folder: PathBuf,
    targets: Vec<Target>,
    json: Option<PathBuf>,
    check: bool,
    write_limits: bool,
    matrices: bool,
}

impl Options {
    fn parse(parser: &mut Parser, folder: PathBuf) -> Result<Self> {
        let (targets, json, [check, write_limits, matrices]) = (Target::ALL.to_vec(), None, [false; 3]);
        let mut options = Self { folder, targets, json, check, write_limits, matrices };
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("folder") => options.folder = caller::folder().join(parser.value()?),
                Arg::Long("targets") => options.targets = Target::parse_list(&parser.value()?.string()?)?,
                Arg::Long("json") => options.json = Some(caller::folder().join(parser.value()?)),
                Arg::Long("check") => options.check = true,
                Arg::Long("write-limits") => options.write_limits = true,
                Arg::Long("matrices") => options.matrices = true,
                other => return Err(other.unexpected().into()),
            }
        }
        if options.write_limits && options.targets.len() != Target::ALL.len() {
            bail!("--write-limits writes those of every target, and so goes without --targets");
        }
        let others = options.write_limits || options.check || options.json.is_some();
        if options.matrices && (others || options.targets.len() != Target::ALL.len()) {
            bail!("--matrices runs tests, and goes with --folder alone");
        }
        Ok(options)
    }
}

/// Compiles every kernel for targets, prints a table for each, and does with the figures what was asked for.
pub fn run(parser: &mut Parser) -> Result<bool> {
    let environment = Environment::prepare()?;
    let options = Options::parse(parser, folder(&environment)?)?;
    let drivers = Drivers::prepare(&options.folder)?;
    if options.matrices {
        let environment = environment.with_quick_software_compilers();
        matrices(&drivers, ["clustered_attention", "matrix_units"], &environment)?;
        matrices(&drivers, ["vectors", "every_vector_file"], &environment)?;
        return Ok(true);
    }
    let reports = reports(&drivers, &options.targets, &build_headless(&environment)?, &environment)?;
    for report in &reports {
        say!("{}", report.table())?;
    }
    if let Some(path) = &options.json {
        std::fs::write(path, figures::json(&reports)).with_context(|| format!("cannot write {}", path.display()))?;
        say!("Written: {}", path.display())?;
    }
    if options.write_limits {
        say!("Written: {}", limits::write(&reports)?.display())?;
    }
    if options.check {
        if let Outcome::Skipped(reason) = check(&reports)? {
            bail!("{reason}");
        }
    }
    Ok(true)
}

/// The step of the tests: the program is right, and every kernel stays within its limits, where the drivers are there or were asked for.
pub fn test(environment: &Environment) -> Result<Outcome> {
    let cargo = |command: &str| cargo_of_program(environment, command);
    run_command(process::cargo(environment, "fmt").args(["--manifest-path", PROGRAM, "--check"]))?;
    lint::run(cargo("build")?.args(["--release", "--all-targets"]))?;
    run_command(cargo("test")?.arg("--release"))?;
    let folder = folder(environment)?;
    if Drivers::find(&folder).is_none() && std::env::var_os(VARIABLE).is_none() {
        return Ok(Outcome::Skipped(format!(
            "there are no drivers that compile for GPUs; `cargo xtask isa` sets them up on Debian, or this step itself with {VARIABLE} \
             naming a folder for them"
        )));
    }
    let drivers = Drivers::prepare(&folder)?;
    // The profile of the tests: everything is built already.
    let headless = library::build_program(environment, &["--profile", "test", "--example", "headless"])?;
    let outcome = check(&reports(&drivers, &Target::ALL, &headless, environment)?)?;
    matrices(&drivers, ["clustered_attention", "matrix_units"], environment)?;
    Ok(outcome)
}

/// Tests of a target, by a part of their names, on llvmpipe's matrix units.
fn matrices(drivers: &Drivers, [target, name]: [&str; 2], environment: &Environment) -> Result<()> {
    let mut command = drivers.software_command(&library::build_tests(environment, target)?, environment)?;
    // Subgroups of four lanes have no matrices.
    command.env_remove("LP_NATIVE_VECTOR_WIDTH");
    // Fails where no adapter has any.
    command.current_dir(root()).env("CLUSTERED_ATTENTION_MATRIX_UNITS", "1").env_remove("CLUSTERED_ATTENTION_ADAPTER");
    run_command(command.args([name, "--nocapture"]))
}

/// Where the drivers are unless the command line says otherwise.
fn folder(environment: &Environment) -> Result<PathBuf> {
    match std::env::var_os(VARIABLE) {
        Some(folder) => Ok(folder.into()),
        None => Ok(process::target_folder(environment)?.join("isa/drivers")),
    }
}

/// A Cargo command on the program, which builds beside what else is built.
fn cargo_of_program(environment: &Environment, command: &str) -> Result<Command> {
    let mut cargo = cargo(environment, command);
    cargo.args(["--manifest-path", PROGRAM, "--target-dir"]);
    cargo.arg(process::target_folder(environment)?.join("isa/build"));
    Ok(cargo)
}

/// Every kernel is within its limits, as far as the drivers are those that the limits were measured with.
fn check(reports: &[Report]) -> Result<Outcome> {
    let limits = Limits::read()?;
    if let (Some(version), Some(report)) = (limits.other_drivers(reports), reports.first()) {
        return Ok(Outcome::Skipped(format!(
            "the limits were measured with {version}, and these drivers are {}; `cargo xtask isa --write-limits` before a change makes \
             limits that it can be held to",
            report.driver
        )));
    }
    let violations = limits.violations(reports);
    if !violations.is_empty() {
        bail!(
            "{}\n(what is meant to be so: `cargo xtask isa --write-limits`, and look at what it changes)",
            violations.join("\n")
        );
    }
    let count: usize = reports.iter().map(|report| report.rows.len()).sum();
    say!("{count} kernels are within their limits")?;
    Ok(Outcome::Passed)
}

fn reports(drivers: &Drivers, targets: &[Target], headless: &Path, environment: &Environment) -> Result<Vec<Report>> {
    let program = process::build_program(cargo_of_program(environment, "build")?.arg("--release"))?;
    let folder = process::target_folder(environment)?.join("isa/kernels");
    let report = |target: &Target| {
        say!("{}: WGSL and assembly go to {}", target.describe, folder.join(target.name).display())?;
        report(drivers, target, [headless, &program], &folder.join(target.name), environment)
            .with_context(|| format!("target {}", target.name))
    };
    targets.iter().map(report).collect()
}

/// Compiles every kernel for a target. `programs`: the example `headless`, and that which compiles.
fn report(
    drivers: &Drivers,
    target: &Target,
    [headless, program]: [&Path; 2],
    folder: &Path,
    environment: &Environment,
) -> Result<Report> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    let (mut rows, mut driver) = (Vec::new(), String::new());
    for (set, kernels) in sets::write(drivers, target, headless, folder, environment)? {
        if kernels.is_empty() {
            continue;
        }
        let output = folder.join(format!("{set}.jsonl"));
        let mut command = drivers.command(target, program, environment)?;
        command.current_dir(root()).arg("--output").arg(&output).arg("--assembly").arg(folder.join(set));
        command.args(kernels.iter().map(|kernel| &kernel.path));
        let done = command.output().context("the compiling program cannot be started")?;
        if !done.status.success() {
            bail!("kernels of the set {set} cannot be compiled: {}", String::from_utf8_lossy(&done.stderr).trim());
        }
        let text = std::fs::read_to_string(&output)?;
        for line in text.lines() {
            let parsed: Value = serde_json::from_str(line)?;
            let stem = |kernel: &&sets::Kernel| {
                kernel.path.file_stem().is_some_and(|stem| parsed["file"] == *stem.to_string_lossy())
            };
            let kernel = kernels.iter().find(stem).context("a kernel was compiled that was not asked for")?;
            rows.push(Row::parse(&kernel.key, line)?);
            driver = parsed["driver"].as_str().unwrap_or_default().to_owned();
        }
    }
    Ok(Report { target: *target, driver, rows })
}
