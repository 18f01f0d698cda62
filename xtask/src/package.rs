//! The package as the registry would get it.

use crate::environment::{Environment, TemporaryFolder};
use crate::process::{cargo, run, target_folder};
use crate::say;
use anyhow::{bail, Context, Result};
use std::process::Command;

/// What everyone who adds the crate downloads.
const LARGEST_BYTES: u64 = 2_000_000;

/// Packs the library, checks the size and compiles the library from nothing but the package, with the features that its users get.
pub fn check(environment: &Environment) -> Result<()> {
    let target = target_folder(environment)?;
    // Cargo's own verification generates code, of wgpu once more too, whose features are other ones among the dependencies of tests.
    let arguments = ["--package", "clustered-attention", "--allow-dirty", "--no-verify", "--target-dir"];
    run(cargo(environment, "package").args(arguments).arg(&target))?;
    let folder = target.join("package");
    let archives = folder.read_dir().context("there is no package")?.flatten().map(|entry| entry.path());
    let newest = archives
        .filter(|path| path.extension().is_some_and(|extension| extension == "crate"))
        .max_by_key(|path| path.metadata().and_then(|metadata| metadata.modified()).ok())
        .context("there is no package")?;
    let bytes = newest.metadata()?.len();
    say!("{}: {:.2} MB", newest.display(), bytes as f64 / 1e6)?;
    if bytes > LARGEST_BYTES {
        bail!("the package has {bytes} bytes; {LARGEST_BYTES} are allowed");
    }
    // Outside the workspace, of which it would have to be a member.
    let temporary = TemporaryFolder::new("package")?;
    run(Command::new("tar").arg("-xzf").arg(&newest).arg("-C").arg(temporary.path()))?;
    let unpacked = temporary.path().join(newest.file_stem().context("a package without a name")?);
    let arguments = ["--lib", "--target-dir"];
    run(cargo(environment, "check").args(arguments).arg(&target).current_dir(unpacked))
}
