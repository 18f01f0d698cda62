//! What a Vulkan driver's compiler makes of compute shaders in WGSL: registers, spills, occupancy, and the instructions of their hot loops.
//!
//! `cargo xtask isa` runs it on drivers whose devices compile and execute nothing; it runs on any driver that has
//! `VK_KHR_pipeline_executable_properties`.

mod assembly;
mod device;
mod hot_loop;
mod loops;
mod printed;
mod statistics;
mod translation;

use anyhow::{bail, Context, Result};
use assembly::Dialect;
use device::{Compiled, Device};
use lexopt::{Arg, Parser, ValueExt};
use serde_json::{json, Map, Value};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use translation::{translate, Kernel};

const HELP: &str = "\
isa [OPTIONS] --output FILE FILE.wgsl ...   compiles kernels by the first Vulkan device's driver, and writes a line of JSON for each: the
                                            entry point that a file is named after (NAME.wgsl, NAME.more.wgsl), or all that it has

  --output FILE       where the lines go; drivers may print to standard output
  --assembly FOLDER   writes what the driver tells of each kernel there too: assembly, and intermediate representations
  --unchecked         leaves out the bounds checks that wgpu has naga write for Metal and DX12
  --robust            has the driver bound accesses to buffers, as wgpu has Vulkan drivers do
";

/// What the command line asks for.
#[derive(Default)]
struct Options {
    output: PathBuf,
    assembly: Option<PathBuf>,
    unchecked: bool,
    robust: bool,
    files: Vec<PathBuf>,
}

impl Options {
    /// `None` where help was asked for.
    fn parse() -> Result<Option<Self>> {
        let (mut options, mut parser) = (Self::default(), Parser::from_env());
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("output") => options.output = parser.value()?.into(),
                Arg::Long("assembly") => options.assembly = Some(parser.value()?.into()),
                Arg::Long("unchecked") => options.unchecked = true,
                Arg::Long("robust") => options.robust = true,
                Arg::Short('h') | Arg::Long("help") => return Ok(None),
                Arg::Value(file) => options.files.push(file.parse()?),
                other => return Err(other.unexpected().into()),
            }
        }
        if options.output.as_os_str().is_empty() || options.files.is_empty() {
            bail!("a file for the output and files of WGSL are needed; --help tells");
        }
        Ok(Some(options))
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let Some(options) = Options::parse()? else {
        print!("{HELP}");
        return Ok(());
    };
    // The driver reads it when it is loaded, and prints Apple's assembly nowhere else.
    std::env::set_var("AGX_MESA_DEBUG", "shaders");
    let device = Device::open(options.robust)?;
    let mut output =
        std::fs::File::create(&options.output).with_context(|| format!("cannot write {}", options.output.display()))?;
    if let Some(folder) = &options.assembly {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    for file in &options.files {
        let kernels = translate(file, options.unchecked)?;
        for kernel in &kernels {
            let compiled = device.compile(kernel).with_context(|| format!("{}: {}", file.display(), kernel.name))?;
            if let Some(folder) = &options.assembly {
                write_texts(folder, file, kernel, &compiled)?;
            }
            writeln!(output, "{}", line(&device, file, kernel, &compiled))?;
        }
    }
    Ok(())
}

/// A line of the output.
fn line(device: &Device, file: &Path, kernel: &Kernel, compiled: &Compiled) -> Value {
    let dialect = Dialect::of_driver(&device.driver);
    let raw: Map<String, Value> =
        compiled.statistics.iter().map(|(name, value)| (name.clone(), number(*value))).collect();
    let lines = dialect.zip(compiled.assembly()).map(|(dialect, text)| dialect.lines(text));
    json!({
        "file": file.file_stem().unwrap_or_default().to_string_lossy(),
        "kernel": kernel.name,
        "device": device.name,
        "driver": device.driver_version,
        "subgroup": compiled.subgroup_size,
        "workgroup_bytes": kernel.workgroup_bytes,
        "figures": dialect.map(|dialect| statistics::figures(dialect, &compiled.statistics)),
        "hot_loop": lines.and_then(|lines| hot_loop::figures(&lines)),
        "statistics": raw,
    })
}

/// Whole numbers as such.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 {
        (value as i64).into()
    } else {
        value.into()
    }
}

/// Writes what the driver told of a kernel, a file for each representation.
fn write_texts(folder: &Path, file: &Path, kernel: &Kernel, compiled: &Compiled) -> Result<()> {
    for (representation, text) in &compiled.texts {
        let plain = representation.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let path = folder.join(format!("{stem}.{}.{plain}.txt", kernel.name));
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
