//! Whether the stated minimum Rust versions are true: the library's, and that of its features for Burn.

use crate::environment::Environment;
use crate::outcome::Outcome;
use crate::process::{cargo_of, metadata, output, root, run};
use crate::say;
use anyhow::{bail, Context, Result};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::process::Command;

/// What precedes the version that the optional dependencies need, in a comment of `Cargo.toml`.
const FEATURES_NEED: &str = "need Rust ";

/// Checks that no dependency of the library states a newer version than the library does, nor an optional one than `Cargo.toml` says of
/// the features, and builds the library with its minimum version where rustup has that toolchain.
pub fn check(environment: &Environment) -> Result<Outcome> {
    let metadata = metadata(environment)?;
    let library = Library::find(&metadata).context("`cargo metadata` printed something unexpected")?;
    let version = library.version;
    let newer = library.newer_than(version).context("`cargo metadata` printed something unexpected")?;
    if !newer.is_empty() {
        bail!("rust-version is {version}, but these dependencies need more: {}", newer.join(", "));
    }
    say!("no dependency of the library states a newer Rust version than {version}")?;
    check_features(&library)?;
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
    run(cargo_of(environment, Some(toolchain), "check").args(["--package", "clustered-attention", "--lib"]))?;
    Ok(Outcome::Passed)
}

/// The version that `Cargo.toml` states for the features is the newest that a dependency of theirs does.
fn check_features(library: &Library) -> Result<()> {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).context("Cargo.toml cannot be read")?;
    let stated = version_of_features(&manifest);
    let stated =
        stated.with_context(|| format!("no comment in Cargo.toml says `{FEATURES_NEED}...` of the features"))?;
    let needed = library.newest_behind_features().context("`cargo metadata` printed something unexpected")?;
    if numbers(stated) != numbers(needed) {
        bail!("Cargo.toml says that the features {FEATURES_NEED}{stated}; their dependencies need {needed}");
    }
    say!("the features for Burn {FEATURES_NEED}{needed}, as stated")?;
    Ok(())
}

fn version_of_features(manifest: &str) -> Option<&str> {
    let comment = manifest.lines().find_map(|line| line.strip_prefix('#')?.split_once(FEATURES_NEED))?.1;
    let end = comment.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(comment.len());
    Some(comment[..end].trim_end_matches('.')).filter(|version| !version.is_empty())
}

/// The library among all packages of `cargo metadata`.
struct Library<'a> {
    packages: HashMap<&'a str, &'a Value>,
    /// What each package was resolved to depend on.
    nodes: HashMap<&'a str, &'a Value>,
    id: &'a str,
    version: &'a str,
}

impl<'a> Library<'a> {
    fn find(metadata: &'a Value) -> Option<Self> {
        let by_id = |list: &'a Value| -> Option<HashMap<&'a str, &'a Value>> {
            Some(list.as_array()?.iter().filter_map(|item| Some((item["id"].as_str()?, item))).collect())
        };
        let packages = by_id(&metadata["packages"])?;
        let nodes = by_id(&metadata["resolve"]["nodes"])?;
        let (id, package) = packages.iter().find(|(_, package)| package["name"] == "clustered-attention")?;
        let (id, version) = (*id, package["rust_version"].as_str()?);
        Some(Self { packages, nodes, id, version })
    }

    /// The library and all that it depends on, other than for development; optional dependencies only if asked for.
    fn dependencies(&self, with_optional: bool) -> Option<Vec<&'a Value>> {
        let is_optional = |dependency: &&Value| dependency["optional"] == true;
        let direct = self.packages.get(self.id)?["dependencies"].as_array()?;
        let optional: HashSet<&str> =
            direct.iter().filter(is_optional).filter_map(|one| one["name"].as_str()).collect();
        let (mut seen, mut pending, mut found) = (HashSet::new(), vec![self.id], vec![]);
        while let Some(id) = pending.pop() {
            if !seen.insert(id) {
                continue;
            }
            found.push(*self.packages.get(id)?);
            for dependency in self.nodes.get(id)?["deps"].as_array()? {
                let package = dependency["pkg"].as_str()?;
                let is_left_out =
                    !with_optional && id == self.id && optional.contains(self.packages.get(package)?["name"].as_str()?);
                let kinds = dependency["dep_kinds"].as_array()?;
                if !is_left_out && kinds.iter().any(|kind| kind["kind"] != "dev") {
                    pending.push(package);
                }
            }
        }
        Some(found)
    }

    /// The library and its dependencies, without optional ones, as far as they state a newer Rust version than some.
    fn newer_than(&self, version: &str) -> Option<Vec<String>> {
        let describe = |package: &Value| {
            let needed = package["rust_version"].as_str().filter(|needed| numbers(needed) > numbers(version))?;
            Some(format!("{} {} ({needed})", package["name"].as_str()?, package["version"].as_str()?))
        };
        let mut newer: Vec<String> = self.dependencies(false)?.into_iter().filter_map(describe).collect();
        newer.sort();
        Some(newer)
    }

    /// The newest Rust version that the library or a dependency states, the optional ones among them.
    fn newest_behind_features(&self) -> Option<&'a str> {
        let all = self.dependencies(true)?;
        all.into_iter().filter_map(|package| package["rust_version"].as_str()).max_by_key(|version| numbers(version))
    }
}

/// A version as numbers, so that 1.100 is newer than 1.88.
fn numbers(version: &str) -> [u32; 3] {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    [(); 3].map(|()| numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(numbers("1.100") > numbers("1.88"));
        assert_eq!(numbers("1.88"), numbers("1.88.0"));
    }

    #[test]
    fn a_comment_states_the_version_of_the_features() {
        assert_eq!(version_of_features("rust-version = \"1.88\"\n# These two need Rust 1.95.\n"), Some("1.95"));
        assert_eq!(version_of_features("rust-version = \"1.88\"\n# These need Rust\n"), None);
    }

    #[test]
    fn what_is_optional_counts_for_the_features_alone() {
        let package = |name: &str, version: &str| {
            let dependencies = json!([{ "name": "large", "optional": true }, { "name": "small", "optional": false }]);
            json!({ "id": name, "name": name, "version": "1.0.0", "rust_version": version, "dependencies": dependencies })
        };
        let dependency = |name: &str, kind: Value| json!({ "pkg": name, "dep_kinds": [{ "kind": kind }] });
        let development = dependency("newest", json!("dev"));
        let metadata = json!({
            "packages": [
                package("clustered-attention", "1.88"),
                package("small", "1.70"),
                package("large", "1.95"),
                package("newest", "1.99"),
            ],
            "resolve": { "nodes": [
                { "id": "clustered-attention", "deps": [dependency("small", json!(null)), dependency("large", json!(null)), development] },
                { "id": "small", "deps": [] },
                { "id": "large", "deps": [] },
                { "id": "newest", "deps": [] },
            ]},
        });
        let library = Library::find(&metadata).unwrap();
        assert_eq!(library.newer_than("1.88").unwrap(), [""; 0]);
        assert_eq!(library.newer_than("1.60").unwrap(), ["clustered-attention 1.0.0 (1.88)", "small 1.0.0 (1.70)"]);
        assert_eq!(library.newest_behind_features(), Some("1.95"));
    }
}
