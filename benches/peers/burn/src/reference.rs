//! Attention of a few rows in double precision, to see that what was timed is right.

/// Rows of each head that are compared, spread evenly.
const ROWS: usize = 32;

/// Heads, positions of each, and width of each position.
pub type Dimensions = [usize; 3];

/// The L2 norm of the error over that of exact attention, of the rows compared.
pub fn relative_error(query: &[f32], key: &[f32], value: &[f32], output: &[f32], dimensions: Dimensions) -> f64 {
    let [heads, length, width] = dimensions;
    let (mut error, mut total) = (0.0, 0.0);
    for head in 0..heads {
        let slice = |tensor| head_of(tensor, head, dimensions);
        let (keys, values) = (slice(key), slice(value));
        for position in (0..length).step_by(length.div_ceil(ROWS)) {
            let row = position * width..(position + 1) * width;
            let exact = attend(&slice(query)[row.clone()], keys, values);
            for (&got, exact) in slice(output)[row].iter().zip(exact) {
                error += (f64::from(got) - exact).powi(2);
                total += exact.powi(2);
            }
        }
    }
    (error / total).sqrt()
}

fn head_of(tensor: &[f32], head: usize, [_, length, width]: Dimensions) -> &[f32] {
    &tensor[head * length * width..(head + 1) * length * width]
}

fn attend(query: &[f32], keys: &[f32], values: &[f32]) -> Vec<f64> {
    let width = query.len();
    let product =
        |key: &[f32]| query.iter().zip(key).map(|(&one, &other)| f64::from(one) * f64::from(other)).sum::<f64>();
    // Exponents of normal input are small: no maximum needs to be taken off.
    let weights: Vec<f64> = keys.chunks_exact(width).map(|key| (product(key) / (width as f64).sqrt()).exp()).collect();
    let total: f64 = weights.iter().sum();
    let mut output = vec![0.0; width];
    for (weight, value) in weights.iter().zip(values.chunks_exact(width)) {
        for (sum, &number) in output.iter_mut().zip(value) {
            *sum += weight / total * f64::from(number);
        }
    }
    output
}
