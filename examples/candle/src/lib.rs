//! Attention by candle's own operations, as its models write it.

use candle_core::{Result, Tensor, D};
use candle_nn::ops::softmax_last_dim;

/// softmax(QKᵀ · scale) V of `[batch, heads, length, width]`. candle's products of matrices take no views of `[batch, length, heads, width]`
/// and no heads that share keys, so these are copied.
pub fn plain_attention(queries: &Tensor, keys: &Tensor, values: &Tensor, scale: f64) -> Result<Tensor> {
    let (_, heads, _, _) = queries.dims4()?;
    let queries = (queries.contiguous()? * scale)?;
    let weights = queries.matmul(&repeated(keys, heads)?.transpose(D::Minus2, D::Minus1)?)?;
    softmax_last_dim(&weights)?.matmul(&repeated(values, heads)?)
}

/// Keys or values once for each query head, contiguous.
fn repeated(tensor: &Tensor, heads: usize) -> Result<Tensor> {
    let (batch, key_heads, length, width) = tensor.dims4()?;
    if key_heads == heads {
        return tensor.contiguous();
    }
    let expanded = tensor.unsqueeze(2)?.expand((batch, key_heads, heads / key_heads, length, width))?;
    expanded.reshape((batch, heads, length, width))
}

/// The L2 norm of a difference over that of what is expected.
pub fn relative_error(actual: &Tensor, expected: &Tensor) -> Result<f32> {
    let norm = |tensor: &Tensor| tensor.sqr()?.sum_all()?.sqrt()?.to_scalar::<f32>();
    Ok(norm(&actual.sub(expected)?)? / norm(expected)?)
}
