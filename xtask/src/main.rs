//! Set-up, demo, benchmark and tests, the same on every platform: `cargo xtask help`.

mod browser;
mod burn;
mod caller;
mod environment;
mod isa;
mod library;
mod lint;
mod options;
mod outcome;
mod package;
mod process;
mod rust_version;
mod setup;
mod step;
mod steps;
#[path = "../../examples/headless/terminal.rs"]
mod terminal;
mod wasm;
mod web;

use anyhow::{bail, Context, Result};
use environment::Environment;
use lexopt::{Arg, Parser, ValueExt};
use options::Options;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use step::Step;

const CANNOT_START: &str = "cannot start `headless`";

const HELP: &str = "\
Set-up, demo, benchmark and tests of clustered-attention.

cargo xtask demo [-- ARGUMENTS]   runs the main job: every method on a real input, on the CPU and on the GPU if there is one;
                                  arguments go to the example `headless`
cargo xtask bench [-- ARGUMENTS]  measures every method and stage over a sweep, on the CPU and on the best adapter, and writes a
                                  report, benchmark.html in Cargo's target folder unless --html names another; arguments go to
                                  `headless bench`
cargo xtask web [--port PORT]     builds the page for browsers into examples/web/dist, with the package behind it, and serves it at
                                  http://127.0.0.1:4173; with --build-only it only builds
cargo xtask models [NAME ...]     fetches pretrained models, and speech and text to try them on, into a cache outside the repository
                                  (CLUSTERED_ATTENTION_MODELS names another folder)
cargo xtask isa [OPTIONS]         what real GPUs' compilers make of every kernel, without a GPU: registers, spills, occupancy, instructions. Sets
                                  Mesa's drivers up apart from the system first, without root (Debian)
cargo xtask test [OPTIONS]        installs what the tests need and runs the quick ones, on the CPU and one software adapter
cargo xtask test --all [OPTIONS]  runs all of them, on every adapter and in every browser: what CI runs
cargo xtask web-check [OPTIONS]   the tests' browser part: the same as `test --only setup,wasm,browser`
cargo xtask setup [OPTIONS]       only installs what the tests need

Options
  --only STEP,...   runs only these steps, of either tier
  --skip STEP,...   leaves these steps out
  --no-install      says what is missing instead of installing it
  --no-backports    on Debian 12, leaves Mesa as it is. Otherwise, where root can be had, it is taken from bookworm-backports, which is
                    added if need be: its software Vulkan driver is about five times faster than the stable one

Options of isa
  --matrices         runs the tests of matrix units on the one software adapter that has some, and nothing else
  --folder FOLDER    where the drivers are set up (CLUSTERED_ATTENTION_ISA names another default than Cargo's target folder)
  --targets NAME,... only these: ada, turing, navi21, navi31, m1, a740
  --json FILE        writes the figures to this file too
  --check            fails where a kernel exceeds its limits (shaders/limits.json)
  --write-limits     makes the figures the limits

Paths in arguments and variables are meant from the folder that the command is called in.
With the variable CI set, Cargo.lock is not changed: every step takes --locked.
";

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => terminal::end(error.as_ref(), format_args!("{error:#}")),
    }
}

/// Runs the command; `false` if a step failed and was reported.
fn run() -> Result<bool> {
    if let Some(tools) = std::env::var_os(lint::VARIABLE) {
        let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
        return lint::compile(Path::new(&tools), &arguments);
    }
    caller::enter_workspace()?;
    let mut parser = Parser::from_env();
    let command = match parser.next()? {
        Some(Arg::Value(command)) => command.string()?,
        Some(Arg::Short('h') | Arg::Long("help")) | None => "help".into(),
        Some(other) => return Err(other.unexpected().into()),
    };
    match command.as_str() {
        "demo" => demo(parser.raw_args()?.collect()),
        "bench" => bench(parser.raw_args()?.collect()),
        "web" => web(&mut parser),
        "models" => models(&mut parser),
        "isa" => isa::run(&mut parser),
        "test" => steps::run(&Options::parse(&mut parser, &Step::QUICK)?),
        "web-check" => steps::run(&Options::parse(&mut parser, &[Step::Setup, Step::Wasm, Step::Browser])?),
        "setup" => steps::run(&Options::parse(&mut parser, &[Step::Setup])?),
        "help" => {
            terminal::print(format_args!("{HELP}"))?;
            let (quick, others) = Step::ALL.split_at(Step::QUICK.len());
            for (title, steps) in [("Steps", quick), ("Steps that --all adds", others)] {
                say!("\n{title}")?;
                steps.iter().try_for_each(|step| say!("  {:10}{}", step.name(), step.describe()))?;
            }
            Ok(true)
        }
        other => bail!("there is no command `{other}`; `cargo xtask help` lists them"),
    }
}

