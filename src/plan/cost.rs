//! What a problem costs, stage by stage: operations and bytes by the formulas of `docs/method.md`, whatever the back end.

use super::Plan;
use crate::problem::Recipe;
use crate::stages::{forward, Count, Cut, Given, Stage};
use crate::Method;
use std::iter::once;

/// What a stage costs at least, over all sequences and heads and over all of its rounds.
///
/// The counts are those of the method (`docs/method.md`, section Cost), not of a back end: they
/// are what a measured time is compared with. Sequences count with the full length of the tensors; K-means that ends early does less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct StageCost {
    /// The stage.
    pub stage: Stage,
    /// Floating-point operations: a multiply-add counts as two, a comparison or an exponential of `top_k` as one. The exponentials of
    /// exact products are not counted.
    pub operations: u64,
    /// Integer operations of the Hamming stages and of grouping, one 32-bit word at a time.
    pub integer_operations: u64,
    /// Bytes that must move: in each round, each input is read once and each result is written once, scratch memory included. Tensors count as
    /// float32, whatever the problem's element.
    pub bytes: u64,
}

/// What there is to know of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct PlanFigures {
    /// The method that is computed: the problem's, or what [`Method::Auto`] took.
    pub method: Method,
    /// Slices that are in flight together.
    pub slices_per_chunk: usize,
    /// Chunks, which are computed one after another.
    pub chunks: usize,
    /// Bytes of scratch memory.
    pub scratch_bytes: u64,
    /// What each stage costs at least, in the order of the computation.
    pub costs: Vec<StageCost>,
}

impl Plan {
    /// All figures in one, to be kept or shown.
    pub fn figures(&self) -> PlanFigures {
        PlanFigures {
            method: *self.method(),
            slices_per_chunk: self.slices_per_chunk(),
            chunks: self.chunks().count(),
            scratch_bytes: self.scratch_bytes(),
            costs: self.costs(),
        }
    }

    /// What each stage costs at least, in the order of the computation, in total over all chunks.
    ///
    /// ```
    /// use clustered_attention::{Limits, Method, Plan, Problem, Shape};
    /// let problem = Problem::new(Shape::self_attention(1, 8, 4096, 64), Method::Exact)?;
    /// let plan = Plan::new(&problem, &Limits::host())?;
    /// assert_eq!(plan.costs()[0].operations, 2 * 8 * 4096 * 4096 * (64 + 64));
    /// # Ok::<(), clustered_attention::Error>(())
    /// ```
    pub fn costs(&self) -> Vec<StageCost> {
        costs(&self.recipe, &self.cut)
    }
}

