//! Embeddings of positions for images of other sizes than the model was trained with.

/// Rows and columns that the model has positions of.
pub(crate) const TRAINED: usize = 37;

/// Positions `[rows, columns, width]` between `[TRAINED, TRAINED, width]`, by cubic convolution (Keys 1981, `a = -0.75`, as PyTorch's `bicubic`).
pub(crate) fn between(trained: &[f32], rows: usize, columns: usize, width: usize) -> Vec<f32> {
    let (down, across) = (weights(rows), weights(columns));
    let mut lines = vec![0.0f32; TRAINED * columns * width];
    for (row, line) in lines.chunks_exact_mut(columns * width).enumerate() {
        for (position, taps) in line.chunks_exact_mut(width).zip(&across) {
            for &(column, weight) in taps {
                add(position, weight, &trained[(row * TRAINED + column) * width..]);
            }
        }
    }
    let mut positions = vec![0.0f32; rows * columns * width];
    for (line, taps) in positions.chunks_exact_mut(columns * width).zip(&down) {
        for &(row, weight) in taps {
            add(line, weight, &lines[row * columns * width..]);
        }
    }
    positions
}

fn add(sums: &mut [f32], weight: f32, values: &[f32]) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
}

/// The four neighbours of each of so many places along a side, and their weights.
fn weights(count: usize) -> Vec<[(usize, f32); 4]> {
    const A: f64 = -0.75;
    let near = |t: f64| ((A + 2.0) * t - (A + 3.0)) * t * t + 1.0;
    let far = |t: f64| ((A * t - 5.0 * A) * t + 8.0 * A) * t - 4.0 * A;
    let place = |index: usize| {
        let at = (index as f64 + 0.5) * TRAINED as f64 / count as f64 - 0.5;
        let (first, t) = (at.floor(), at - at.floor());
        let weights = [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)];
        std::array::from_fn(|tap| {
            let neighbour = (first + tap as f64 - 1.0).clamp(0.0, TRAINED as f64 - 1.0);
            (neighbour as usize, weights[tap] as f32)
        })
    };
    (0..count).map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trained_size_keeps_its_positions_and_others_lie_between() {
        let trained: Vec<f32> = (0..TRAINED * TRAINED * 2).map(|i| (i * 7 % 31) as f32).collect();
        let same = between(&trained, TRAINED, TRAINED, 2);
        assert!(same.iter().zip(&trained).all(|(one, other)| (one - other).abs() < 1e-4));
        let ramp: Vec<f32> =
            (0..TRAINED * TRAINED).flat_map(|i| [(i / TRAINED) as f32, (i % TRAINED) as f32]).collect();
        let (rows, columns) = (50, 74);
        let more = between(&ramp, rows, columns, 2);
        for (row, column) in [(10, 20), (25, 37), (40, 60)] {
            let at = |index: usize, count: usize| (index as f32 + 0.5) * TRAINED as f32 / count as f32 - 0.5;
            let position = &more[(row * columns + column) * 2..][..2];
            // Cubic convolution with this `a` does not keep straight lines quite straight.
            assert!((position[0] - at(row, rows)).abs() < 0.1 && (position[1] - at(column, columns)).abs() < 0.1);
        }
    }
}
