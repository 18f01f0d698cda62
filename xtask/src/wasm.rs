//! WebAssembly builds: of the browser test, and of the package for web pages.

use crate::environment::Environment;
use crate::library;
use crate::process::{cargo_of, output, root, run, target_folder};
use crate::say;
use anyhow::{bail, Context, Result};
use std::path::Path;
use std::process::Command;

const TARGET: &str = "wasm32-unknown-unknown";
/// The rustup toolchain that is used where the one in use cannot get the target, on a machine without a way to rustup's server.
const FALLBACK_TOOLCHAIN: &str = "web";

/// A package that is built for WebAssembly.
pub struct Library {
    package: &'static str,
    /// The library's file name.
    file: &'static str,
    profile: &'static str,
    /// Compiler flags; every browser with WebAssembly's vector instructions has had them since 2023 at the latest.
    flags: &'static str,
    /// What the JavaScript that loads it is called.
    name: &'static str,
}

/// The browser test, which must also run without vector instructions. With the profile of the tests it builds in half the time, and
/// arithmetic is checked; the page's tests run what is optimised.
pub const BROWSER_TEST: Library = Library {
    package: "clustered-attention-browser-test",
    file: "clustered_attention_browser_test",
    profile: "dev",
    flags: "",
    name: "test",
};

/// The package for web pages.
pub const WEB: Library = Library {
    package: "clustered-attention-web",
    file: "clustered_attention_web",
    profile: "web",
    flags: "-C target-feature=+simd128",
    name: "clustered_attention",
};

impl Library {
    pub fn build(&self, environment: &Environment) -> Result<()> {
        let mut command = cargo_of(environment, toolchain()?, "build");
        command.args(["--profile", self.profile, "--package", self.package, "--target", TARGET]);
        if !self.flags.is_empty() {
            command.env("RUSTFLAGS", self.flags);
        }
        run(&mut command)
    }

    /// Writes the library and the JavaScript that loads it into a folder: `NAME.js`, `NAME.d.ts` and `NAME_bg.wasm`.
    pub fn write_bindings(&self, environment: &Environment, folder: &Path) -> Result<()> {
        let profile_folder = if self.profile == "dev" { "debug" } else { self.profile };
        let target = target_folder(environment)?.join(TARGET).join(profile_folder);
        let library = target.join(self.file).with_extension("wasm");
        if !library.exists() {
            bail!("{} is not there; it has to be built first", library.display());
        }
        let bindgen = library::build_program(environment, &["--bin", "bindgen"])?;
        run(Command::new(bindgen).arg(library).arg(folder).arg(self.name))
    }
}

/// The toolchain to build with; `None` for the one in use.
fn toolchain() -> Result<Option<&'static str>> {
    provide(false)?;
    if has_target(None) {
        return Ok(None);
    }
    say!("building with the toolchain `{FALLBACK_TOOLCHAIN}`: the one in use lacks {TARGET}")?;
    Ok(Some(FALLBACK_TOOLCHAIN))
}

/// Makes sure of a toolchain with the target: by rustup or, where that cannot get it and Debian's packages may be installed, by those.
pub fn provide(from_packages: bool) -> Result<()> {
    if has_target(None) || has_target(Some(FALLBACK_TOOLCHAIN)) {
        return Ok(());
    }
    let by_rustup = run(Command::new("rustup").args(["target", "add", TARGET]));
    if by_rustup.is_err() && from_packages {
        return run(&mut Command::new(root().join(".ci/wasm-std.sh")));
    }
    by_rustup.with_context(|| format!("the target {TARGET} is not there and cannot be added"))
}

/// Whether a toolchain is there and has the target's standard library.
fn has_target(toolchain: Option<&str>) -> bool {
    let mut command = Command::new("rustc");
    if let Some(toolchain) = toolchain {
        command.env("RUSTUP_TOOLCHAIN", toolchain);
    }
    let folder = output(command.args(["--print", "target-libdir", "--target", TARGET]));
    folder.is_some_and(|folder| Path::new(folder.trim()).is_dir())
}
