//! Matrix units of a device: whether it has any, and whether they compute what they should.

use super::{AdapterDescription, HostEngine, Kernels};
use crate::background::Cancellation;
use crate::limits::{Limits, MatrixUnits};
use crate::plan::Plan;
use crate::problem::Call;
use crate::random::{normal, Stream};
use crate::{Error, Inputs, Method, Precision, Problem, Result, Shape, Supplied};
use wgpu::CooperativeScalarType::{F16, F32};

/// What a device must be created with for [`Kernels::with_matrix_units`].
pub const MATRIX_FEATURES: wgpu::Features =
    wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX.union(wgpu::Features::SHADER_F16);

/// Workgroup memory of the kernels.
pub(super) const WORKGROUP_BYTES: u32 = 32 << 10;

/// Lanes of a subgroup for which every subgroup of a workgroup has the same number of matrices of a side. Not fewer: llvmpipe of four lanes lists
/// matrices and then refuses them, which wgpu takes for its own fault.
const SUBGROUP_LANES: [u32; 4] = [8, 16, 32, 64];

fn refused<T>(reason: impl Into<String>) -> Result<T> {
    Err(Error::NoMatrixUnits { reason: reason.into() })
}

/// What an adapter has, if kernels can use it: of several numbers of lanes that its subgroups may have, the smallest first. Where that is not
/// what a driver takes, results are wrong; where a driver takes fewer, subgroups compute the same.
fn offered(adapter: &wgpu::Adapter) -> Result<Vec<MatrixUnits>> {
    let missing = MATRIX_FEATURES - adapter.features();
    if !missing.is_empty() {
        return refused(format!("the adapter lacks {missing:?}"));
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
    let fitting = SUBGROUP_LANES.into_iter().filter(|&fits| lanes.contains(&fits) && (side == 8 || fits >= 16));
    let units = fitting.map(|lanes| MatrixUnits { side: side as usize, subgroup_lanes: lanes as usize });
    let units: Vec<MatrixUnits> = units.collect();
    if units.is_empty() {
        return refused(format!("subgroups have {} to {} lanes", lanes.start(), lanes.end()));
    }
    Ok(units)
}

/// Checks that a device was created with what the units need.
fn check_device(device: &wgpu::Device) -> Result<()> {
    let missing = MATRIX_FEATURES - device.features();
    if !missing.is_empty() {
        return refused(format!("the device was created without {missing:?}"));
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
async fn check_results(kernels: &Kernels, queue: &wgpu::Queue) -> Result<()> {
    let engine = HostEngine::with_kernels(kernels.clone(), queue.clone());
    for (width, method) in [(64, Method::Exact), (20, Method::improved(3).with_top_k(40))] {
        let shape = Shape { keys: 150, value_width: 44, ..Shape::self_attention(1, 2, 150, width) };
        let elements = [shape.query_elements(), shape.key_elements(), shape.value_elements()];
        let [queries, keys, values] = elements.map(|count| -> Vec<f32> {
            (0..count as u64).map(|index| normal(count as u64, Stream::Rows, index)).collect()
        });
        let inputs = Inputs::new(&queries, &keys, &values);
        let mut expected: Vec<f32> = Vec::new();
        for (precision, allowed) in Precision::ALL.into_iter().zip([0.0, 1e-2, 1e-4]) {
            let plan = Plan::new(&Problem::new(shape, method)?.with_precision(precision), &kernels.limits())?;
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
#[allow(unsafe_code)]
pub(super) async fn open(adapter: &wgpu::Adapter) -> Result<(wgpu::Device, wgpu::Queue)> {
    offered(adapter)?;
    // SAFETY: of experiments only cooperative matrices are used. All that is loaded and stored lies within its array, at strides that Vulkan
    // allows, in uniform control flow.
    let experimental = unsafe { wgpu::ExperimentalFeatures::enabled() };
    super::adapter::open_with(adapter, MATRIX_FEATURES, experimental).await
}

impl Limits {
    /// The same with the matrix units that an adapter says it has, without a look at what they compute: to plan with, and to look at kernels
    /// ([`Plan::kernel_sources`]).
    ///
    /// # Errors
    /// [`Error::NoMatrixUnits`] says what is missing.
    pub fn with_matrix_units_of(self, adapter: &AdapterDescription) -> Result<Self> {
        let Some(adapter) = &adapter.adapter else { return refused("the adapter was not listed by `adapters`") };
        Ok(Self { matrices: offered(adapter)?.first().copied(), ..self })
    }
}

impl Kernels {
    /// The same kernels with the device's matrix units, which compute the products of problems that say less than float32 is precise enough
    /// ([`Problem::with_precision`]). The device must have been created with [`MATRIX_FEATURES`], of this adapter. Some small problems are
    /// computed on it, and compared.
    ///
    /// # Errors
    /// [`Error::NoMatrixUnits`] says what is missing, or how wrong the results are.
    pub async fn with_matrix_units(self, adapter: &wgpu::Adapter, queue: &wgpu::Queue) -> Result<Self> {
        check_device(self.device())?;
        let mut last = refused("there are none");
        for units in offered(adapter)? {
            let kernels = self.clone().with_units(Some(units));
            match check_results(&kernels, queue).await {
                Ok(()) => return Ok(kernels),
                Err(error) => last = Err(error),
            }
        }
        last
    }

    /// The limits that problems are planned for on this device, its matrix units among them.
    pub fn limits(&self) -> Limits {
        Limits { matrices: self.matrices, ..Limits::of(self.device()) }
    }
}
