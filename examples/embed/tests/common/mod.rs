//! A model small enough to be written by the tests.
#![allow(dead_code)] // Every test takes what it needs.

use safetensors::tensor::{Dtype, TensorView};
use serde_json::{json, Value};
use std::collections::BTreeMap;
use std::path::Path;
use tempfile::TempDir;

pub const WIDTH: usize = 8;
pub const LONGEST: usize = 40;
const INNER: usize = 16;
const LAYERS: usize = 2;
const WORDS: [&str; 10] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "weather", "is", "lovely", "to", "##day"];

/// A folder with a whole small model.
pub fn small_model() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(folder.path(), "config.json", config().to_string());
    write(folder.path(), "tokenizer.json", tokenizer(&WORDS).to_string());
    write(folder.path(), "model.safetensors", weights(&shapes()));
    folder
}

pub fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(path, content).expect("a file");
}

pub fn config() -> Value {
    json!({
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": LONGEST,
        "num_attention_heads": 2,
        "num_hidden_layers": LAYERS,
        "type_vocab_size": 2,
        "vocab_size": WORDS.len(),
    })
}

pub fn tokenizer(words: &[&str]) -> Value {
    let vocabulary: BTreeMap<&str, usize> = words.iter().enumerate().map(|(id, &word)| (word, id)).collect();
    json!({
        "version": "1.0",
        "truncation": { "direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0 },
        "padding": null,
        "added_tokens": [],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": true,
            "handle_chinese_chars": true,
            "strip_accents": null,
            "lowercase": true,
        },
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "post_processor": null,
        "decoder": null,
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocabulary,
        },
    })
}

pub type Shapes = BTreeMap<String, Vec<usize>>;

/// Names and shapes of the small model's weights, as PyTorch has them.
pub fn shapes() -> Shapes {
    let mut shapes = Shapes::new();
    let mut add = |name: String, shape: &[usize]| shapes.insert(name, shape.to_vec());
    for (name, count) in [("word", WORDS.len()), ("position", LONGEST), ("token_type", 2)] {
        add(format!("embeddings.{name}_embeddings.weight"), &[count, WIDTH]);
    }
    let mut norms = vec!["embeddings.LayerNorm".to_owned()];
    for layer in 0..LAYERS {
        let layer = format!("encoder.layer.{layer}");
        for (name, output, input) in [
            ("attention.self.query", WIDTH, WIDTH),
            ("attention.self.key", WIDTH, WIDTH),
            ("attention.self.value", WIDTH, WIDTH),
            ("attention.output.dense", WIDTH, WIDTH),
            ("intermediate.dense", INNER, WIDTH),
            ("output.dense", WIDTH, INNER),
        ] {
            add(format!("{layer}.{name}.weight"), &[output, input]);
            add(format!("{layer}.{name}.bias"), &[output]);
        }
        norms.extend(["attention.output.LayerNorm", "output.LayerNorm"].map(|name| format!("{layer}.{name}")));
    }
    for name in norms {
        add(format!("{name}.weight"), &[WIDTH]);
        add(format!("{name}.bias"), &[WIDTH]);
    }
    shapes
}

/// A safetensors file of such weights, whose values are made up.
pub fn weights(shapes: &Shapes) -> Vec<u8> {
    let mut state = 1u32;
    let mut number = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    let bytes: Vec<Vec<u8>> = shapes
        .values()
        .map(|shape| (0..shape.iter().product()).flat_map(|_| number().to_le_bytes()).collect())
        .collect();
    let views = shapes
        .iter()
        .zip(&bytes)
        .map(|((name, shape), bytes)| (name, TensorView::new(Dtype::F32, shape.clone(), bytes).expect("sizes agree")));
    safetensors::serialize(views, None).expect("a file")
}
