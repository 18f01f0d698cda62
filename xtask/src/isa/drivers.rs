//! Mesa's Vulkan drivers with devices that compile everything and execute nothing (Debian's package `mesa-drm-shim`), apart from the
//! system: packages of Debian's unstable suite are unpacked, not installed, and programs are started by their own dynamic linker. Neither
//! needs root.

use super::target::Target;
use crate::environment::Environment;
use crate::process::{find_program, run};
use crate::{say, setup};
use anyhow::{bail, ensure, Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The packages; what these depend on comes with them.
const PACKAGES: [&str; 3] = ["mesa-vulkan-drivers", "mesa-drm-shim", "libvulkan1"];
/// Debian's development branch, whose Mesa is new.
const SUITE: &str = "sid";
const NEEDED: &str = "Mesa's drivers are unpacked from Debian's packages, which takes apt-get, dpkg and a Debian mirror among the sources of \
    packages: Debian 12 or later, a container of it will do, without root. A folder that was set up elsewhere can be named by --folder";

/// Drivers that are set up.
pub struct Drivers {
    /// The folder that is `/` to the packages.
    root: PathBuf,
    linker: PathBuf,
    /// Where the libraries lie.
    libraries: PathBuf,
}

impl Drivers {
    /// Those of a folder, if it has them.
    pub fn find(folder: &Path) -> Option<Self> {
        let root = folder.join("root");
        let entries = |folder: PathBuf| folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
        let libraries = entries(root.join("usr/lib")).find(|folder| folder.join("libvulkan.so.1").exists())?;
        let places = [root.join("usr/lib64"), root.join("usr/lib"), libraries.clone()];
        let is_linker = |path: &PathBuf| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ld-linux")) && path.is_file()
        };
        let linker = places.into_iter().flat_map(entries).find(is_linker)?;
        let shim = libraries.join("libamdgpu_noop_drm_shim.so");
        shim.is_file().then_some(Self { root, linker, libraries })
    }

    /// Those of a folder, which is set up first if need be.
    ///
    /// # Errors
    /// The machine lacks what set-up takes, or the mirror cannot be reached.
    pub fn prepare(folder: &Path) -> Result<Self> {
        if let Some(drivers) = Self::find(folder) {
            return Ok(drivers);
        }
        set_up(folder).with_context(|| format!("no drivers can be set up in {}", folder.display()))?;
        Self::find(folder).context("Debian's packages lack a driver that compiles for devices that are not there")
    }

    /// A program on a target, for arguments to be added.
    pub fn command(&self, target: &Target, program: &Path, environment: &Environment) -> Result<Command> {
        let shim = self.libraries.join(format!("lib{}_noop_drm_shim.so", target.shim));
        ensure!(shim.is_file(), "{} is missing", shim.display());
        let mut command = self.on_driver(target.manifest, environment)?;
        command.envs(target.variables.iter().copied()).arg("--preload").arg(shim).arg(program);
        Ok(command)
    }

    /// A program on the same Mesa's llvmpipe, which executes, and is the one software adapter with matrix units.
    pub fn software_command(&self, program: &Path, environment: &Environment) -> Result<Command> {
        let mut command = self.on_driver("lvp_icd", environment)?;
        command.arg(program);
        Ok(command)
    }

    /// The dynamic linker with a driver, for a program to be added.
    fn on_driver(&self, manifest: &str, environment: &Environment) -> Result<Command> {
        let manifests = self.root.join("usr/share/vulkan/icd.d");
        let mut paths =
            manifests.read_dir().context("there are no Vulkan drivers")?.flatten().map(|entry| entry.path());
        let found =
            paths.find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(manifest)));
        let manifest = found.with_context(|| format!("there is no driver {manifest}"))?;
        let mut command = Command::new(&self.linker);
        command.arg("--library-path").arg(&self.libraries);
        for variable in ["LD_LIBRARY_PATH", "LD_PRELOAD", "VK_ADD_DRIVER_FILES", "VK_ICD_FILENAMES"] {
            command.env_remove(variable);
        }
        command.envs(environment.variables());
        command.env("VK_DRIVER_FILES", manifest).env("VK_LOADER_LAYERS_DISABLE", "~all~").env("WGPU_BACKEND", "vulkan");
        // What is compiled is what is looked at.
        command.env("MESA_SHADER_CACHE_DISABLE", "1");
        Ok(command)
    }
}

