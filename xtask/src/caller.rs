//! How this program was called. Paths that a user names are meant from the folder that it was called in, while what is started here runs in
//! the workspace's folder or in a package's. And the program's own file can be replaced by what it builds.

use crate::process::root;
use crate::{browser, isa};
use anyhow::{Context, Result};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Variables that name a file or a folder, or several.
const PATHS: [&str; 10] = [
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_TARGET_DIR",
    browser::VARIABLE,
    isa::VARIABLE,
    "CLUSTERED_ATTENTION_MODELS",
    "CLUSTERED_ATTENTION_VECTORS",
    "VK_ADD_DRIVER_FILES",
    "VK_DRIVER_FILES",
    "VK_ICD_FILENAMES",
    "XDG_RUNTIME_DIR",
];

static FOLDER: OnceLock<PathBuf> = OnceLock::new();
static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Remembers the caller's folder and this program's path, makes paths in variables absolute, and goes to the workspace's folder. Call it
/// before any thread starts.
pub fn enter_workspace() -> Result<()> {
    let program = std::env::current_exe().context("this program has no path")?;
    PROGRAM.get_or_init(|| program);
    let folder = std::env::current_dir().context("the folder that this was called in is gone")?;
    for variable in PATHS {
        let Some(value) = std::env::var_os(variable) else { continue };
        // A program on the path has no path here.
        if variable != browser::VARIABLE || Path::new(&value).components().count() > 1 {
            std::env::set_var(variable, absolute(&value, &folder));
        }
    }
    std::env::set_current_dir(root()).context("cannot enter the workspace's folder")?;
    FOLDER.get_or_init(|| folder);
    Ok(())
}

/// The folder that this program was called in.
pub fn folder() -> &'static Path {
    FOLDER.get().map_or(root(), PathBuf::as_path)
}

/// This program's path as it was at the start: once Cargo has built the program anew, the system calls the running one deleted.
pub fn program() -> Result<&'static Path> {
    Ok(PROGRAM.get().context("this program's path was not noted")?)
}

/// Paths of a variable, as from a folder. An empty one stays empty.
fn absolute(value: &OsStr, folder: &Path) -> OsString {
    let path = |path: PathBuf| if path.as_os_str().is_empty() { path } else { folder.join(path) };
    // No path has the separator of lists in it.
    std::env::join_paths(std::env::split_paths(value).map(path)).unwrap_or_else(|_| value.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;

    #[test]
    fn what_is_started_for_a_caller_runs_in_the_callers_folder() {
        FOLDER.get_or_init(std::env::temp_dir);
        let command = crate::headless(Path::new("headless"), &Environment::of(vec![]));
        assert_eq!(command.get_current_dir(), Some(std::env::temp_dir().as_path()));
    }

    #[test]
    fn paths_are_meant_from_the_callers_folder() {
        let folder = std::env::temp_dir();
        let from = |value: &str| absolute(OsStr::new(value), &folder);
        assert_eq!(from("build"), folder.join("build"));
        assert_eq!(from(""), "");
        let there = folder.join("there");
        assert_eq!(absolute(there.as_os_str(), Path::new("elsewhere")), there);
        let list = std::env::join_paths(["a.json", "b.json"]).unwrap();
        let expected = std::env::join_paths([folder.join("a.json"), folder.join("b.json")]).unwrap();
        assert_eq!(absolute(&list, &folder), expected);
    }
}
