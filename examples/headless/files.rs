//! Where results go: checked before the work, so that none is lost for a name. Shared by the programs that write files.

use anyhow::{bail, Context, Result};
use same_file::Handle;
use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A file by the option that names it.
pub type Named<'a> = (&'a str, &'a Path);

/// Checks that each output can be written, and that none is an input or another output by whatever name: links count. An input that is a
/// folder stands for the files in it. What was not there before is not there afterwards.
///
/// # Errors
/// The first output of which that is not so, with the reason.
pub fn check_outputs(outputs: &[Named], inputs: &[Named]) -> Result<()> {
    let mut created = Created(Vec::new());
    let mut seen: Vec<(&str, Handle)> = Vec::new();
    for &(option, path) in outputs {
        let before = created.0.len();
        let Some(handle) = open(path, &mut created).with_context(|| format!("cannot write {}", path.display()))? else {
            continue;
        };
        // What was created just now is nobody's input, though it lies in a folder that is one.
        let was_there = created.0.len() == before;
        if let Some((input, _)) = inputs.iter().find(|(_, input)| was_there && holds(input, &handle)) {
            bail!("{option} would write over {}, which {input} reads", path.display());
        }
        if let Some((other, _)) = seen.iter().find(|(_, other)| *other == handle) {
            bail!("{option} and {other} name the same file, {}; each needs its own", path.display());
        }
        seen.push((option, handle));
    }
    Ok(())
}

/// Writes a file as a whole.
///
/// # Errors
/// It cannot be written.
pub fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Opens a file for writing without a change to it, and creates one that is not there; `None` for pipes and devices.
fn open(path: &Path, created: &mut Created) -> Result<Option<Handle>> {
    let is_new = match fs::metadata(path) {
        Ok(found) if found.is_dir() => bail!("it is a folder"),
        Ok(found) if !found.is_file() => return Ok(None),
        Ok(_) => false,
        Err(error) if error.kind() == ErrorKind::NotFound => true,
        Err(error) => return Err(error.into()),
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if is_new && !folder.is_dir() {
        bail!("there is no folder {}", folder.display());
    }
    let file = OpenOptions::new().append(true).create(is_new).open(path)?;
    if is_new {
        // Of a link into nowhere, the file is what was created.
        created.0.push(fs::canonicalize(path)?);
    }
    Ok(Some(Handle::from_file(file)?))
}

/// Whether an input is a file, or a folder with it.
fn holds(input: &Path, file: &Handle) -> bool {
    let is_file = |path: &Path| Handle::from_path(path).is_ok_and(|input| input == *file);
    match input.read_dir() {
        Ok(entries) => entries.flatten().any(|entry| is_file(&entry.path())),
        // A pipe is not opened a second time.
        Err(_) => input.is_file() && is_file(input),
    }
}

/// Files that are removed when the check is over.
struct Created(Vec<PathBuf>);

impl Drop for Created {
    fn drop(&mut self) {
        for path in &self.0 {
            // An empty file that stays does no harm.
            let _ = fs::remove_file(path);
        }
    }
}
