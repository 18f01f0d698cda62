//! The cheapest method whose measured error meets a target.

#[cfg(feature = "gpu")]
mod device;
mod estimate;
mod found;
mod ladder;
mod source;

pub use found::{Found, Trial};

#[cfg(feature = "gpu")]
use crate::gpu::{DeviceTensors, Kernels};
use crate::{Attention, Error, Inputs, Method, Problem, Result, Rows};
use estimate::Judge;
use ladder::Ladder;
use source::{Host, Source};

/// Finds the cheapest method whose measured error on your data meets a target: once, to be kept and used again.
///
/// In question are stitched attention with clusters, key groups, top-k and window of (16, 8, 16, 8), (25, 16, 32, 16), (25, 16, 64, 16) and
/// (50, 64, 64, 16), and exact attention, in the order of what they are estimated to take for the problem on the target
/// ([`Plan::costs`](crate::Plan::costs) and what an operation takes there, as for [`Method::Auto`]). What is estimated to take as long as
/// exact attention or longer is out of question: for short input nothing is measured and exact attention found.
///
/// **What is measured.** First a reference is computed, finer than all of these: (100, 64, 128, 16). Then at most 32 rows of each head exactly, once.
/// Then each method from the cheapest on, until one meets the target. The estimate of its squared error over all rows is its squared
/// difference from the reference, at up to [`ForError::COMPARED_ROWS`] rows a head, and what that lacks of the squared error at the exact rows, on
/// average. Errors sit in few rows, which 32 drawn ones miss, but there the method differs from the reference, which costs no exact row to see.
/// A margin of two standard errors is added to the squared error before it is held against the target. That is no guarantee: where
/// the reference errs as the method does in few rows, nothing shows it, and other input may err more. A [`Guard`](crate::Guard) watches
/// over the method in use.
///
/// Costs a call of the reference and of up to four methods, and `O(rows·S·(E+M))` a head for the exact rows. Which rows are looked at
/// follows from the seed: the same input, seed and target give the same.
///
/// ```
/// use clustered_attention::{Attention, Backend, Inputs, Method, Problem, Shape};
/// let shape = Shape::self_attention(1, 2, 2000, 16);
/// let data: Vec<f32> = (0..shape.query_elements()).map(|i| (i as f32 * 0.37).sin()).collect();
/// let inputs = Inputs::new(&data, &data, &data);
/// let attention = Attention::new_blocking(Backend::Cpu)?;
/// // The method of the problem does not matter here, all else does.
/// let problem = Problem::new(shape, Method::Exact)?;
/// let found = Method::for_error(0.1).find_blocking(&attention, &problem, &inputs)?;
/// println!("{} with an error of {:.3}", found.method.name(), found.error());
/// // From now on, on input like it:
/// let output = attention.run_blocking(&Problem::new(shape, found.method)?, &inputs)?;
/// # assert_eq!(output.len(), shape.output_elements());
/// # Ok::<(), clustered_attention::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use = "nothing is searched before `find`"]
pub struct ForError {
    target: f64,
    rows: usize,
    seed: u64,
    margin: f64,
}

impl Method {
    /// The cheapest method whose error, measured on your data, is at most `target`: a relative L2 error over all rows, finite; 0 is exact
    /// attention. Call [`ForError::find`] of what this returns.
    pub fn for_error(target: f64) -> ForError {
        ForError { target, rows: ForError::MAX_ROWS, seed: 0, margin: 2.0 }
    }
}

impl ForError {
    /// The smallest number of exact rows of a head: one has no spread.
    pub const MIN_ROWS: usize = 2;
    /// The largest number of exact rows of a head.
    pub const MAX_ROWS: usize = 32;
    /// Rows of a head at which methods are compared among themselves, at most.
    pub const COMPARED_ROWS: usize = 1024;

    /// The same with so many exact rows of each head, from [`ForError::MIN_ROWS`] to [`ForError::MAX_ROWS`]; all where a head has no more. Default
    /// 32. Fewer rows are less to compute and a larger margin.
    pub fn with_rows(self, rows: usize) -> Self {
        Self { rows, ..self }
    }

    /// The same with another seed of the rows. Default 0. Clusters have that of the problem's method, where it has one.
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The same with so many standard errors, finite and not negative, added to the squared error before it is held against the target.
    /// Default 2. With 0, a method that meets the target in truth with nothing to spare is taken every other time, and so is one that just fails to.
    pub fn with_margin(self, standard_errors: f64) -> Self {
        Self { margin: standard_errors, ..self }
    }

    /// Searches on host slices. The problem's method is ignored but for the seed of its clusters; shape, layout, strides, scale and causality
    /// count. Causal problems are computed exactly, and without as many queries as keys there is no window. Natively each call is computed on a
    /// thread of its own, from a copy of the inputs.
    ///
    /// Inputs are float32, so the problem's element is [`Element::F32`](crate::Element::F32).
    ///
    /// # Errors
    /// [`Error::OutOfRange`] names `target`, `rows` or `margin`; otherwise as [`Attention::run`].
    pub async fn find(&self, attention: &Attention, problem: &Problem, inputs: &Inputs<'_>) -> Result<Found> {
        #[cfg(not(target_arch = "wasm32"))]
        let host = Host { attention, inputs, blocking: false };
        #[cfg(target_arch = "wasm32")]
        let host = Host { attention, inputs };
        self.search(problem, &host).await
    }

