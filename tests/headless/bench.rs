//! `headless bench`: what it writes and refuses.

use super::{fail, scratch_file, succeed};
use serde_json::Value;

/// What a tiny benchmark writes.
fn bench(name: &str, arguments: &[&str]) -> (Value, String) {
    let (json, html) = (scratch_file(&format!("{name}.json")), scratch_file(&format!("{name}.html")));
    let common = ["bench", "--backend", "cpu", "--heads", "2", "--width", "16", "--clusters", "4", "--top-k", "5"];
    let files = ["--repeat", "2", "--json", &json, "--html", &html];
    succeed(&[&common, arguments, &files].concat());
    let read = |path| std::fs::read_to_string(path).expect("the file was written");
    (serde_json::from_str(&read(&json)).expect("JSON"), read(&html))
}

#[test]
fn a_benchmark_writes_every_promised_field() {
    let (document, _) = bench("bench", &["--length", "200,100,100", "--window", "3,none"]);
    let back_end = &document["back_ends"][0];
    assert_eq!(back_end["name"], "CPU");
    for ceiling in ["product_gflop_per_second", "copy_gbyte_per_second", "popcount_gop_per_second"] {
        assert!(back_end["ceilings"][ceiling].as_f64() > Some(0.0), "{ceiling}: {back_end}");
    }
    let runs = document["runs"].as_array().expect("a list of runs");
    let described =
        |run: &Value| (run["length"].as_u64(), run["method"].as_str().map(str::to_owned), run["window"].as_u64());
    let found: Vec<_> = runs.iter().map(described).collect();
    let expected: Vec<_> = [100, 200]
        .into_iter()
        .flat_map(|length| {
            let methods =
                [("exact", None), ("clustered", None), ("improved", None), ("stitched", Some(3)), ("stitched", None)];
            methods.map(|(method, window)| (Some(length), Some(method.to_owned()), window))
        })
        .collect();
    assert_eq!(found, expected);
    for run in runs {
        assert!(run["first_seconds"].as_f64() > Some(0.0), "{run}");
        let spread = &run["seconds"];
        assert_eq!(spread["calls"].as_array().map(Vec::len), Some(2));
        let ascending = ["minimum", "lower_quartile", "median", "upper_quartile", "maximum"];
        let times = ascending.map(|name| spread[name].as_f64().expect("seconds"));
        assert!(times[0] > 0.0 && times.is_sorted(), "{spread}");
        assert!(run["speedup_vs_exact"].is_number() && run["relative_error"].is_number());
        assert_eq!((&run["rows_compared"], &run["rows_sampled"]), (&run["rows_valid"], &false.into()));
        for field in ["scratch_bytes", "tensor_bytes", "peak_heap_bytes", "allocations"] {
            assert!(run["memory"][field].is_u64(), "{field}: {run}");
        }
        let (scratch, peak) = (run["memory"]["scratch_bytes"].as_u64(), run["memory"]["peak_heap_bytes"].as_u64());
        assert!(peak.zip(scratch).is_some_and(|(peak, scratch)| 2 * peak >= scratch), "{run}");
        let stages = run["stages"].as_array().expect("stages");
        let share: f64 = stages.iter().filter_map(|stage| stage["share"].as_f64()).sum();
        assert!((share - 1.0).abs() < 1e-6, "{share}");
        for field in
            ["operations", "integer_operations", "bytes", "gflop_per_second", "gbyte_per_second", "percent_of_ceiling"]
        {
            assert!(stages.iter().all(|stage| stage[field].is_number()), "{field}: {run}");
        }
    }
    assert_eq!(document["skipped"], serde_json::json!([]));
}

#[test]
fn a_benchmarks_report_holds_every_plot_and_asks_for_nothing() {
    let (_, page) = bench("report", &["--length", "100,200"]);
    for plot in ["time", "error", "shares", "scratch"] {
        let figure = page.split(&format!("data-plot=\"{plot}\"")).nth(1).unwrap_or_else(|| panic!("no plot of {plot}"));
        assert!(figure.split("</figure>").next().is_some_and(|figure| figure.contains("<svg ")), "{plot}");
    }
    assert!(page.contains("slope "));
    let local = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for request in ["http://", "https://", "src=", "href=", "url(", "@import", "<script"] {
        assert!(!local.contains(request), "the report asks for something: {request}");
    }
}

#[test]
fn a_benchmark_says_what_auto_took() {
    let (document, _) = bench("bench_auto", &["--length", "50,3000", "--method", "auto", "--seconds-limit", "1000"]);
    let taken: Vec<&Value> = document["runs"].as_array().expect("runs").iter().map(|run| &run["taken"]).collect();
    assert_eq!(taken, ["exact", "stitched"]);
}

#[test]
fn a_benchmark_says_what_it_leaves_out() {
    let left_out = fail(&["bench", "--backend", "cpu", "--length", "300", "--seconds-limit", "1e-9"], 1);
    assert!(left_out.contains("nothing was measured") && left_out.contains("predicted"), "{left_out}");
}

#[test]
fn a_benchmark_refuses_what_there_is_not() {
    assert!(fail(&["bench", "--length", "9,zero"], 2).contains("at least 1"));
    assert!(fail(&["bench", "--seconds-limit", "0"], 2).contains("above 0"));
    assert!(fail(&["bench", "--method", "linear"], 2).contains("stitched"));
    assert!(fail(&["bench", "--backend", "cpu", "--adapter", "any"], 2).contains("--backend cpu"));
    assert!(fail(&["--repeat", "2", "bench"], 2).contains("cannot be used"));
    let cpu = ["bench", "--backend", "cpu"];
    assert!(fail(&[&cpu[..], &["--clusters", "4,0"]].concat(), 1).contains("`clusters` is 0"));
    assert!(fail(&[&cpu[..], &["--width", "999"]].concat(), 1).contains("`width` is 999"));
    let unwritable = fail(&[&cpu[..], &["--html", &scratch_file("no/such/folder.html")]].concat(), 1);
    assert!(unwritable.contains("cannot write"), "{unwritable}");
}

