//! The program that fetches, from outside.

use std::process::{Command, Stdio};

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut help = Command::new(env!("CARGO_BIN_EXE_clustered-attention-models"));
    let child = help.arg("--help").stdout(writer).stderr(Stdio::piped()).spawn().expect("the program starts");
    let output = child.wait_with_output().expect("it ends");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{}: {errors}", output.status);
}

#[test]
fn what_is_no_asset_is_said() {
    let output = Command::new(env!("CARGO_BIN_EXE_clustered-attention-models")).arg("gpt").output();
    let output = output.expect("the program starts");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no asset \"gpt\""));
}
