//! stub
use crate::{plan::{Limits,Plan}, trace::Trace, Inputs, Result, Supplied, Error};
#[derive(Debug, Clone)]
pub struct AdapterDescription { pub name: String }
#[derive(Debug)]
pub(crate) struct HostEngine;
impl HostEngine {
    pub async fn open_hardware() -> Option<Self> { None }
    pub async fn open(_: Option<&str>) -> Result<Self> { Err(Error::Unsupported{feature:"gpu"}) }
    pub fn with_device(_: wgpu::Device, _: wgpu::Queue) -> Self { Self }
    pub fn describe(&self) -> AdapterDescription { AdapterDescription{name:String::new()} }
    pub fn limits(&self) -> Limits { Limits::webgpu_defaults() }
    pub async fn run(&self, _: &Plan, _: &Inputs<'_>, _: &Supplied<'_>, _: &mut [f32], _: Option<&mut Trace>) -> Result<()> { Ok(()) }
}
pub async fn adapters() -> Vec<AdapterDescription> { vec![] }

impl std::fmt::Display for AdapterDescription { fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result { write!(f, "{}", self.name) } }
pub fn adapters_blocking() -> Vec<AdapterDescription> { pollster::block_on(adapters()) }
