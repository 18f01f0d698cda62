//! Models that do not load, texts that are none, and a small model that does and is.

mod common;

use burn::tensor::Device;
use clustered_attention::Method;
use clustered_attention_embed::{EmbedError, Model};
use clustered_attention_models::weights::WeightsError;
use common::{config, shapes, small_model, tokenizer, weights, write, LONGEST, WIDTH};
use serde_json::Value;
use std::path::Path;

fn load(folder: &Path) -> Result<Model, EmbedError> {
    Model::load_from(folder, &Device::flex())
}

/// The error of a small model after something was changed in its folder.
fn refused(change: impl FnOnce(&Path)) -> EmbedError {
    let folder = small_model();
    change(folder.path());
    match load(folder.path()) {
        Ok(_) => panic!("it was loaded"),
        Err(error) => error,
    }
}

fn with(mut document: Value, key: &str, value: impl Into<Value>) -> String {
    document[key] = value.into();
    document.to_string()
}

#[test]
fn a_whole_model_embeds() {
    let folder = small_model();
    let mut model = load(folder.path()).expect("a whole model");
    let long = "the weather is lovely today ".repeat(20);
    let texts = ["the weather is lovely today", "Lovely!", long.as_str()];
    let tokens = model.tokenize(&texts).expect("tokens");
    assert_eq!(tokens[0].ids, [2, 4, 5, 6, 7, 8, 9, 3]);
    assert_eq!(tokens[1].ids, [2, 7, 1, 3]);
    assert_eq!((tokens[2].ids.len(), tokens[2].left_out), (LONGEST, 20 * 6 - (LONGEST - 2)));
    assert_eq!(tokens[2].ids.last(), Some(&3));
    for method in [Method::Exact, Method::clustered(5), Method::improved(5), Method::stitched(5)] {
        model.set_method(method);
        let together = model.embed(&texts).expect("embeddings");
        for (text, together) in texts.iter().zip(&together) {
            let alone = &model.embed(&[text]).expect("an embedding")[0];
            assert_eq!(together.len(), WIDTH);
            let length = together.iter().map(|number| number * number).sum::<f32>().sqrt();
            assert!((length - 1.0).abs() < 1e-5, "{length}");
            let difference = alone.iter().zip(together).map(|(alone, together)| (alone - together).abs());
            assert!(difference.fold(0.0, f32::max) < 1e-5, "{}, {text}", method.name());
        }
    }
    assert!(model.embed::<&str>(&[]).expect("no embeddings").is_empty());
    assert!(model.hidden_states(&[]).expect("no states").is_empty());
}

#[test]
fn texts_without_anything_in_them_are_refused_by_number() {
    let folder = small_model();
    let model = load(folder.path()).expect("a whole model");
    for empty in ["", " \n\t", "\u{0}\u{7}"] {
        let error = model.embed(&["lovely", empty]).expect_err("it is empty");
        assert!(matches!(error, EmbedError::EmptyText { number: 2 }), "{error}");
        assert_eq!(error.to_string(), "text 2 is empty: there is nothing to embed");
    }
}

#[test]
fn texts_can_be_cut_off_earlier_and_no_later() {
    let folder = small_model();
    let mut model = load(folder.path()).expect("a whole model");
    for length in [0, 2, LONGEST + 1] {
        let error = model.tokenizer_mut().set_longest(length).expect_err("it is not possible");
        assert!(matches!(error, EmbedError::Length { .. }), "{error}");
    }
    model.tokenizer_mut().set_longest(5).expect("it is possible");
    let tokens = &model.tokenize(&["the weather is lovely today"]).expect("tokens")[0];
    assert_eq!((&tokens.ids[..], tokens.left_out), (&[2, 4, 5, 6, 3][..], 3));
}

