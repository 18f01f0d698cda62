//! Kernels as files.

use super::{fail, scratch_file, succeed};
use std::collections::BTreeSet;
use std::path::Path;

/// Files of an empty folder that the example wrote kernels into, and what it printed.
fn written(name: &str, arguments: &[&str]) -> (BTreeSet<String>, String) {
    let folder = scratch_file(name);
    let _ = std::fs::remove_dir_all(&folder);
    // The folder above it is made too.
    let inner = Path::new(&folder).join("kernels");
    let printed =
        succeed(&[&["--backend", "cpu", "--write-kernels", inner.to_str().expect("text")], arguments].concat());
    let entries = inner.read_dir().expect("the folder is there").map(|entry| entry.expect("an entry"));
    let names = entries.map(|entry| {
        let name = entry.file_name().into_string().expect("text");
        let source = std::fs::read_to_string(entry.path()).expect("the file is text");
        let module = naga::front::wgsl::parse_str(&source).unwrap_or_else(|error| panic!("{name}: {error}"));
        let kernel = name.split('.').next().expect("a name");
        assert!(module.entry_points.iter().any(|entry| entry.name == kernel), "{name} has no such entry point");
        assert!(printed.contains(&name), "{name} is not told: {printed}");
        name
    });
    (names.collect(), printed)
}

fn names(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|name| format!("{name}.wgsl")).collect()
}

#[test]
fn each_method_writes_the_kernels_that_it_runs() {
    let run = |name, method, more: &[&str]| {
        let common = ["--length", "300", "--heads", "1", "--width", "8", "--clusters", "5", "--method", method];
        written(name, &[&common, more].concat()).0
    };
    assert_eq!(run("kernels_exact", "exact", &[]), names(&["exact_attention"]));
    let hashed = ["hash_codes", "initial_centroids", "hamming_assign", "update_code"];
    let shared = ["group_members", "member_means", "centroid_logits", "top_k"];
    let remainder = ["partial_remainder", "combine_remainder", "refine_top_k"];
    assert_eq!(run("kernels_improved", "improved", &[]), names(&[&shared[..], &hashed, &remainder].concat()));
    let metric = ["covariance", "sample_means", "metric_assign"];
    let groups = ["partial_groups", "combine_groups", "refine_top_k", "group_window"];
    let stitched = [&shared[..], &metric, &groups].concat();
    assert_eq!(run("kernels_stitched", "stitched", &[]), names(&stitched));
    let guard = [&stitched[..], &["guard_rows", "guard_attention", "guard_compare", "exact_attention"]].concat();
    assert_eq!(run("kernels_guard", "stitched", &["--guard", "recompute"]), names(&guard));
    // The mean of all queries, which codes are centred by, is of several parts.
    let centring = ["partial_means", "combine_means", "stitch_window", "stitch_lost_rows"];
    let ungrouped = [&shared[..], &metric[2..], &hashed, &remainder, &centring].concat();
    let options = ["--key-groups", "0", "--space", "hamming"];
    assert_eq!(run("kernels_ungrouped", "stitched", &options), names(&ungrouped));
}

#[test]
fn variants_are_told_apart_by_their_constants() {
    let arguments = ["--length", "300", "--heads", "1", "--width", "8", "--method", "window,exact,improved,stitched"];
    let (files, printed) = written("kernels_variants", &arguments);
    assert!(printed.contains("Kernels for a GPU with WebGPU's default limits"), "{printed}");
    for file in
        ["exact_attention.HIDES=0", "exact_attention.HIDES=1", "refine_top_k.GROUPS=0", "refine_top_k.GROUPS=16"]
    {
        assert!(files.contains(&format!("{file}.wgsl")), "{file} is missing: {files:?}");
    }
    assert_eq!(written("kernels_variants_again", &arguments).0, files);
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error() {
    let file = scratch_file("no_folder");
    std::fs::write(&file, "").expect("the file can be written");
    let common = ["--backend", "cpu", "--length", "50", "--heads", "1", "--method", "exact"];
    let message = fail(&[&common[..], &["--write-kernels", &file]].concat(), 1);
    assert!(message.contains(&format!("cannot make the folder {file}")), "{message}");
    assert!(fail(&["--write-kernels", "kernels", "--error", "0.1"], 2).contains("cannot be used with"));
}
