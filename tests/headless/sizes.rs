//! Sizes beyond memory, and what is said of the machine.

use super::{fail, program, scratch_file};
use std::process::Command;

#[test]
fn sizes_beyond_memory_are_refused_before_it_is_taken() {
    for sizes in [
        &["--length", "268435456"][..],
        &["--length", "1048576", "--heads", "65536"],
        &["--length", "70368744177663", "--heads", "1", "--width", "1", "--method", "exact"],
        &["--length", "18446744073709551615"],
        &["--length", "64", "--heads", "18446744073709551615"],
    ] {
        let message = fail(&[&["--backend", "cpu"], sizes].concat(), 1);
        let says = ["not enough memory", "must be from 1 to", "elements"];
        assert!(says.iter().any(|text| message.contains(text)), "{sizes:?}: {message}");
    }
    // Whatever time is granted.
    let long = ["bench", "--backend", "cpu", "--seconds-limit", "1e30", "--length", "268435456", "--method", "exact"];
    let message = fail(&long, 1);
    assert!(message.contains("nothing was measured: there is not enough memory"), "{message}");
    assert!(fail(&["--repeat", "18446744073709551615"], 2).contains("at most"));
    assert!(fail(&["bench", "--repeat", "18446744073709551615"], 2).contains("at most"));
}

#[test]
fn files_beyond_memory_are_refused_before_they_are_read() {
    let path = scratch_file("sparse.safetensors");
    let file = std::fs::File::create(&path).expect("a file");
    // Where the file system has no holes, there is nothing to see.
    if file.set_len(1 << 42).is_ok() {
        let message = fail(&["--backend", "cpu", "--input", &path], 1);
        assert!(message.contains("not enough memory") && message.contains(&path), "{message}");
    }
    std::fs::remove_file(&path).expect("the file can be removed");
    if cfg!(target_os = "linux") {
        assert!(fail(&["--backend", "cpu", "--input", "/dev/zero"], 1).contains("not a safetensors file"));
    }
}

/// What a run says under a limit of its address space in KiB, and how it ends.
#[cfg(target_os = "linux")]
fn limited(kibibytes: u32, arguments: &[&str]) -> (Option<i32>, String) {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("ulimit -v {kibibytes} && exec \"$0\" \"$@\"")).arg(program()).args(arguments);
    let output = shell.output().expect("a shell");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[cfg(target_os = "linux")]
#[test]
fn a_limit_of_the_process_counts_as_its_memory() {
    let (code, errors) = limited(900_000, &["--backend", "cpu", "--length", "100000", "--method", "clustered"]);
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("there is not enough memory: 8 heads, 100000 positions, width 64 takes"), "{errors}");
    // Software drivers end a process for which this is too little.
    let small = ["--length", "64", "--heads", "1", "--repeat", "1", "--method", "exact"];
    let (code, errors) = limited(900_000, &[&["--backend", "gpu"], &small[..]].concat());
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("GPU drivers take 1.5 GiB of address space"), "{errors}");
    let (code, errors) = limited(900_000, &small);
    assert_eq!(code, Some(0), "{errors}");
}

#[test]
fn as_many_threads_are_told_as_compute() {
    for (threads, said) in [("1", "the CPU, 1 thread\n"), ("3", "the CPU, 3 threads\n")] {
        let mut command = Command::new(program());
        command.args(["--backend", "cpu", "--length", "64", "--heads", "1", "--repeat", "1"]);
        let output = command.env("RAYON_NUM_THREADS", threads).output().expect("the example starts");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(printed.contains(said), "{printed}");
    }
}
