//! Devices that the tests open themselves, and buffers on them.

use super::{is_wanted, NO_ADAPTER_VARIABLE};
use clustered_attention::wgpu;
use wgpu::BufferUsages;

/// A device and queue as an app has them.
pub struct OwnDevice {
    pub name: String,
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
}

/// A device with some limits on every adapter that offers them; at least one, unless the machine is said to have none.
pub fn own_devices(limits: &wgpu::Limits) -> Vec<OwnDevice> {
    own_devices_with(limits, wgpu::Features::empty())
}

/// [`own_devices`] with those of some features that the adapter has.
pub fn own_devices_with(limits: &wgpu::Limits, features: wgpu::Features) -> Vec<OwnDevice> {
    // As the library's own list: on a machine whose drivers get into each other's way, `WGPU_BACKEND` leaves one.
    let backends = wgpu::Backends::all().with_env();
    let descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor { backends, ..descriptor });
    let adapters = pollster::block_on(instance.enumerate_adapters(backends));
    let mut devices = Vec::new();
    for adapter in adapters {
        let info = adapter.get_info();
        let name = format!("{} ({:?}, {} {})", info.name, info.backend, info.driver, info.driver_info);
        let computes = adapter.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS);
        if !computes || !is_wanted(&name) {
            continue;
        }
        let descriptor = wgpu::DeviceDescriptor {
            required_limits: limits.clone(),
            required_features: adapter.features() & features,
            ..Default::default()
        };
        match pollster::block_on(adapter.request_device(&descriptor)) {
            Ok((device, queue)) => devices.push(OwnDevice { name, device, queue }),
            Err(error) => println!("left out {name}: {error}"),
        }
    }
    assert!(
        !devices.is_empty() || std::env::var_os(NO_ADAPTER_VARIABLE).is_some(),
        "no adapter offers the limits; set {NO_ADAPTER_VARIABLE}=1 on a machine that has none"
    );
    devices
}

impl OwnDevice {
    /// A storage buffer that holds some words.
    pub fn buffer(&self, words: &[u32]) -> wgpu::Buffer {
        let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
        self.buffer_with(4 * words.len() as u64, usage, bytemuck::cast_slice(words))
    }

    /// A buffer of some size whose beginning holds some bytes.
    pub fn buffer_with(&self, size: u64, usage: BufferUsages, bytes: &[u8]) -> wgpu::Buffer {
        let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
        let buffer = self.device.create_buffer(&descriptor);
        if !bytes.is_empty() {
            self.queue.write_buffer(&buffer, 0, bytes);
        }
        buffer
    }

    /// All words of a buffer, once everything submitted so far is done.
    pub fn read(&self, buffer: &wgpu::Buffer) -> Vec<u32> {
        let usage = BufferUsages::MAP_READ | BufferUsages::COPY_DST;
        let staging = self.buffer_with(buffer.size(), usage, &[]);
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, buffer.size());
        self.queue.submit([encoder.finish()]);
        staging.slice(..).map_async(wgpu::MapMode::Read, |result| result.expect("the buffer is mapped"));
        self.device.poll(wgpu::PollType::wait_indefinitely()).expect("the device works");
        let view = staging.slice(..).get_mapped_range().expect("a mapped range");
        bytemuck::cast_slice(&view).to_vec()
    }

    /// Runs something and fails if the device complains about it.
    pub fn without_complaint<T>(&self, run: impl FnOnce() -> T) -> T {
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let result = run();
        if let Some(error) = pollster::block_on(scope.pop()) {
            panic!("{}: {error}", self.name);
        }
        result
    }
}

/// Floats as the words of a buffer.
pub fn words(values: &[f32]) -> &[u32] {
    bytemuck::cast_slice(values)
}

/// Words of a buffer as floats.
pub fn floats(words: &[u32]) -> &[f32] {
    bytemuck::cast_slice(words)
}
