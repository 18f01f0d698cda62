//! Attention on slices: exact and stitched, on queries, keys and values of a speech recogniser.
use clustered_attention::{Attention, Backend, ExactRows, Inputs, Method, Problem, Rows, Shape};
use half::f16;
use safetensors::{SafeTensorError, SafeTensors};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Real input that ships with the crate: `[batch, heads, length, width]` = `[1, 2, 1500, 64]`, as plain `f32`.
    let file = SafeTensors::deserialize(include_bytes!("data/speech_heads.safetensors"))?;
    let load = |name| -> Result<Vec<f32>, SafeTensorError> {
        let bytes = file.tensor(name)?.data().chunks_exact(2);
        Ok(bytes.map(|bytes| f16::from_le_bytes([bytes[0], bytes[1]]).to_f32()).collect())
    };
    let (queries, keys, values) = (load("q")?, load("k")?, load("v")?);
    let inputs = Inputs::new(&queries, &keys, &values);
    let shape = Shape::self_attention(1, 2, 1500, 64);

    // A real GPU if there is one, otherwise the CPU. Opening it is slow: do it once.
    let attention = Attention::new_blocking(Backend::Auto)?;
    let exact = Problem::new(shape, Method::Exact)?;
    let stitched = Problem::new(shape, Method::stitched(25))?; // 25 clusters of queries a head
    let mut output = vec![0.0; shape.output_elements()];
    let mut seconds = Vec::new();
    for problem in [exact, stitched] {
        attention.run_into_blocking(&problem, &inputs, &mut output)?; // the first call prepares the kernels
        let begin = Instant::now();
        attention.run_into_blocking(&problem, &inputs, &mut output)?;
        seconds.push(begin.elapsed().as_secs_f64());
    }

    // `output` now holds stitched attention. How far is it from exact attention?
    let accuracy = ExactRows::compute_blocking(&attention, &exact, &inputs, Rows::All)?.compare(&output)?;
    println!("exact {:.1} ms, stitched {:.1} ms", seconds[0] * 1e3, seconds[1] * 1e3);
    println!("relative error {:.3}, worst row {:.3}", accuracy.relative_error, accuracy.max_row_error);
    Ok(())
}
