//! The kernels of a plan as text, for other compilers and tools to look at.

use super::kernels::kernel;
use super::key::KernelKey;
use super::variant::Variant;
use crate::plan::Plan;
use crate::stages::{Given, Stage};

/// A kernel as it is compiled for a plan: [`Plan::kernel_sources`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KernelSource {
    /// The stage that runs it.
    pub stage: Stage,
    /// The kernel's name, which is the entry point of the module.
    pub kernel: &'static str,
    /// The constants that it is compiled for, and their values: what tells it from the same kernel of another plan.
    pub constants: Vec<(&'static str, u32)>,
    /// The whole module, as wgpu is given it.
    pub wgsl: String,
}

impl Plan {
    /// The kernels that this plan runs, each once, in the order of the computation. None for the host, which has no kernels.
    ///
    /// They are those of tensors that begin at 16 bytes each in a buffer of its own. Others differ a little: elements at odd offsets are
    /// loaded one by one, and where the output shares a buffer with an input, inputs are declared as written too.
    pub fn kernel_sources(&self) -> Vec<KernelSource> {
        let mut sources: Vec<KernelSource> = Vec::new();
        if self.limits.host {
            return sources;
        }
        let given = Given::default();
        let variant = Variant::decide(&self.problem, [0; 4], false).on(&self.limits);
        for step in self.steps(given) {
            for launch in (step.stage.definition().launches)(&step, &self.cut) {
                if sources.iter().any(|known| known.kernel == launch.kernel) {
                    continue;
                }
                let kernel = kernel(launch.kernel);
                let key = KernelKey::new(kernel, &self.cut, given, variant);
                let wgsl = key.module(kernel);
                sources.push(KernelSource {
                    stage: step.stage,
                    kernel: kernel.entry_point,
                    constants: key.constants,
                    wgsl,
                });
            }
        }
        sources
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::launch::dispatches;
    use crate::limits::Limits;
    use crate::{Guard, Method, Problem, Result, Shape};

    #[test]
    fn sources_are_those_of_what_is_dispatched() -> Result<()> {
        let guarded = Method::stitched(7).with_guard(Guard::new());
        for method in [Method::Exact, Method::sliding_window(3, 4), Method::clustered(7), Method::improved(7), guarded]
        {
            let problem = Problem::new(Shape::self_attention(1, 2, 300, 13), method)?;
            let plan = Plan::new(&problem, &Limits::webgpu_defaults())?;
            let sources = plan.kernel_sources();
            let mut dispatched: Vec<&str> = Vec::new();
            for dispatch in plan.chunks().flat_map(|chunk| dispatches(&plan, &chunk, Given::default())) {
                if !dispatched.contains(&dispatch.kernel) {
                    dispatched.push(dispatch.kernel);
                }
            }
            assert_eq!(sources.iter().map(|source| source.kernel).collect::<Vec<_>>(), dispatched, "{method:?}");
            for source in &sources {
                assert!(source.wgsl.contains(&format!("fn {}(", source.kernel)), "{}", source.kernel);
                for (name, value) in &source.constants {
                    assert!(
                        source.wgsl.contains(&format!("const {name}: u32 = {value}u;")),
                        "{}: {name}",
                        source.kernel
                    );
                }
            }
            assert!(Plan::new(&problem, &Limits::host())?.kernel_sources().is_empty());
        }
        Ok(())
    }
}
