//! The `headless` example as its users see it: options, messages, exit codes and JSON.
//!
//! `cargo test` builds the examples; with `--test headless` alone they must have been built before.

mod bench;
mod drivers;
mod element;
mod files;
mod for_error;
mod kernels;
mod sizes;

use safetensors::{serialize_to_file, tensor::TensorView, Dtype};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The example's program, beside the folder of this test's own.
fn program() -> PathBuf {
    let test = std::env::current_exe().expect("this program's path");
    let profile = test.parent().and_then(Path::parent).expect("a folder of the build");
    let program = profile.join("examples").join(format!("headless{}", std::env::consts::EXE_SUFFIX));
    assert!(program.exists(), "{} is missing: build it by `cargo test`, without `--test`", program.display());
    program
}

fn headless(arguments: &[&str]) -> Output {
    Command::new(program()).args(arguments).output().expect("the example starts")
}

/// Standard output of a run that succeeds.
fn succeed(arguments: &[&str]) -> String {
    let output = headless(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    assert!(!errors.contains('\u{1b}'), "progress was drawn although the output is piped: {errors}");
    String::from_utf8(output.stdout).expect("text")
}

/// Standard error of a run that fails with an exit code.
fn fail(arguments: &[&str], code: i32) -> String {
    let output = headless(arguments);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
    assert!(!errors.contains("panicked"), "{arguments:?}: {errors}");
    errors
}

fn scratch_file(name: &str) -> String {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    path.to_str().expect("a path in Unicode").to_owned()
}

/// What a run on the CPU writes as JSON.
fn json(name: &str, arguments: &[&str]) -> Value {
    let path = scratch_file(name);
    let common = ["--backend", "cpu", "--repeat", "1", "--json", &path];
    succeed(&[&common, arguments].concat());
    serde_json::from_str(&std::fs::read_to_string(&path).expect("the file was written")).expect("JSON")
}

fn run<'a>(document: &'a Value, method: &str) -> &'a Value {
    let runs = document["runs"].as_array().expect("a list of runs");
    runs.iter().find(|run| run["method"] == method).unwrap_or_else(|| panic!("no run of {method} in {document}"))
}

fn error(document: &Value, method: &str) -> f64 {
    run(document, method)["relative_error"].as_f64().expect("a number")
}

/// Writes `q`, `k` and `v` of a type and of some dimensions; numbers are made up.
fn write_tensors(name: &str, dtype: Dtype, tensors: &[(&str, &[usize])]) -> String {
    let data: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(name, dimensions)| {
            let values = (0..dimensions.iter().product::<usize>()).map(|i| ((i * i + name.len()) as f32 * 0.37).sin());
            match dtype {
                Dtype::F16 => values.flat_map(|value| half::f16::from_f32(value).to_le_bytes()).collect(),
                Dtype::BF16 => values.flat_map(|value| half::bf16::from_f32(value).to_le_bytes()).collect(),
                _ => values.flat_map(f32::to_le_bytes).collect(),
            }
        })
        .collect();
    let views = tensors.iter().zip(&data).map(|(&(name, dimensions), data)| {
        (name, TensorView::new(dtype, dimensions.to_vec(), data).expect("dimensions that fit the data"))
    });
    let path = scratch_file(name);
    serialize_to_file(views, None, Path::new(&path)).expect("the file can be written");
    path
}

