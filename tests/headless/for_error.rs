//! The option `--error`: what is found, and how it is told.

use super::{error, fail, json, run, succeed};
use clustered_attention::Method;

#[test]
fn a_method_is_found_for_an_error() {
    let document = json("error.json", &["--error", "0.1"]);
    let search = &document["search"];
    assert_eq!(search["target"], 0.1);
    let method: Method = search["method"].as_str().expect("text").parse().expect("a method");
    assert_eq!(method.name(), "stitched");
    assert!(search["seconds"].as_f64() > Some(0.0));
    let trials = search["trials"].as_array().expect("trials");
    let last = trials.last().expect("a trial");
    assert_eq!((&last["method"], &last["error"]), (&search["method"], &search["error"]));
    assert!(last["upper_error"].as_f64() <= Some(0.1) && last["upper_error"].as_f64() > last["error"].as_f64());
    assert!(last["estimated_seconds"].as_f64() > Some(0.0));
    // It is what runs, and holds.
    assert_eq!(document["runs"].as_array().map(Vec::len), Some(1));
    let run = run(&document, "stitched");
    assert_eq!(run["clusters"].as_u64(), method.clustering().map(|clustering| clustering.clusters as u64));
    assert_eq!(run["top_k"].as_u64(), Some(method.top_k() as u64));
    assert!(error(&document, "stitched") <= 0.1 && run["speedup_vs_exact"].is_number());
}

#[test]
fn what_was_found_is_told_in_words() {
    let common = ["--backend", "cpu", "--repeat", "1"];
    let told = succeed(&[&common[..], &["--error", "0.1", "--seed", "3"]].concat());
    for text in ["an error of at most 0.1, seed 3", "Found for an error of at most 0.1: 25 clusters", "were measured"] {
        assert!(told.contains(text), "{text} is missing: {told}");
    }
    let short = ["--length", "60", "--heads", "1", "--error", "0.2"];
    let told = succeed(&[&common[..], &short].concat());
    assert!(told.contains("exact attention, since") && told.contains("none was measured"), "{told}");
    let causal = succeed(&[&common[..], &short, &["--causal"]].concat());
    assert!(causal.contains("exact attention, since"), "{causal}");
}

#[test]
fn an_error_leaves_no_choice_of_the_method() {
    for other in [["--method", "stitched"], ["--clusters", "9"], ["--key-groups", "8"], ["--top-k", "4"]] {
        assert!(fail(&[&["--error", "0.1"], &other[..]].concat(), 2).contains("cannot be used with"));
    }
    assert!(fail(&["--error", "0.1", "--window", "none"], 2).contains("cannot be used with"));
    for bad in ["--error=-0.1", "--error=nan", "--error=inf", "--error=much"] {
        assert!(fail(&[bad], 2).contains("at least 0"), "{bad}");
    }
}
