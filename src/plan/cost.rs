//! What a problem costs, stage by stage: operations and bytes by the formulas of `docs/method.md`, whatever the back end.

use super::Plan;
use crate::trace::Stage;
use crate::{Clustering, Method, Problem};

/// What a stage costs at least, over all sequences and heads and over all of its rounds.
///
/// The counts are those of the method (`docs/method.md`, section Cost), not of a back end: they
/// are what a measured time is compared with. Sequences count with the full length of the tensors; K-means that ends early does less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct StageCost {
    /// The stage.
    pub stage: Stage,
    /// Floating-point operations: a multiply-add counts as two, a comparison or an exponential of `top_k` as one. The exponentials of
    /// exact products are not counted.
    pub operations: u64,
    /// Integer operations of the Hamming stages and of grouping, one 32-bit word at a time.
    pub integer_operations: u64,
    /// Bytes that must move: in each round, each input is read once and each result is written once, scratch memory included.
    pub bytes: u64,
}

impl Plan {
    /// What each stage costs at least, in the order of the computation, in total over all chunks.
    ///
    /// ```
    /// use clustered_attention::{Limits, Method, Plan, Problem, Shape, DEFAULT_SCRATCH_BUDGET_BYTES};
    /// let problem = Problem::new(Shape::self_attention(1, 8, 4096, 64), Method::Exact)?;
    /// let plan = Plan::new(&problem, &Limits::host(), DEFAULT_SCRATCH_BUDGET_BYTES)?;
    /// assert_eq!(plan.costs()[0].operations, 2 * 8 * 4096 * 4096 * (64 + 64));
    /// # Ok::<(), clustered_attention::Error>(())
    /// ```
    pub fn costs(&self) -> Vec<StageCost> {
        costs(&self.problem)
    }
}

/// What each stage of a problem costs, in the order of the computation.
pub(crate) fn costs(problem: &Problem) -> Vec<StageCost> {
    let mut list = List { sizes: Sizes::new(problem), costs: Vec::new() };
    let method = problem.method();
    match method.clustering() {
        None => list.exact(),
        Some(clustering) => {
            list.cluster(clustering);
            list.attend(method);
        }
    }
    list.costs.sort_by_key(|cost| cost.stage);
    list.costs
}

/// Sizes as numbers that do not overflow when multiplied: they saturate.
struct Sizes {
    slices: Count,
    key_slices: Count,
    queries: Count,
    keys: Count,
    width: Count,
    value_width: Count,
}

/// Operations, words or sizes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Count(u64);

impl std::ops::Add for Count {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl std::ops::Mul for Count {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        Self(self.0.saturating_mul(other.0))
    }
}

fn count(number: usize) -> Count {
    Count(number as u64)
}

const NOTHING: Count = Count(0);
const TWO: Count = Count(2);
const THREE: Count = Count(3);

impl Sizes {
    fn new(problem: &Problem) -> Self {
        let shape = problem.shape();
        Self {
            slices: count(shape.slices()),
            key_slices: count(shape.batch * shape.key_heads),
            queries: count(shape.queries),
            keys: count(shape.keys),
            width: count(shape.width),
            value_width: count(shape.value_width),
        }
    }
}

struct List {
    sizes: Sizes,
    costs: Vec<StageCost>,
}

impl List {
    /// Adds to a stage: operations and words of a slice, words of the keys and values of a key head.
    fn add(&mut self, stage: Stage, operations: Count, integer_operations: Count, words: Count, key_words: Count) {
        let slices = self.sizes.slices;
        let bytes = Count(4) * (slices * words + self.sizes.key_slices * key_words);
        let (operations, integer_operations) = (slices * operations, slices * integer_operations);
        match self.costs.iter_mut().find(|cost| cost.stage == stage) {
            Some(cost) => {
                cost.operations = (Count(cost.operations) + operations).0;
                cost.integer_operations = (Count(cost.integer_operations) + integer_operations).0;
                cost.bytes = (Count(cost.bytes) + bytes).0;
            }
            None => self.costs.push(StageCost {
                stage,
                operations: operations.0,
                integer_operations: integer_operations.0,
                bytes: bytes.0,
            }),
        }
    }

    fn exact(&mut self) {
        let Sizes { queries, keys, width, value_width, .. } = self.sizes;
        let operations = TWO * queries * keys * (width + value_width);
        let words = queries * (width + value_width);
        self.add(Stage::ExactAttention, operations, NOTHING, words, keys * (width + value_width));
    }

