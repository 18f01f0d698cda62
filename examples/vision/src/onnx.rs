//! The weights of an ONNX file: its initializers, and which of them products of matrices take. Nothing else of its graph is read.

use crate::{Result, VisionError};
use burn::tensor::{DType, TensorData};
use clustered_attention_models::weights::{lazy_tensor, Tensor};
use prost::Message;
use std::path::Path;
use std::sync::Arc;

/// `ModelProto` of `onnx.proto`, as far as it is needed; unknown fields are passed over.
#[derive(Clone, PartialEq, Message)]
struct ModelFile {
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
}

#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "1")]
    nodes: Vec<Node>,
    #[prost(message, repeated, tag = "5")]
    initializers: Vec<Initializer>,
}

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(string, repeated, tag = "1")]
    inputs: Vec<String>,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(string, tag = "4")]
    operator: String,
}

#[derive(Clone, PartialEq, Message)]
struct Initializer {
    #[prost(int64, repeated, tag = "1")]
    sizes: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes = "vec", tag = "9")]
    bytes: Vec<u8>,
}

/// ONNX's number for float32.
const FLOAT: i32 = 1;

/// The weights of a file under the names of its modules: an initializer by its own name, and the matrix of a product by the product's, such as
/// `backbone.encoder.layer.0.mlp.fc1.weight`, transposed to the order that PyTorch keeps it in.
pub(crate) fn weights(path: &Path) -> Result<Vec<Tensor>> {
    let file = std::fs::read(path).map_err(VisionError::read(path))?;
    let damaged = |message: String| VisionError::Onnx { path: path.to_owned(), message };
    let file = ModelFile::decode(file.as_slice()).map_err(|error| damaged(error.to_string()))?;
    let graph = file.graph.ok_or_else(|| damaged("it has no graph".into()))?;
    let product_of = |initializer: &Initializer| {
        let takes = |node: &&Node| node.operator == "MatMul" && node.inputs.get(1) == Some(&initializer.name);
        graph.nodes.iter().find(takes).and_then(|node| module_of(&node.name))
    };
    let products: Vec<Option<String>> = graph.initializers.iter().map(product_of).collect();
    let of_floats =
        graph.initializers.into_iter().zip(products).filter(|(initializer, _)| initializer.data_type == FLOAT);
    of_floats.map(|(initializer, product)| tensor(initializer, product).map_err(damaged)).collect()
}

/// The module of a product: `/backbone/encoder/layer.0/mlp/fc1/MatMul` is `backbone.encoder.layer.0.mlp.fc1`.
fn module_of(node: &str) -> Option<String> {
    Some(node.strip_suffix("/MatMul")?.trim_start_matches('/').replace('/', "."))
}

fn tensor(initializer: Initializer, product: Option<String>) -> Result<Tensor, String> {
    let Initializer { sizes, name, bytes, .. } = initializer;
    let sizes: Option<Vec<usize>> = sizes.iter().map(|&size| usize::try_from(size).ok()).collect();
    let count = sizes.as_ref().and_then(|sizes| sizes.iter().try_fold(4usize, |bytes, &size| bytes.checked_mul(size)));
    let (Some(mut sizes), Some(needed)) = (sizes, count) else { return Err(format!("{name} has impossible sizes")) };
    if bytes.len() != needed {
        return Err(format!("{name} has {} bytes, but {needed} are needed", bytes.len()));
    }
    let bytes = Arc::new(bytes);
    let (name, transposed) = match (product, &mut sizes[..]) {
        (Some(module), [input, output]) => {
            let from = (*input, *output);
            (*input, *output) = (from.1, from.0);
            (format!("{module}.weight"), Some(from))
        }
        _ => (name, None),
    };
    let shape = sizes.clone();
    Ok(lazy_tensor(name, DType::F32, shape, move || {
        let number = |index: usize| f32::from_le_bytes([0, 1, 2, 3].map(|byte| bytes[4 * index + byte]));
        let numbers: Vec<f32> = match transposed {
            None => (0..bytes.len() / 4).map(number).collect(),
            Some((rows, columns)) => {
                (0..columns).flat_map(|column| (0..rows).map(move |row| row * columns + column)).map(number).collect()
            }
        };
        Ok(TensorData::new(numbers, sizes.clone()))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn initializer(name: &str, sizes: &[i64], numbers: &[f32]) -> Initializer {
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        Initializer { sizes: sizes.to_vec(), data_type: FLOAT, name: name.into(), bytes }
    }

    fn read(graph: Option<Graph>) -> Result<Vec<Tensor>> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("model.onnx");
        std::fs::write(&path, ModelFile { graph }.encode_to_vec()).expect("a file");
        weights(&path)
    }

    #[test]
    fn products_name_their_matrices_and_turn_them() {
        let graph = Graph {
            nodes: vec![Node {
                inputs: vec!["x".into(), "onnx::MatMul_7".into()],
                name: "/backbone/layer.0/fc1/MatMul".into(),
                operator: "MatMul".into(),
            }],
            initializers: vec![
                initializer("onnx::MatMul_7", &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
                initializer("backbone.norm.bias", &[2], &[7.0, 8.0]),
                Initializer { data_type: 7, ..initializer("shape", &[1], &[0.0]) },
            ],
        };
        let tensors = read(Some(graph)).expect("weights");
        let described: Vec<String> =
            tensors.iter().map(|tensor| format!("{} {:?}", tensor.name, tensor.shape)).collect();
        assert_eq!(described.len(), 2);
        assert!(described[0].contains("backbone.layer.0.fc1.weight") && described[0].contains("3, 2"), "{described:?}");
        assert!(described[1].contains("backbone.norm.bias"), "{described:?}");
    }

    #[test]
    fn damaged_files_are_refused_with_what_is_wrong() {
        let message = |graph| read(graph).map(|_| ()).expect_err("it is damaged").to_string();
        assert!(message(None).contains("no graph"));
        let short = Graph { nodes: vec![], initializers: vec![initializer("short", &[3], &[1.0])] };
        assert!(message(Some(short)).contains("short has 4 bytes, but 12 are needed"));
        for sizes in [&[-1][..], &[i64::MAX, 8]] {
            let graph = Graph { nodes: vec![], initializers: vec![initializer("odd", sizes, &[])] };
            assert!(message(Some(graph)).contains("odd has impossible sizes"));
        }
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("model.onnx");
        std::fs::write(&path, b"no model at all").expect("a file");
        let message = weights(&path).map(|_| ()).expect_err("it is none").to_string();
        assert!(message.contains("model.onnx is no ONNX model"), "{message}");
    }
}
