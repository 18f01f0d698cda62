//! The program as it is called.

#[cfg(unix)]
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut help = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let child = help.arg("help").stdout(writer).stderr(Stdio::piped()).spawn().expect("the program starts");
    let output = child.wait_with_output().expect("it ends");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{}: {errors}", output.status);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let full = std::fs::File::options().write(true).open("/dev/full").expect("the device");
    let output = Command::new(env!("CARGO_BIN_EXE_xtask")).stdout(full).output().expect("the program starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.starts_with("error: cannot write to standard output: No space left"), "{errors}");
}

/// A step builds this program anew, as the tests do; the next one has Cargo start it in the compiler's place.
#[cfg(unix)]
#[test]
fn a_program_that_is_built_anew_is_still_found() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("built-anew");
    // What an earlier run left.
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    let (program, cargo) = (folder.join("xtask"), folder.join("cargo"));
    std::fs::copy(env!("CARGO_BIN_EXE_xtask"), &program).expect("a copy");
    // Takes Cargo's place: replaces the program and looks for the one that it is to start.
    let script = format!(
        "#!/bin/sh\nset -e\ncp '{0}' '{0}.new'\nmv '{0}.new' '{0}'\ntest -x \"$RUSTC_WORKSPACE_WRAPPER\"\n",
        program.display()
    );
    std::fs::write(&cargo, script).expect("a script");
    std::fs::set_permissions(&cargo, std::fs::Permissions::from_mode(0o755)).expect("it can be started");
    let mut features = Command::new(&program);
    let output =
        features.args(["test", "--only", "features"]).env("CARGO", cargo).output().expect("the program starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.matches("$ cargo check").count() > 1, "{said}");
}
