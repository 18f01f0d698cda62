//! What a target can hold.

use crate::{Error, Result};

/// Scratch memory that is used unless another budget is given: 128 MiB.
pub const DEFAULT_SCRATCH_BUDGET_BYTES: u64 = 128 << 20;

/// Multiply-adds, or operations of similar cost, after which work is cut into another dispatch: a fifth of a second at ten billion
/// operations a second, a tenth of a millisecond on a large GPU.
pub(crate) const OPERATIONS_PER_DISPATCH: u64 = 1 << 31;

/// The same of a GPU with memory of its own, the slowest of which do ten times as much: the more a dispatch has, the shorter the part of it in
/// which the last workgroups run alone.
#[cfg(feature = "gpu")]
const OPERATIONS_PER_DISCRETE_DISPATCH: u64 = 1 << 33;

/// The limits of a target that decide how a problem is cut: from a [`wgpu::Device`], from [`wgpu::Limits`], or the host's; and how
/// much scratch memory may be taken of it.
///
/// Every limit that a kernel, a buffer or a dispatch depends on is read here, once; what falls short is refused by its name before anything
/// is made.
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
    /// Offsets of uniform bindings are multiples of this.
    #[cfg_attr(not(feature = "gpu"), allow(dead_code))]
    pub(crate) uniform_alignment_bytes: u32,
    /// Vectors of four floats of a query that an invocation holds in registers at a time. A software adapter has no registers to fill and
    /// compiles for seconds where many loads are unrolled, so it gets fewer.
    pub(crate) query_registers: usize,
    /// The same of a value.
    pub(crate) value_registers: usize,
    /// Queries whose products with keys an invocation computes block by block (`shared/tile_blocks.wgsl`): 4 or 8. 0 where it holds one query
    /// (`shared/tile_rows.wgsl`).
    pub(crate) block_queries: usize,
    /// Whether an invocation has the registers for blocks of 8 queries in a kernel that does nothing else.
    pub(crate) wide_blocks: bool,
    /// Units that multiply matrices of halves, where they were opened.
    pub(crate) matrices: Option<MatrixUnits>,
    /// Whether work runs on the host, which needs no partial sums for workgroups.
    pub(crate) host: bool,
    /// Threads that slices of a chunk are shared among; 1 where it does not matter.
    pub(crate) threads: usize,
    /// Whether the device is a software adapter, which computes on the host after all.
    pub(crate) software: bool,
    /// Scratch memory that may be taken.
    pub(crate) scratch_budget_bytes: u64,
    /// Multiply-adds of a dispatch, at most.
    pub(crate) operations_per_dispatch: u64,
    /// The first limit that is below what kernels need whatever the problem.
    pub(crate) shortage: Option<Shortage>,
}

/// Matrix units of a device: matrices of halves, of so many rows and columns, multiplied by a subgroup of so many lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MatrixUnits {
    pub side: usize,
    pub subgroup_lanes: usize,
}

/// A limit that is too low for every problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shortage {
    limit: &'static str,
    what: &'static str,
    needed: u32,
    allowed: u32,
    unit: &'static str,
}

impl Limits {
    /// 64 floats each of query and value.
    const HARDWARE_REGISTERS: (usize, usize) = (16, 16);

    /// Vectors of a query that an invocation holds beside its sums: an eighth where it holds one only in kernels that do more beside it, and may
    /// have no more than 128 registers for all of it. Fewer are more often added to what rests in workgroup memory, once for each key.
    pub(crate) fn row_registers(&self) -> usize {
        if self.block_queries > 0 {
            self.query_registers.div_ceil(8)
        } else {
            self.query_registers
        }
    }

