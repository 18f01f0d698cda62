//! The environment that the demo and the tests run in.

use crate::browser;
use anyhow::{Context, Result};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Variables for every program that is started, over those that are set already.
#[derive(Default)]
pub struct Environment {
    variables: Vec<(&'static str, OsString)>,
}

impl Environment {
    /// What any program that opens an adapter needs.
    pub fn prepare() -> Result<Self> {
        let mut environment = Self::default();
        // Software Vulkan drivers and EGL want a private folder, which a container or a service often lacks.
        if cfg!(target_os = "linux") && std::env::var_os("XDG_RUNTIME_DIR").is_none() {
            let folder = temporary_folder("runtime")?;
            #[cfg(unix)]
            std::fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
            environment.variables.push(("XDG_RUNTIME_DIR", folder.into()));
        }
        Ok(environment)
    }

    /// The same with SwiftShader, which comes with Chromium, as one more Vulkan driver. Its limits are lower than lavapipe's, so it
    /// catches what only fits a large device. The machine's own drivers stay in use.
    pub fn with_swiftshader(mut self) -> Self {
        if ["VK_DRIVER_FILES", "VK_ICD_FILENAMES", "VK_ADD_DRIVER_FILES"]
            .iter()
            .any(|name| std::env::var_os(name).is_some())
        {
            return self;
        }
        if let Some(manifest) = browser::swiftshader_manifest() {
            self.variables.push(("VK_ADD_DRIVER_FILES", manifest.into()));
        }
        self
    }

    pub fn variables(&self) -> impl Iterator<Item = (&'static str, &OsString)> {
        self.variables.iter().map(|(name, value)| (*name, value))
    }
}

/// An empty folder of this process.
pub fn temporary_folder(purpose: &str) -> Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("clustered-attention-{purpose}-{}", std::process::id()));
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

/// Manifests of the Vulkan drivers that are installed on a Linux machine.
pub fn vulkan_manifests() -> Vec<PathBuf> {
    ["/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/etc/vulkan/icd.d"]
        .iter()
        .filter_map(|folder| Path::new(folder).read_dir().ok())
        .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
        .collect()
}

/// What to tell a user whose machine has no adapter; `None` where there may be one.
pub fn missing_driver_hint() -> Option<String> {
    let has_named_driver = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES", "VK_ADD_DRIVER_FILES"]
        .iter()
        .any(|name| std::env::var_os(name).is_some());
    (cfg!(target_os = "linux") && !has_named_driver && vulkan_manifests().is_empty()).then(|| {
        "No Vulkan driver is installed, so the CPU back end does the work. \
         A software driver would show the GPU's path too, slowly: `cargo xtask setup`."
            .into()
    })
}
