//! Results in files and in what is printed, when a reader goes away, a disk is full, or a name is one that must not be written.

use super::{fail, headless, program, scratch_file, succeed, write_tensors};
use safetensors::Dtype;
use std::path::Path;
use std::process::{Command, Stdio};

const SMALL: [&str; 10] = ["--backend", "cpu", "--length", "64", "--heads", "1", "--repeat", "1", "--method", "exact"];

/// Runs the example when nobody reads what it prints: it ends quietly.
fn unread(arguments: &[&str]) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let child = Command::new(program()).args(arguments).stdout(writer).stderr(Stdio::piped()).spawn();
    let output = child.expect("the example starts").wait_with_output().expect("it ends");
    let errors = String::from_utf8_lossy(&output.stderr);
    // A driver may have something to say.
    let is_quiet = !errors.contains("error") && !errors.contains("panicked");
    assert!(output.status.success() && is_quiet, "{arguments:?}: {}: {errors}", output.status);
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    unread(&["--help"]);
    unread(&["bench", "--help"]);
    unread(&["--list-adapters"]);
    unread(&SMALL);
    unread(&[&["bench"], &SMALL[..]].concat());
}

#[test]
fn files_are_whole_when_nobody_reads_what_is_printed() {
    let (json, html) = (scratch_file("unread.json"), scratch_file("unread.html"));
    for command in [&["--json", &json][..], &["bench", "--json", &json, "--html", &html]] {
        for file in [&json, &html] {
            let _ = std::fs::remove_file(file);
        }
        let (subcommand, files) = command.split_at(command.iter().take_while(|word| **word == "bench").count());
        unread(&[subcommand, &SMALL, files].concat());
        let text = std::fs::read_to_string(&json).expect("the file was written");
        let document: serde_json::Value = serde_json::from_str(&text).expect("the file is whole");
        assert_eq!(document["runs"].as_array().map(Vec::len), Some(1));
    }
    assert!(std::fs::read_to_string(&html).expect("the file was written").trim_end().ends_with("</html>"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    for arguments in [&SMALL[..], &["--list-adapters"], &["--help"], &["--version"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").expect("the device");
        let output = Command::new(program()).args(arguments).stdout(full).output().expect("the example starts");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {errors}");
        assert!(errors.starts_with("error: cannot write to standard output: No space left"), "{arguments:?}: {errors}");
    }
    let unwritable = fail(&[&SMALL[..], &["--json", "/dev/full"]].concat(), 1);
    assert!(unwritable.contains("cannot write /dev/full: No space left"), "{unwritable}");
    // Nor does it matter that the message cannot be written.
    let full = std::fs::File::options().write(true).open("/dev/full").expect("the device");
    let status = Command::new(program()).args(["--input", "none"]).stderr(full).status().expect("the example starts");
    assert_eq!(status.code(), Some(1));
}

#[test]
fn outputs_are_checked_before_anything_is_measured() {
    // So long that a run that began would not end before the test is given up.
    let long = ["--backend", "cpu", "--length", "60000", "--heads", "8", "--method", "exact"];
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).to_str().expect("a path in Unicode");
    let absent = scratch_file("not_there.json");
    let _ = std::fs::remove_file(&absent);
    for (subcommand, options) in [(&[][..], &["--json", "--pipeline-cache"]), (&["bench"], &["--json", "--html"])] {
        let refuse = |files: &[&str]| fail(&[subcommand, &long, files].concat(), 1);
        for option in options {
            assert!(refuse(&[option, folder]).contains("it is a folder"));
            assert!(refuse(&[option, &scratch_file("no/such/file")]).contains("there is no folder"));
        }
        let twice = refuse(&[options[0], &absent, options[1], &scratch_file("../tmp/not_there.json")]);
        assert!(twice.contains(options[0]) && twice.contains(options[1]) && twice.contains("same file"), "{twice}");
    }
    assert!(!Path::new(&absent).exists(), "a check leaves nothing");
}

#[test]
fn an_output_that_is_the_input_is_refused_by_any_name() {
    let square: &[usize] = &[1, 20, 4];
    let name = "kept.safetensors";
    let input = write_tensors(name, Dtype::F32, &[("q", square), ("k", square), ("v", square)]);
    let before = std::fs::read(&input).expect("the file");
    let mut names = vec![input.clone(), scratch_file(&format!("./{name}"))];
    #[cfg(unix)]
    for (link, make) in [
        (
            "link.safetensors",
            (|from, to| std::os::unix::fs::symlink(from, to)) as fn(&str, &str) -> std::io::Result<()>,
        ),
        ("hard_link.safetensors", |from, to| std::fs::hard_link(from, to)),
    ] {
        let link = scratch_file(link);
        let _ = std::fs::remove_file(&link);
        make(&input, &link).expect("a link");
        names.push(link);
    }
    for output in &names {
        for option in ["--json", "--pipeline-cache"] {
            let refused = fail(&["--backend", "cpu", "--input", &input, option, output], 1);
            assert!(refused.contains("--input reads") && refused.contains(option), "{refused}");
        }
    }
    assert_eq!(std::fs::read(&input).expect("the file"), before);
    // Another file beside it is no matter.
    succeed(&["--backend", "cpu", "--input", &input, "--repeat", "1", "--json", &scratch_file("beside.json")]);
}

#[test]
fn the_layer_that_ships_is_no_output() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/speech_layer1.safetensors");
    let before = std::fs::read(shipped).expect("the file");
    let output = headless(&["--backend", "cpu", "--json", shipped]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(std::fs::read(shipped).expect("the file"), before);
}
