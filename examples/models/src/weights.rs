//! Loading weights into Burn's modules.
//!
//! [`load_safetensors`] maps a file and reads one tensor at a time out of it; [`load_tensors`] takes named tensors from any other reader.
//! Such a tensor is a [`Tensor`] of `burn_store::burn_pack` (Burn 0.22 has no `TensorSnapshot` any more): [`lazy_tensor`] makes one of a
//! name, a type, a shape and a function that reads the data, which is called once, when its parameter is filled.
//!
//! Tensors are named and laid out as PyTorch has them: the weight of a `Linear` is `[output, input]`, norms have `weight` and `bias`. Both
//! are turned into Burn's, after `names` has mapped a model's names to the module's. Float16 and bfloat16 become float32.

use crate::progress::Progress;
use burn::tensor::{DType, Shape, TensorData};
pub use burn_store::burn_pack::Tensor;
use burn_store::{
    burn_pack, ApplyError, FloatCastAdapter, KeyRemapper, ModuleAdapter, ModuleContext, ModuleSnapshot, ModuleStore,
    PyTorchToBurnAdapter, SafetensorsStore,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why weights could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// Something is wrong with what is in a file.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: Box<WeightsError>,
    },
    /// The file cannot be opened.
    #[error("it cannot be opened: {0}")]
    Open(std::io::Error),
    /// The file is of another format, or ends too early.
    #[error("it is no safetensors file, or one that is cut short ({0})")]
    Format(String),
    /// The module has parameters that there are no tensors for.
    #[error("{count} weights of the model are missing, {} among them: is it another model?", names.join(", "))]
    Missing {
        /// How many.
        count: usize,
        /// The first of them, by the module's names.
        names: Vec<String>,
    },
    /// A tensor does not fit its parameter.
    #[error("the weight {name} has the shape {actual}, but the model needs {needed}")]
    Shape {
        /// The parameter, by the module's name.
        name: String,
        /// The tensor's shape, in Burn's order of axes.
        actual: String,
        /// The parameter's shape.
        needed: String,
    },
    /// A tensor is not of a floating-point type.
    #[error("the weight {name} is of type {actual}, but floating-point numbers are needed")]
    DataType {
        /// The parameter, by the module's name.
        name: String,
        /// The tensor's type.
        actual: String,
    },
    /// A tensor's data cannot be read.
    #[error("the weight {name} cannot be read: {message}")]
    Unreadable {
        /// The parameter, by the module's name.
        name: String,
        /// Why.
        message: String,
    },
    /// A pattern of `names` is no regular expression.
    #[error("a pattern of names: {0}")]
    Pattern(String),
}

/// Names of missing weights that an error lists.
const LISTED: usize = 3;

/// Fills every parameter of a module from a safetensors file. `names` are pairs of a regular expression and its replacement, applied to
/// every name in the file one after another; tensors that the module has no parameter for are passed over.
///
/// The file is mapped: beside the module there is one tensor in memory at a time, and for its transposition another.
///
/// # Errors
/// [`WeightsError`]; the module may then be filled in part.
pub fn load_safetensors<M: ModuleSnapshot>(
    module: &mut M,
    path: &Path,
    names: &[(&str, &str)],
) -> Result<(), WeightsError> {
    let in_file = |error| WeightsError::File { path: path.to_owned(), error: Box::new(error) };
    let length = std::fs::File::open(path).and_then(|file| file.metadata());
    let length = length.map_err(|error| in_file(WeightsError::Open(error)))?.len();
    if length == 0 {
        // Nothing can be mapped.
        return Err(in_file(WeightsError::Format("it is empty".into())));
    }
    let mut store = SafetensorsStore::from_file(path);
    let tensors = store.get_all_tensors().map_err(|error| in_file(WeightsError::Format(error.to_string())))?;
    load_tensors(module, tensors.values().cloned().collect(), names).map_err(in_file)
}

/// Fills every parameter of a module from named tensors; otherwise as [`load_safetensors`].
///
/// # Errors
/// [`WeightsError`]; the module may then be filled in part.
pub fn load_tensors<M: ModuleSnapshot>(
    module: &mut M,
    tensors: Vec<Tensor>,
    names: &[(&str, &str)],
) -> Result<(), WeightsError> {
    let remapper = KeyRemapper::from_patterns(names.to_vec());
    let remapper = remapper.map_err(|error| WeightsError::Pattern(error.to_string()))?;
    let progress = Arc::new(Progress::new(tensors.len()));
    let (tensors, _) = remapper.remap(tensors);
    let adapter = PyTorchToBurnAdapter.chain(FloatCastAdapter::to(DType::F32)).chain(Watched(progress));
    let result = module.apply(tensors, None, Some(Box::new(adapter)), false);
    if let Some(error) = result.errors.into_iter().next() {
        return Err(error.into());
    }
    if !result.missing.is_empty() {
        let count = result.missing.len();
        let names = result.missing.into_iter().take(LISTED).map(|(name, _)| name).collect();
        return Err(WeightsError::Missing { count, names });
    }
    Ok(())
}

