//! The program from outside: what it prints, and how it fails.

mod common;

use clustered_attention_models::assets::FOLDER_VARIABLE;
use clustered_attention_models::testing::{ends_quietly_unread, fetched};
use clustered_attention_models::Asset;
use common::files::{file, wave, PLAIN};
use std::process::{Command, Output};

fn whisper(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_whisper"));
    command.args(arguments);
    command
}

fn text(output: &Output) -> (String, String) {
    (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn fails(command: &mut Command, with: &str) {
    let output = command.output().expect("the program");
    let (_, errors) = text(&output);
    assert!(!output.status.success(), "it succeeded");
    assert!(errors.contains(with), "{errors:?} does not tell {with:?}");
    assert!(!errors.contains("panicked"), "{errors}");
}

#[test]
fn without_a_model_the_command_that_fetches_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let clip = wave(folder.path(), "clip.wav", PLAIN, &PLAIN.integers([1_000, -1_000].repeat(8_000)));
    let mut command = whisper(&[clip.to_str().unwrap()]);
    fails(command.env(FOLDER_VARIABLE, folder.path()), "cargo xtask models");
    fails(whisper(&["--compare"]).env(FOLDER_VARIABLE, folder.path()), "cargo xtask models");
    fails(
        &mut whisper(&[clip.to_str().unwrap(), "--model", folder.path().to_str().unwrap()]),
        "no folder of a Whisper model",
    );
}

#[test]
fn bad_files_and_options_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = file(folder.path(), "text.wav", b"This is not sound at all.");
    fails(&mut whisper(&[text.to_str().unwrap()]), "text.wav is not a whole WAV file");
    fails(&mut whisper(&["nothing.wav"]), "cannot read nothing.wav");
    fails(&mut whisper(&["a.wav", "b.wav", "--transcript", "a.txt"]), "there are 1 transcripts for 2 files");
    fails(&mut whisper(&["--compare", "a.wav"]), "cannot be used with");
    fails(&mut whisper(&["--method", "fastest"]), "invalid value");
    if !cfg!(feature = "wgpu") {
        let clip = wave(folder.path(), "clip.wav", PLAIN, &PLAIN.integers([1_000, -1_000].repeat(8_000)));
        fails(&mut whisper(&[clip.to_str().unwrap(), "--backend", "wgpu"]), "--features wgpu");
    }
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    ends_quietly_unread(&mut whisper(&["--help"]));
}

#[test]
fn outputs_are_checked_first_and_never_are_inputs() {
    let folder = tempfile::tempdir().unwrap();
    let clip = wave(folder.path(), "clip.wav", PLAIN, &PLAIN.integers([1_000, -1_000].repeat(8_000)));
    let said = file(folder.path(), "said.txt", b"nothing");
    let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let (clip, said, absent) = (path(&clip), path(&said), path(&folder.path().join("none/of.json")));
    let before = std::fs::read(&clip).unwrap();
    fails(&mut whisper(&[&clip, "--json", &clip]), "which FILES reads");
    fails(&mut whisper(&[&clip, "--transcript", &said, "--json", &said]), "which --transcript reads");
    fails(&mut whisper(&[&clip, "--json", &absent]), "there is no folder");
    assert_eq!(std::fs::read(&clip).unwrap(), before);
}

#[test]
fn a_file_with_its_transcript_by_two_methods_and_silence() {
    if !fetched(&[Asset::WHISPER, Asset::SPEECH_CLIPS]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let card = Asset::SPEECH_CLIPS.path("cards/003.wav").unwrap();
    let silence = wave(folder.path(), "silence.wav", PLAIN, &[0; 32_000]);
    let broken = file(folder.path(), "broken.wav", b"RIFF");
    let (said, nothing) = (file(folder.path(), "said.txt", b"seven of clubs"), file(folder.path(), "nothing.txt", b""));
    let results = folder.path().join("results.json");
    let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let output = whisper(&["--method", "stitched,exact", "--json", &path(&results)])
        .args([&path(&card), &path(&silence), &path(&broken)])
        .args(["--transcript", &path(&said), "--transcript", &path(&nothing), "--transcript", &path(&nothing)])
        .output()
        .unwrap();
    let (printed, errors) = text(&output);
    // The broken file is told and the others are transcribed all the same.
    assert!(!output.status.success() && errors.contains("broken.wav is not a whole WAV file"), "{errors}");
    assert!(printed.contains("7 of clubs"), "{printed}");
    assert!(printed.contains("exact: 0 of 3 words wrong"), "{printed}");
    assert!(printed.contains("stitched: 0 of 3 words wrong") && printed.contains("(silence:"), "{printed}");
    let results: serde_json::Value = serde_json::from_slice(&std::fs::read(&results).unwrap()).unwrap();
    let transcripts = results["transcripts"].as_array().unwrap();
    assert_eq!(transcripts.len(), 4);
    assert_eq!(transcripts[0]["method"]["method"], "exact");
    assert_eq!(transcripts[1]["method"]["clusters"], 25);
    assert_eq!((&transcripts[1]["errors"], &transcripts[1]["words"]), (&0.into(), &3.into()));
    assert!(transcripts[0]["attention_seconds"].as_f64().unwrap() > 0.0);
    assert_eq!(transcripts[2]["silent"], true);
}
