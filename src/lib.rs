#![doc = include_str!("../docs/crate.md")]
#![warn(missing_docs)]
#![deny(unsafe_code)]
// The documentation is that of all features; without the GPU some of its links lead nowhere.
#![cfg_attr(not(feature = "gpu"), allow(rustdoc::broken_intra_doc_links))]
mod accuracy;
mod attention;
mod background;
#[cfg(feature = "burn-host")]
pub mod burn;
#[cfg(feature = "candle")]
pub mod candle;
mod clock;
mod cpu;
mod error;
mod for_error;
#[cfg(any(feature = "burn-host", feature = "candle"))]
mod framework;
#[cfg(feature = "gpu")]
mod gpu;
mod limits;
mod named;
mod parallel;
mod plan;
mod problem;
mod random;
mod stages;
mod trace;

pub use accuracy::{Accuracy, ExactRows, Rows};
pub use attention::{Attention, Backend};
pub use error::{Error, Result};
pub use for_error::{ForError, Found, Trial};
#[cfg(all(feature = "gpu", not(target_arch = "wasm32")))]
pub use gpu::adapters_blocking;
#[cfg(feature = "gpu")]
pub use gpu::{
    adapters, AdapterDescription, CheckedTensor, Compilation, DeviceAttention, DeviceTensors, FiniteCheck,
    KernelSource, Kernels, StageTimes, MATRIX_FEATURES, NO_BAD_ELEMENT,
};
pub use half;
pub use limits::{Limits, DEFAULT_SCRATCH_BUDGET_BYTES};
pub use plan::{Plan, PlanFigures, StageCost};
pub use problem::{
    Clustering, Element, Grid, Guard, GuardAction, Inputs, KeyGroups, Layout, Method, Neighbourhood, Precision,
    Problem, Shape, Space, Stitched, Stored, Strides, Supplied, Tolerance,
};
pub use stages::Stage;
pub use trace::{Trace, NO_CLUSTER, NO_KEY};
#[cfg(feature = "gpu")]
pub use wgpu;
