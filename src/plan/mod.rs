//! How a problem is cut: method taken, pieces and scratch memory, as a pure function of the problem and a target's limits. Knows nothing of
//! kernels or buffers; both back ends follow it.

mod choose;
mod cost;
mod last;
mod memory;
mod tensor;

pub use cost::{PlanFigures, StageCost};
pub(crate) use last::LastPlan;
pub(crate) use tensor::Tensor;

use crate::limits::Limits;
use crate::problem::{GuardAction, Recipe};
use crate::stages::{forward, write_forward, Cut, Given, Role, Scratch, Stage, Step};
use crate::{Error, Method, Precision, Problem, Result};
use std::ops::Range;

/// How a problem is cut into pieces that fit a target's limits and a scratch budget.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub(crate) problem: Problem,
    method: Method,
    pub(crate) recipe: Recipe,
    pub(crate) limits: Limits,
    pub(crate) cut: Cut,
    /// Each piece of scratch memory and its words for one slice.
    scratch: Vec<(Scratch, u64)>,
    /// Sequences of a chunk; 1 where a chunk holds only some heads of a sequence.
    batches_per_chunk: usize,
    /// Query heads of a chunk.
    heads_per_chunk: usize,
}

/// A range of slices that are computed together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub batches: Range<usize>,
    pub heads: Range<usize>,
}

impl Chunk {
    pub fn slices(&self) -> usize {
        self.batches.len() * self.heads.len()
    }

    /// Batch and query head of the chunk's slice `local`.
    pub fn slice(&self, local: usize) -> (usize, usize) {
        (self.batches.start + local / self.heads.len(), self.heads.start + local % self.heads.len())
    }
}

/// Inputs, output and scratch memory of a chunk on the host that later steps find in the last cache, as far as threads have slices of
/// their own.
const HOST_CACHE_BYTES: u64 = 16 << 20;

/// Slices of a chunk so that chunks are about as large and of at most `most` slices, yet of at least as many as threads.
fn even(most: usize, slices: usize, threads: usize) -> usize {
    let chunks = slices.div_ceil(most.max(threads).max(1)).max(1);
    slices.div_ceil(chunks).next_multiple_of(threads.max(1))
}

impl Plan {
    /// Takes the method, where [`Method::Auto`] leaves a choice, and finds the largest pieces that fit the limits and
    /// their scratch budget ([`Limits::with_scratch_budget_bytes`]).
    ///
    /// # Errors
    /// [`Error::ScratchBudget`] if one slice and one cluster at a time still need more, [`Error::ExceedsLimit`] if a tensor
    /// cannot be bound even one slice at a time, or if a limit is below what kernels need whatever the problem.
    pub fn new(problem: &Problem, limits: &Limits) -> Result<Self> {
        let scratch_budget_bytes = limits.scratch_budget_bytes;
        limits.check()?;
        let (method, recipe) = choose::take(problem, limits);
        let shape = problem.shape();
        let cut = Cut::new(shape, &recipe, limits).storing(problem.element()).computing(problem.precision(), limits);
        let (cut, scratch) = memory::fit(&recipe, cut, limits, scratch_budget_bytes)?;
        let slice_bytes = memory::bytes(&scratch).max(1);
        let mut slices = (scratch_budget_bytes / slice_bytes).clamp(1, shape.slices() as u64) as usize;
        slices = slices.min(limits.workgroups_per_dimension as usize);
        if limits.host && cut.clusters > 0 {
            let rows = 4 * (shape.queries + shape.keys) as u64 * (shape.width + shape.value_width) as u64;
            let cached = HOST_CACHE_BYTES / rows.saturating_add(slice_bytes);
            slices = slices.min(even(cached as usize, shape.slices(), limits.threads));
        }
        loop {
            let (batches, heads) =
                if slices >= shape.query_heads { (slices / shape.query_heads, shape.query_heads) } else { (1, slices) };
            let plan = Self {
                problem: *problem,
                method,
                recipe,
                limits: *limits,
                cut: cut.clone(),
                scratch: scratch.clone(),
                batches_per_chunk: batches,
                heads_per_chunk: heads,
            };
            plan.check_depth()?;
            match plan.check_bindings() {
                Ok(()) => return Ok(plan),
                Err(error) if slices == 1 => return Err(error),
                Err(_) => slices = if batches > 1 { batches / 2 * heads } else { heads.div_ceil(2) },
            }
        }
    }

