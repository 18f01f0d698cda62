//! A call on the CPU of a problem that was computed before allocates nothing, on no thread. A program of its own: its allocator counts, and
//! nothing else may run beside.

#[path = "../examples/headless/bench/memory.rs"]
mod memory;

use clustered_attention::{
    half::f16, Attention, Backend, Element, Grid, Guard, GuardAction, Inputs, Layout, Method, Problem, Shape, Stitched,
    Stored, DEFAULT_SCRATCH_BUDGET_BYTES,
};
use memory::measured;

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;

fn problems() -> Vec<(&'static str, Problem)> {
    let plain = Shape::self_attention(1, 8, 512, 64);
    let odd = Shape::self_attention(2, 3, 333, 37);
    let grouped = Shape::self_attention(1, 6, 700, 40).with_key_heads(2).with_value_width(24);
    let cross = grouped.with_queries(555);
    let guard = |action| Method::stitched(25).with_guard(Guard::new().with_action(action));
    let problem = |shape, method| Problem::new(shape, method).expect("a valid problem");
    vec![
        ("exact", problem(plain, Method::Exact)),
        ("causal", problem(odd, Method::Exact).with_causal(true).expect("a causal problem")),
        ("window", problem(odd, Method::sliding_window(20, 3).with_sinks(2))),
        ("clustered", problem(plain, Method::clustered(25))),
        ("improved", problem(plain, Method::improved(25))),
        ("improved, cross attention", problem(cross, Method::improved(9))),
        ("stitched", problem(plain, Method::stitched(25))),
        ("stitched, odd sizes", problem(odd, Method::stitched(7))),
        ("stitched, grouped queries", problem(grouped, Method::stitched(9))),
        ("stitched, cross attention", problem(cross, Method::stitched(9).with_window(None))),
        ("stitched, heads interleaved", problem(plain, Method::stitched(25)).with_layout(Layout::LengthFirst)),
        ("stitched without key groups", problem(plain, Method::stitched(25).with_key_groups(0))),
        ("stitched with hash codes", problem(plain, Method::Stitched(Stitched::hamming(25)))),
        ("stitched, an image", problem(plain, Method::stitched(25).with_grid(Grid::new(15, 34).with_leading(2)))),
        ("guard that reports", problem(plain, guard(GuardAction::Report))),
        ("guard that recomputes", problem(plain, guard(GuardAction::Recompute))),
        ("auto", problem(plain, Method::auto(25))),
        ("exact, halves", problem(odd, Method::Exact).with_element(Element::F16)),
        ("stitched, halves", problem(odd, Method::stitched(7)).with_element(Element::F16)),
    ]
}

fn data(elements: usize, seed: u32) -> Vec<f32> {
    (0..elements as u32).map(|i| ((i ^ seed).wrapping_mul(2_654_435_769) >> 8) as f32 * 2e-7 - 1.0).collect()
}

/// Allocations of each of some calls behind a first one, which has other data.
fn allocations<const CALLS: usize>(problem: &Problem, scratch_budget_bytes: u64) -> [u64; CALLS] {
    let shape = problem.shape();
    let tensors = |seed| {
        let sizes = [shape.query_elements(), shape.key_elements(), shape.value_elements()];
        [0, 1, 2].map(|tensor| data(sizes[tensor], seed + tensor as u32))
    };
    let (first, others) = (tensors(1), tensors(77));
    if problem.element() == Element::F16 {
        let halves = |tensors: [Vec<f32>; 3]| tensors.map(|tensor| tensor.into_iter().map(f16::from_f32).collect());
        return counted(problem, scratch_budget_bytes, &halves(first), &halves(others));
    }
    counted(problem, scratch_budget_bytes, &first, &others)
}

fn counted<E: Stored + Default, const CALLS: usize>(
    problem: &Problem,
    scratch_budget_bytes: u64,
    first: &[Vec<E>; 3],
    others: &[Vec<E>; 3],
) -> [u64; CALLS] {
    let shape = problem.shape();
    let lengths: Vec<u32> =
        (0..shape.batch as u32).map(|batch| (shape.queries.min(shape.keys)) as u32 - 9 * batch).collect();
    let mut output = vec![E::default(); shape.output_elements()];
    let attention = Attention::new_blocking(Backend::Cpu).expect("the CPU");
    let attention = attention.with_scratch_budget_bytes(scratch_budget_bytes);
    let mut call = |[queries, keys, values]: &[Vec<E>; 3]| {
        let inputs = Inputs::new(queries, keys, values).with_lengths(&lengths, &lengths);
        attention.run_into_blocking(problem, &inputs, &mut output).expect("an output");
    };
    call(first);
    std::array::from_fn(|_| measured(|| call(others)).1.allocations)
}

#[test]
fn a_second_call_allocates_nothing() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().expect("threads");
    for (name, problem) in problems() {
        // The smaller budget is for several chunks and passes.
        for budget in [DEFAULT_SCRATCH_BUDGET_BYTES, 400_000] {
            let in_pool: [u64; 4] = pool.install(|| allocations(&problem, budget));
            assert_eq!(in_pool, [0; 4], "{name}, {budget} bytes");
        }
        // From a thread that is not rayon's, two jobs a call go through a queue of rayon's own, which grows by blocks of 63.
        let outside: [u64; 8] = allocations(&problem, DEFAULT_SCRATCH_BUDGET_BYTES);
        assert!(outside.iter().sum::<u64>() <= 1, "{name}: {outside:?}");
    }
}
