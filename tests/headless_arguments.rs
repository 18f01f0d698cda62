//! What holds for any command line of the example `headless` and any file: an answer or an error, never a panic.

#![allow(dead_code)] // what opens adapters and prints is the program's alone

// The example's own modules, under the names that they have there.
#[path = "../examples/headless/available_memory.rs"]
mod available_memory;
#[path = "../examples/headless/bench/mod.rs"]
mod bench;
#[path = "../examples/headless/description.rs"]
mod description;
#[path = "../examples/headless/files.rs"]
mod files;
#[path = "../examples/headless/input.rs"]
mod input;
#[path = "../examples/headless/job.rs"]
mod job;
#[path = "../examples/headless/measure.rs"]
mod measure;
#[path = "../examples/headless/method_options.rs"]
mod method_options;
#[path = "../examples/headless/options.rs"]
mod options;
#[path = "../examples/headless/probe.rs"]
mod probe;
#[path = "../examples/headless/progress.rs"]
mod progress;
#[path = "../examples/headless/report.rs"]
mod report;
#[path = "../examples/headless/stored.rs"]
mod stored;
#[path = "../examples/headless/synthetic.rs"]
mod synthetic;
#[path = "../examples/headless/terminal.rs"]
mod terminal;

use clap::Parser;
use clustered_attention::{Attention, Backend};
use job::Job;
use options::{Command, Options};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, RngSeed, TestRunner};
use safetensors::tensor::{serialize, Dtype, TensorView};
use std::ffi::OsString;
use std::path::PathBuf;

const RUNS: u32 = 10_000;
/// Rows of queries and keys up to which a run is computed.
const TINY_ROWS: usize = 300;
/// One tiny run in so many is computed.
const COMPUTED: u64 = 4;

const OPTIONS: [&str; 37] = [
    "--length",
    "--heads",
    "--width",
    "--input",
    "--method",
    "--clusters",
    "--top-k",
    "--window",
    "--grid",
    "--radius",
    "--left",
    "--right",
    "--sinks",
    "--key-groups",
    "--key-rounds",
    "--key-samples",
    "--spread",
    "--space",
    "--samples",
    "--bits",
    "--iterations",
    "--euclidean-steps",
    "--center",
    "--seed",
    "--causal",
    "--element",
    "--error",
    "--backend",
    "--adapter",
    "--repeat",
    "--scratch-budget",
    "--json",
    "--html",
    "--seconds-limit",
    "--pipeline-cache",
    "--probe",
    "--list-adapters",
];

/// Values that some option takes, and others that none does.
const VALUES: [&str; 43] = [
    "3x4",
    "1x2+3",
    "0x0",
    "2x",
    "f16",
    "0",
    "1",
    "2",
    "5",
    "64",
    "63",
    "65",
    "255",
    "257",
    "1024",
    "65536",
    "65537",
    "268435456",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
    "-1",
    "1.5",
    "1e400",
    "inf",
    "nan",
    "none",
    "exact",
    "stitched,auto",
    "exact,clustered,improved,stitched,window,auto",
    "window",
    "hamming",
    "metric",
    "cpu",
    "auto",
    "gpu",
    "true",
    "",
    ",",
    "1,2,1",
    "\u{0}é",
    "--",
];

/// A command line: mostly of options that there are, with values that some of them take.
fn arguments() -> impl Strategy<Value = Vec<String>> {
    let small = (0usize..100).prop_map(|number| number.to_string());
    let value = prop_oneof![4 => small, 4 => prop::sample::select(&VALUES[..]).prop_map(str::to_owned), 1 => "[^/\\\\\\pC]{0,6}"];
    let argument = (prop::sample::select(&OPTIONS[..]), value, 0u8..10).prop_map(|(option, value, form)| match form {
        0 => vec![option.to_owned()],
        1 => vec![value],
        2 | 3 => vec![format!("{option}={value}")],
        _ => vec![option.to_owned(), value],
    });
    let start = prop_oneof![
        1 => Just(vec![]),
        4 => Just(vec!["--length", "70", "--heads", "1", "--width", "8"]),
        2 => Just(vec!["--input", "INPUT"]),
        2 => Just(vec!["bench"]),
        2 => Just(vec!["bench", "--backend", "cpu", "--length", "64"]),
    ];
    (start, prop::collection::vec(argument, 0..6))
        .prop_map(|(start, rest)| start.into_iter().map(str::to_owned).chain(rest.into_iter().flatten()).collect())
}

/// How a file is damaged: bytes that are replaced, by their place in 65536ths of the file, and a part that is cut off.
fn damage() -> impl Strategy<Value = (Vec<(u16, u8)>, Option<u16>)> {
    (prop::collection::vec((any::<u16>(), any::<u8>()), 0..4), prop::option::weighted(0.2, any::<u16>()))
}