/// Runs the example `headless` in release mode: on the CPU and then on the best adapter if there is one, unless the arguments choose. It
/// needs nothing but this workspace.
fn demo(mut arguments: Vec<OsString>) -> Result<bool> {
    drop_separator(&mut arguments);
    let environment = Environment::prepare()?;
    if let Some(hint) = environment::missing_driver_hint() {
        say!("{hint}")?;
    }
    let program = build_headless(&environment)?;
    let headless = |more: &[&str]| {
        let mut command = headless(&program, &environment);
        command.args(&arguments).args(more);
        command
    };
    let run = |more: &[&str]| Ok::<_, anyhow::Error>(headless(more).status().context(CANNOT_START)?.success());
    let chosen = arguments.iter().any(|argument| {
        let text = argument.to_string_lossy();
        ["--backend", "--adapter", "--json", "--list-adapters", "--help", "-h"]
            .iter()
            .any(|option| text.starts_with(option))
    });
    if chosen {
        return run(&[]);
    }
    if !run(&["--backend", "cpu"])? {
        return Ok(false);
    }
    // A broken driver ends the process that asks it.
    let mut list = headless(&["--list-adapters", "--probe"]);
    let listed = list.stderr(Stdio::inherit()).output().context(CANNOT_START)?;
    if !listed.status.success() {
        say!("\nThe adapters cannot be listed, so the GPU half of the demo is left out.")?;
        return Ok(true);
    }
    // An adapter is an indented line.
    if !String::from_utf8_lossy(&listed.stdout).lines().any(|line| line.starts_with("  ")) {
        say!("\nNo GPU adapter was found, so the GPU half of the demo is left out.")?;
        return Ok(true);
    }
    say!("\nThe same on the GPU:\n")?;
    run(&["--backend", "gpu"])
}

/// Runs `headless bench` in release mode, with a report. It needs nothing but this workspace.
fn bench(mut arguments: Vec<OsString>) -> Result<bool> {
    drop_separator(&mut arguments);
    let environment = Environment::prepare()?;
    if !arguments.iter().any(|argument| argument.to_string_lossy().starts_with("--html")) {
        let folder = process::target_folder(&environment)?;
        // Cargo makes it only when something is built there, which can be another folder than where programs go.
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        arguments.extend(["--html".into(), folder.join("benchmark.html").into()]);
    }
    let program = build_headless(&environment)?;
    Ok(headless(&program, &environment).arg("bench").args(arguments).status().context(CANNOT_START)?.success())
}

/// Builds the page for browsers and serves it.
fn web(parser: &mut Parser) -> Result<bool> {
    let (mut port, mut serves) = (4173, true);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("port") => port = parser.value()?.parse()?,
            Arg::Long("build-only") => serves = false,
            other => return Err(other.unexpected().into()),
        }
    }
    web::build(&Environment::prepare()?)?;
    if serves {
        web::serve(port)?;
    }
    Ok(true)
}

/// Fetches pretrained models; those that the arguments name, or all.
fn models(parser: &mut Parser) -> Result<bool> {
    let names: Vec<String> = parser.raw_args()?.map(|name| name.string()).collect::<Result<_, _>>()?;
    burn::fetch(&Environment::prepare()?, &names)?;
    Ok(true)
}

fn drop_separator(arguments: &mut Vec<OsString>) {
    if arguments.first().is_some_and(|first| first == "--") {
        arguments.remove(0);
    }
}

/// Builds the example `headless` and tells where it is.
fn build_headless(environment: &Environment) -> Result<PathBuf> {
    let mut build = process::cargo(environment, "build");
    process::build_program(build.args(["--release", "--example", "headless"]))
}

/// The example `headless`, for arguments to be added. Paths among them are meant from where this program was called.
fn headless(program: &Path, environment: &Environment) -> Command {
    let mut command = Command::new(program);
    command.current_dir(caller::folder()).envs(environment.variables());
    command
}
