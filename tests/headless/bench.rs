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
