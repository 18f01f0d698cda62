//! The environment that the demo and the tests run in.

use anyhow::{Context, Result};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Variables by which a user chooses Vulkan drivers.
const DRIVER_VARIABLES: [&str; 3] = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES", "VK_ADD_DRIVER_FILES"];

/// Limits the tests to adapters whose name, API or driver contains its value.
const ADAPTER_VARIABLE: &str = "CLUSTERED_ATTENTION_ADAPTER";

/// Variables for every program that is started, over those that are set already.
#[derive(Default)]
pub struct Environment {
    variables: Vec<(&'static str, OsString)>,
    /// Kept for as long as programs use it.
    _runtime_folder: Option<TemporaryFolder>,
}

impl Environment {
    #[cfg(test)]
    pub fn of(variables: Vec<(&'static str, OsString)>) -> Self {
        Self { variables, _runtime_folder: None }
    }

    /// What any program that opens an adapter needs.
    pub fn prepare() -> Result<Self> {
        let mut environment = Self::default();
        // Software Vulkan drivers and EGL want a private folder, which a container or a service often lacks.
        if cfg!(target_os = "linux") && std::env::var_os("XDG_RUNTIME_DIR").is_none() {
            let folder = TemporaryFolder::new("runtime")?;
            #[cfg(unix)]
            std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
            environment.variables.push(("XDG_RUNTIME_DIR", folder.path().into()));
            environment._runtime_folder = Some(folder);
        }
        Ok(environment)
    }

    /// The same with SwiftShader, which comes with Chromium, as one more Vulkan driver. Its limits are lower than lavapipe's, so it
    /// catches what only fits a large device. The machine's own drivers stay in use.
    pub fn with_swiftshader(mut self) -> Self {
        if drivers_are_chosen() {
            return self;
        }
        if let Some(manifest) = swiftshader_manifest() {
            self.variables.push(("VK_ADD_DRIVER_FILES", manifest.into()));
        }
        self
    }

    /// The same with lavapipe as the only adapter, where it is installed and the user chose no other.
    pub fn with_one_adapter(mut self) -> Self {
        if drivers_are_chosen() || std::env::var_os(ADAPTER_VARIABLE).is_some() {
            return self;
        }
        if let Some(manifest) = lavapipe_manifest() {
            self.variables.push(("VK_DRIVER_FILES", manifest.into()));
            // Leaves out OpenGL ES, which the same library offers.
            self.variables.push((ADAPTER_VARIABLE, "vulkan".into()));
        }
        self
    }

    /// The same with lavapipe and llvmpipe compiling kernels as quickly as they can, unless a user chose otherwise: tests compile many
    /// kernels and run each for a moment. Four lanes and no optimisation compile five times faster than eight lanes with it.
    pub fn with_quick_software_compilers(mut self) -> Self {
        for (name, value) in [("LP_NATIVE_VECTOR_WIDTH", "128"), ("GALLIVM_PERF", "nopt")] {
            if std::env::var_os(name).is_none() {
                self.variables.push((name, value.into()));
            }
        }
        self
    }

    /// What leaves SwiftShader alone of the software drivers, where lavapipe is the other: lavapipe's compiler, which OpenGL ES has too, takes
    /// minutes for the kernels of all sizes. `None` elsewhere, where there may be a GPU, or where a user chose adapters.
    pub fn with_swiftshader_alone() -> Option<(&'static str, &'static str)> {
        let chosen = drivers_are_chosen() || std::env::var_os(ADAPTER_VARIABLE).is_some();
        let both = swiftshader_manifest().is_some() && lavapipe_manifest().is_some();
        let may_have_gpu =
            ["/dev/dri", "/dev/nvidiactl", "/dev/dxg", "/dev/kfd"].iter().any(|file| Path::new(file).exists());
        (cfg!(target_os = "linux") && !chosen && both && !may_have_gpu).then_some((ADAPTER_VARIABLE, "swiftshader"))
    }

    pub fn variables(&self) -> impl Iterator<Item = (&'static str, &OsString)> {
        self.variables.iter().map(|(name, value)| (*name, value))
    }
}

/// An empty folder that is removed when it is no longer used.
pub struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    pub fn new(purpose: &str) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("clustered-attention-{purpose}-{}", std::process::id()));
        if path.exists() {
            std::fs::remove_dir_all(&path).with_context(|| format!("cannot empty {}", path.display()))?;
        }
        std::fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // A program that was just stopped may still be writing; what stays is in the system's temporary folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn drivers_are_chosen() -> bool {
    DRIVER_VARIABLES.iter().any(|name| std::env::var_os(name).is_some())
}

/// Manifests of the Vulkan drivers that are installed on a Linux machine.
pub fn vulkan_manifests() -> Vec<PathBuf> {
    ["/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/etc/vulkan/icd.d"]
        .iter()
        .filter_map(|folder| Path::new(folder).read_dir().ok())
        .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
        .collect()
}

/// The manifest of lavapipe, Mesa's software Vulkan driver.
fn lavapipe_manifest() -> Option<PathBuf> {
    let is_lavapipe =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("lvp_icd"));
    vulkan_manifests().into_iter().find(is_lavapipe)
}

/// The manifest of SwiftShader, the software Vulkan driver that comes with Chromium.
fn swiftshader_manifest() -> Option<PathBuf> {
    let folders = [
        "/usr/lib/chromium",
        "/usr/lib/chromium-browser",
        "/opt/google/chrome",
        "/opt/microsoft/msedge",
        "/snap/chromium/current/usr/lib/chromium-browser",
    ];
    let manifests = folders.iter().map(|folder| Path::new(folder).join("vk_swiftshader_icd.json"));
    manifests
        .into_iter()
        .find(|manifest| manifest.is_file() && manifest.with_file_name("libvk_swiftshader.so").is_file())
}

/// What to tell a user whose machine has no adapter; `None` where there may be one.
pub fn missing_driver_hint() -> Option<String> {
    (cfg!(target_os = "linux") && !drivers_are_chosen() && vulkan_manifests().is_empty()).then(|| {
        "No Vulkan driver is installed, so the CPU back end does the work. \
         A software driver would show the GPU's path too, slowly: `cargo xtask setup`."
            .into()
    })
}