    /// The host's memory, which has no such limits.
    pub fn host() -> Self {
        Self {
            binding_bytes: u64::MAX,
            buffer_bytes: u64::MAX,
            workgroups_per_dimension: u32::MAX,
            offset_alignment_bytes: 4,
            uniform_alignment_bytes: 4,
            query_registers: Self::HARDWARE_REGISTERS.0,
            value_registers: Self::HARDWARE_REGISTERS.1,
            block_queries: 0,
            wide_blocks: false,
            matrices: None,
            host: true,
            threads: crate::parallel::threads(),
            software: false,
            scratch_budget_bytes: DEFAULT_SCRATCH_BUDGET_BYTES,
            operations_per_dispatch: OPERATIONS_PER_DISPATCH,
            shortage: None,
        }
    }

    /// Bounds the scratch memory; the default is [`DEFAULT_SCRATCH_BUDGET_BYTES`].
    pub fn with_scratch_budget_bytes(mut self, bytes: u64) -> Self {
        self.scratch_budget_bytes = bytes;
        self
    }

    /// Refuses a target on which no kernel can run.
    pub(crate) fn check(&self) -> Result<()> {
        let Some(Shortage { limit, what, needed, allowed, unit }) = self.shortage else { return Ok(()) };
        Err(Error::ExceedsLimit { what: what.into(), needed: needed.into(), allowed: allowed.into(), unit, limit })
    }

    /// Refuses a buffer that is too large to be made or to be bound as a whole.
    pub(crate) fn check_buffer(&self, what: impl FnOnce() -> String, bytes: u64) -> Result<()> {
        for (allowed, limit) in
            [(self.buffer_bytes, "max_buffer_size"), (self.binding_bytes, "max_storage_buffer_binding_size")]
        {
            // Buffers are made in whole vectors.
            let needed = bytes.saturating_add(15) & !15;
            if needed > allowed {
                return Err(Error::ExceedsLimit { what: what(), needed, allowed, unit: "bytes", limit });
            }
        }
        Ok(())
    }
}

#[cfg(feature = "gpu")]
impl Limits {
    /// Measured on lavapipe: twice the value registers compile exact attention in twice the time for a tenth of its run time.
    const SOFTWARE_REGISTERS: (usize, usize) = (4, 8);
    /// What fits the registers of every vendor.
    const BLOCK_QUERIES: usize = 4;
    /// AMD's number: loads that are the same for a workgroup go through scalar registers there, beside the arithmetic, so that a query an
    /// invocation is the faster tile.
    const VENDOR_WITH_SCALAR_LOADS: u32 = 0x1002;
    /// NVIDIA's: 255 registers an invocation, and loads that bind before arithmetic does, of which blocks of 8 queries need fewer.
    const VENDOR_WITH_MANY_REGISTERS: u32 = 0x10de;
    /// Storage buffers of a kernel, at most.
    const STORAGE_BUFFERS: u32 = 8;
    /// Invocations of a workgroup, at most; all in one dimension.
    const INVOCATIONS: u32 = 256;
    const WORKGROUP_BYTES: u32 = 16 << 10;
    /// Bytes of the uniform of a dispatch, at most.
    pub(crate) const UNIFORM_BYTES: u32 = 512;

    /// The limits of a device.
    pub fn of(device: &wgpu::Device) -> Self {
        let mut limits = Self::from(&device.limits());
        let adapter = device.adapter_info();
        if adapter.device_type == wgpu::DeviceType::DiscreteGpu {
            limits.operations_per_dispatch = OPERATIONS_PER_DISCRETE_DISPATCH;
        }
        if adapter.device_type == wgpu::DeviceType::Cpu {
            (limits.query_registers, limits.value_registers) = Self::SOFTWARE_REGISTERS;
            limits.block_queries = 0;
            limits.software = true;
        } else if adapter.vendor == Self::VENDOR_WITH_SCALAR_LOADS {
            limits.block_queries = 0;
        } else if adapter.vendor == Self::VENDOR_WITH_MANY_REGISTERS {
            limits.wide_blocks = true;
        }
        limits
    }

    /// What every WebGPU device offers; [`Method::Auto`](crate::Method::Auto) takes it for hardware.
    pub fn webgpu_defaults() -> Self {
        Self::from(&wgpu::Limits::defaults())
    }

