//! The library's tests from outside, in one program: `cargo test --test library edge_cases::` runs those of a file.
//!
//! Each program would link wgpu and compile what they share once more.

mod asynchronous;
mod cancellation;
mod common;
mod device_errors;
mod edge_cases;
mod errors;
mod extreme_sizes;
mod for_error;
mod grids;
mod guard;
mod halves;
mod limits;
mod long_sequence;
mod opengl;
mod own_device;
mod pipeline_cache;
mod precision;
mod properties;
#[cfg(feature = "serde")]
mod serialisation;
mod stages;
mod strides;
mod windows;