    /// [`ForError::find`] for programs without an async runtime: computes and waits on this thread. Not available in the browser.
    ///
    /// # Errors
    /// As [`ForError::find`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn find_blocking(&self, attention: &Attention, problem: &Problem, inputs: &Inputs) -> Result<Found> {
        pollster::block_on(self.search(problem, &Host { attention, inputs, blocking: true }))
    }

    /// Searches on tensors on a device, as they are when what was submitted to the queue before is done. Besides what
    /// [`DeviceAttention`](crate::DeviceAttention) asks for, the buffers of queries and output need [`wgpu::BufferUsages::COPY_SRC`]. The output is
    /// written over. Lengths are those of [`DeviceAttention::set_lengths`](crate::DeviceAttention::set_lengths).
    ///
    /// Works as [`ForError::find`], on the same rows: no more is read back than these, at most 4·1,056·`M` bytes a head and method. Scratch memory
    /// of one method at a time is allocated, within the default budget, and given back. Data is not looked at for NaN or
    /// infinity ([`FiniteCheck`](crate::FiniteCheck) is); a method whose output has them has an infinite error. Natively the thread
    /// waits for the device.
    ///
    /// The [`Guard`](crate::Guard) measures on the device too, but half of its rows are those where the method at hand errs most, other ones
    /// for every method: right to watch over one, too severe to choose among them.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] names `target`, `rows` or `margin`; [`Error::Unsupported`] for tensors in `f16`; slices that are too small, misaligned or lack a usage; lengths out of range;
    /// limits that exact attention exceeds; [`Error::DeviceLost`], [`Error::Device`].
    #[cfg(feature = "gpu")]
    pub async fn find_on_device(
        &self,
        kernels: &Kernels,
        queue: &wgpu::Queue,
        problem: &Problem,
        tensors: &DeviceTensors<'_>,
        query_lengths: Option<&[u32]>,
        key_lengths: Option<&[u32]>,
    ) -> Result<Found> {
        let lengths = [query_lengths, key_lengths];
        self.search(problem, &device::Device { kernels, queue, tensors, lengths }).await
    }

    /// [`ForError::find_on_device`] for programs without an async runtime. Not available in the browser.
    ///
    /// # Errors
    /// As [`ForError::find_on_device`].
    #[cfg(all(feature = "gpu", not(target_arch = "wasm32")))]
    pub fn find_on_device_blocking(
        &self,
        kernels: &Kernels,
        queue: &wgpu::Queue,
        problem: &Problem,
        tensors: &DeviceTensors,
        query_lengths: Option<&[u32]>,
        key_lengths: Option<&[u32]>,
    ) -> Result<Found> {
        pollster::block_on(self.find_on_device(kernels, queue, problem, tensors, query_lengths, key_lengths))
    }

    async fn search(&self, problem: &Problem, source: &impl Source) -> Result<Found> {
        self.validate()?;
        source.check(problem)?;
        let Ladder { candidates, reference, exact } = Ladder::new(problem, |problem| source.plan(problem))?;
        let mut found = Found {
            method: Method::Exact,
            target: self.target,
            estimated_seconds: exact.estimated_seconds,
            trials: Vec::new(),
        };
        if candidates.is_empty() || self.target == 0.0 {
            return Ok(found);
        }
        // Drawn apart from the exact rows.
        let compared = Rows::Sample { per_head: Self::COMPARED_ROWS, seed: !self.seed };
        let query_lengths = source.lengths()[0];
        let shape = problem.shape();
        let compared: Vec<Vec<usize>> = (0..shape.slices())
            .map(|slice| {
                let valid = query_lengths.map_or(shape.queries, |lengths| lengths[slice / shape.query_heads] as usize);
                compared.positions(slice, shape.queries, valid)
            })
            .collect();
        let exact_rows = source.exact(problem, Rows::Sample { per_head: self.rows, seed: self.seed }).await?;
        let positions = exact_rows.positions();
        let reference_rows = source.rows(&reference.problem, &compared, positions).await?;
        let judge = Judge::new(problem, &exact_rows, &compared, query_lengths, reference_rows, self.margin);
        for candidate in &candidates {
            let trial = if *candidate == reference {
                judge.judge_reference(candidate)
            } else {
                judge.judge(candidate, &source.rows(&candidate.problem, &compared, positions).await?)
            };
            found.trials.push(trial);
            if trial.upper_error <= self.target {
                (found.method, found.estimated_seconds) = (trial.method, trial.estimated_seconds);
                break;
            }
        }
        Ok(found)
    }

    fn validate(&self) -> Result<()> {
        for (argument, number) in [("target", self.target), ("margin", self.margin)] {
            if !(number.is_finite() && number >= 0.0) {
                let (value, allowed) = (number.to_string(), "finite and not negative".into());
                return Err(Error::OutOfRange { argument, value, allowed });
            }
        }
        if !(Self::MIN_ROWS..=Self::MAX_ROWS).contains(&self.rows) {
            let allowed = format!("from {} to {}", Self::MIN_ROWS, Self::MAX_ROWS);
            return Err(Error::OutOfRange { argument: "rows", value: self.rows.to_string(), allowed });
        }
        Ok(())
    }
}