/// Unpacks the packages, of the mirror that the machine takes Debian from.
fn set_up(folder: &Path) -> Result<()> {
    let texts = setup::source_files().into_iter().filter_map(|path| std::fs::read_to_string(path).ok());
    let codename = setup::release_field("VERSION_CODENAME");
    let entry = texts.filter_map(|text| setup::suite_entry(&text, &codename, SUITE)).next();
    let (true, Some(entry)) = (find_program("apt-get").is_some() && find_program("dpkg").is_some(), entry) else {
        bail!("{NEEDED}");
    };
    ensure!(setup::release_field("ID") == "debian", "{NEEDED}");
    say!(
        "Mesa's drivers are set up in {}, apart from the system; that takes some minutes and half a gigabyte",
        folder.display()
    )?;
    let (apt, unpacked) = (folder.join("apt"), folder.join("unpacked"));
    for old in [&apt, &unpacked] {
        if old.exists() {
            std::fs::remove_dir_all(old).with_context(|| format!("cannot empty {}", old.display()))?;
        }
    }
    for name in ["state/lists/partial", "cache/archives/partial", "sources"] {
        std::fs::create_dir_all(apt.join(name)).with_context(|| format!("cannot write below {}", folder.display()))?;
    }
    std::fs::write(apt.join("status"), "")?;
    let kind = if entry.starts_with("deb ") { "list" } else { "sources" };
    std::fs::write(apt.join("sources").join(format!("{SUITE}.{kind}")), entry)?;
    let options = [
        format!("Dir::State={}", apt.join("state").display()),
        format!("Dir::State::status={}", apt.join("status").display()),
        format!("Dir::Cache={}", apt.join("cache").display()),
        format!("Dir::Etc::sourceparts={}", apt.join("sources").display()),
        "Dir::Etc::sourcelist=/dev/null".into(),
        "Dir::Etc::preferences=/dev/null".into(),
        "Dir::Etc::preferencesparts=/dev/null".into(),
        "APT::Install-Recommends=false".into(),
        "APT::Sandbox::User=root".into(),
        "Debug::NoLocking=1".into(),
    ];
    let apt_get = |words: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(options.iter().flat_map(|option| ["-o", option]));
        run(command.args(["-qq", "--yes"]).args(words))
    };
    apt_get(&["update"])?;
    apt_get(&[&["install", "--download-only"], &PACKAGES[..]].concat())?;
    unpack(&apt.join("cache/archives"), &unpacked)?;
    // What is there under this name is whole.
    std::fs::rename(&unpacked, folder.join("root"))?;
    // The packages have served.
    Ok(std::fs::remove_dir_all(&apt)?)
}

fn unpack(archives: &Path, root: &Path) -> Result<()> {
    // Packages have files below both names.
    for name in ["bin", "lib", "lib64", "sbin"] {
        std::fs::create_dir_all(root.join("usr").join(name))?;
        #[cfg(unix)]
        std::os::unix::fs::symlink(Path::new("usr").join(name), root.join(name))?;
    }
    for entry in archives.read_dir()? {
        let package = entry?.path();
        if package.extension().is_some_and(|extension| extension == "deb") {
            let unpacked = Command::new("dpkg").arg("-x").arg(&package).arg(root).status()?.success();
            ensure!(unpacked, "dpkg cannot unpack {}", package.display());
        }
    }
    Ok(())
}
