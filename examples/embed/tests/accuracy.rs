//! What is lost when attention of the pretrained model is replaced and nothing retrained.

mod common;

use burn::tensor::Device;
use clustered_attention::Method;
use clustered_attention_embed::{compare, speeches, Model};
use clustered_attention_models::progress::Progress;
use clustered_attention_models::Asset;

/// A few passages, so that the test is short; `embed --compare` takes more of them.
const PASSAGES: usize = 3;

#[test]
fn stitched_attention_keeps_the_states_of_the_tokens() {
    if !common::fetched("token cosine of all-MiniLM-L6-v2", &[Asset::MINILM, Asset::SPEECHES]) {
        return;
    }
    let mut model = Model::load(&Device::flex()).expect("the model");
    // 25 clusters, top-k 32, window 16.
    let methods = [Method::Exact, Method::stitched(25)];
    for (length, least) in [(256, 0.993), (512, 0.984)] {
        let texts = speeches::passages(model.tokenizer(), length, PASSAGES).expect("passages");
        assert!(texts.iter().all(|text| text.ids.len() == length));
        let progress = Progress::new(0);
        let results = compare::compare(&mut model, &texts, &methods, &[0, 1, 2], &progress).expect("a comparison");
        let [exact, stitched] = &results[..] else { panic!("{} results of two methods", results.len()) };
        assert!(exact.lowest_token_cosine() > 1.0 - 1e-6, "{}", exact.lowest_token_cosine());
        assert!(stitched.token_cosine() >= least, "{length} tokens: {}", stitched.token_cosine());
        assert!(stitched.sentence_cosine() >= stitched.token_cosine(), "{}", stitched.sentence_cosine());
        assert!(stitched.attention_seconds > 0.0 && stitched.attention_seconds < stitched.seconds);
    }
}
