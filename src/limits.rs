//! What a target can hold.

/// The limits of a target that decide how a problem is cut: from a [`wgpu::Device`], from [`wgpu::Limits`], or the host's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one storage binding.
    pub(crate) binding_bytes: u64,
    /// Bytes of one buffer.
    pub(crate) buffer_bytes: u64,
    /// Workgroups along one dimension of a dispatch.
    pub(crate) workgroups_per_dimension: u32,
    /// Offsets of storage bindings are multiples of this.
    pub(crate) offset_alignment_bytes: u32,
    /// Vectors of four floats of a query that an invocation holds in registers at a time. A software adapter has no registers to fill and
    /// compiles for seconds where many loads are unrolled, so it gets fewer.
    pub(crate) query_registers: usize,
    /// The same of a value.
    pub(crate) value_registers: usize,
    /// Whether work runs on the host, which needs no partial sums for workgroups.
    pub(crate) host: bool,
    /// Whether the device is a software adapter, which computes on the host after all.
    pub(crate) software: bool,
}

impl Limits {
    /// 64 floats each of query and value.
    const HARDWARE_REGISTERS: (usize, usize) = (16, 16);
    /// Measured on lavapipe: twice the value registers compile exact attention in twice the time for a tenth of its run time.
    const SOFTWARE_REGISTERS: (usize, usize) = (4, 8);

    /// The limits of a device.
    pub fn of(device: &wgpu::Device) -> Self {
        let mut limits = Self::from(&device.limits());
        if device.adapter_info().device_type == wgpu::DeviceType::Cpu {
            (limits.query_registers, limits.value_registers) = Self::SOFTWARE_REGISTERS;
            limits.software = true;
        }
        limits
    }

    /// What every WebGPU device offers; [`Method::Auto`](crate::Method::Auto) takes it for hardware.
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
            query_registers: Self::HARDWARE_REGISTERS.0,
            value_registers: Self::HARDWARE_REGISTERS.1,
            host: true,
            software: false,
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
            query_registers: Self::HARDWARE_REGISTERS.0,
            value_registers: Self::HARDWARE_REGISTERS.1,
            host: false,
            software: false,
        }
    }
}
