//! Adapters: which there are, and which is best.

use crate::{Error, Result};
use std::fmt;
use std::future::Future;

/// An adapter that attention can run on.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AdapterDescription {
    /// The adapter's name, such as `NVIDIA GeForce RTX 4070` or `llvmpipe`.
    pub name: String,
    /// The driver and its version, where it tells.
    pub driver: String,
    /// The API: `vulkan`, `metal`, `dx12`, `gl` or `browserwebgpu`.
    pub backend: String,
    /// `discrete`, `integrated`, `virtual`, `software` or `unknown`.
    pub device_type: String,
    pub(super) adapter: Option<wgpu::Adapter>,
}

impl fmt::Display for AdapterDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {}", self.name, self.backend, self.device_type)?;
        if !self.driver.is_empty() {
            write!(f, ", {}", self.driver)?;
        }
        write!(f, ")")
    }
}

impl AdapterDescription {
    pub(super) fn new(info: &wgpu::AdapterInfo, adapter: Option<wgpu::Adapter>) -> Self {
        let driver = format!("{} {}", info.driver, info.driver_info);
        let device_type = match info.device_type {
            wgpu::DeviceType::DiscreteGpu => "discrete",
            wgpu::DeviceType::IntegratedGpu => "integrated",
            wgpu::DeviceType::VirtualGpu => "virtual",
            wgpu::DeviceType::Cpu => "software",
            wgpu::DeviceType::Other => "unknown",
        };
        Self {
            name: info.name.clone(),
            driver: driver.trim().to_string(),
            backend: format!("{:?}", info.backend).to_lowercase(),
            device_type: device_type.to_string(),
            adapter,
        }
    }

    /// Whether the adapter is a program that runs on the CPU.
    pub fn is_software(&self) -> bool {
        self.device_type == "software"
    }

    /// Lower is better: hardware before software, then native APIs before GL.
    fn rank(&self) -> (usize, bool) {
        let kinds = ["discrete", "integrated", "virtual", "unknown", "software"];
        let kind = kinds.iter().position(|kind| *kind == self.device_type).unwrap_or(kinds.len());
        (kind, self.backend == "gl")
    }

    fn matches(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        [&self.name, &self.driver, &self.backend].iter().any(|field| field.to_lowercase().contains(&text))
    }
}

/// All adapters that can run compute shaders, the best first. In the browser at most one.
///
/// Natively this loads the driver of every API that wgpu knows on the platform, or of those that the environment variable `WGPU_BACKEND`
/// names (`vulkan`, `metal`, `dx12`, `gl`, several with commas), and blocks for as long as they take; an API that fails hides no other. A
/// driver that crashes takes the process with it: where that must not happen, list adapters in a child process first, or name the API.
pub async fn adapters() -> Vec<AdapterDescription> {
    in_apis(wgpu::Backends::all()).await
}

/// The adapters of some APIs, of those that `WGPU_BACKEND` leaves.
async fn in_apis(apis: wgpu::Backends) -> Vec<AdapterDescription> {
    let backends = apis & wgpu::Backends::from_env().unwrap_or(apis);
    let descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor { backends, ..descriptor });
    #[cfg(not(target_arch = "wasm32"))]
    let found = instance.enumerate_adapters(backends).await;
    #[cfg(target_arch = "wasm32")]
    let found: Vec<wgpu::Adapter> = {
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        instance.request_adapter(&options).await.into_iter().collect()
    };
    let mut adapters: Vec<_> = found
        .into_iter()
        .filter(|adapter| {
            let flags = adapter.get_downlevel_capabilities().flags;
            flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS)
        })
        .map(|adapter| AdapterDescription::new(&adapter.get_info(), Some(adapter)))
        .collect();
    adapters.sort_by_key(AdapterDescription::rank);
    adapters
}

/// [`adapters`] for programs without an async runtime. Not available in the browser.
#[cfg(not(target_arch = "wasm32"))]
pub fn adapters_blocking() -> Vec<AdapterDescription> {
    pollster::block_on(adapters())
}

/// Tries adapters one after another, the best first, until `open` takes one: all, or those that match a text.
///
/// OpenGL's driver is loaded only where no hardware of another API was taken: beside Vulkan it makes threads of an NVIDIA driver lock each other
/// out far more often (docs/gpu.md).
pub(super) async fn try_each<T, F>(name: Option<&str>, mut open: impl FnMut(AdapterDescription) -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let all = name.and_then(api_named).unwrap_or(wgpu::Backends::all());
    let mut waiting = Vec::new();
    let (mut tried, mut others) = (Vec::new(), Vec::new());
    for apis in [all - wgpu::Backends::GL, all & wgpu::Backends::GL] {
        if apis.is_empty() {
            continue;
        }
        let (fitting, not): (Vec<_>, Vec<_>) =
            in_apis(apis).await.into_iter().partition(|adapter| name.is_none_or(|name| adapter.matches(name)));
        others.extend(not.iter().map(ToString::to_string));
        waiting.extend(fitting);
        waiting.sort_by_key(AdapterDescription::rank);
        // What is no hardware waits for what the next API may have.
        let last = apis.contains(wgpu::Backends::GL) || !all.contains(wgpu::Backends::GL);
        let ready = if last { waiting.len() } else { waiting.iter().filter(|adapter| !adapter.is_software()).count() };
        for adapter in waiting.drain(..ready) {
            let described = adapter.to_string();
            match open(adapter).await {
                Ok(opened) => return Ok(opened),
                Err(error) => tried.push(format!("{described}: {error}")),
            }
        }
    }
    if !tried.is_empty() {
        return Err(Error::NoAdapterOpens { tried: list(&tried) });
    }
    let narrowed = std::env::var("WGPU_BACKEND").map_or(String::new(), |apis| format!(", WGPU_BACKEND being `{apis}`"));
    Err(Error::NoAdapter {
        wanted: name.map_or("with compute shaders".into(), |name| format!("matches `{name}`")),
        found: list(&others) + &narrowed,
    })
}

/// The API that a text is the name of: then no other API's driver is loaded.
fn api_named(text: &str) -> Option<wgpu::Backends> {
    let known = ["vulkan", "metal", "dx12", "gl"].iter().find(|name| name.eq_ignore_ascii_case(text))?;
    Some(wgpu::Backends::from_comma_list(known))
}

/// Some things in a row, or that there are none.
fn list(items: &[String]) -> String {
    if items.is_empty() {
        "none".into()
    } else {
        items.join("; ")
    }
}

/// What is used of every device whose adapter has it.
const FEATURES: wgpu::Features = wgpu::Features::TIMESTAMP_QUERY.union(wgpu::Features::PIPELINE_CACHE);

/// Opens an adapter with all it offers that the crate uses.
pub(super) async fn open(adapter: &wgpu::Adapter) -> Result<(wgpu::Device, wgpu::Queue)> {
    open_with(adapter, wgpu::Features::empty(), wgpu::ExperimentalFeatures::disabled()).await
}

/// The same with more that it was found to offer.
pub(super) async fn open_with(
    adapter: &wgpu::Adapter,
    more: wgpu::Features,
    experimental_features: wgpu::ExperimentalFeatures,
) -> Result<(wgpu::Device, wgpu::Queue)> {
    adapter
        .request_device(&wgpu::DeviceDescriptor {
            label: Some("clustered-attention"),
            required_features: (adapter.features() & FEATURES) | more,
            required_limits: adapter.limits(),
            experimental_features,
            ..Default::default()
        })
        .await
        .map_err(|error| Error::Device { message: error.to_string() })
}
