//! A task with a known answer: patches of a photograph are found again in another, taken from a little further right, by their features.

use crate::{resized, Features, Model, Photograph, Result, VisionError};
use clustered_attention_models::Asset;
use npyz::NpyFile;
use std::fs::File;
use std::path::Path;
use std::time::Duration;
use zip::ZipArchive;

/// Rows and columns of patches that the pair is scaled to.
const ROWS: usize = 50;
const COLUMNS: usize = 74;

/// Two photographs, and how far each point of the first lies further left in the second.
pub struct Pair {
    left: Photograph,
    right: Photograph,
    /// In the photographs' own pixels, row by row; not finite where it is not known.
    disparities: Vec<f32>,
    /// Width and height of the photographs.
    size: (usize, usize),
}

/// How many patches were found again.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Matches {
    /// Patches whose place in the second photograph is known.
    pub patches: usize,
    /// Those whose most similar patch lies at most one patch from there.
    pub within_one: usize,
    /// At most two.
    pub within_two: usize,
}

impl Matches {
    /// Share of the patches that are found within one patch of their place.
    pub fn share(&self) -> f64 {
        self.within_one as f64 / self.patches.max(1) as f64
    }
}

impl Pair {
    /// The pair that was fetched: the motorcycle of the Middlebury stereo set of 2014.
    ///
    /// # Errors
    /// It has not been fetched, or cannot be read.
    pub fn load() -> Result<Self> {
        let photographs = Asset::PHOTOGRAPHS;
        let path = photographs.path("motorcycle_left.png")?;
        let left = resized(&path, ROWS, COLUMNS)?;
        let right = resized(&photographs.path("motorcycle_right.png")?, ROWS, COLUMNS)?;
        let (disparities, size) = read_disparities(&photographs.path("motorcycle_disp.npz")?)?;
        Ok(Self { left, right, disparities, size })
    }

    /// Tokens of each photograph: its patches and the class token.
    pub fn tokens(&self) -> usize {
        1 + ROWS * COLUMNS
    }

    /// Finds each patch of the first photograph in the second one, with the model's method.
    ///
    /// # Errors
    /// Those of the model.
    pub fn search(&self, model: &mut Model, mut stopwatch: Option<&mut Duration>) -> Result<Matches> {
        let left = model.features(&self.left, stopwatch.as_deref_mut())?;
        let right = model.features(&self.right, stopwatch)?;
        Ok(self.matches(&left, &right))
    }

    fn matches(&self, left: &Features, right: &Features) -> Matches {
        let (width, height) = self.size;
        let mut matches = Matches::default();
        let width_of_feature = left.width;
        let (left, right) = (left.directions(), right.directions());
        for (patch, feature) in left.chunks_exact(width_of_feature).enumerate() {
            let (row, column) = (patch / COLUMNS, patch % COLUMNS);
            let at = |index: usize, count: usize, pixels: usize| {
                (((index as f64 + 0.5) * pixels as f64 / count as f64) as usize).min(pixels - 1)
            };
            let (x, y) = (at(column, COLUMNS, width), at(row, ROWS, height));
            let disparity = f64::from(self.disparities[y * width + x]);
            let place = (x as f64 - disparity) * COLUMNS as f64 / width as f64 - 0.5;
            if !disparity.is_finite() || disparity <= 0.0 || place < 0.0 {
                continue;
            }
            let similarity = |other: &[f32]| feature.iter().zip(other).map(|(one, other)| one * other).sum::<f32>();
            let most_similar = right.chunks_exact(width_of_feature).map(similarity).enumerate();
            let found = most_similar.fold((0, f32::MIN), |best, next| if next.1 > best.1 { next } else { best }).0;
            let (down, across) = ((found / COLUMNS).abs_diff(row), ((found % COLUMNS) as f64 - place).abs());
            matches.patches += 1;
            // A hundredth more for places that are rounded to pixels.
            matches.within_one += usize::from(down <= 1 && across <= 1.01);
            matches.within_two += usize::from(down <= 2 && across <= 2.01);
        }
        matches
    }
}

fn read_disparities(path: &Path) -> Result<(Vec<f32>, (usize, usize))> {
    let refused = |message: String| VisionError::Disparity { path: path.to_owned(), message };
    let file = File::open(path).map_err(VisionError::read(path))?;
    let mut archive = ZipArchive::new(file).map_err(|error| refused(error.to_string()))?;
    let array = archive.by_index(0).map_err(|error| refused(error.to_string()))?;
    let array = NpyFile::new(array).map_err(|error| refused(error.to_string()))?;
    let &[height, width] = array.shape() else {
        return Err(refused(format!("{:?} are not rows and columns", array.shape())));
    };
    let numbers: Vec<f32> = array.into_vec().map_err(|error| refused(error.to_string()))?;
    Ok((numbers, (width as usize, height as usize)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::RgbImage;

    /// Features that are all different, moved to the left by whole patches.
    #[test]
    fn what_moved_by_its_disparity_is_found() {
        let feature = |row: usize, column: usize| {
            let angle = (row * 1000 + column) as f32 * 0.001;
            [angle.sin(), angle.cos(), (row as f32).sin()]
        };
        let of = |moved: usize| {
            let place = |patch: usize| (patch / COLUMNS, patch % COLUMNS + moved);
            let patches = (0..ROWS * COLUMNS).flat_map(|patch| feature(place(patch).0, place(patch).1)).collect();
            Features { rows: ROWS, columns: COLUMNS, width: 3, class: vec![0.0; 3], patches }
        };
        let photograph = || Photograph { image: RgbImage::new(COLUMNS as u32 * 14, ROWS as u32 * 14) };
        let size = (COLUMNS * 10, ROWS * 10);
        let mut disparities = vec![30.0; size.0 * size.1];
        // Not known in the first row of patches.
        disparities[..10 * size.0].fill(f32::INFINITY);
        let pair = Pair { left: photograph(), right: photograph(), disparities, size };
        let found = pair.matches(&of(0), &of(3));
        assert_eq!(found.patches, (ROWS - 1) * (COLUMNS - 3));
        assert_eq!(found.within_one, found.patches);
        assert!(pair.matches(&of(0), &of(9)).share() < 0.1);
    }
}
