//! Times of whole methods and of single stages, on the CPU and on every adapter there is.
//!
//! ```text
//! cargo bench                        everything; on software adapters that takes some minutes
//! cargo bench -- methods             whole calls on host slices, on a GPU with upload and read-back
//! cargo bench -- stages/hash_codes   one stage
//! cargo bench -- --test              each once, on a small input
//! ```
//!
//! `CLUSTERED_ATTENTION_BENCH_LENGTHS=512,2048,8192` sets the lengths. The input is the synthetic one of the example
//! `headless`. A time says nothing about the error, nor about what the machine could do: `headless bench` tells both.

#[path = "../examples/headless/available_memory.rs"]
#[allow(dead_code)]
mod available_memory;
#[path = "../examples/headless/input.rs"]
#[allow(dead_code)]
mod input;
#[path = "../examples/headless/synthetic.rs"]
mod synthetic;

use clustered_attention::{adapters_blocking, Attention, Backend, Inputs, Method, Problem, Stage, Stitched, Supplied};
use criterion::{criterion_group, criterion_main, BenchmarkId, Criterion, SamplingMode, Throughput};
use input::Tensors;
use std::time::Duration;

const LENGTHS_VARIABLE: &str = "CLUSTERED_ATTENTION_BENCH_LENGTHS";
const LENGTHS: [usize; 2] = [512, 2048];
/// The length where nothing is measured.
const TEST_LENGTH: usize = 100;
const HEADS: usize = 4;
const WIDTH: usize = 64;
const CLUSTERS: usize = 25;

/// A back end under the name it has in the reports.
struct Engine {
    name: String,
    attention: Attention,
}

/// The CPU and every adapter that opens; where nothing is measured, the best adapter only, since others compile for long.
fn engines() -> Vec<Engine> {
    let cpu = Attention::new_blocking(Backend::Cpu).expect("the CPU is always there");
    let mut engines = vec![Engine { name: "cpu".into(), attention: cpu }];
    let most = if testing() { 1 } else { usize::MAX };
    for adapter in adapters_blocking().into_iter().take(most) {
        // Such as `vulkan llvmpipe`: what follows in brackets is the driver's version.
        let name = format!("{} {}", adapter.backend, adapter.name.split('(').next().unwrap_or_default().trim());
        match pollster::block_on(Attention::with_adapter(adapter)) {
            Ok(attention) => engines.push(Engine { name, attention }),
            Err(error) => eprintln!("{name} is left out: {error}"),
        }
    }
    engines
}

/// Whether everything is only run once, as criterion decides it.
fn testing() -> bool {
    let given = |option| std::env::args().any(|argument| argument == option);
    given("--test") || !given("--bench")
}

fn lengths() -> Vec<usize> {
    if testing() {
        return vec![TEST_LENGTH];
    }
    let Ok(list) = std::env::var(LENGTHS_VARIABLE) else { return LENGTHS.to_vec() };
    let lengths: Option<Vec<usize>> =
        list.split(',').map(|length| length.trim().parse().ok().filter(|&length| length > 0)).collect();
    lengths.unwrap_or_else(|| panic!("{LENGTHS_VARIABLE} is `{list}`; lengths separated by commas are needed"))
}

fn all_methods() -> [Method; 4] {
    [Method::Exact, Method::clustered(CLUSTERS), Method::improved(CLUSTERS), Method::stitched(CLUSTERS)]
}

fn inputs(tensors: &Tensors) -> Inputs<'_> {
    Inputs::new(&tensors.queries, &tensors.keys, &tensors.values)
}

/// The synthetic input of a length.
fn mixture(length: usize) -> Tensors {
    synthetic::mixture(length, HEADS, WIDTH, 0).expect("memory for the input")
}

/// Whole calls: `methods/METHOD BACK-END/LENGTH`.
fn methods(criterion: &mut Criterion, engines: &[Engine]) {
    let mut group = criterion.benchmark_group("methods");
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    for length in lengths() {
        let tensors = mixture(length);
        let mut output = vec![0.0; tensors.shape.output_elements()];
        group.throughput(Throughput::Elements((HEADS * length) as u64));
        for Engine { name, attention } in engines {
            for method in all_methods() {
                let problem = Problem::new(tensors.shape, method).expect("a valid problem");
                group.bench_function(BenchmarkId::new(format!("{} {name}", method.name()), length), |bencher| {
                    bencher.iter(|| {
                        let result = attention.run_into_blocking(&problem, &inputs(&tensors), &mut output);
                        result.expect("the method runs");
                    });
                });
            }
        }
    }
    group.finish();
}

/// The stages of stitched attention, with and without key groups and codes, and of exact attention, a group each:
/// `stages/STAGE/BACK-END/LENGTH`.
fn stages(criterion: &mut Criterion, engines: &[Engine]) {
    let inputs: Vec<Tensors> = lengths().into_iter().map(mixture).collect();
    let mut seen: Vec<Stage> = vec![];
    for method in [Method::stitched(CLUSTERS), Method::Stitched(Stitched::hamming(CLUSTERS)), Method::Exact] {
        // One that several methods have is that of the first.
        for stage in stages_of(method).into_iter().filter(|stage| !seen.contains(stage)).collect::<Vec<_>>() {
            seen.push(stage);
            let mut group = criterion.benchmark_group(format!("stages/{}", stage.name()));
            // Each time of a stage is taken from a whole call, so warming up and measuring last longer than the stages do.
            group.sampling_mode(SamplingMode::Flat).sample_size(10);
            group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
            for tensors in &inputs {
                let length = tensors.shape.queries;
                let problem = Problem::new(tensors.shape, method).expect("a valid problem");
                group.throughput(Throughput::Elements((HEADS * length) as u64));
                for Engine { name, attention } in engines {
                    group.bench_function(BenchmarkId::new(name, length), |bencher| {
                        bencher.iter_custom(|iterations| {
                            let seconds: f64 =
                                (0..iterations).map(|_| seconds_of(stage, attention, &problem, tensors)).sum();
                            // A timestamp can be too coarse for a short stage, and criterion takes no zero.
                            Duration::from_secs_f64(seconds).max(Duration::from_nanos(1))
                        });
                    });
                }
            }
            group.finish();
        }
    }
}

/// The stages that a method runs, whatever the back end and the length.
fn stages_of(method: Method) -> Vec<Stage> {
    let tensors = mixture(TEST_LENGTH);
    let problem = Problem::new(tensors.shape, method).expect("a valid problem");
    let cpu = Attention::new_blocking(Backend::Cpu).expect("the CPU is always there");
    let trace = cpu.trace_blocking(&problem, &inputs(&tensors), &Supplied::default()).expect("the method runs");
    trace.stages.into_iter().map(|(stage, _)| stage).collect()
}

/// Seconds of a stage in one traced call.
fn seconds_of(stage: Stage, attention: &Attention, problem: &Problem, tensors: &Tensors) -> f64 {
    let trace = attention.trace_blocking(problem, &inputs(tensors), &Supplied::default()).expect("the method runs");
    trace.stages.iter().find(|(found, _)| *found == stage).map_or(0.0, |(_, seconds)| *seconds)
}

fn attention(criterion: &mut Criterion) {
    let engines = engines();
    methods(criterion, &engines);
    stages(criterion, &engines);
}

criterion_group!(benches, attention);
criterion_main!(benches);
