//! Matrix units of a device: whether it has any, and whether they compute what they should.

use super::adapter::AdapterDescription;
use super::complaints::guarded;
use super::device_attention::filled_buffer;
use super::host_engine::HostEngine;
use super::pipelines::Kernels;
use super::read_back::{read_back, staging_buffer};
use crate::background::Cancellation;
use crate::limits::{Limits, MatrixUnits};
use crate::plan::Plan;
use crate::problem::Call;
use crate::random::{normal, Stream};
use crate::{Error, Inputs, Method, Precision, Problem, Result, Shape, Supplied};
use wgpu::CooperativeScalarType::{F16, F32};

/// What a device must be created with for [`Kernels::with_matrix_units`].
pub const MATRIX_FEATURES: wgpu::Features =
    wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX.union(wgpu::Features::SHADER_F16).union(wgpu::Features::SUBGROUP);

/// Workgroup memory of the kernels.
pub(super) const WORKGROUP_BYTES: u32 = 32 << 10;

/// Lanes of a subgroup for which every subgroup of a workgroup has the same number of matrices of a side. Not fewer: llvmpipe of four lanes lists
/// matrices and then refuses them, which wgpu takes for its own fault.
const SUBGROUP_LANES: [u32; 4] = [8, 16, 32, 64];

fn refused<T>(reason: impl Into<String>) -> Result<T> {
    Err(Error::NoMatrixUnits { reason: reason.into() })
}

/// The names of the features that are needed and not there.
fn missing(features: wgpu::Features) -> Option<String> {
    let names: Vec<&str> = (MATRIX_FEATURES - features).iter_names().map(|(name, _)| name).collect();
    (!names.is_empty()).then(|| names.join(" and "))
}

/// The side of the matrices that an adapter multiplies, and the lanes that its subgroups may have.
fn offered(adapter: &wgpu::Adapter) -> Result<(u32, Vec<u32>)> {
    if let Some(missing) = missing(adapter.features()) {
        return refused(format!("the adapter lacks {missing}"));
    }
    let shapes = adapter.cooperative_matrix_properties();
    let has = |side: u32| {
        shapes.iter().any(|shape| {
            [shape.m_size, shape.n_size, shape.k_size] == [side; 3] && (shape.ab_type, shape.cr_type) == (F16, F32)
        })
    };
    let Some(side) = [16, 8].into_iter().find(|&side| has(side)) else {
        return refused("the adapter multiplies no square matrices of halves into float32");
    };
    let info = adapter.get_info();
    let lanes = info.subgroup_min_size..=info.subgroup_max_size;
    let fits = |&fits: &u32| lanes.contains(&fits) && (side == 8 || fits >= 16);
    let fitting: Vec<u32> = SUBGROUP_LANES.into_iter().filter(fits).collect();
    if fitting.is_empty() {
        return refused(format!("subgroups have {} to {} lanes", lanes.start(), lanes.end()));
    }
    Ok((side, fitting))
}

/// Checks that a device was created with what the units need.
fn check_device(device: &wgpu::Device) -> Result<()> {
    if let Some(missing) = missing(device.features()) {
        return refused(format!("the device was created without {missing}"));
    }
    let bytes = device.limits().max_compute_workgroup_storage_size;
    if bytes < WORKGROUP_BYTES {
        return refused(format!("a workgroup has {bytes} bytes of memory, and needs {WORKGROUP_BYTES}"));
    }
    Ok(())
}

/// Computes small problems by the units and in float32.
///
/// Why: naga 30 declares Vulkan's memory model for shaders with matrices, but does not say of accesses to memory that other invocations see
/// them (wgpu issue 8805). Compilers may then take what was staged for private, and at least one computes nonsense.
async fn check_results(kernels: Kernels, queue: &wgpu::Queue) -> Result<()> {
    let limits = kernels.limits();
    let engine = HostEngine::with_kernels(kernels, queue.clone());
    for (width, method) in [(64, Method::Exact), (20, Method::improved(3).with_top_k(40))] {
        let shape = Shape { keys: 150, value_width: 44, ..Shape::self_attention(1, 2, 150, width) };
        let elements = [shape.query_elements(), shape.key_elements(), shape.value_elements()];
        let [queries, keys, values] = elements.map(|count| -> Vec<f32> {
            (0..count as u64).map(|index| normal(count as u64, Stream::Rows, index)).collect()
        });
        let inputs = Inputs::new(&queries, &keys, &values);
        let mut expected: Vec<f32> = Vec::new();
        for (precision, allowed) in Precision::ALL.into_iter().zip([0.0, 1e-2, 1e-4]) {
            let plan = Plan::new(&Problem::new(shape, method)?.with_precision(precision), &limits)?;
            let call = Call { inputs: &inputs, supplied: &Supplied::default(), positions: None };
            let mut output = vec![f32::NAN; shape.output_elements()];
            engine.run(&plan, &call, &mut output, None, &Cancellation::default()).await?;
            if precision == Precision::Float32 {
                expected = output;
                continue;
            }
            let square =
                |numbers: &mut dyn Iterator<Item = f32>| -> f64 { numbers.map(|x| f64::from(x).powi(2)).sum() };
            let difference = square(&mut expected.iter().zip(&output).map(|(a, b)| a - b));
            let error = (difference / square(&mut expected.iter().copied())).sqrt();
            if error.is_nan() || error > allowed {
                return refused(format!("they compute {precision} with an error of {error:.1e}"));
            }
        }
    }
    Ok(())
}

