//! Photographs as the model takes them.

use crate::model::PATCH;
use crate::{Result, VisionError};
use image::imageops::{crop_imm, resize, FilterType};
use image::{ImageReader, Limits, RgbImage};
use std::path::Path;

/// Mean and spread of red, green and blue that the model was trained with.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const SPREAD: [f32; 3] = [0.229, 0.224, 0.225];

/// Pixels of a side, at most.
const LARGEST_SIDE: usize = 1 << 15;

/// A photograph whose sides are whole patches.
#[derive(Debug, Clone, PartialEq)]
pub struct Photograph {
    /// What is seen.
    pub image: RgbImage,
}

/// Opens a PNG or JPEG of any size, scales its shorter side to so many pixels, and cuts a square of that side out of its middle.
///
/// # Errors
/// No file, another format, or a side that is none of whole patches.
pub fn open(path: &Path, pixels: usize) -> Result<Photograph> {
    let image = read(path)?;
    let side = whole_patches(pixels)? as u32;
    let (width, height) = image.dimensions();
    let shorter = width.min(height);
    let (left, top) = ((width - shorter) / 2, (height - shorter) / 2);
    let square = crop_imm(&image, left, top, shorter, shorter).to_image();
    Ok(Photograph { image: scaled(&square, side, side) })
}

/// Opens one and scales it to so many rows and columns of patches, whatever its sides.
///
/// # Errors
/// No file, or another format.
pub fn resized(path: &Path, rows: usize, columns: usize) -> Result<Photograph> {
    let image = read(path)?;
    Ok(Photograph { image: scaled(&image, (columns * PATCH) as u32, (rows * PATCH) as u32) })
}

fn read(path: &Path) -> Result<RgbImage> {
    let refused =
        |error: &dyn std::fmt::Display| VisionError::Photograph { path: path.to_owned(), message: error.to_string() };
    let reader = ImageReader::open(path).map_err(VisionError::read(path))?;
    let mut reader = reader.with_guessed_format().map_err(VisionError::read(path))?;
    let mut limits = Limits::default();
    // A header can claim more than there is memory for.
    (limits.max_image_width, limits.max_image_height) = (Some(LARGEST_SIDE as u32), Some(LARGEST_SIDE as u32));
    reader.limits(limits);
    let image = reader.decode().map_err(|error| refused(&error))?.into_rgb8();
    if image.width() == 0 || image.height() == 0 {
        return Err(refused(&"it has no pixels"));
    }
    Ok(image)
}

/// By cubic splines that are as wide as the pixels of the smaller picture.
fn scaled(image: &RgbImage, width: u32, height: u32) -> RgbImage {
    if image.dimensions() == (width, height) {
        return image.clone();
    }
    resize(image, width, height, FilterType::CatmullRom)
}

fn whole_patches(pixels: usize) -> Result<usize> {
    let lower = (pixels.min(LARGEST_SIDE) / PATCH).max(1) * PATCH;
    if pixels > 0 && pixels.is_multiple_of(PATCH) && pixels <= LARGEST_SIDE {
        return Ok(pixels);
    }
    Err(VisionError::Side { pixels, patch: PATCH, lower, upper: (lower + PATCH).min(LARGEST_SIDE / PATCH * PATCH) })
}

impl Photograph {
    /// Rows of patches.
    pub fn rows(&self) -> usize {
        self.image.height() as usize / PATCH
    }

    /// Patches of a row.
    pub fn columns(&self) -> usize {
        self.image.width() as usize / PATCH
    }

    /// All of its red, then all of its green and of its blue, row by row, as the model expects them.
    pub fn planes(&self) -> Vec<f32> {
        let value = |channel: usize| {
            move |pixel: &image::Rgb<u8>| (f32::from(pixel.0[channel]) / 255.0 - MEAN[channel]) / SPREAD[channel]
        };
        (0..3).flat_map(|channel| self.image.pixels().map(value(channel))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn squares_are_cut_from_the_middle() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("wide.png");
        let image = RgbImage::from_fn(90, 30, |x, _| if (30..60).contains(&x) { Rgb([200; 3]) } else { Rgb([0; 3]) });
        image.save(&path).expect("a file");
        let photograph = open(&path, 28).expect("a photograph");
        assert_eq!((photograph.rows(), photograph.columns()), (2, 2));
        assert!(photograph.image.pixels().all(|pixel| pixel.0 == [200; 3]));
        let whole = resized(&path, 1, 3).expect("a photograph");
        assert_eq!((whole.rows(), whole.columns()), (1, 3));
    }

    #[test]
    fn colours_follow_one_another() {
        let image = RgbImage::from_fn(28, 14, |x, y| Rgb([x as u8, y as u8, 255]));
        let planes = Photograph { image }.planes();
        assert_eq!(planes.len(), 3 * 28 * 14);
        let value = |number: f32, channel: usize| (number / 255.0 - MEAN[channel]) / SPREAD[channel];
        assert_eq!((planes[1], planes[28]), (value(1.0, 0), value(0.0, 0)));
        assert_eq!(planes[28 * 14 + 28], value(1.0, 1));
        assert_eq!(planes[2 * 28 * 14], value(255.0, 2));
    }

    #[test]
    fn sides_of_parts_of_patches_are_refused_with_those_near_them() {
        for (pixels, near) in
            [(0, "14 or 28"), (13, "14 or 28"), (1000, "994 or 1008"), (14 << 27, "32760"), (usize::MAX, "32760")]
        {
            let message = whole_patches(pixels).expect_err("no whole patches").to_string();
            assert!(message.contains(near), "{message}");
        }
    }
}
