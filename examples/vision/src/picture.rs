//! Features beside the photograph, as one picture.

use crate::{Colours, Features, Photograph, Result, VisionError};
use embedded_graphics::mono_font::ascii::FONT_10X20;
use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{DrawTarget, OriginDimensions, Pixel, Point, RgbColor, Size};
use embedded_graphics::text::{Baseline, Text};
use embedded_graphics::Drawable;
use image::imageops::{overlay, resize, FilterType};
use image::{Rgb, RgbImage};
use std::convert::Infallible;
use std::path::Path;

/// Sides of a panel, room between panels, and room for two lines above each, in pixels.
const SIDE: u32 = 370;
const GAP: u32 = 12;
const LINES: u32 = 48;
/// Panels of a row.
const ACROSS: usize = 3;

/// A part of the picture with two lines above it.
pub struct Panel {
    /// What is seen.
    pub image: RgbImage,
    /// What it is.
    pub title: String,
    /// What is to be known of it.
    pub figures: String,
}

impl Panel {
    /// The photograph itself.
    pub fn photograph(photograph: &Photograph, figures: String) -> Self {
        Self { image: photograph.image.clone(), title: "photograph".into(), figures }
    }

    /// Features as colours, a pixel a patch.
    pub fn features(features: &Features, colours: &Colours, title: &str, figures: String) -> Self {
        let mut image = RgbImage::new(features.columns as u32, features.rows as u32);
        for (pixel, feature) in image.pixels_mut().zip(features.each()) {
            *pixel = Rgb(colours.colour(feature));
        }
        Self { image, title: title.into(), figures }
    }
}

/// Puts panels into rows of three.
pub fn compose(panels: &[Panel]) -> RgbImage {
    let rows = panels.len().div_ceil(ACROSS) as u32;
    let across = panels.len().clamp(1, ACROSS) as u32;
    let (width, height) = (across * (SIDE + GAP) + GAP, rows * (LINES + SIDE + GAP) + GAP);
    let mut canvas = Canvas(RgbImage::from_pixel(width, height, Rgb([255; 3])));
    for (index, panel) in panels.iter().enumerate() {
        let (row, column) = ((index / ACROSS) as u32, (index % ACROSS) as u32);
        let (left, top) = (GAP + column * (SIDE + GAP), GAP + row * (LINES + SIDE + GAP));
        let (wide, high) = panel.image.dimensions();
        let scale = f64::from(SIDE) / f64::from(wide.max(high).max(1));
        let fitted = |pixels: u32| ((f64::from(pixels) * scale).round() as u32).max(1);
        // Patches stay squares; photographs are made smaller smoothly.
        let filter = if scale > 1.0 { FilterType::Nearest } else { FilterType::CatmullRom };
        let image = resize(&panel.image, fitted(wide), fitted(high), filter);
        overlay(&mut canvas.0, &image, i64::from(left), i64::from(top + LINES));
        for (line, text) in [&panel.title, &panel.figures].into_iter().enumerate() {
            canvas.write(text, left, top + line as u32 * 22);
        }
    }
    canvas.0
}

/// Writes a picture as PNG.
///
/// # Errors
/// The file cannot be written.
pub fn save(picture: &RgbImage, path: &Path) -> Result<()> {
    let saved = picture.save_with_format(path, image::ImageFormat::Png);
    saved.map_err(|error| VisionError::Write { path: path.to_owned(), message: error.to_string() })
}

struct Canvas(RgbImage);

impl Canvas {
    fn write(&mut self, text: &str, left: u32, top: u32) {
        let style = MonoTextStyle::new(&FONT_10X20, Rgb888::BLACK);
        let place = Point::new(left as i32, top as i32);
        // Drawing on it cannot fail.
        let _ = Text::with_baseline(text, place, style, Baseline::Top).draw(self);
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(self.0.width(), self.0.height())
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(place, colour) in pixels {
            let (Ok(x), Ok(y)) = (u32::try_from(place.x), u32::try_from(place.y)) else { continue };
            if let Some(pixel) = self.0.get_pixel_mut_checked(x, y) {
                *pixel = Rgb([colour.r(), colour.g(), colour.b()]);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_stand_in_rows_with_their_lines() {
        let panel = |colour| Panel {
            image: RgbImage::from_pixel(2, 2, Rgb([colour, 0, 0])),
            title: "title".into(),
            figures: "a line that is much longer than a panel is wide, and so is cut off at the end".into(),
        };
        let picture = compose(&[panel(10), panel(20), panel(30), panel(40)]);
        assert_eq!(picture.dimensions(), (3 * (SIDE + GAP) + GAP, 2 * (LINES + SIDE + GAP) + GAP));
        let middle = |row: u32, column: u32| {
            let (x, y) = (GAP + column * (SIDE + GAP) + SIDE / 2, GAP + row * (LINES + SIDE + GAP) + LINES + SIDE / 2);
            picture.get_pixel(x, y).0
        };
        assert_eq!([middle(0, 0), middle(0, 2), middle(1, 0)], [[10, 0, 0], [30, 0, 0], [40, 0, 0]]);
        assert_eq!(middle(1, 1), [255; 3]);
        let black = picture.enumerate_pixels().filter(|(_, y, pixel)| *y < GAP + LINES && pixel.0 == [0; 3]).count();
        assert!(black > 100, "{black} pixels of text");
    }
}