    fn cluster(&mut self, clustering: &Clustering) {
        let Sizes { queries, width, .. } = self.sizes;
        let (clusters, words) = (count(clustering.clusters), count(clustering.words()));
        let codes = (queries * words, clusters * words);
        if clustering.center {
            self.add(Stage::CentroidMeans, TWO * queries * width, NOTHING, (queries + Count(1)) * width, NOTHING);
        }
        let bits = count(clustering.bits);
        self.add(Stage::HashCodes, TWO * queries * bits * width, NOTHING, queries * width + codes.0, NOTHING);
        self.add(Stage::InitialCentroids, NOTHING, NOTHING, TWO * codes.1, NOTHING);
        let rounds = count(clustering.iterations);
        // Xor, popcount, add.
        let distances = THREE * rounds * codes.0 * clusters;
        self.add(Stage::HammingAssign, NOTHING, distances, rounds * (codes.0 + codes.1 + queries), NOTHING);
        let updates = count(clustering.iterations - 1);
        if updates > NOTHING {
            // Shift, and, add.
            let votes = THREE * updates * codes.0 * Count(32);
            self.add(Stage::HammingUpdate, NOTHING, votes, updates * (codes.0 + queries + codes.1), NOTHING);
        }
        let steps = count(clustering.euclidean_steps);
        let groupings = steps + Count(1);
        let members = TWO * queries + clusters;
        self.add(Stage::GroupByCluster, NOTHING, groupings * members, groupings * members, NOTHING);
        let means = queries * (width + Count(1)) + clusters * width;
        self.add(Stage::CentroidMeans, groupings * queries * width, NOTHING, groupings * means, NOTHING);
        if steps > NOTHING {
            let words = (queries + clusters) * width + queries;
            self.add(Stage::EuclideanAssign, TWO * steps * queries * clusters * width, NOTHING, steps * words, NOTHING);
        }
    }

    fn attend(&mut self, method: &Method) {
        let Sizes { queries, keys, width, value_width, .. } = self.sizes;
        let clusters = count(method.clustering().map_or(0, |clustering| clustering.clusters));
        let top_k = count(method.top_k()).min(keys);
        let (logits, row) = (clusters * keys, width + value_width);
        self.add(Stage::CentroidLogits, TWO * logits * width, NOTHING, clusters * width + logits, keys * width);
        self.add(Stage::TopK, TWO * logits, NOTHING, TWO * logits + clusters * top_k, NOTHING);
        let sums = clusters * value_width;
        self.add(Stage::Remainder, TWO * logits * value_width, NOTHING, logits + sums, keys * value_width);

        let window = method.window();
        // Member, query, output, and the running softmax where the window goes on with it.
        let query_words = queries * (Count(1) + row + if window.is_some() { TWO } else { NOTHING });
        let key_words = clusters * top_k + (clusters * top_k).min(keys) * row;
        let operations = TWO * queries * top_k * row;
        self.add(Stage::RefineTopK, operations, NOTHING, query_words + key_words + sums, NOTHING);
        if let Some(window) = window {
            let reach = count(window).min(Count(keys.0.saturating_sub(1)));
            // A band of `2·reach + 1` keys, cut off at both ends of the sequence.
            let pairs = Count((queries * (TWO * reach + Count(1))).0.saturating_sub((reach * (reach + Count(1))).0));
            let words = query_words + queries * value_width + clusters * top_k + pairs.min(logits) + sums;
            self.add(Stage::StitchWindow, TWO * pairs * row, NOTHING, words, keys * row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Attention, Backend, Inputs, Shape, Supplied};

    fn of(shape: Shape, method: Method) -> Vec<StageCost> {
        costs(&Problem::new(shape, method).expect("a valid problem"))
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
        let stitched = Method::stitched(25);
        for (stage, expected) in [
            (Stage::HashCodes, (8064, 0)),
            (Stage::HammingAssign, (0, 1500)),
            (Stage::HammingUpdate, (0, 1728)),
            (Stage::CentroidMeans, (128 + 192, 0)),
            (Stage::EuclideanAssign, (6400, 0)),
            (Stage::CentroidLogits, (3200, 0)),
            (Stage::Remainder, (3200, 0)),
            (Stage::RefineTopK, (8192, 0)),
        ] {
            assert_eq!(per_query(stitched, stage), expected, "{stage:?}");
        }
        assert!(per_query(stitched, Stage::StitchWindow).0.abs_diff(8448) <= 1);
        assert_eq!(per_query(Method::Exact, Stage::ExactAttention), (256 * 100_000, 0));
        let costs = of(Shape::self_attention(1, 1, 100_000, 64), stitched);
        let sum = costs.iter().map(|cost| cost.operations).sum::<u64>() / 100_000;
        assert!((37_000..39_000).contains(&sum), "{sum}");
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
        for method in [Method::Exact, Method::clustered(5), Method::improved(5), Method::stitched(5)] {
            let problem = Problem::new(shape, method).expect("a valid problem");
            let inputs = Inputs::new(&data, &data, &data);
            let trace = attention.trace_blocking(&problem, &inputs, &Supplied::default()).expect("the method runs");
            let ran: Vec<Stage> = trace.stages.iter().map(|(stage, _)| *stage).collect();
            let counted: Vec<Stage> = costs(&problem).iter().map(|cost| cost.stage).collect();
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
