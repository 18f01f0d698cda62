//! The layers of ARCHITECTURE.md, read off the sources: what each part of the library may import, and that there are no circles.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The library's parts from the lowest on; a part imports only from those before it.
const ORDER: [&str; 19] = [
    "clock",
    "error",
    "named",
    "background",
    "parallel",
    "problem",
    "random",
    "limits",
    "stages",
    "trace",
    "plan",
    "cpu",
    "gpu",
    "attention",
    "accuracy",
    "for_error",
    "framework",
    "burn",
    "candle",
];

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every file of a part: `NAME.rs`, or all below the folder `NAME`, without those of tests.
fn files(part: &str) -> Vec<PathBuf> {
    fn add(path: &Path, list: &mut Vec<PathBuf>) {
        if path.is_dir() {
            let entries = path.read_dir().expect("a readable folder").map(|entry| entry.expect("an entry").path());
            entries.filter(|path| !path.ends_with("tests")).for_each(|path| add(&path, list));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            list.push(path.to_path_buf());
        }
    }
    let mut list = Vec::new();
    let (file, folder) = (sources().join(part).with_extension("rs"), sources().join(part));
    add(if file.is_file() { &file } else { &folder }, &mut list);
    list
}

/// A file's code: no comments, and nothing behind its test module.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("a readable source");
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let text = text.split("#[cfg(test)]\npub(crate) mod tests").next().unwrap_or_default();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect()
}

/// The names behind each `crate::` of a text, those in braces one by one.
fn imported(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for rest in text.split("crate::").skip(1) {
        let name = |text: &str| -> String { text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect() };
        match rest.strip_prefix('{') {
            None => drop(names.insert(name(rest))),
            Some(list) => {
                let mut depth = 0;
                let mut item = String::new();
                for c in list.chars() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => drop(names.insert(name(std::mem::take(&mut item).trim()))),
                        _ if depth == 0 => item.push(c),
                        _ => {}
                    }
                }
                names.insert(name(item.trim()));
            }
        }
    }
    names.remove("");
    names
}

/// Which part each of the crate's own names at its root comes from.
fn root_names() -> BTreeMap<String, String> {
    let text = code(&sources().join("lib.rs"));
    let mut names: BTreeMap<String, String> = ORDER.iter().map(|part| (part.to_string(), part.to_string())).collect();
    for line in text.split("pub use ").skip(1) {
        let line = line.split(';').next().unwrap_or_default();
        if let Some((part, items)) = line.split_once("::") {
            for item in items.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|item| !item.is_empty()) {
                names.insert(item.to_string(), part.trim().to_string());
            }
        }
    }
    names
}

#[test]
fn parts_import_only_from_lower_ones() {
    let names = root_names();
    assert_eq!(names["Plan"], "plan");
    let mut arrows = 0;
    for (place, part) in ORDER.iter().enumerate() {
        let files = files(part);
        assert!(!files.is_empty(), "there is no `{part}`");
        for file in files {
            for name in imported(&code(&file)) {
                let Some(other) = names.get(&name) else { continue };
                let other_place = ORDER.iter().position(|known| known == other).expect("a part");
                assert!(other_place <= place, "{} imports {name} of `{other}`", file.display());
                // The two back ends know nothing of each other, nor do the modules for tensors of other libraries.
                assert!((*part, other.as_str()) != ("gpu", "cpu"), "{} imports {name}", file.display());
                assert!((*part, other.as_str()) != ("candle", "burn"), "{} imports {name}", file.display());
                arrows += usize::from(other_place < place);
            }
        }
    }
    assert!(arrows > 50, "only {arrows} imports were read");
    let top: BTreeSet<String> = sources()
        .read_dir()
        .expect("src")
        .map(|entry| entry.expect("an entry").path().file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    let known: BTreeSet<String> = ORDER.iter().map(|part| part.to_string()).chain(["lib".to_string()]).collect();
    assert_eq!(top, known, "every part has its place in the order");
}

#[test]
fn stages_and_plans_hold_no_code_of_kernels() {
    for part in ["problem", "limits", "stages", "plan"] {
        for file in files(part) {
            let text = code(&file);
            for word in ["include_str!", "ShaderModule", "ComputePipeline", "CommandEncoder", "rayon", "pulp"] {
                // The search for NaN and the largest element of inputs uses vectors.
                let allowed = word == "pulp" && file.ends_with("problem/magnitude.rs");
                assert!(allowed || !text.contains(word), "{} has `{word}`", file.display());
            }
        }
    }
}

/// Files of a folder of a part that import each other, in a circle; a folder's `mod.rs`, which names all of them, aside.
#[test]
fn there_are_no_circles_among_the_files_of_a_part() {
    for part in ["problem", "stages", "plan", "cpu", "gpu", "for_error", "burn", "candle"] {
        let files = files(part);
        let stem = |path: &PathBuf| path.file_stem().expect("a name").to_string_lossy().into_owned();
        let imports: BTreeMap<String, BTreeSet<String>> = files
            .iter()
            .filter(|path| stem(path) != "mod")
            .map(|path| {
                let text = code(path).replace("super::", "crate::");
                (stem(path), imported(&text))
            })
            .collect();
        // Takes away what imports nothing that is left, until nothing is.
        let mut left: BTreeSet<String> = imports.keys().cloned().collect();
        while let Some(free) =
            left.iter().find(|name| imports[*name].iter().all(|other| other == *name || !left.contains(other)))
        {
            let free = free.clone();
            left.remove(&free);
        }
        assert!(left.is_empty(), "a circle in `{part}`: {left:?}");
    }
}