#[test]
fn json_has_every_key_and_each_methods_own_defaults() {
    let document = json("defaults.json", &["--length", "150", "--heads", "2", "--width", "16", "--clusters", "9"]);
    assert_eq!(document["backend"], "cpu");
    assert!(document["adapter"].is_null());
    let expected = serde_json::json!({
        "batch": 1, "query_heads": 2, "key_heads": 2, "queries": 150, "keys": 150, "width": 16, "value_width": 16
    });
    assert_eq!(document["shape"], expected);
    let rows = serde_json::json!({ "sampled": false, "compared": 300, "valid": 300, "share_of_worse_rows": 0.0 });
    assert_eq!(document["error_rows"], rows);
    assert!(document["search"].is_null());
    let names: Vec<&str> =
        document["runs"].as_array().expect("runs").iter().filter_map(|r| r["method"].as_str()).collect();
    assert_eq!(names, ["exact", "clustered", "improved", "stitched"]);
    for name in names {
        let run = run(&document, name);
        for key in ["seconds_median", "speedup_vs_exact", "relative_error", "max_row_error", "scratch_bytes"] {
            assert!(run[key].is_number(), "{name}: {key} is {}", run[key]);
        }
        let stages = run["stages"].as_array().expect("stages");
        assert!(!stages.is_empty());
        assert!(stages.iter().all(|stage| stage["name"].is_string() && stage["seconds"].is_number()), "{stages:?}");
    }
    let options = |method| {
        let keys = ["clusters", "top_k", "window", "bits", "iterations", "euclidean_steps", "center"];
        keys.map(|key| run(&document, method)[key].clone())
    };
    let expected = |text| serde_json::from_str::<Vec<Value>>(text).expect("JSON");
    assert_eq!(options("exact").as_slice(), expected("[null, null, null, null, null, null, null]"));
    assert_eq!(options("clustered").as_slice(), expected("[9, null, null, 63, 10, 0, false]"));
    assert_eq!(options("improved").as_slice(), expected("[9, 32, null, 63, 10, 0, false]"));
    assert_eq!(options("stitched").as_slice(), expected("[9, 64, 16, 63, 4, 2, true]"));
    let grouping = |method| ["space", "samples", "key_groups", "spread"].map(|key| run(&document, method)[key].clone());
    assert_eq!(grouping("exact").as_slice(), expected("[null, null, null, null]"));
    assert_eq!(grouping("improved").as_slice(), expected(r#"["hamming", 384, null, null]"#));
    assert_eq!(grouping("stitched").as_slice(), expected(r#"["metric", 384, 16, false]"#));
    assert!(error(&document, "exact") < 1e-6);
    assert!(error(&document, "stitched") < error(&document, "improved"));
}

#[test]
fn options_override_every_method_and_results_repeat() {
    let arguments = ["--length", "200", "--heads", "1", "--width", "8", "--method", "stitched,clustered"];
    let changed = [
        "--clusters",
        "5",
        "--top-k",
        "7",
        "--window",
        "none",
        "--bits",
        "31",
        "--iterations",
        "3",
        "--euclidean-steps",
        "1",
        "--center=false",
        "--seed",
        "6",
        "--scratch-budget",
        "64",
    ];
    let first = json("first.json", &[&arguments[..], &changed].concat());
    assert_eq!(first["runs"].as_array().map(Vec::len), Some(2), "exact attention was not asked for");
    assert!(run(&first, "stitched")["speedup_vs_exact"].is_number(), "but its time is needed");
    assert_eq!(run(&first, "stitched")["top_k"], 7);
    assert!(run(&first, "stitched")["window"].is_null());
    for method in ["stitched", "clustered"] {
        let run = run(&first, method);
        assert_eq!(run["clusters"], 5);
        assert_eq!(run["bits"], 31);
        assert_eq!(run["iterations"], 3);
        assert_eq!(run["euclidean_steps"], 1);
        assert_eq!(run["center"], false);
    }
    let again = json("again.json", &[&arguments[..], &changed].concat());
    assert_eq!(error(&first, "stitched"), error(&again, "stitched"));
    let other = json("other.json", &[&arguments[..], &["--seed", "7"]].concat());
    assert_ne!(error(&first, "stitched"), error(&other, "stitched"));
}

#[test]
fn what_the_guard_finds_is_told() {
    let arguments = ["--length", "300", "--heads", "2", "--width", "8", "--clusters", "5", "--method", "stitched"];
    let keys = ["guard", "guard_rows", "guard_tolerance", "fell_back", "guard_error"];
    let found = |name, changed: &[&str]| {
        let document = json(name, &[&arguments, changed].concat());
        keys.map(|key| run(&document, "stitched")[key].clone())
    };
    let off = found("unguarded.json", &["--guard", "off"]);
    assert_eq!((&off[0], &off[3], &off[4]), (&Value::from("off"), &Value::Null, &Value::Null));
    let options = ["--guard-rows", "9", "--guard-tolerance", "0"];
    let report = found("report.json", &[&["--guard", "report"], &options[..]].concat());
    let recompute = found("recompute.json", &[&["--guard", "recompute"], &options[..]].concat());
    assert_eq!(report[..4], [Value::from("report"), 9.into(), 0.0.into(), 0.0.into()]);
    assert_eq!(recompute[..4], [Value::from("recompute"), 9.into(), 0.0.into(), 1.0.into()]);
    assert!(report[4].as_f64() > Some(0.0) && report[4] == recompute[4], "{report:?} {recompute:?}");
    let table = succeed(&[&arguments[..], &["--backend", "cpu", "--repeat", "1", "--guard", "report"]].concat());
    assert!(table.contains("fell back") && table.contains("guard's error"), "{table}");
    assert!(fail(&["--guard-rows", "9"], 2).contains("--guard"));
}

#[test]
fn key_groups_and_spaces_are_options() {
    let stitched = |name, changed: &[&str]| {
        let arguments = ["--length", "300", "--heads", "1", "--width", "8", "--clusters", "5", "--method", "stitched"];
        run(&json(name, &[&arguments, changed].concat()), "stitched").clone()
    };
    let grouped = stitched("grouped.json", &["--key-groups", "5", "--spread", "--samples", "40", "--iterations", "2"]);
    let keys = ["key_groups", "spread", "space", "samples", "iterations"];
    let options = |run: &Value| Value::from(keys.map(|key| run[key].clone()).to_vec());
    assert_eq!(options(&grouped), serde_json::json!([5, true, "metric", 40, 2]));
    let before = stitched("before.json", &["--key-groups", "0", "--space", "hamming"]);
    assert_eq!(options(&before), serde_json::json!([0, false, "hamming", 384, 10]));
    let stages = |run: &Value| -> Vec<String> {
        let stages = run["stages"].as_array().expect("stages");
        stages.iter().filter_map(|stage| stage["name"].as_str().map(str::to_owned)).collect()
    };
    assert!(stages(&grouped).contains(&"key_spread".to_owned()), "{grouped}");
    assert!(stages(&before).contains(&"hash_codes".to_owned()), "{before}");
    // Each of them has a say in the result.
    let errors = [
        grouped,
        before,
        stitched("kept.json", &["--key-groups", "5", "--samples", "40", "--iterations", "2"]),
        stitched("samples.json", &["--key-groups", "5", "--spread", "--iterations", "2"]),
        stitched(
            "rounds.json",
            &["--key-groups", "5", "--spread", "--samples", "40", "--iterations", "2", "--key-rounds", "0"],
        ),
        stitched(
            "keys.json",
            &["--key-groups", "5", "--spread", "--samples", "40", "--iterations", "2", "--key-samples", "9"],
        ),
    ]
    .map(|run| run["relative_error"].to_string());
    let distinct: std::collections::HashSet<&String> = errors.iter().collect();
    assert_eq!(distinct.len(), errors.len(), "{errors:?}");
    for (option, value, named) in [
        ("--key-groups", "1025", "from 0 to 1024"),
        ("--samples", "0", "from 1 to 65536"),
        ("--key-samples", "0", "from 1 to 65536"),
        ("--key-rounds", "1001", "from 0 to 1000"),
    ] {
        let message = fail(&["--backend", "cpu", "--length", "50", "--heads", "1", option, value], 1);
        assert!(message.contains(named), "{message}");
    }
    assert!(fail(&["--space", "plain"], 2).contains("hamming or metric"));
}

#[test]
fn auto_says_what_it_took() {
    let arguments = |length| ["--length", length, "--heads", "2", "--width", "16", "--method", "stitched,auto"];
    let short = json("short.json", &arguments("50"));
    assert_eq!(run(&short, "auto")["taken"], "exact");
    assert_eq!(run(&short, "auto")["top_k"], 64);
    assert!(error(&short, "auto") < 1e-6);
    let long = json("auto.json", &arguments("2000"));
    assert_eq!(run(&long, "auto")["taken"], "stitched");
    assert_eq!(run(&long, "stitched")["taken"], "stitched");
    assert_eq!(error(&long, "auto"), error(&long, "stitched"));
    let table = succeed(&["--backend", "cpu", "--length", "50", "--heads", "1", "--repeat", "1", "--method", "auto"]);
    assert!(table.contains("auto (exact)") && table.contains("window 16"), "{table}");
}

#[test]
fn windows_and_causal_masks_are_computed_and_told() {
    let common = ["--length", "300", "--heads", "1", "--width", "8", "--method", "exact,window"];
    let document = json("window.json", &[&common[..], &["--left", "8", "--right", "none", "--sinks", "2"]].concat());
    let window = run(&document, "window");
    assert_eq!((&window["left"], &window["sinks"]), (&Value::from(8), &Value::from(2)));
    assert!(window["right"].is_null() && window["clusters"].is_null());
    assert!(error(&document, "window") > 0.0);
    // Errors are against causal attention then, which a window of everything is.
    let document = json("causal.json", &[&common[..], &["--causal", "--left", "none", "--right", "0"]].concat());
    assert!(error(&document, "window") < 1e-6);
}

#[test]
fn long_input_is_sampled_and_exact_attention_left_out() {
    // 2·4·33000²·(16+16) operations: just above 2^38.
    let arguments =
        ["--length", "33000", "--heads", "4", "--width", "16", "--clusters", "4", "--top-k", "4", "--window", "1"];
    let document = json("long.json", &[&arguments[..], &["--iterations", "1", "--euclidean-steps", "0"]].concat());
    let rows = &document["error_rows"];
    assert_eq!((&rows["sampled"], &rows["compared"], &rows["valid"]), (&true.into(), &1024.into(), &132_000.into()));
    let share = rows["share_of_worse_rows"].as_f64().expect("a share");
    assert!((share - 3.0 / 1024.0).abs() < 1e-5, "{share}");
    assert!(document["exact_seconds_median"].is_null());
    assert_eq!(document["runs"].as_array().map(Vec::len), Some(3));
    assert!(run(&document, "stitched")["speedup_vs_exact"].is_null());
    assert!(error(&document, "stitched") > 0.0);
}

#[test]
fn files_of_every_type_and_shape_are_read() {
    let square: &[usize] = &[2, 70, 12];
    for (name, dtype) in [("f32", Dtype::F32), ("f16", Dtype::F16), ("bf16", Dtype::BF16)] {
        let file = write_tensors(&format!("{name}.safetensors"), dtype, &[("q", square), ("k", square), ("v", square)]);
        let document = json(&format!("{name}.json"), &["--input", &file, "--method", "exact,stitched"]);
        assert_eq!(document["shape"]["queries"], 70);
        assert_eq!(document["input"], file.as_str());
        assert!(error(&document, "exact") < 1e-6);
    }
    let cross: [(&str, &[usize]); 3] = [("q", &[2, 4, 30, 6]), ("k", &[2, 2, 41, 6]), ("v", &[2, 2, 41, 5])];
    let file = write_tensors("cross.safetensors", Dtype::F32, &cross);
    let document = json("cross.json", &["--input", &file, "--clusters", "30"]);
    assert_eq!((&document["shape"]["key_heads"], &document["shape"]["value_width"]), (&2.into(), &5.into()));
    assert!(run(&document, "stitched")["window"].is_null(), "no window where queries and keys differ in number");
    let window = fail(&["--backend", "cpu", "--input", &file, "--window", "3"], 1);
    assert!(window.contains("30 queries") && window.contains("41 keys"), "{window}");
}

#[test]
fn bad_files_are_named_with_what_is_wrong() {
    let message = |path: &str| fail(&["--backend", "cpu", "--input", path], 1);
    let holds = |path: &str, texts: &[&str]| {
        let message = message(path);
        assert!(message.contains(path), "{message}");
        texts.iter().for_each(|text| assert!(message.contains(text), "{message} should say {text}"));
    };
    let square: &[usize] = &[2, 20, 4];
    let all = |q, k, v| [("q", q), ("k", k), ("v", v)];
    let whole = write_tensors("whole.safetensors", Dtype::F32, &all(square, square, square));
    let bytes = std::fs::read(&whole).expect("the file");
    let cut = scratch_file("cut.safetensors");
    for length in [0, 5, 40, bytes.len() - 1] {
        std::fs::write(&cut, &bytes[..length]).expect("the file can be written");
        holds(&cut, &["not a whole one"]);
    }
    holds(&scratch_file("absent.safetensors"), &["cannot read"]);
    let values_missing =
        write_tensors("missing.safetensors", Dtype::F32, &[("q", square), ("k", square), ("w", square)]);
    holds(&values_missing, &["no tensor `v`", "\"w\""]);
    let integers = write_tensors("integers.safetensors", Dtype::I32, &all(square, square, square));
    holds(&integers, &["`q`", "I32", "BF16"]);
    let flat = write_tensors("flat.safetensors", Dtype::F32, &all(square, &[20, 4], square));
    holds(&flat, &["`k`", "[20, 4]", "[heads, length, width]"]);
    let narrow = write_tensors("narrow.safetensors", Dtype::F32, &all(square, &[2, 20, 3], &[2, 20, 3]));
    holds(&narrow, &["`q`", "`k`", "same width"]);
    let short = write_tensors("short.safetensors", Dtype::F32, &all(square, square, &[2, 19, 4]));
    holds(&short, &["`v`", "19"]);
    let heads = write_tensors("heads.safetensors", Dtype::F32, &all(&[3, 20, 4], square, square));
    assert!(message(&heads).contains("multiple of key heads"));
}

#[test]
fn what_there_is_not_is_refused() {
    let causal = fail(&["--causal", "--method", "exact,stitched"], 2);
    assert!(causal.contains("causal attention by clusters is not supported yet"), "{causal}");
    assert!(fail(&["--method", "linear"], 2).contains("stitched"));
    assert!(fail(&["--window", "wide"], 2).contains("none"));
    assert!(fail(&["--repeat", "0"], 2).contains("at least 1"));
    assert!(fail(&["--heads", "2"], 2).contains("--length"));
    assert!(fail(&["--length", "9", "--input", "x"], 2).contains("cannot be used"));
    assert!(fail(&["--backend", "cpu", "--adapter", "any"], 2).contains("--backend cpu"));
    let small = ["--backend", "cpu", "--length", "64", "--heads", "1"];
    assert!(fail(&[&small[..], &["--bits", "300"]].concat(), 1).contains("`bits` is 300"));
    assert!(fail(&[&small[..], &["--clusters", "0"]].concat(), 1).contains("`clusters` is 0"));
    assert!(fail(&[&small[..], &["--width", "999"]].concat(), 1).contains("`width` is 999"));
    assert!(fail(&[&small[..], &["--scratch-budget", "0"]].concat(), 1).contains("scratch_budget_bytes"));
    let unwritable = fail(&[&small[..], &["--json", &scratch_file("no/such/folder.json")]].concat(), 1);
    assert!(unwritable.contains("cannot write"), "{unwritable}");
}

#[test]
fn adapters_are_listed_and_the_table_is_printed() {
    let list = succeed(&["--list-adapters"]);
    assert!(list.starts_with("Adapters:") && !list.contains("method"), "{list}");
    let table = succeed(&["--backend", "cpu", "--length", "100", "--heads", "1", "--repeat", "1"]);
    assert!(!table.contains("Adapters:"), "drivers were asked although the CPU computes: {table}");
    for text in ["the CPU", "1 head, 100 positions", "speed-up", "worst row", "stitched", "All 100 rows"] {
        assert!(table.contains(text), "{text} is missing: {table}");
    }
}

#[test]
fn a_pipeline_cache_is_written_where_there_is_one() {
    let file = scratch_file("pipelines.bin");
    let _ = std::fs::remove_file(&file);
    let small = ["--length", "40", "--heads", "1", "--width", "8", "--method", "exact", "--repeat", "1"];
    let cached = |backend: [&str; 2]| succeed(&[&backend[..], &small, &["--pipeline-cache", &file]].concat());
    let report = cached(["--backend", "cpu"]);
    assert!(report.contains("not written, since the CPU"), "{report}");
    assert!(!Path::new(&file).exists());
    let adapters = succeed(&["--list-adapters"]);
    for api in ["gl", "vulkan"].into_iter().filter(|api| adapters.contains(&format!("({api},"))) {
        for stale in ["", "not a cache"] {
            std::fs::write(&file, stale).expect("a file can be written");
            let report = cached(["--adapter", api]);
            let left = std::fs::read(&file).expect("the file is still there");
            // The text may also match another adapter's name.
            if report.lines().any(|line| line.starts_with("Runs on:") && line.contains("(vulkan,")) {
                assert!(report.contains("bytes written to") && report.contains("1 pipelines"), "{report}");
                assert!(left.starts_with(b"clustered-attention pipelines"));
            } else {
                assert!(report.contains("not written, since there are none on"), "{report}");
                assert_eq!(left, stale.as_bytes());
            }
        }
    }
    let folder = Path::new(&file).parent().expect("a folder");
    let files = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").file_name());
    assert!(files.into_iter().all(|name| !name.to_string_lossy().starts_with("pipelines.bin.")));
    let folder = folder.to_str().expect("a path in Unicode");
    let unreadable = fail(&[&["--backend", "cpu"], &small[..], &["--pipeline-cache", folder]].concat(), 1);
    assert!(unreadable.contains("it is a folder"), "{unreadable}");
}
