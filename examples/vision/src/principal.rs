//! Features as colours: their first three principal components.

use crate::Features;
use nalgebra::{DMatrix, SymmetricEigen};

/// What share of the patches may be brighter or darker than a colour can show, on either side.
const CLIPPED: f64 = 0.01;

/// A basis in which features are colours: made of one run, so that the colours of others can be compared with its.
pub struct Colours {
    mean: Vec<f64>,
    /// For each colour a direction, and the components that are darkest and brightest.
    directions: [(Vec<f64>, f64, f64); 3],
}

impl Colours {
    /// The principal components of some features.
    pub fn of(features: &Features) -> Self {
        let (width, count) = (features.width, (features.rows * features.columns).max(1) as f64);
        let mut mean = vec![0.0; width];
        for feature in features.each() {
            mean.iter_mut().zip(feature).for_each(|(mean, &value)| *mean += f64::from(value) / count);
        }
        let centred = DMatrix::from_fn(width, features.rows * features.columns, |column, patch| {
            f64::from(features.patches[patch * width + column]) - mean[column]
        });
        let eigen = SymmetricEigen::new(&centred * centred.transpose());
        let mut order: Vec<usize> = (0..width).collect();
        order.sort_by(|&one, &other| eigen.eigenvalues[other].total_cmp(&eigen.eigenvalues[one]));
        let directions = std::array::from_fn(|colour| {
            let column = eigen.eigenvectors.column(order[colour.min(width - 1)]);
            // Either sign is an eigenvector; the same one on every machine.
            let largest =
                column
                    .iter()
                    .copied()
                    .fold(0.0f64, |largest, value| if value.abs() > largest.abs() { value } else { largest });
            let direction: Vec<f64> = column.iter().map(|value| value * largest.signum()).collect();
            let mut components: Vec<f64> =
                features.each().map(|feature| component(feature, &mean, &direction)).collect();
            components.sort_by(f64::total_cmp);
            let last = components.len().saturating_sub(1);
            let clipped = (CLIPPED * components.len() as f64) as usize;
            (direction, components[clipped.min(last)], components[last - clipped.min(last)])
        });
        Self { mean, directions }
    }

    /// Red, green and blue of a feature.
    pub fn colour(&self, feature: &[f32]) -> [u8; 3] {
        self.directions.each_ref().map(|(direction, darkest, brightest)| {
            let component = component(feature, &self.mean, direction);
            let share = (component - darkest) / (brightest - darkest).max(f64::MIN_POSITIVE);
            (share.clamp(0.0, 1.0) * 255.0).round() as u8
        })
    }
}

fn component(feature: &[f32], mean: &[f64], direction: &[f64]) -> f64 {
    feature
        .iter()
        .zip(mean)
        .zip(direction)
        .map(|((&value, mean), direction)| (f64::from(value) - mean) * direction)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_are_those_of_most_spread() {
        let mut patches = Vec::new();
        for i in 0..100 {
            let (x, y) = (i % 10, i / 10);
            patches.extend([0.0, 10.0 * x as f32, 3.0, y as f32]);
        }
        let features = Features { rows: 10, columns: 10, width: 4, class: vec![0.0; 4], patches };
        let colours = Colours::of(&features);
        assert!(colours.directions[0].0[1] > 0.999 && colours.directions[1].0[3] > 0.999);
        let [red, green, _] = colours.colour(&[0.0, 90.0, 3.0, 0.0]);
        assert_eq!((red, green), (255, 0));
    }
}
