//! The program as its users see it, with a small model.

mod common;

use clustered_attention_models::testing::ends_quietly_unread;
use common::{small_model, WIDTH};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn embed(model: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_embed"));
    command.arg("--model").arg(model).args(arguments).stdin(Stdio::null());
    command.output().expect("the program starts")
}

fn succeed(model: &Path, arguments: &[&str]) -> (String, String) {
    let output = embed(model, arguments);
    let text = |bytes| String::from_utf8(bytes).expect("text");
    let (printed, errors) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{arguments:?}: {errors}");
    (printed, errors)
}

fn fail(model: &Path, arguments: &[&str]) -> String {
    let output = embed(model, arguments);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{arguments:?}");
    assert!(!errors.contains("panicked"), "{errors}");
    errors
}

#[test]
fn embeddings_are_arrays_a_line_and_a_document() {
    let folder = small_model();
    let json = folder.path().join("embeddings.json");
    let json = json.to_str().expect("a path in Unicode");
    let (printed, errors) = succeed(folder.path(), &["the weather", "lovely", "--json", json]);
    assert_eq!(errors, "");
    let lines: Vec<Vec<f64>> = printed.lines().map(|line| serde_json::from_str(line).expect("an array")).collect();
    assert_eq!(lines.iter().map(Vec::len).collect::<Vec<_>>(), [WIDTH, WIDTH]);
    let document: Value = serde_json::from_str(&std::fs::read_to_string(json).expect("a file")).expect("JSON");
    assert_eq!(document["method"]["method"], "exact");
    assert_eq!(document["texts"][0]["text"], "the weather");
    assert_eq!(document["texts"][1]["embedding"], serde_json::json!(lines[1]));
    assert_eq!(document["texts"][1]["tokens"], 3);
}

#[test]
fn lines_of_a_file_are_texts() {
    let folder = small_model();
    let path = folder.path().join("texts.txt");
    std::fs::write(&path, "the weather\n\nlovely\n").expect("a file");
    let (printed, _) = succeed(folder.path(), &["--file", path.to_str().expect("a path"), "--method", "stitched"]);
    assert_eq!(printed.lines().count(), 2);
}

#[test]
fn a_text_that_is_cut_off_is_noted() {
    let folder = small_model();
    let (_, errors) = succeed(folder.path(), &["the weather is lovely today", "--max-tokens", "6"]);
    assert_eq!(errors, "note: text 1 is longer than 6 tokens; its last 2 are left out\n");
}

/// Runs the program when nobody reads what it prints.
fn unread(model: &Path, arguments: &[&str]) {
    ends_quietly_unread(Command::new(env!("CARGO_BIN_EXE_embed")).arg("--model").arg(model).args(arguments));
}

#[test]
fn a_closed_pipe_ends_it_quietly_and_leaves_the_file_whole() {
    let folder = small_model();
    let json = folder.path().join("unread.json");
    unread(folder.path(), &["--help"]);
    unread(folder.path(), &["lovely"]);
    unread(folder.path(), &["lovely", "--json", json.to_str().expect("a path")]);
    let document: Value = serde_json::from_str(&std::fs::read_to_string(json).expect("a file")).expect("JSON");
    assert_eq!(document["texts"][0]["text"], "lovely");
}

#[test]
fn outputs_are_checked_first_and_never_are_inputs() {
    let folder = small_model();
    let folder = folder.path();
    let texts = folder.join("texts.txt");
    std::fs::write(&texts, "lovely").expect("a file");
    let path = |name: &str| folder.join(name).to_str().expect("a path").to_owned();
    let file = ["--file", &path("texts.txt")];
    assert!(fail(folder, &[&file[..], &["--json", &path("texts.txt")]].concat()).contains("--file reads"));
    assert!(fail(folder, &["lovely", "--json", &path("model.safetensors")]).contains("--model reads"));
    assert!(fail(folder, &["lovely", "--json", &path("none/of.json")]).contains("there is no folder"));
    assert!(fail(folder, &["lovely", "--json", &path("")]).contains("it is a folder"));
    assert_eq!(std::fs::read_to_string(texts).expect("a file"), "lovely");
}

#[test]
fn what_cannot_be_is_said() {
    let folder = small_model();
    let folder = folder.path();
    assert!(fail(folder, &["lovely", ""]).contains("text 2 is empty"));
    assert!(fail(folder, &[]).contains("there is no text"));
    assert!(fail(folder, &["--file", "no such file"]).contains("no such file"));
    assert!(fail(folder, &["lovely", "--method", "exact,stitched"]).contains("--compare"));
    assert!(fail(folder, &["lovely", "--clusters", "0", "--method", "stitched"]).contains("clusters"));
    assert!(fail(folder, &["lovely", "--max-tokens", "99"]).contains("3 to 40"));
    assert!(fail(&folder.join("none"), &["lovely"]).contains("config.json"));
    if !cfg!(feature = "wgpu") {
        assert!(fail(folder, &["lovely", "--backend", "wgpu"]).contains("--features wgpu"));
    }
}
