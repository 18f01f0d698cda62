//! Drivers that end the process which asks them, or never answer.
#![cfg(target_os = "linux")]

use super::{program, scratch_file};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The manifest of a Vulkan driver that breaks whatever makes an instance.
fn manifest() -> &'static str {
    static MANIFEST: OnceLock<String> = OnceLock::new();
    MANIFEST.get_or_init(|| {
        let library = scratch_file("libbroken_driver.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/headless/driver/broken.rs");
        let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let mut rustc = Command::new(compiler);
        rustc.args(["--edition", "2021", "--crate-type", "cdylib", "--crate-name", "broken_driver", "-o", &library]);
        assert!(rustc.arg(source).status().expect("rustc starts").success());
        let path = scratch_file("broken_driver.json");
        let driver = serde_json::json!({ "library_path": library, "api_version": "1.3.0" });
        let text = serde_json::json!({ "file_format_version": "1.0.0", "ICD": driver }).to_string();
        std::fs::write(&path, text).expect("the manifest can be written");
        path
    })
}

/// The example where that driver is the only one for Vulkan.
fn headless(arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    for variable in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"] {
        command.env(variable, manifest());
    }
    command.env_remove("VK_ADD_DRIVER_FILES").env_remove("WGPU_BACKEND").args(arguments);
    command
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Whether the driver is reached; on a machine without Vulkan's loader, which only one that is known to have no adapter may be, it is not.
fn is_reached() -> bool {
    let reached = headless(&["--list-adapters"]).output().expect("the example starts").status.code().is_none();
    assert!(reached || std::env::var_os("CLUSTERED_ATTENTION_NO_ADAPTER").is_some(), "Vulkan's loader is missing");
    if !reached {
        eprintln!("LEFT OUT: without Vulkan's loader no driver can break a process");
    }
    reached
}

const SMALL: [&str; 8] = ["--length", "64", "--heads", "1", "--repeat", "1", "--method", "exact"];

#[test]
fn the_cpu_computes_whatever_the_drivers_are() {
    for command in [&["--backend", "cpu"][..], &["bench", "--backend", "cpu"]] {
        let output = headless(&[command, &SMALL].concat()).output().expect("the example starts");
        assert!(output.status.success(), "{command:?}: {}", text(&output));
    }
}

#[test]
fn a_probe_survives_a_driver_that_ends_its_process() {
    if !is_reached() {
        return;
    }
    let run = |arguments: &[&str]| headless(&[arguments, &SMALL].concat()).output().expect("the example starts");
    let auto = run(&["--probe"]);
    assert!(auto.status.success(), "{}", text(&auto));
    for said in ["a driver ended the process that asked it (signal: 6", "the CPU, ", "since the drivers fail"] {
        assert!(text(&auto).contains(said), "{said} is missing: {}", text(&auto));
    }
    let bench = run(&["bench", "--probe"]);
    assert!(bench.status.success() && text(&bench).contains("the CPU alone is measured"), "{}", text(&bench));
    for asked in [&["--backend", "gpu"][..], &["--adapter", "vulkan"], &["bench", "--backend", "gpu"]] {
        let output = run(&[asked, &["--probe"]].concat());
        assert_eq!(output.status.code(), Some(1), "{asked:?}: {}", text(&output));
        assert!(text(&output).contains("a driver ended the process"), "{asked:?}: {}", text(&output));
    }
    let list = headless(&["--list-adapters", "--probe"]).output().expect("the example starts");
    assert_eq!(list.status.code(), Some(1), "{}", text(&list));
}

#[test]
fn a_probe_does_not_wait_for_ever() {
    if !is_reached() {
        return;
    }
    let mut command = headless(&["--probe=1"]);
    let output = command.args(SMALL).env("BROKEN_DRIVER", "hangs").output().expect("the example starts");
    assert!(output.status.success() && text(&output).contains("no answer of the drivers in 1 s"), "{}", text(&output));
}

/// Another API's driver is whole.
#[test]
fn the_variable_of_wgpu_keeps_a_broken_driver_out() {
    if std::env::var_os("CLUSTERED_ATTENTION_NO_ADAPTER").is_some() {
        return;
    }
    // Where there is no OpenGL either, that is said; the process is not ended by Vulkan's driver.
    let mut command = headless(&["--adapter", "gl"]);
    let output = command.args(SMALL).env("WGPU_BACKEND", "gl").output().expect("the example starts");
    let is_absent = output.status.code() == Some(1) && text(&output).contains("no adapter");
    assert!(output.status.success() || is_absent, "{}: {}", output.status, text(&output));
}

/// Mesa's `softpipe` names itself a GPU of unknown kind, which ranks before software, and cannot be opened.
#[test]
fn an_adapter_that_does_not_open_is_not_the_last_word() {
    if std::env::var_os("CLUSTERED_ATTENTION_NO_ADAPTER").is_some() {
        return;
    }
    let run = |arguments: &[&str]| {
        let mut command = Command::new(program());
        command.env("GALLIUM_DRIVER", "softpipe").env_remove("WGPU_BACKEND").args(arguments);
        command.output().expect("the example starts")
    };
    let list = text(&run(&["--list-adapters"]));
    if !list.contains("softpipe") || !list.contains("vulkan") {
        eprintln!("LEFT OUT: needs Mesa's softpipe and a Vulkan driver; there are: {list}");
        return;
    }
    let gpu = run(&[&["--backend", "gpu"], &SMALL[..]].concat());
    assert!(gpu.status.success() && text(&gpu).contains("(vulkan,"), "{}", text(&gpu));
    // Where nothing that fits opens, every attempt is told with its reason.
    let only = run(&[&["--adapter", "softpipe"], &SMALL[..]].concat());
    let said = text(&only);
    assert!(only.status.code() == Some(1) && said.contains("could be opened; tried: softpipe"), "{said}");
}
