//! The GPU back end: kernels, the objects that record them, and host slices on top.

mod adapter;
mod complaints;
mod compose;
mod constants;
mod device_attention;
mod exclusive;
mod finite_check;
mod host_engine;
mod kernel_sources;
mod kernels;
mod key;
mod launch;
mod liveness;
mod matrix_units;
mod params;
mod pipeline_cache;
mod pipelines;
mod random_numbers;
mod read_back;
mod recorder;
mod row_reader;
mod stage_times;
mod submission;
mod tracer;
mod variant;

#[cfg(not(target_arch = "wasm32"))]
pub use adapter::adapters_blocking;
pub use adapter::{adapters, AdapterDescription};
pub use device_attention::{DeviceAttention, DeviceTensors};
pub use finite_check::{CheckedTensor, FiniteCheck, NO_BAD_ELEMENT};
pub(crate) use host_engine::HostEngine;
pub use kernel_sources::KernelSource;
pub use matrix_units::MATRIX_FEATURES;
pub use pipelines::{Compilation, Kernels};
pub(crate) use row_reader::RowReader;
pub use stage_times::StageTimes;
#[cfg(feature = "burn")]
pub(crate) use {complaints::heard, submission::submit};

#[cfg(test)]
mod tests;