    /// The method that is computed: the problem's, or what [`Method::Auto`] took for it on this target.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// How precise the products of exact attention and the refinement are: what the problem needs at least, where the target has units for it,
    /// float32 everywhere else.
    pub fn precision(&self) -> Precision {
        self.cut.matrices.map_or(Precision::Float32, |_| self.problem.precision())
    }

    /// The steps of every chunk, in order.
    pub(crate) fn steps(&self, given: Given) -> Vec<Step> {
        forward(&self.recipe, self.cut.passes(), given)
    }

    /// The same in place of what a list holds.
    pub(crate) fn write_steps(&self, given: Given, list: &mut Vec<Step>) {
        write_forward(&self.recipe, self.cut.passes(), given, list);
    }

    /// Whether the covariance of the keys is computed, and that of the queries.
    pub(crate) fn computes_covariance(&self, half: usize, given: Given) -> bool {
        let role = if half == 0 { Role::Keys } else { Role::Plain };
        self.steps(given).iter().any(|step| step.stage == Stage::Covariance && step.role == role)
    }

    /// Whether slices that the guard finds in error are computed exactly.
    pub(crate) fn recomputes(&self) -> bool {
        let guard = match &self.recipe {
            Recipe::Exact(_) => None,
            Recipe::Grouped(grouped) => grouped.guard(),
        };
        guard.is_some_and(|guard| guard.action == GuardAction::Recompute)
    }

    /// Each piece of scratch memory and its words for one slice.
    #[cfg(feature = "gpu")]
    pub(crate) fn scratch(&self) -> &[(Scratch, u64)] {
        &self.scratch
    }

    /// Words of a piece for one slice; 0 where the method does not use it.
    pub(crate) fn words_of(&self, wanted: Scratch) -> usize {
        self.scratch.iter().find(|(scratch, _)| *scratch == wanted).map_or(0, |(_, words)| *words as usize)
    }

    /// Bytes of scratch memory that the computation uses, beyond inputs and output. On the CPU, memory of earlier calls may be kept beside it, and
    /// tensors in `f16` are widened beside it, four bytes an element.
    pub fn scratch_bytes(&self) -> u64 {
        memory::bytes(&self.scratch) * self.slices_per_chunk() as u64
    }

    /// Slices that are in flight together.
    pub fn slices_per_chunk(&self) -> usize {
        self.batches_per_chunk * self.heads_per_chunk
    }

