//! The activation of many transformers, on all cores.

use crate::device::numbers;
use burn::tensor::{activation, Device, Tensor, TensorData};
use rayon::prelude::*;

/// Numbers of a task.
const BLOCK: usize = 1 << 14;

/// `x·Φ(x)`, with the error function itself and not the usual approximation by a hyperbolic tangent. On Burn's CPU backend that is computed one
/// number after another in one thread, which takes a third of a whole model; here in vectors and on all cores. Other backends use Burn's own.
pub fn gelu<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    let device = tensor.device();
    if device != Device::flex() {
        return activation::gelu(tensor);
    }
    let dimensions = tensor.dims();
    let Ok(mut numbers) = numbers(tensor.clone()) else { return activation::gelu(tensor) };
    numbers.par_chunks_mut(BLOCK).for_each(|block| block.iter_mut().for_each(|number| *number = gelu_of(*number)));
    Tensor::from_data(TensorData::new(numbers, dimensions), &device)
}

fn gelu_of(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// The error function as a quotient of polynomials (that of Eigen and XLA), without a branch, so that compilers make vectors of it. Its error is
/// below 4e-7.
fn erf(x: f32) -> f32 {
    const NUMERATOR: [f32; 7] = [
        -2.726_142_3e-10,
        2.770_681_4e-8,
        -2.101_024e-6,
        -5.692_506_3e-5,
        -7.349_906_3e-4,
        -2.954_6e-3,
        -1.609_603_3e-2,
    ];
    const DENOMINATOR: [f32; 5] = [-1.456_607_2e-5, -2.133_740_6e-4, -1.682_826_9e-3, -7.373_329_4e-3, -1.426_473_9e-2];
    let x = x.clamp(-4.0, 4.0);
    let square = x * x;
    let of = |coefficients: &[f32]| coefficients.iter().fold(0.0, |sum, coefficient| sum * square + coefficient);
    x * of(&NUMERATOR) / of(&DENOMINATOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_burn() {
        let device = Device::flex();
        let numbers: Vec<f32> =
            (-60_000..60_000).map(|step| step as f32 * 1e-4).chain([-1e30, 1e30, 0.0, -0.0]).collect();
        let count = numbers.len();
        let tensor = Tensor::<2>::from_data(TensorData::new(numbers.clone(), [2, count / 2]), &device);
        let of = |tensor: Tensor<2>| tensor.into_data().try_into_vec::<f32>().expect("float32");
        let (ours, theirs) = (of(gelu(tensor.clone())), of(activation::gelu(tensor)));
        for ((x, ours), theirs) in numbers.iter().zip(ours).zip(theirs) {
            assert!((ours - theirs).abs() <= 4e-7 * x.abs().max(1.0), "{x}: {ours} for {theirs}");
        }
    }
}
