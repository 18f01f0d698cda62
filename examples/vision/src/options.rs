//! What can be asked on the command line.

use anyhow::bail;
use clap::Parser;
use clustered_attention::Method;
use clustered_attention_models::device::DeviceOptions;
use clustered_attention_models::method_options::at_least_one;
use clustered_attention_models::{files, terminal};
use clustered_attention_vision::Attention;
use std::path::PathBuf;

/// Features of a photograph by a vision transformer of DINOv2's architecture, with any method of attention in place of its own, nothing
/// retrained.
///
/// The model comes from `cargo xtask models`, and so does the photograph that is taken where none is named. Its shorter side is scaled to
/// `--pixels`, and a square cut from its middle: 1,036 pixels are 74 by 74 patches, which with the class token are 5,477 positions.
///
/// With `--compare`: how far every method's features are from those of exact attention, what it takes, and how many patches of a stereo pair are
/// found again in its other photograph, where the truth is known. What depends on a seed is averaged over `--seeds` of them.
#[derive(Debug, Parser)]
#[command(name = "vision", version)]
pub struct Options {
    /// Photograph, PNG or JPEG of any size
    pub photograph: Option<PathBuf>,
    /// Pixels of the square's side, a multiple of 14
    #[arg(long, value_name = "PIXELS", default_value_t = 1036)]
    pub pixels: usize,
    /// ONNX file of the model, instead of the one that was fetched
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// Method of attention: `exact`, or a method as text, such as `stitched:clusters=50` or `improved`; `image` is stitched attention around
    /// patches
    #[arg(long, value_name = "METHOD", default_value = "image", conflicts_with = "compare")]
    pub method: String,
    /// Clusters of each head, of all methods but one that `--method` spells out
    #[arg(long, value_name = "C", default_value_t = 25, value_parser = at_least_one)]
    pub clusters: usize,
    /// Key groups of stitched attention around patches
    #[arg(long, value_name = "G", default_value_t = 64)]
    pub key_groups: usize,
    /// Top keys of stitched attention around patches
    #[arg(long, value_name = "K", default_value_t = Attention::TOP_K)]
    pub top_k: usize,
    /// Rows and columns around a patch that are exact
    #[arg(long, value_name = "R", default_value_t = Attention::RADIUS)]
    pub radius: usize,
    /// Seed of the clustering [default: 0, or what `--method` says]
    #[arg(long)]
    pub seed: Option<u64>,
    /// Write the features to this file, as safetensors: `patches` and `class`
    #[arg(long, value_name = "FILE", conflicts_with = "compare")]
    pub features: Option<PathBuf>,
    /// Write a picture to this file, as PNG: the photograph, and its features' first three principal components as colours
    #[arg(long, value_name = "FILE")]
    pub picture: Option<PathBuf>,
    /// Compare all methods with exact attention
    #[arg(long)]
    pub compare: bool,
    /// Seeds that are averaged over, from `--seed` on
    #[arg(long, value_name = "COUNT", default_value_t = 1, requires = "compare", value_parser = at_least_one)]
    pub seeds: usize,
    /// Leave out the stereo pair
    #[arg(long, requires = "compare")]
    pub no_stereo: bool,
    /// Write the results to this file as JSON too
    #[arg(long, value_name = "FILE", requires = "compare")]
    pub json: Option<PathBuf>,
    #[command(flatten)]
    pub device: DeviceOptions,
}

impl Options {
    /// Checks that results can be written where they are to go, and that the work goes on for them when nobody reads what is printed.
    pub fn check_files(&self) -> anyhow::Result<()> {
        let all = [("--features", &self.features), ("--picture", &self.picture), ("--json", &self.json)];
        let outputs: Vec<files::Named> =
            all.iter().filter_map(|(name, path)| Some((*name, path.as_deref()?))).collect();
        let all = [("the photograph", &self.photograph), ("--model", &self.model)];
        let inputs: Vec<files::Named> = all.iter().filter_map(|(name, path)| Some((*name, path.as_deref()?))).collect();
        if !outputs.is_empty() {
            terminal::outlive_readers();
        }
        files::check_outputs(&outputs, &inputs)
    }

    /// Stitched attention around patches.
    pub fn image(&self) -> Attention {
        let stitched = Method::stitched(self.clusters).with_key_groups(self.key_groups).with_top_k(self.top_k);
        Attention::Image { stitched, radius: self.radius }.with_seed(self.seed.unwrap_or(0))
    }

    /// The method asked for.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn attention(&self) -> anyhow::Result<Attention> {
        if self.method == "image" {
            return Ok(self.image());
        }
        match self.method.parse::<Method>() {
            Ok(method) => {
                let attention = Attention::Plain(method);
                Ok(self.seed.map_or(attention, |seed| attention.with_seed(seed)))
            }
            Err(error) => bail!("--method: {error}, or image"),
        }
    }

    /// The methods that are compared, exact attention first.
    pub fn compared(&self) -> Vec<Attention> {
        let clusters = self.clusters;
        let plain =
            [Method::Exact, Method::clustered(clusters), Method::improved(clusters), Method::stitched(clusters)];
        plain.map(Attention::Plain).into_iter().chain([self.image()]).collect()
    }

    /// The seeds that are averaged over.
    pub fn seeds(&self) -> Vec<u64> {
        (0..self.seeds as u64).map(|step| self.seed.unwrap_or(0).wrapping_add(step)).collect()
    }
}
