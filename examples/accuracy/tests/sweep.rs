//! The program, from outside, on as little as shows that it does what it says.

use clustered_attention_models::testing::{ends_quietly_unread, fetched};
use clustered_attention_models::Asset;
use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_accuracy")).args(arguments).output().expect("the program starts")
}

#[test]
fn a_sweep_is_written_as_page_and_json() {
    if !fetched(&[Asset::MINILM, Asset::SPEECHES]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("results");
    let sweep = ["--task", "text", "--length", "64", "--passages", "7", "--clusters", "5,25", "--top-k", "8"];
    let output = run(&[&sweep[..], &["--seeds", "2", "--results", path.to_str().expect("a path of text")]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(path.join("accuracy.json")).expect("the results");
    let results: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(results["seeds"].as_array().map(Vec::len), Some(2));
    assert!(results["origin"]["device"].is_string() && results["origin"]["version"].is_string());
    let configurations = results["tasks"][0]["configurations"].as_array().expect("configurations");
    assert_eq!(configurations.len(), 1 + 2 + 3 + 3, "exact, and clusters and top-k of the others");
    let error = |index: usize| configurations[index]["runs"][0]["error"].as_f64().expect("an error");
    assert_eq!(error(0), 0.0, "exact attention is its own reference");
    assert!((1..configurations.len()).all(|index| error(index) > 0.0));
    let page = std::fs::read_to_string(path.join("accuracy.html")).expect("the page");
    assert_eq!(page.matches("<figure").count(), 2);
    assert!(page.contains("hits found") && page.contains("stitched, 25 clusters, top-k swept"));
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    ends_quietly_unread(Command::new(env!("CARGO_BIN_EXE_accuracy")).arg("--help"));
}

#[test]
fn where_results_cannot_go_is_said_before_the_work() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "kept").expect("a file");
    std::fs::create_dir_all(folder.path().join("results/accuracy.json")).expect("a folder");
    for (results, reason) in [(&file, "cannot create"), (&folder.path().join("results"), "it is a folder")] {
        let output = run(&["--results", results.to_str().expect("a path of text")]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && errors.contains(reason), "{errors}");
    }
    assert_eq!(std::fs::read_to_string(&file).expect("the file"), "kept");
}

#[test]
fn what_cannot_be_is_said() {
    let output = run(&["--seeds", "0"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("a whole number of at least 1 is needed"));
}
