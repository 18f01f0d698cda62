//! The program, from outside.

use candle_core::{safetensors, Device, Tensor};
use clustered_attention_models::testing::ends_quietly_unread;
use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Output};

fn program(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_candle")).args(arguments).output().expect("the program starts")
}

fn save(name: &str, names: &[&str], dimensions: &[usize]) -> String {
    let tensors: HashMap<&str, Tensor> = names
        .iter()
        .map(|&name| (name, Tensor::randn(0f32, 1.0, dimensions, &Device::Cpu).expect("a tensor")))
        .collect();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    safetensors::save(&tensors, &path).expect("a file");
    path.display().to_string()
}

#[test]
fn a_table_of_times_and_differences() {
    let file = save("candle_table.safetensors", &["q", "k", "v"], &[2, 3, 70, 16]);
    let output = program(&["--input", &file, "--clusters", "7", "--repeat", "1"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("[2, 3, 70, 16]"), "{text}");
    let cells = |name: &str| -> Vec<String> {
        let row = text.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("no row of {name}: {text}"));
        row.split(['│', '┆']).map(|cell| cell.trim().to_string()).filter(|cell| !cell.is_empty()).collect()
    };
    let error = |name: &str| -> f64 { cells(name).last().and_then(|cell| cell.parse().ok()).expect("a difference") };
    assert_eq!(error("candle:"), 0.0);
    assert!(error("exact") < 1e-5);
    let stitched = error("stitched, 7 clusters");
    assert!((1e-5..1.0).contains(&stitched), "{stitched}");
}

#[test]
fn files_that_do_not_serve() {
    let refused = |arguments: &[&str], texts: &[&str]| {
        let output = program(arguments);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{message}");
        assert!(!message.contains("panicked"), "{message}");
        for text in texts {
            assert!(message.contains(text), "`{message}` does not say `{text}`");
        }
    };
    refused(&["--input", "no such file"], &["no such file"]);
    refused(&["--input", &save("candle_two.safetensors", &["q", "k"], &[1, 1, 5, 4])], &["no tensor `v`"]);
    refused(&["--input", &save("candle_flat.safetensors", &["q", "k", "v"], &[5, 4])], &["`q` is [5, 4]"]);
    refused(&["--repeat", "0"], &["--repeat"]);
    refused(&["--clusters", "0"], &["`clusters` is 0"]);
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let file = save("candle_unread.safetensors", &["q", "k", "v"], &[1, 1, 9, 4]);
    let mut candle = Command::new(env!("CARGO_BIN_EXE_candle"));
    ends_quietly_unread(candle.args(["--input", &file, "--clusters", "2", "--repeat", "1"]));
}