/// Sizes of `q`, `k` and `v`, which often go together.
fn tensors() -> impl Strategy<Value = Vec<u8>> {
    let sizes = (0usize..3, 1usize..4, 0usize..40, 0usize..9, 0u8..8, 0u8..3);
    sizes.prop_map(|(batch, heads, length, width, oddity, dtype)| {
        let mut dimensions = vec![vec![batch, heads, length, width]; 3];
        match oddity {
            0 => dimensions[0][2] += 3,
            1 => dimensions[2][3] += 1,
            2 => dimensions[1][1] += 1,
            3 => dimensions.iter_mut().for_each(|one| {
                one.remove(0);
            }),
            _ => {}
        }
        let (dtype, bytes) = [(Dtype::F32, 4), (Dtype::F16, 2), (Dtype::BF16, 2)][usize::from(dtype)];
        let data: Vec<Vec<u8>> = dimensions
            .iter()
            // Small numbers in each of the types.
            .map(|one| {
                (0..one.iter().product::<usize>() * bytes)
                    .map(|i| if i % bytes == bytes - 1 { 0x3c } else { 0 })
                    .collect()
            })
            .collect();
        let views = ["q", "k", "v"].into_iter().zip(dimensions).zip(&data);
        let views =
            views.map(|((name, dimensions), data)| (name, TensorView::new(dtype, dimensions, data).expect("a tensor")));
        serialize(views, None).expect("a file")
    })
}

/// What a run came to.
#[derive(Default)]
struct Count {
    accepted: usize,
    computed: usize,
    read: usize,
}

/// Does what the program does with a command line, short of opening adapters and of long computations.
fn run(arguments: &[String], cpu: &Attention, computes: bool, count: &mut Count) -> Result<(), String> {
    let line = std::iter::once("headless".into()).chain(arguments.iter().map(OsString::from));
    let Ok(options) = Options::try_parse_from(line).and_then(Options::check) else { return Ok(()) };
    if let Some(Command::Bench(options)) = &options.command {
        // Its own checks; a benchmark takes seconds.
        let _ = bench::check(options);
        return Ok(());
    }
    let Ok(job) = Job::check(&options) else { return Ok(()) };
    if job.check_calls(cpu).is_err() {
        return Ok(());
    }
    count.accepted += 1;
    let shape = job.shape();
    if !computes || shape.batch * shape.query_heads * shape.queries.max(shape.keys) > TINY_ROWS || options.repeat > 5 {
        return Ok(());
    }
    let tensors = job.tensors().map_err(|error| format!("{error:#}"))?;
    // An input that is not finite, or an option that a plan alone cannot judge, is an error.
    if let Ok(measurements) = measure::measure(cpu, &tensors, &options) {
        let origin = report::Origin { adapter: None, input: &tensors.source, shape: tensors.shape, seed: options.seed };
        report::json(&origin, &measurements).map_err(|error| format!("{error:#}"))?;
        report::table(&measurements, options.seed);
        count.computed += 1;
    }
    Ok(())
}

#[test]
fn no_command_line_and_no_file_makes_it_panic() {
    let mut runner = TestRunner::new(Config {
        cases: RUNS,
        failure_persistence: None,
        rng_algorithm: RngAlgorithm::ChaCha,
        rng_seed: RngSeed::Fixed(1),
        max_shrink_iters: 200,
        ..Config::default()
    });
    let cpu = Attention::new_blocking(Backend::Cpu).expect("the CPU");
    let folder = std::env::temp_dir().join(format!("clustered-attention-properties-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    // Files that options name are looked for here.
    std::env::set_current_dir(&folder).expect("a folder");
    let file = folder.join("input.safetensors");
    let count = std::cell::RefCell::new(Count::default());
    let strategy = (arguments(), tensors(), damage(), any::<u64>());
    let result = runner.run(&strategy, |(arguments, mut bytes, (replaced, cut), chance)| {
        let place = |part: u16| bytes.len() * usize::from(part) / 65_536;
        let places: Vec<(usize, u8)> = replaced.iter().map(|&(part, byte)| (place(part), byte)).collect();
        let end = cut.map_or(bytes.len(), place);
        places.into_iter().for_each(|(place, byte)| bytes[place] = byte);
        bytes.truncate(end);
        let count = &mut *count.borrow_mut();
        count.read += usize::from(input::parse(&bytes, "made up".into()).is_ok());
        let reads = arguments.iter().any(|argument| argument == "INPUT");
        if reads {
            std::fs::write(&file, &bytes).expect("a file can be written");
        }
        let name = || "input.safetensors".to_owned();
        let placed = arguments.into_iter().map(|argument| if argument == "INPUT" { name() } else { argument });
        let arguments: Vec<String> = placed.collect();
        run(&arguments, &cpu, chance % COMPUTED == 0, count).map_err(TestCaseError::fail)
    });
    // The checks of outputs leave nothing.
    let left: Vec<PathBuf> = folder.read_dir().expect("a folder").flatten().map(|entry| entry.path()).collect();
    // A folder that is in use cannot be removed everywhere.
    std::env::set_current_dir(std::env::temp_dir()).expect("a folder");
    std::fs::remove_dir_all(&folder).expect("the folder can be removed");
    if let Err(error) = result {
        panic!("{error}");
    }
    assert!(left.iter().all(|path| *path == file), "{left:?}");
    let Count { accepted, computed, read } = count.into_inner();
    // Otherwise the command lines and files would all be refused for the same few reasons.
    assert!(accepted > 500 && computed > 20 && read > 1000, "{accepted} accepted, {computed} computed, {read} read");
    println!("{accepted} command lines accepted, {computed} computed, {read} files read");
}
