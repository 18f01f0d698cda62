//! Whether the stated minimum Rust version is true.

use crate::environment::Environment;
use crate::process::{cargo_of, metadata, output, run};
use crate::steps::Outcome;
use anyhow::{bail, Context, Result};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::process::Command;

/// Checks that no dependency of the library states a newer version than the library does, and builds it with that toolchain where
/// rustup has it.
pub fn check(environment: &Environment) -> Result<Outcome> {
    let metadata = metadata(environment)?;
    let (version, newer) = stated_versions(&metadata).context("`cargo metadata` printed something unexpected")?;
    if !newer.is_empty() {
        bail!("rust-version is {version}, but these dependencies need more: {}", newer.join(", "));
    }
    println!("no dependency of the library states a newer Rust version than {version}");
    let toolchains = output(Command::new("rustup").args(["toolchain", "list"])).unwrap_or_default();
    let prefix = format!("{version}-");
    let full_prefix = format!("{version}.");
    let toolchain = toolchains
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .find(|name| name.starts_with(&prefix) || name.starts_with(&full_prefix) || *name == version);
    let Some(toolchain) = toolchain else {
        return Ok(Outcome::Skipped(format!(
            "not built with Rust {version}, which is not installed: rustup toolchain install {version} --profile minimal"
        )));
    };
    run(cargo_of(environment, Some(toolchain)).args(["check", "--package", "clustered-attention", "--lib"]))?;
    Ok(Outcome::Passed)
}

/// The library's minimum Rust version and the dependencies, other than optional ones and those for development, that need a newer one.
fn stated_versions(metadata: &Value) -> Option<(String, Vec<String>)> {
    let packages: HashMap<&str, &Value> = metadata["packages"]
        .as_array()?
        .iter()
        .filter_map(|package| Some((package["id"].as_str()?, package)))
        .collect();
    let nodes: HashMap<&str, &Value> =
        metadata["resolve"]["nodes"].as_array()?.iter().filter_map(|node| Some((node["id"].as_str()?, node))).collect();
    let (root, package) = packages.iter().find(|(_, package)| package["name"] == "clustered-attention")?;
    let version = package["rust_version"].as_str()?;
    // Behind a feature; what they need is said there.
    let is_optional = |dependency: &&Value| dependency["optional"] == true;
    let optional: HashSet<&str> =
        package["dependencies"].as_array()?.iter().filter(is_optional).filter_map(|one| one["name"].as_str()).collect();
    let (mut seen, mut pending, mut newer) = (HashSet::new(), vec![*root], vec![]);
    while let Some(id) = pending.pop() {
        if !seen.insert(id) {
            continue;
        }
        let package = packages.get(id)?;
        if let Some(needed) = package["rust_version"].as_str() {
            if numbers(needed) > numbers(version) {
                newer.push(format!("{} {} ({needed})", package["name"].as_str()?, package["version"].as_str()?));
            }
        }
        for dependency in nodes.get(id)?["deps"].as_array()? {
            let kinds = dependency["dep_kinds"].as_array()?;
            let name = packages.get(dependency["pkg"].as_str()?)?["name"].as_str()?;
            let behind_a_feature = id == *root && optional.contains(name);
            if !behind_a_feature && kinds.iter().any(|kind| kind["kind"] != "dev") {
                pending.push(dependency["pkg"].as_str()?);
            }
        }
    }
    newer.sort();
    Some((version.to_string(), newer))
}

/// A version as numbers, so that 1.100 is newer than 1.88.
fn numbers(version: &str) -> [u32; 3] {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    [(); 3].map(|()| numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(numbers("1.100") > numbers("1.88"));
        assert_eq!(numbers("1.88"), numbers("1.88.0"));
    }
}
