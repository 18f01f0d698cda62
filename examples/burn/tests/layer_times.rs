//! The program, from outside.

use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_burn")).args(arguments).output().expect("the program starts")
}

#[test]
fn every_way_agrees_on_both_backends() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for backend in ["cpu", "wgpu"] {
        let path = folder.path().join(backend);
        let file = path.to_str().expect("a path of text");
        let methods = "exact,clustered,improved,stitched";
        let arguments = ["--backend", backend, "--length", "37,70", "--heads", "3", "--width", "12"];
        let output = run(&[&arguments[..], &["--method", methods, "--repeat", "1", "--json", file]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = std::fs::read_to_string(&path).expect("the results");
        let results: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let rows = results["rows"].as_array().expect("rows");
        assert_eq!(rows.len(), 2 * 7, "Burn's two ways, the projections and four methods at two lengths");
        for row in rows {
            // Both of Burn's ways and exact attention are the same within float32; what the methods miss is not measured here.
            if ["Burn's attention function", "exact"].contains(&row["way"].as_str().expect("a name")) {
                let difference = row["relative_difference"].as_f64().expect("a difference");
                assert!(difference < 1e-5, "{row}");
            }
        }
    }
}

#[test]
fn what_cannot_be_is_said() {
    let output = run(&["--length", "0"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("a whole number of at least 1 is needed"));
}
