//! The multi-head layer and the function beneath it, on Burn's wgpu backend.
use burn::tensor::{Device, Distribution, Tensor};
use clustered_attention::burn::{attention, init_wgpu, AttentionOptions, MultiHeadAttentionConfig};
use clustered_attention::Method;

fn main() -> clustered_attention::Result<()> {
    // Opens the device as Burn does, and lets the crate know its handles. Clone it for the whole model.
    let device = init_wgpu(Device::wgpu_options())?;
    let options = AttentionOptions::new(Method::stitched(25));

    // In place of `burn::nn::attention::MultiHeadAttention`, with the same names of weights.
    let layer = MultiHeadAttentionConfig::new(512, 8).init_with(options.clone(), &device)?;
    let input = Tensor::<3>::random([1, 1024, 512], Distribution::Normal(0.0, 1.0), &device);
    println!("{}", layer.forward(input)?);

    // Or attention alone, where a model projects by itself.
    let queries = Tensor::<4>::random([1, 8, 1024, 64], Distribution::Normal(0.0, 1.0), &device);
    let (keys, values) = (queries.clone(), queries.clone());
    println!("{}", attention(queries, keys, values, &options)?);
    Ok(())
}