/// Opens an adapter with its units.
#[cfg(not(target_arch = "wasm32"))]
#[allow(unsafe_code)]
pub(super) async fn open(adapter: &wgpu::Adapter) -> Result<(wgpu::Device, wgpu::Queue)> {
    offered(adapter)?;
    // SAFETY: of experiments only cooperative matrices are used. All that is loaded and stored lies within its array, at strides that Vulkan
    // allows, by whole subgroups: their lanes are asked before kernels are compiled for them.
    let experimental = unsafe { wgpu::ExperimentalFeatures::enabled() };
    super::adapter::open_with(adapter, MATRIX_FEATURES, experimental).await
}

/// Says how many lanes a subgroup has, in a workgroup of the size of the kernels.
const PROBE: &str = "
@group(0) @binding(0) var<storage, read_write> lanes: array<u32>;

@compute @workgroup_size(128)
fn probe(@builtin(subgroup_size) subgroup_lanes: u32, @builtin(local_invocation_index) lane: u32) {
    if (lane == 0u) {
        lanes[0] = subgroup_lanes;
    }
}
";

/// The lanes of a subgroup, which a driver with a choice decides.
async fn subgroup_lanes(device: &wgpu::Device, queue: &wgpu::Queue) -> Result<u32> {
    let lanes = filled_buffer(device, "lanes of a subgroup", &[0; 4]);
    let staging = staging_buffer(device, lanes.size());
    let run = || {
        let source = wgpu::ShaderSource::Wgsl(PROBE.into());
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor { label: Some("probe"), source });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some("probe"),
            layout: None,
            module: &module,
            entry_point: Some("probe"),
            compilation_options: Default::default(),
            cache: None,
        });
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("probe"),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &[wgpu::BindGroupEntry { binding: 0, resource: lanes.as_entire_binding() }],
        });
        let mut encoder = device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(1, 1, 1);
        drop(pass);
        encoder.copy_buffer_to_buffer(&lanes, 0, &staging, 0, lanes.size());
        queue.submit([encoder.finish()]);
        Ok(())
    };
    guarded(device, run).await?;
    let mut read = [0; 4];
    read_back(device, &staging, &mut read).await?;
    Ok(u32::from_ne_bytes(read))
}

impl Limits {
    /// The same with the matrix units that an adapter says it has, without a look at what they compute: for kernels to be looked at
    /// ([`Plan::kernel_sources`]). Where subgroups may have several numbers of lanes, they are taken to have the most. What runs on a device is
    /// planned with [`Kernels::limits`].
    ///
    /// # Errors
    /// [`Error::NoMatrixUnits`] says what is missing.
    pub fn with_matrix_units_of(self, adapter: &AdapterDescription) -> Result<Self> {
        let Some(adapter) = &adapter.adapter else { return refused("the adapter was not listed by `adapters`") };
        let (side, lanes) = offered(adapter)?;
        let most = lanes.last().map(|&lanes| MatrixUnits { side: side as usize, subgroup_lanes: lanes as usize });
        Ok(Self { matrices: most, ..self })
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl HostEngine {
    /// The same adapter, opened once more with its matrix units.
    pub async fn with_matrix_units(&self) -> Result<Self> {
        let description = self.describe();
        let Some(adapter) = &description.adapter else {
            return refused("the device is the program's own, which opens them by `Kernels::with_matrix_units`");
        };
        let (device, queue) = open(adapter).await?;
        let mut engine = Self::of_opened(device, queue, description.clone())?;
        if let Some(open) = &mut engine.open {
            open.kernels = Ok(open.kernels.clone()?.with_matrix_units(adapter, &open.queue).await?);
        }
        Ok(engine)
    }
}

impl Kernels {
    /// The same kernels with the device's matrix units, which compute the products of problems that say less than float32 is precise enough
    /// ([`Problem::with_precision`]). Some small problems are computed on it by them and in float32, and compared, which takes the time to compile
    /// some twenty kernels.
    ///
    /// The device must be one of this adapter, created with [`MATRIX_FEATURES`], [`wgpu::ExperimentalFeatures::enabled`] and the adapter's limits:
    /// `max_compute_workgroup_storage_size` of 32 KiB is needed.
    ///
    /// # Errors
    /// [`Error::NoMatrixUnits`] says what is missing, or how wrong the results are.
    pub async fn with_matrix_units(self, adapter: &wgpu::Adapter, queue: &wgpu::Queue) -> Result<Self> {
        check_device(self.device())?;
        let (side, fitting) = offered(adapter)?;
        let lanes = subgroup_lanes(self.device(), queue).await?;
        if !fitting.contains(&lanes) {
            return refused(format!("subgroups have {lanes} lanes"));
        }
        let units = Some(MatrixUnits { side: side as usize, subgroup_lanes: lanes as usize });
        check_results(self.forgetful().with_units(units), queue).await?;
        Ok(self.with_units(units))
    }

    /// The limits that problems are planned for on this device, its matrix units among them.
    pub fn limits(&self) -> Limits {
        Limits { matrices: self.matrices, ..Limits::of(self.device()) }
    }
}