#[test]
fn missing_files_are_named() {
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        let error = refused(|folder| std::fs::remove_file(folder.join(name)).expect("it was there"));
        assert!(error.to_string().contains(name), "{error}");
        match error {
            EmbedError::Read { .. } => assert_ne!(name, "model.safetensors"),
            EmbedError::Weights(WeightsError::File { error, .. }) => {
                assert!(matches!(*error, WeightsError::Open(_)), "{error}");
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn configurations_of_other_models_are_refused() {
    for (text, part) in [
        ("no JSON".to_owned(), "expected"),
        ("{}".to_owned(), "missing field"),
        (with(config(), "hidden_size", -8), "invalid value"),
        (with(config(), "model_type", "roberta"), "\"roberta\""),
        (with(config(), "hidden_act", "relu"), "\"relu\""),
        (with(config(), "position_embedding_type", "relative_key"), "\"relative_key\""),
        (with(config(), "num_attention_heads", 3), "`num_attention_heads`"),
        (with(config(), "num_attention_heads", 0), "`num_attention_heads` is 0"),
        (with(config(), "max_position_embeddings", 2), "`max_position_embeddings`"),
    ] {
        let error = refused(|folder| write(folder, "config.json", &text));
        assert!(matches!(error, EmbedError::Config { .. }), "{error}");
        assert!(error.to_string().contains(part) && error.to_string().contains("config.json"), "{error}");
    }
    let pooling = r#"{"pooling_mode_mean_tokens": false, "pooling_mode_cls_token": true}"#;
    let error = refused(|folder| write(folder, "1_Pooling/config.json", pooling));
    assert!(matches!(error, EmbedError::Config { .. }) && error.to_string().contains("mean"), "{error}");
}

#[test]
fn tokenizers_of_other_models_are_refused() {
    let error = refused(|folder| write(folder, "tokenizer.json", "{\"version\": \"1.0\"}"));
    assert!(matches!(error, EmbedError::Tokenizer { .. }), "{error}");
    let error = refused(|folder| write(folder, "tokenizer.json", tokenizer(&["[CLS]", "[SEP]", "[UNK]"]).to_string()));
    assert!(matches!(error, EmbedError::Vocabulary { tokenizer: 3, model: 10, .. }), "{error}");
    let words = ["<pad>", "[UNK]", "<s>", "</s>", "the", "weather", "is", "lovely", "to", "##day"];
    let error = refused(|folder| write(folder, "tokenizer.json", tokenizer(&words).to_string()));
    assert!(matches!(error, EmbedError::SpecialToken { token: "[CLS]", .. }), "{error}");
    assert!(error.to_string().contains("tokenizer.json"), "{error}");
}

#[test]
fn weights_of_other_models_are_refused() {
    let error = |weights: &[u8]| match refused(|folder| write(folder, "model.safetensors", weights)) {
        EmbedError::Weights(WeightsError::File { error, path }) => {
            assert!(path.ends_with("model.safetensors"), "{}", path.display());
            *error
        }
        other => panic!("{other}"),
    };
    let whole = weights(&shapes());
    for cut in [0, 4, 100, whole.len() - 1] {
        let error = error(&whole[..cut]);
        assert!(matches!(error, WeightsError::Format(_)), "{cut} bytes: {error}");
    }
    let error_of_picture = error(b"\x89PNG\r\n\x1a\n and so on, for more than eight bytes");
    assert!(matches!(error_of_picture, WeightsError::Format(_)), "{error_of_picture}");
    let mut other = shapes();
    let shape = other.remove("encoder.layer.1.output.dense.weight").expect("a weight");
    other.insert("decoder.weight".into(), shape);
    let missing = error(&weights(&other));
    assert!(
        matches!(&missing, WeightsError::Missing { count: 1, names } if names == &["layers.1.output.weight"]),
        "{missing}"
    );
    let mut other = shapes();
    other.insert("embeddings.word_embeddings.weight".into(), vec![11, WIDTH]);
    let shape = error(&weights(&other));
    assert!(matches!(&shape, WeightsError::Shape { name, .. } if name == "embeddings.word.weight"), "{shape}");
}

#[test]
fn names_with_a_prefix_load_too() {
    let folder = small_model();
    let model = load(folder.path()).expect("a whole model").embed(&["lovely"]).expect("an embedding");
    // The same order, hence the same made-up values.
    let prefixed = shapes().into_iter().map(|(name, shape)| (format!("bert.{name}"), shape)).collect();
    write(folder.path(), "model.safetensors", weights(&prefixed));
    assert_eq!(load(folder.path()).expect("a whole model").embed(&["lovely"]).expect("an embedding"), model);
}