#[test]
fn a_benchmark_measures_every_element() {
    let (document, _) =
        bench("bench_elements", &["--length", "90", "--method", "exact,stitched", "--element", "f16,f32"]);
    let runs = document["runs"].as_array().expect("a list of runs");
    let found: Vec<_> = runs.iter().map(|run| (run["method"].as_str(), run["element"].as_str())).collect();
    let expected = ["exact", "stitched"].map(|method| ["f32", "f16"].map(|element| (Some(method), Some(element))));
    assert_eq!(found, expected.concat());
    // Of queries, keys, values and output.
    let tensor_bytes: Vec<_> = runs.iter().map(|run| run["memory"]["tensor_bytes"].as_u64()).collect();
    assert_eq!(tensor_bytes[..2], [Some(4 * 4 * 90 * 2 * 16), Some(2 * 4 * 90 * 2 * 16)]);
    // Rounding to halves shows, and no more than that.
    let error = runs[1]["relative_error"].as_f64().expect("an error");
    assert!((1e-5..2e-3).contains(&error), "{error}");
    assert!(fail(&["bench", "--element", "f64"], 2).contains("f16"));
}

#[test]
fn a_benchmark_says_what_computes_in_float32_alone() {
    let options = ["--length", "90", "--method", "exact", "--precision", "float32,float16-products"];
    let (document, page) = bench("bench_precisions", &options);
    let precisions = |list: &str| -> Vec<&str> {
        document[list].as_array().expect("a list").iter().filter_map(|entry| entry["precision"].as_str()).collect()
    };
    assert_eq!((precisions("runs"), precisions("skipped")), (vec!["float32"], vec!["float16-products"]));
    assert!(page.contains("this back end computes in float32"), "{page}");
}

/// A file with one run of a method: its calls lie 2 % around a median.
fn written(name: &str, median: f64, element: Option<&str>) -> String {
    let mut run = serde_json::json!({
        "back_end": "CPU", "method": "exact", "length": 70, "heads": 2, "width": 16, "clusters": null, "top_k": null, "window": null,
        "key_groups": null, "relative_error": 0.25, "stage_seconds": median,
        "seconds": {"lower_quartile": 0.98 * median, "median": median, "upper_quartile": 1.02 * median,
            "calls": [0.98 * median, median, 1.02 * median]},
    });
    if let Some(element) = element {
        run["element"] = element.into();
    }
    let file = scratch_file(name);
    std::fs::write(&file, serde_json::json!({ "runs": [run] }).to_string()).expect("the file can be written");
    file
}

#[test]
fn benchmarks_are_compared() {
    let before = written("compare_before.json", 0.1, None);
    for (name, median, expected) in
        [("faster", 0.05, "1 faster, 0 the same"), ("same", 0.1001, "1 the same"), ("slower", 0.2, "1 slower")]
    {
        let after = written(&format!("compare_{name}.json"), median, Some("f32"));
        let output = succeed(&["bench", "--compare", &before, &after]);
        assert!(output.contains(expected), "{output}");
        assert!(output.contains(&format!("{:.2}", median / 0.1)) && output.contains("0.250"), "{output}");
    }
    let halves = written("compare_halves.json", 0.1, Some("f16"));
    assert!(fail(&["bench", "--compare", &before, &halves], 1).contains("no run in common"));
    let broken = scratch_file("compare_broken.json");
    for text in ["{}", "[]", "3"] {
        std::fs::write(&broken, text).expect("the file can be written");
        assert!(fail(&["bench", "--compare", &before, &broken], 1).contains("it has no `runs`"));
    }
    assert!(fail(&["bench", "--compare", &before, &scratch_file("compare_none.json")], 1).contains("cannot read"));
    assert!(fail(&["bench", "--compare", &before], 2).contains("2 values"));
}

#[test]
fn what_a_benchmark_writes_can_be_compared() {
    let arguments = ["--length", "60", "--method", "exact"];
    bench("compared_first", &arguments);
    bench("compared_second", &arguments);
    let files = ["compared_first.json", "compared_second.json"].map(scratch_file);
    let output = succeed(&["bench", "--compare", &files[0], &files[1]]);
    assert!(output.contains("exact") && output.contains("0 only in the first, 0 only in the second"), "{output}");
    assert!(output.contains("1 with too few calls"), "{output}");
}

/// The script for whoever has a card asks for options that there are.
#[cfg(unix)]
#[test]
fn the_script_for_a_gpu_measures_with_one_program() {
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/gpu/run");
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new("sh");
        // No driver is asked, so there is no adapter.
        for variable in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"] {
            command.env(variable, scratch_file("no_driver.json"));
        }
        command.env_remove("VK_ADD_DRIVER_FILES").env("WGPU_BACKEND", "vulkan");
        let output = command.arg(&script).args(arguments).output().expect("a shell");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let program = super::program();
    let (code, errors) = run(&[program.to_str().expect("a path in Unicode"), &scratch_file("gpu.json")]);
    assert!(code == Some(1) && errors.contains("no adapter was found"), "{code:?}: {errors}");
    let (code, errors) = run(&[&scratch_file("no_program")]);
    assert!(code == Some(1) && errors.contains("cargo build"), "{code:?}: {errors}");
    assert_eq!(run(&[]).0, Some(2));
}
