//! Whether the stated minimum Rust versions are true: the library's, and those of its features for Burn and candle.

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
/// The same of candle, which states no version, so that only a build can tell.
const CANDLE_NEEDS: &str = "candle needs Rust ";

/// Checks that no dependency of the library states a newer version than the library does, nor an optional one than `Cargo.toml` says of
/// the features, and builds the library with its minimum version, and with candle's, where rustup has those toolchains.
pub fn check(environment: &Environment) -> Result<Outcome> {
    let metadata = metadata(environment)?;
    let library = Library::find(&metadata).context("`cargo metadata` printed something unexpected")?;
    let version = library.version;
    let newer = library.newer_than(version).context("`cargo metadata` printed something unexpected")?;
    if !newer.is_empty() {
        bail!("rust-version is {version}, but these dependencies need more: {}", newer.join(", "));
    }
    say!("no dependency of the library states a newer Rust version than {version}")?;
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).context("Cargo.toml cannot be read")?;
    check_features(&library, &manifest)?;
    let candles = version_behind(&manifest, CANDLE_NEEDS)
        .with_context(|| format!("no comment in Cargo.toml says `{CANDLE_NEEDS}...`"))?;
    let toolchains = output(Command::new("rustup").args(["toolchain", "list"])).unwrap_or_default();
    let mut missing = vec![];
    for (version, features) in [(version, ""), (candles, "candle")] {
        let Some(toolchain) = toolchain_of(&toolchains, version) else {
            missing.push(version);
            continue;
        };
        let arguments = ["--package", "clustered-attention", "--lib", "--features", features];
        run(cargo_of(environment, Some(toolchain), "check").args(arguments))?;
    }
    if missing.is_empty() {
        return Ok(Outcome::Passed);
    }
    Ok(Outcome::Skipped(format!(
        "not built with what is not installed: rustup toolchain install {} --profile minimal",
        missing.join(" ")
    )))
}

/// The toolchain of a version in what `rustup toolchain list` prints.
fn toolchain_of<'a>(toolchains: &'a str, version: &str) -> Option<&'a str> {
    let mut names = toolchains.lines().filter_map(|line| line.split_whitespace().next());
    names.find(|name| {
        name.strip_prefix(version).is_some_and(|rest| rest.is_empty() || rest.starts_with('-') || rest.starts_with('.'))
    })
}

/// The version that `Cargo.toml` states for the features is the newest that a dependency of theirs does.
fn check_features(library: &Library, manifest: &str) -> Result<()> {
    let stated = version_behind(manifest, FEATURES_NEED);
    let stated =
        stated.with_context(|| format!("no comment in Cargo.toml says `{FEATURES_NEED}...` of the features"))?;
    let needed = library.newest_behind_features().context("`cargo metadata` printed something unexpected")?;
    if numbers(stated) != numbers(needed) {
        bail!("Cargo.toml says that the features {FEATURES_NEED}{stated}; their dependencies need {needed}");
    }
    say!("the features for Burn {FEATURES_NEED}{needed}, as stated")?;
    Ok(())
}

/// The version that a comment states behind some words.
fn version_behind<'a>(manifest: &'a str, words: &str) -> Option<&'a str> {
    let comment = manifest.lines().find_map(|line| line.strip_prefix('#')?.split_once(words))?.1;
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
    fn comments_state_the_versions_of_the_features() {
        let manifest = "rust-version = \"1.88\"\n# candle needs Rust 1.94, unsaid.\n# These two need Rust 1.95.\n";
        assert_eq!(version_behind(manifest, FEATURES_NEED), Some("1.95"));
        assert_eq!(version_behind(manifest, CANDLE_NEEDS), Some("1.94"));
        assert_eq!(version_behind("rust-version = \"1.88\"\n# These need Rust\n", FEATURES_NEED), None);
    }

    #[test]
    fn toolchains_are_found_by_version() {
        let toolchains = "stable-x86_64 (active, default)\n1.95.0-x86_64\n1.8-x86_64\n1.94-x86_64\n";
        assert_eq!(toolchain_of(toolchains, "1.95"), Some("1.95.0-x86_64"));
        assert_eq!(toolchain_of(toolchains, "1.94"), Some("1.94-x86_64"));
        assert_eq!(toolchain_of(toolchains, "1.88"), None);
        assert_eq!(toolchain_of(toolchains, "1.9"), None);
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
