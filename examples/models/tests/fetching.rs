//! The program that fetches, from outside.

use clustered_attention_models::testing::ends_quietly_unread;
use std::process::Command;

#[test]
fn a_closed_pipe_ends_it_quietly() {
    ends_quietly_unread(Command::new(env!("CARGO_BIN_EXE_clustered-attention-models")).arg("--help"));
}

#[test]
fn what_is_no_asset_is_said() {
    let output = Command::new(env!("CARGO_BIN_EXE_clustered-attention-models")).arg("gpt").output();
    let output = output.expect("the program starts");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no asset \"gpt\""));
}
