//! The attention matrix of a head as a small image.
//!
//! No matrix is formed: attention is linear in the values, so with values that say in which block of keys a key lies, the output of a query
//! is its weight in each block. The same kernels compute it, for any method.

use crate::page_input::Input;
use crate::settings::MethodName;
use clustered_attention::{Attention, Inputs, Method, Problem, Result, Shape, Supplied, Trace};

/// What a method takes of a head's groups, so that the image shows these; nothing for exact attention.
pub fn supplied<'a>(groups: &'a Trace, method: MethodName, input: &Input, head: usize) -> Supplied<'a> {
    // Queries and keys are as many.
    let length = input.shape.queries;
    let of_head = |groups: &'a [u32]| groups.get(head * length..).and_then(|rest| rest.get(..length));
    let key_groups = of_head(&groups.key_groups).filter(|_| method == MethodName::Stitched);
    Supplied::default()
        .with_assignment(of_head(&groups.assignment).filter(|_| method != MethodName::Exact))
        .with_key_groups(key_groups)
}

/// `size` rows of `size` numbers: the mean weight that a block of queries gives to all keys of a block together.
pub async fn image(
    attention: &Attention,
    input: &Input,
    method: Method,
    supplied: &Supplied<'_>,
    head: usize,
    size: usize,
) -> Result<Vec<f32>> {
    let length = input.shape.queries;
    let (queries, keys, _) = input.head(head);
    let mut blocks = vec![0.0; length * size];
    for key in 0..length {
        blocks[key * size + block_of(key, length, size)] = 1.0;
    }
    let shape = Shape::self_attention(1, 1, length, input.shape.width).with_value_width(size);
    let problem = Problem::new(shape, method)?;
    let inputs = Inputs::new(queries, keys, &blocks);
    let output = match supplied.assignment {
        None => attention.run(&problem, &inputs).await?,
        Some(_) => attention.trace(&problem, &inputs, supplied).await?.output,
    };
    Ok(mean_rows(&output, length, size))
}

/// The block in which a position lies; blocks differ by at most one position.
fn block_of(position: usize, length: usize, size: usize) -> usize {
    position * size / length
}

fn mean_rows(output: &[f32], length: usize, size: usize) -> Vec<f32> {
    let mut image = vec![0.0; size * size];
    let mut counts = vec![0.0f32; size];
    for (position, row) in output.chunks_exact(size).enumerate() {
        let block = block_of(position, length, size);
        counts[block] += 1.0;
        image[block * size..][..size].iter_mut().zip(row).for_each(|(sum, weight)| *sum += weight);
    }
    for (row, count) in image.chunks_exact_mut(size).zip(counts) {
        row.iter_mut().for_each(|sum| *sum /= count.max(1.0));
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::weights;
    use crate::settings::Settings;
    use clustered_attention::Backend;

    #[test]
    fn the_image_is_the_mean_of_the_rows() {
        let attention = Attention::new_blocking(Backend::Cpu).expect("the CPU");
        let input = Input::of(crate::synthetic::mixture(70, 2, 16, 3).expect("little memory")).expect("self-attention");
        let settings = Settings { clusters: 4, top_k: 5, window: Some(2), key_groups: 3, ..Settings::stitched() };
        let (head, size) = (1, 9);
        let grouping = MethodName::Stitched.with(&settings.grouping());
        let problem = Problem::new(input.shape, grouping).expect("a valid problem");
        let groups = attention.trace_blocking(&problem, &input.inputs(), &Supplied::default()).expect("a result");
        for method in MethodName::ALL {
            let supplied = supplied(&groups, method, &input, head);
            let image = image(&attention, &input, method.with(&settings), &supplied, head, size);
            let image = pollster::block_on(image).expect("an image");
            let rows: Vec<f32> = (0..70)
                .flat_map(|position| {
                    let row = weights(&input, &groups, method, &settings, head, position);
                    let mut blocks = vec![0.0; size];
                    row.iter().enumerate().for_each(|(key, weight)| blocks[block_of(key, 70, size)] += weight);
                    blocks
                })
                .collect();
            for (a, b) in image.iter().zip(mean_rows(&rows, 70, size)) {
                assert!((a - b).abs() < 1e-5, "{method:?}: {a} {b}");
            }
            assert!((image.iter().sum::<f32>() - size as f32).abs() < 1e-4);
        }
    }
}
