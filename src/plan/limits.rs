//! What a target can hold.

/// The limits of a target that decide how a problem is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of one storage binding.
    pub binding_bytes: u64,
    /// Bytes of one buffer.
    pub buffer_bytes: u64,
    /// Workgroups along one dimension of a dispatch.
    pub workgroups_per_dimension: u32,
    /// Offsets of storage bindings are multiples of this.
    pub offset_alignment_bytes: u32,
    /// Vectors of four floats of a query, or of a value, that an invocation holds in registers. A software adapter keeps none in
    /// registers and compiles for seconds where many loads are unrolled, so it gets fewer.
    pub register_vectors: usize,
    /// Whether work runs on the host, which needs no partial sums for workgroups.
    pub host: bool,
}

impl Limits {
    const HARDWARE_REGISTER_VECTORS: usize = 16;
    const SOFTWARE_REGISTER_VECTORS: usize = 4;

    /// The limits of a device.
    pub fn of(device: &wgpu::Device) -> Self {
        let mut limits = Self::from(&device.limits());
        if device.adapter_info().device_type == wgpu::DeviceType::Cpu {
            limits.register_vectors = Self::SOFTWARE_REGISTER_VECTORS;
        }
        limits
    }

    /// What every WebGPU device offers.
    pub fn webgpu_defaults() -> Self {
        Self::from(&wgpu::Limits::defaults())
    }

    /// The host's memory, which has no such limits.
    pub fn host() -> Self {
        Self {
            binding_bytes: u64::MAX,
            buffer_bytes: u64::MAX,
            workgroups_per_dimension: u32::MAX,
            offset_alignment_bytes: 4,
            register_vectors: Self::HARDWARE_REGISTER_VECTORS,
            host: true,
        }
    }
}

impl From<&wgpu::Limits> for Limits {
    fn from(limits: &wgpu::Limits) -> Self {
        Self {
            // Elements are addressed with 32 bits and bytes with less than 2^31 on some drivers.
            binding_bytes: limits.max_storage_buffer_binding_size.min(1 << 31) & !255,
            buffer_bytes: limits.max_buffer_size,
            workgroups_per_dimension: limits.max_compute_workgroups_per_dimension,
            offset_alignment_bytes: limits.min_storage_buffer_offset_alignment,
            register_vectors: Self::HARDWARE_REGISTER_VECTORS,
            host: false,
        }
    }
}
