//! Embeddings against float64 and against what is published, alone and in batches.

use burn::tensor::Device;
use clustered_attention::Method;
use clustered_attention_embed::Model;
use clustered_attention_models::table::cosine;
use clustered_attention_models::{testing::fetched, Asset};
use serde::Deserialize;

/// A case of `data-tools/reference.py`.
#[derive(Deserialize)]
struct Case {
    text: String,
    ids: Vec<u32>,
    embedding: Vec<f32>,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("data/reference.json")).expect("the script's output")
}

fn largest_difference(first: &[f32], second: &[f32]) -> f32 {
    assert_eq!(first.len(), second.len());
    first.iter().zip(second).map(|(first, second)| (first - second).abs()).fold(0.0, f32::max)
}

#[test]
fn embeddings_are_those_of_the_reference_in_float64() {
    if !fetched(&[Asset::MINILM]) {
        return;
    }
    let model = Model::load(&Device::flex()).expect("the model");
    let cases = cases();
    let texts: Vec<&str> = cases.iter().map(|case| case.text.as_str()).collect();
    for (case, tokens) in cases.iter().zip(model.tokenize(&texts).expect("tokens")) {
        assert_eq!(tokens.ids, case.ids, "{}", case.text);
        assert_eq!(tokens.left_out, 0);
    }
    let embeddings = model.embed(&texts).expect("embeddings");
    for (case, embedding) in cases.iter().zip(&embeddings) {
        let difference = largest_difference(&case.embedding, embedding);
        assert!(difference < 1e-5, "{}: {difference}", case.text);
    }
    // What the documentation of sentence-transformers gives for its three sentences, to four digits.
    for (first, second, similarity) in [(0, 1, 0.6660), (0, 2, 0.1046), (1, 2, 0.1411)] {
        let computed = cosine(&embeddings[first], &embeddings[second]);
        assert!((computed - similarity).abs() < 1e-4, "{first}, {second}: {computed}");
    }
}

#[test]
fn a_text_has_the_same_embedding_alone_and_in_a_batch() {
    if !fetched(&[Asset::MINILM]) {
        return;
    }
    let mut model = Model::load(&Device::flex()).expect("the model");
    let cases = cases();
    let texts: Vec<&str> = cases.iter().map(|case| case.text.as_str()).collect();
    for method in [Method::Exact, Method::stitched(25)] {
        model.set_method(method);
        // One batch, in which all but the longest are padded.
        let tokens = model.tokenize(&texts).expect("tokens");
        let together = model.hidden_states(&tokens).expect("states");
        for (tokens, together) in tokens.iter().zip(&together) {
            let alone = model.hidden_states(std::slice::from_ref(tokens)).expect("states");
            let difference = largest_difference(&alone[0].values, &together.values);
            assert!(difference < 1e-4, "{}, {} tokens: {difference}", method.name(), tokens.ids.len());
        }
    }
}