/// What each stage of a recipe costs, in the order of the computation.
pub(super) fn costs(recipe: &Recipe, cut: &Cut) -> Vec<StageCost> {
    let (shape, mut costs) = (&cut.shape, Vec::<StageCost>::new());
    let (slices, key_slices) = (Count::from(shape.slices()), Count::from(shape.batch * shape.key_heads));
    // Passes over fewer clusters do the same work.
    let every_cluster = 0..cut.clusters;
    for step in forward(recipe, once(every_cluster), Given::default()) {
        let cost = (step.stage.definition().cost)(&step, cut);
        let index = costs.iter().position(|known| known.stage == step.stage).unwrap_or_else(|| {
            costs.push(StageCost { stage: step.stage, operations: 0, integer_operations: 0, bytes: 0 });
            costs.len() - 1
        });
        let total = &mut costs[index];
        total.operations = (Count(total.operations) + slices * cost.operations).0;
        total.integer_operations = (Count(total.integer_operations) + slices * cost.integer_operations).0;
        total.bytes = (Count(total.bytes) + 4 * (slices * cost.words + key_slices * cost.key_words)).0;
    }
    costs.sort_by_key(|cost| cost.stage);
    costs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use crate::{Attention, Backend, Guard, Inputs, Problem, Shape, Stitched, Supplied};

    fn of(shape: Shape, method: Method) -> Vec<StageCost> {
        let problem = Problem::new(shape, method).expect("a valid problem");
        let (_, recipe) = super::super::choose::take(&problem, &Limits::host());
        costs(&recipe, &Cut::new(&shape, &recipe, &Limits::host()))
    }

    /// Operations and integer operations of one query of a long sequence.
    fn per_query(method: Method, stage: Stage) -> (u64, u64) {
        let length = 100_000;
        let costs = of(Shape::self_attention(2, 3, length, 64), method);
        let cost = costs.iter().find(|cost| cost.stage == stage).expect("the stage is used");
        let per = |operations: u64| (operations as f64 / (6 * length) as f64).round() as u64;
        (per(cost.operations), per(cost.integer_operations))
    }

    #[test]
    fn counts_are_those_of_the_documentation() {
        let stitched = Method::Stitched(Stitched::hamming(25));
        for (stage, expected) in [
            (Stage::HashCodes, (8064, 0)),
            (Stage::HammingAssign, (0, 1500)),
            (Stage::HammingUpdate, (0, 1728)),
            (Stage::CentroidMeans, (128 + 192, 0)),
            (Stage::MetricAssign, (6400, 0)),
            (Stage::CentroidLogits, (3200, 0)),
            (Stage::Remainder, (3200, 0)),
            (Stage::RefineTopK, (8192, 0)),
        ] {
            assert_eq!(per_query(stitched, stage), expected, "{stage:?}");
        }
        assert!(per_query(stitched, Stage::StitchWindow).0.abs_diff(8448) <= 1);
        assert_eq!(per_query(Method::Exact, Stage::ExactAttention), (256 * 100_000, 0));
        for (stage, expected) in
            [(Stage::MetricAssign, 3200 + 2048), (Stage::GroupRemainder, 6400), (Stage::RefineTopK, 20_480)]
        {
            // What is done on samples hardly counts.
            let counted = per_query(Method::stitched(25), stage).0;
            assert!((expected..expected + 200).contains(&counted), "{stage:?}: {counted}");
        }
        assert!(per_query(Method::stitched(25), Stage::GroupWindow).0.abs_diff(8448) <= 1);
        for method in [stitched, Method::stitched(25)] {
            let costs = of(Shape::self_attention(1, 1, 100_000, 64), method);
            let sum = costs.iter().map(|cost| cost.operations).sum::<u64>() / 100_000;
            assert!((37_000..45_000).contains(&sum), "{sum}");
        }
    }

    #[test]
    fn exact_attention_reads_and_writes_each_tensor_once() {
        let shape = Shape { batch: 2, query_heads: 6, key_heads: 3, queries: 50, keys: 70, width: 16, value_width: 8 };
        let elements = shape.query_elements() + shape.key_elements() + shape.value_elements() + shape.output_elements();
        assert_eq!(of(shape, Method::Exact)[0].bytes, 4 * elements as u64);
    }

    #[test]
    fn the_stages_are_those_that_run() {
        let shape = Shape::self_attention(1, 2, 40, 8);
        let data: Vec<f32> = (0..shape.query_elements()).map(|i| (i as f32 * 0.37).sin()).collect();
        let attention = Attention::new_blocking(Backend::Cpu).expect("the CPU");
        let hamming = Method::Stitched(Stitched::hamming(5));
        let guarded = hamming.with_guard(Guard::new().with_tolerance(0.0));
        let others = [Method::Exact, Method::clustered(5), Method::improved(5), Method::stitched(5)];
        for method in others.into_iter().chain([hamming, guarded]) {
            let problem = Problem::new(shape, method).expect("a valid problem");
            let inputs = Inputs::new(&data, &data, &data);
            let trace = attention.trace_blocking(&problem, &inputs, &Supplied::default()).expect("the method runs");
            let ran: Vec<Stage> = trace.stages.iter().map(|(stage, _)| *stage).collect();
            let counted: Vec<Stage> = of(shape, method).iter().map(|cost| cost.stage).collect();
            assert_eq!(ran, counted, "{method:?}");
        }
    }

    #[test]
    fn no_window_and_no_sizes_overflow() {
        let costs_of = |window| of(Shape::self_attention(1, 1, 10, 4), Method::stitched(2).with_window(Some(window)));
        let whole = costs_of(1 << 28).pop().expect("the window");
        assert_eq!(whole.operations, 2 * 10 * 10 * (4 + 4));
        assert_eq!(costs_of(0).pop().expect("the window").operations, 2 * 10 * (4 + 4));
        let huge = of(Shape::self_attention(1, 1 << 12, 1 << 28, 64), Method::Exact);
        assert_eq!(huge[0].operations, u64::MAX);
    }
}