    /// The chunks, in order; each is computed with the same scratch memory.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = Chunk> + '_ {
        let shape = self.problem.shape();
        (0..shape.batch).step_by(self.batches_per_chunk).flat_map(move |batch| {
            (0..shape.query_heads).step_by(self.heads_per_chunk).map(move |head| Chunk {
                batches: batch..(batch + self.batches_per_chunk).min(shape.batch),
                heads: head..(head + self.heads_per_chunk).min(shape.query_heads),
            })
        })
    }

    /// Bytes of the binding of a chunk's part of a tensor that begins at `offset_bytes` of its buffer: bindings begin at aligned offsets.
    pub(crate) fn binding_bytes(&self, tensor: Tensor, chunk: &Chunk, offset_bytes: u64) -> u64 {
        let (begin, elements) = tensor.span(&self.problem, chunk);
        let bytes = |elements: usize| (self.problem.element().bytes() * elements) as u64;
        let first_byte = offset_bytes + bytes(begin);
        let before = first_byte % u64::from(self.limits.offset_alignment_bytes);
        // Shaders read words.
        (before + bytes(elements)).next_multiple_of(4)
    }

    /// Checks that kernels are no deeper than a dispatch may be; their other dimensions are cut.
    fn check_depth(&self) -> Result<()> {
        if self.limits.host {
            return Ok(());
        }
        let allowed = self.limits.workgroups_per_dimension;
        let steps = self.steps(Given::default());
        let launches = steps.iter().flat_map(|step| (step.stage.definition().launches)(step, &self.cut));
        match launches.max_by_key(|launch| launch.depth).filter(|launch| launch.depth > allowed as usize) {
            None => Ok(()),
            Some(launch) => Err(Error::ExceedsLimit {
                what: format!("the kernel `{}`", launch.kernel),
                needed: launch.depth as u64,
                allowed: allowed.into(),
                unit: "workgroups",
                limit: "max_compute_workgroups_per_dimension",
            }),
        }
    }

    fn check_bindings(&self) -> Result<()> {
        let exceeds = |what: &str, needed| Error::ExceedsLimit {
            what: format!("`{what}`, one chunk of it,"),
            needed,
            allowed: self.limits.binding_bytes,
            unit: "bytes",
            limit: "max_storage_buffer_binding_size",
        };
        for (scratch, words) in &self.scratch {
            let bytes = 4 * words * self.slices_per_chunk() as u64;
            self.limits.check_buffer(|| format!("`{}`, one chunk of it,", scratch.name()), bytes)?;
        }
        // Chunks of later sequences are as large as those of the first; among its own, a chunk may touch one key head more than another.
        for chunk in self.chunks().take_while(|chunk| chunk.batches.start == 0) {
            for tensor in Tensor::ALL {
                let bytes = self.binding_bytes(tensor, &chunk, 0);
                if bytes > self.limits.binding_bytes {
                    return Err(exceeds(tensor.name(), bytes));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layout, Shape, DEFAULT_SCRATCH_BUDGET_BYTES};

    fn plan(shape: Shape, layout: Layout, method: Method, limits: &Limits, budget: u64) -> Result<Plan> {
        Plan::new(&Problem::new(shape, method)?.with_layout(layout), &limits.with_scratch_budget_bytes(budget))
    }

    #[test]
    fn long_sequences_stay_within_budget_and_bindings() {
        let budget = DEFAULT_SCRATCH_BUDGET_BYTES;
        let limits = Limits::webgpu_defaults();
        for (length, heads, clusters) in [(131_072, 1, 25), (65_536, 8, 25), (131_072, 8, 100), (131_072, 2, 1000)] {
            let shape = Shape::self_attention(1, heads, length, 64);
            let plan = plan(shape, Layout::HeadsFirst, Method::stitched(clusters), &limits, budget)
                .expect("a plan within the default limits");
            assert!(plan.scratch_bytes() <= budget, "{length} {clusters}: {}", plan.scratch_bytes());
            let covered: usize = plan.chunks().map(|chunk| chunk.slices()).sum();
            assert_eq!(covered, heads);
        }
    }

    #[test]
    fn slices_of_a_chunk_stay_in_the_cache_and_keep_all_threads_busy() {
        for (most, slices, threads, expected) in
            [(100, 8, 2, 8), (6, 8, 2, 4), (1, 8, 2, 2), (0, 8, 16, 16), (5, 8, 3, 6), (0, 1, 1, 1), (7, 48, 4, 8)]
        {
            assert_eq!(even(most, slices, threads), expected, "{most} {slices} {threads}");
        }
        let host = Limits { threads: 2, ..Limits::host() };
        let slices = |length, method| {
            let shape = Shape::self_attention(1, 8, length, 64);
            let plan = plan(shape, Layout::HeadsFirst, method, &host, DEFAULT_SCRATCH_BUDGET_BYTES).expect("a plan");
            plan.slices_per_chunk()
        };
        assert_eq!([512, 1024, 2048, 8192].map(|length| slices(length, Method::stitched(25))), [8, 8, 4, 2]);
        assert_eq!(slices(8192, Method::Exact), 8);
    }

    #[test]
    fn chunks_cover_every_slice_once() {
        let limits = Limits::webgpu_defaults();
        let shape = Shape { batch: 3, query_heads: 6, key_heads: 2, queries: 40, keys: 40, width: 8, value_width: 8 };
        for budget in [60_000, 100_000, 400_000, 1 << 27] {
            for layout in [Layout::HeadsFirst, Layout::LengthFirst] {
                let plan = plan(shape, layout, Method::stitched(5), &limits, budget).expect("a plan");
                let mut seen = vec![0; shape.slices()];
                for chunk in plan.chunks() {
                    assert!(chunk.slices() <= plan.slices_per_chunk());
                    for local in 0..chunk.slices() {
                        let (batch, head) = chunk.slice(local);
                        seen[batch * 6 + head] += 1;
                    }
                }
                assert!(seen.iter().all(|&count| count == 1), "{budget} {seen:?}");
            }
        }
    }

    #[test]
    fn budgets_and_bindings_that_are_too_small_are_named() {
        let shape = Shape::self_attention(1, 1, 4096, 64);
        let small = plan(shape, Layout::HeadsFirst, Method::stitched(25), &Limits::webgpu_defaults(), 1000);
        assert!(matches!(small, Err(Error::ScratchBudget { budget_bytes: 1000, .. })), "{small:?}");
        let limits = Limits { binding_bytes: 1 << 16, ..Limits::webgpu_defaults() };
        let narrow = plan(shape, Layout::HeadsFirst, Method::Exact, &limits, 1 << 27);
        assert!(matches!(narrow, Err(Error::ExceedsLimit { .. })), "{narrow:?}");
    }
}