/// A tensor whose data is read when its parameter is filled. `read` has to return data of this type and shape; what it fails with becomes
/// part of [`WeightsError::Unreadable`].
pub fn lazy_tensor(
    name: impl Into<String>,
    data_type: DType,
    shape: impl Into<Shape>,
    read: impl Fn() -> Result<TensorData, String> + Send + Sync + 'static,
) -> Tensor {
    let read = move || read().map_err(burn_pack::Error::ValidationError);
    burn_store::bridge::deferred(name.into(), data_type, shape.into(), None, read)
}

impl From<ApplyError> for WeightsError {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::ShapeMismatch { path, expected, found } => {
                Self::Shape { name: path, actual: format!("{:?}", &found[..]), needed: format!("{:?}", &expected[..]) }
            }
            ApplyError::DTypeMismatch { path, found, .. } => {
                Self::DataType { name: path, actual: found.name().to_owned() }
            }
            ApplyError::AdapterError { path, message } | ApplyError::LoadError { path, message } => {
                Self::Unreadable { name: path, message }
            }
        }
    }
}

/// Changes nothing; it sees every parameter before it is filled.
#[derive(Clone)]
struct Watched(Arc<Progress>);

impl ModuleAdapter for Watched {
    fn adapt(&self, tensor: Tensor, _: ModuleContext<'_>) -> Tensor {
        self.0.step("loading weights");
        tensor
    }

    fn clone_box(&self) -> Box<dyn ModuleAdapter> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;
    use half::f16;

    fn layer() -> Linear {
        LinearConfig::new(3, 2).init(&Device::flex())
    }

    fn halves(name: &str, values: &'static [f32], shape: &'static [usize]) -> Tensor {
        lazy_tensor(name, DType::F16, shape.to_vec(), move || {
            Ok(TensorData::new(values.iter().map(|&value| f16::from_f32(value)).collect(), shape.to_vec()))
        })
    }

    #[test]
    fn halves_are_widened_renamed_and_transposed() {
        let mut layer = layer();
        let tensors = vec![
            halves("model.dense.weight", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3]),
            halves("model.dense.bias", &[7.0, 8.0], &[2]),
            halves("model.other", &[9.0], &[1]),
        ];
        load_tensors(&mut layer, tensors, &[(r"^model\.dense\.", "")]).expect("all is there");
        let weight = layer.weight.val().into_data();
        assert_eq!(weight.as_slice::<f32>().expect("float32"), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        let bias = layer.bias.expect("a bias").val().into_data();
        assert_eq!(bias.as_slice::<f32>().expect("float32"), [7.0, 8.0]);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let weight = || halves("weight", &[0.0; 6], &[2, 3]);
        let message = |tensors| load_tensors(&mut layer(), tensors, &[]).expect_err("it does not fit").to_string();
        let missing = message(vec![weight()]);
        assert!(missing.starts_with("1 weights of the model are missing, bias among them"), "{missing}");
        let shape = message(vec![weight(), halves("bias", &[0.0; 3], &[3])]);
        assert!(shape.starts_with("the weight bias has the shape [3], but the model needs [2]"), "{shape}");
        let unreadable = vec![weight(), lazy_tensor("bias", DType::F32, [2], || Err("the disk is gone".into()))];
        let unreadable = message(unreadable);
        assert!(unreadable.contains("bias") && unreadable.contains("the disk is gone"), "{unreadable}");
        let whole = lazy_tensor("bias", DType::I32, [2], || Ok(TensorData::new(vec![0i32; 2], [2])));
        let whole = message(vec![weight(), whole]);
        assert!(whole.contains("bias is of type"), "{whole}");
    }

    #[test]
    fn files_that_are_none_are_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("model.safetensors");
        let message = || load_safetensors(&mut layer(), &path, &[]).expect_err("it is none").to_string();
        assert!(message().contains("cannot be opened"), "{}", message());
        for bytes in [&b""[..], b"no weights", b"\x02\0\0\0\0\0\0\0{}more", b"\xff\0\0\0\0\0\0\0{}"] {
            std::fs::write(&path, bytes).expect("a file");
            assert!(message().contains("no safetensors file"), "{}", message());
            assert!(message().contains("model.safetensors"), "{}", message());
        }
    }
}
