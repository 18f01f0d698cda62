//! What is refused, and what is said of it.

use candle_core::{CudaStorage, CustomOp3, DType, Device, Error, Layout, MetalStorage, Result, Tensor, Var};
use clustered_attention::candle::{attention, attention_with_lengths, AttentionOptions, ClusteredAttention, Lengths};
use clustered_attention::Method;

fn zeros<const RANK: usize>(dimensions: [usize; RANK]) -> Tensor {
    Tensor::zeros(dimensions.to_vec(), DType::F32, &Device::Cpu).expect("a tensor")
}

fn exact() -> AttentionOptions {
    AttentionOptions::new(Method::Exact)
}

/// The error without the backtrace that candle adds where it is asked to.
fn bare(error: Error) -> Error {
    match error {
        Error::WithBacktrace { inner, .. } => *inner,
        error => error,
    }
}

fn says<T>(result: Result<T>, texts: &[&str]) -> Error {
    let Err(error) = result else { panic!("must be refused, naming {texts:?}") };
    let message = error.to_string();
    for text in texts {
        assert!(message.contains(text), "`{message}` does not say `{text}`");
    }
    bare(error)
}

#[test]
fn shapes_that_do_not_fit() {
    let refused = |queries, keys, values, options: &AttentionOptions, texts: &[&str]| {
        let error = says(attention(&zeros(queries), &zeros(keys), &zeros(values), options), texts);
        assert!(matches!(error, Error::Wrapped(_)), "{error}");
    };
    let of = |keys, values, texts: &[&str]| refused([2, 4, 9, 8], keys, values, &exact(), texts);
    of([1, 4, 9, 8], [1, 4, 9, 8], &["`keys`", "[1, 4, 9, 8]", "[2, 4, 9, 8]"]);
    of([2, 4, 9, 7], [2, 4, 9, 7], &["`keys`", "[2, 4, 9, 7]"]);
    of([2, 4, 9, 8], [2, 4, 8, 8], &["`values`", "[2, 4, 8, 8]"]);
    of([2, 4, 9, 8], [2, 2, 9, 8], &["`values`", "[2, 2, 9, 8]"]);
    of([2, 3, 9, 8], [2, 3, 9, 8], &["`query_heads` is 4", "`key_heads` is 3"]);
    of([2, 4, 0, 8], [2, 4, 0, 8], &["`keys` is 0"]);
    refused([2, 4, 9, 257], [2, 4, 9, 257], [2, 4, 9, 8], &exact(), &["`width` is 257"]);
    refused([0, 4, 9, 8], [0, 4, 9, 8], [0, 4, 9, 8], &exact(), &["`batch` is 0"]);
    let same = |options: &AttentionOptions, texts: &[&str]| {
        refused([2, 4, 9, 8], [2, 4, 9, 8], [2, 4, 9, 8], options, texts);
    };
    same(&exact().with_scale(f32::NAN), &["`scale` is NaN"]);
    same(&AttentionOptions::new(Method::clustered(0)), &["`clusters` is 0"]);
    let stitched = AttentionOptions::new(Method::stitched(3));
    same(&stitched.clone().with_scratch_budget_bytes(10), &["`scratch_budget_bytes` is 10"]);
    refused([2, 4, 9, 8], [2, 4, 7, 8], [2, 4, 7, 8], &stitched, &["9 queries and 7 keys", "window: None"]);
    let tensor = zeros([2, 4, 9, 8]);
    let with_lengths = |lengths| attention_with_lengths(&tensor, &tensor, &tensor, lengths, &exact());
    says(with_lengths(Lengths::of_keys(&[9, 10])), &["`key_lengths[1]` is 10", "at most 9"]);
    says(with_lengths(Lengths::of_queries(&[9])), &["`query_lengths` has 1 elements"]);
}

#[test]
fn a_broadcast_tensor_that_no_memory_holds() -> Result<()> {
    let huge = zeros([1, 1, 1, 8]).broadcast_as((1, 1 << 20, 1 << 28, 8))?;
    says(attention(&huge, &huge, &huge, &exact()), &["`queries`", "overflows"]);
    Ok(())
}

#[test]
fn other_ranks_types_and_numbers() -> Result<()> {
    let tensor = zeros([1, 2, 5, 8]);
    let flat = zeros([2, 5, 8]);
    for (queries, keys, values) in [(&flat, &flat, &flat), (&tensor, &flat, &tensor), (&tensor, &tensor, &flat)] {
        let error = says(attention(queries, keys, values, &exact()), &["rank", "expected: 4", "got: 3"]);
        assert!(matches!(error, Error::UnexpectedNumberOfDims { expected: 4, got: 3, .. }), "{error}");
    }
    for dtype in [DType::F16, DType::BF16, DType::F64, DType::U32] {
        let other = tensor.to_dtype(dtype)?;
        let error = says(attention(&tensor, &other, &tensor, &exact()), &["keys", "clustered-attention", "F32"]);
        assert!(matches!(error, Error::UnexpectedDType { expected: DType::F32, got, .. } if got == dtype), "{error}");
        says(attention(&other, &other, &other, &exact()), &["queries", "F32"]);
        says(attention(&tensor, &tensor, &other, &exact()), &["values", "F32"]);
    }
    for value in [f64::NAN, f64::INFINITY] {
        let broken = tensor.affine(0.0, value)?;
        says(attention(&tensor, &broken, &tensor, &exact()), &["`keys` holds", "element 0"]);
    }
    Ok(())
}

#[test]
fn devices_that_compute_nothing_here() {
    let operation = ClusteredAttention::new(exact());
    let layout = Layout::contiguous((1, 2, 5, 8));
    let texts = ["clustered-attention", "on the CPU alone", "to_device(&Device::Cpu)"];
    let storage = CudaStorage;
    let error = says(operation.cuda_fwd(&storage, &layout, &storage, &layout, &storage, &layout), &texts);
    assert!(matches!(error, Error::Cuda(_)), "{error}");
    let storage = MetalStorage;
    let error = says(operation.metal_fwd(&storage, &layout, &storage, &layout, &storage, &layout), &texts);
    assert!(matches!(error, Error::Metal(_)), "{error}");
}

#[test]
fn gradients_are_an_error_and_not_zero() -> Result<()> {
    let weights = Var::randn(0f32, 1.0, (1, 2, 5, 8), &Device::Cpu)?;
    let constant = zeros([1, 2, 5, 8]);
    let turned = weights.transpose(1, 2)?.contiguous()?.transpose(1, 2)?;
    let outputs = [
        attention(&weights, &constant, &constant, &exact())?,
        attention(&constant, &constant, &turned, &exact())?,
        attention(&turned, &turned, &turned, &exact())?,
        constant.apply_op3(&weights, &constant, ClusteredAttention::new(exact()))?,
    ];
    for output in outputs {
        let error = says(output.sum_all()?.backward(), &["backward", "clustered-attention"]);
        assert!(matches!(error, Error::BackwardNotSupported { op: "clustered-attention" }), "{error}");
    }
    // Where nothing is trained, nothing is asked for.
    attention(&constant, &constant, &constant, &exact())?.sum_all()?.backward()?;
    Ok(())
}