    /// What kernels need whatever the problem.
    fn shortage(limits: &wgpu::Limits) -> Option<Shortage> {
        let invocations = limits.max_compute_invocations_per_workgroup;
        let bytes = |bytes: u64| u32::try_from(bytes).unwrap_or(u32::MAX);
        #[rustfmt::skip]
        let all = [
            ("max_storage_buffers_per_shader_stage", "a kernel", Self::STORAGE_BUFFERS, limits.max_storage_buffers_per_shader_stage, "storage buffers"),
            ("max_uniform_buffers_per_shader_stage", "a kernel", 1, limits.max_uniform_buffers_per_shader_stage, "uniform buffer"),
            ("max_dynamic_uniform_buffers_per_pipeline_layout", "a kernel", 1, limits.max_dynamic_uniform_buffers_per_pipeline_layout, "uniform buffer"),
            ("max_uniform_buffer_binding_size", "a kernel's uniform", Self::UNIFORM_BYTES, bytes(limits.max_uniform_buffer_binding_size), "bytes"),
            ("max_bind_groups", "a kernel", 1, limits.max_bind_groups, "bind group"),
            ("max_bindings_per_bind_group", "a kernel", Self::STORAGE_BUFFERS + 1, limits.max_bindings_per_bind_group, "bindings"),
            ("max_compute_invocations_per_workgroup", "a workgroup", Self::INVOCATIONS, invocations, "invocations"),
            ("max_compute_workgroup_size_x", "a workgroup", Self::INVOCATIONS, limits.max_compute_workgroup_size_x, "invocations"),
            ("max_compute_workgroup_size_y", "a workgroup", 1, limits.max_compute_workgroup_size_y, "invocation"),
            ("max_compute_workgroup_size_z", "a workgroup", 1, limits.max_compute_workgroup_size_z, "invocation"),
            ("max_compute_workgroup_storage_size", "a workgroup", Self::WORKGROUP_BYTES, limits.max_compute_workgroup_storage_size, "bytes"),
            ("max_buffer_size", "a buffer", Self::UNIFORM_BYTES, bytes(limits.max_buffer_size), "bytes"),
            ("max_storage_buffer_binding_size", "a binding", 256, bytes(limits.max_storage_buffer_binding_size), "bytes"),
            ("max_compute_workgroups_per_dimension", "a dispatch", 1, limits.max_compute_workgroups_per_dimension, "workgroup"),
        ];
        let short = all.into_iter().find(|&(_, _, needed, allowed, _)| allowed < needed);
        short.map(|(limit, what, needed, allowed, unit)| Shortage { limit, what, needed, allowed, unit })
    }
}

#[cfg(feature = "gpu")]
impl From<&wgpu::Limits> for Limits {
    fn from(limits: &wgpu::Limits) -> Self {
        Self {
            // Elements are addressed with 32 bits and bytes with less than 2^31 on some drivers.
            binding_bytes: limits.max_storage_buffer_binding_size.min(1 << 31) & !255,
            buffer_bytes: limits.max_buffer_size,
            workgroups_per_dimension: limits.max_compute_workgroups_per_dimension,
            // No device has less; a made-up zero would divide by it.
            offset_alignment_bytes: limits.min_storage_buffer_offset_alignment.max(4),
            uniform_alignment_bytes: limits.min_uniform_buffer_offset_alignment.max(4),
            query_registers: Self::HARDWARE_REGISTERS.0,
            value_registers: Self::HARDWARE_REGISTERS.1,
            block_queries: Self::BLOCK_QUERIES,
            wide_blocks: false,
            matrices: None,
            host: false,
            threads: 1,
            software: false,
            scratch_budget_bytes: DEFAULT_SCRATCH_BUDGET_BYTES,
            operations_per_dispatch: OPERATIONS_PER_DISPATCH,
            shortage: Self::shortage(limits),
        }
    }
}
