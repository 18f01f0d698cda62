//! The problems whose kernels are compiled.

use super::drivers::Drivers;
use super::target::Target;
use crate::environment::Environment;
use anyhow::{bail, Context, Result};
use std::path::{Path, PathBuf};

/// Sizes and methods, as the example `headless` takes them.
pub struct Set {
    pub name: &'static str,
    pub arguments: &'static str,
}

/// All methods and variants, on widths and lengths that kernels are cut differently for. Heads, sequences and the seed are not compiled in,
/// nor is whether query heads share key heads.
pub const SETS: [Set; 10] = [
    Set { name: "short", arguments: "--length 512 --method exact,stitched" },
    Set {
        name: "middle",
        arguments: "--length 1500 --method exact,clustered,improved,stitched,window --guard recompute",
    },
    Set {
        name: "long",
        arguments: "--length 16384 --method exact,clustered,improved,stitched,window --guard recompute",
    },
    Set { name: "ungrouped", arguments: "--length 8192 --method stitched --key-groups 0 --space hamming" },
    Set { name: "image", arguments: "--length 5477 --method stitched --grid 74x74+1" },
    Set {
        name: "ungrouped_image",
        arguments: "--length 5477 --method stitched --grid 74x74+1 --key-groups 0 --space hamming",
    },
    // Rows that no vector of four floats divides.
    Set { name: "odd", arguments: "--length 1500 --width 30 --method exact,improved,stitched,window --spread" },
    Set { name: "matrices", arguments: "--length 8192 --method exact,improved,stitched --precision float16-products" },
    Set { name: "pairs", arguments: "--length 8192 --method exact,improved,stitched --precision float16-pairs" },
    Set { name: "wide", arguments: "--length 8192 --width 128 --method exact,improved,stitched --guard recompute" },
];

/// What the crate says of a target that has none.
const NO_MATRIX_UNITS: &str = "matrix units cannot be used";

/// A kernel's file.
pub struct Kernel {
    /// Set and file, such as `short/exact_attention`: of the first set that has it.
    pub key: String,
    pub path: PathBuf,
}

/// Writes the kernels of every set, as the target's adapter is given them, and returns those that differ, by set.
pub fn write(
    drivers: &Drivers,
    target: &Target,
    headless: &Path,
    folder: &Path,
    environment: &Environment,
) -> Result<Vec<(&'static str, Vec<Kernel>)>> {
    let mut seen: Vec<(String, String)> = Vec::new();
    let mut sets = Vec::new();
    for Set { name, arguments } in SETS {
        let kernels = folder.join(name);
        let mut command = drivers.command(target, headless, environment)?;
        command.args(["--backend", "gpu", "--write-kernels"]).arg(&kernels).args(arguments.split_whitespace());
        let output = command.output().context("cannot start `headless` on the drivers")?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() && said.contains(NO_MATRIX_UNITS) {
            continue;
        }
        if !output.status.success() {
            bail!("`headless` cannot use {}: {}", target.describe, said.trim());
        }
        let mut paths: Vec<PathBuf> = kernels.read_dir()?.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        let mut new = Vec::new();
        for path in paths {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            // A shader's kernels are entry points of the same text.
            let kernel = stem.split('.').next().unwrap_or_default().to_owned();
            let compiled = (kernel, std::fs::read_to_string(&path)?);
            if !seen.contains(&compiled) {
                new.push(Kernel { key: format!("{name}/{stem}"), path });
                seen.push(compiled);
            }
        }
        sets.push((name, new));
    }
    Ok(sets)
}
