//! What is lost when attention of the pretrained model is replaced and nothing retrained.

use burn::tensor::Device;
use clustered_attention::Method;
use clustered_attention_embed::{compare, speeches, Model};
use clustered_attention_models::progress::Progress;
use clustered_attention_models::{testing::fetched, Asset};

#[test]
fn stitched_attention_keeps_the_states_of_the_tokens() {
    if !fetched(&[Asset::MINILM, Asset::SPEECHES]) {
        return;
    }
    let mut model = Model::load(&Device::flex()).expect("the model");
    let methods = [Method::stitched(25)];
    // A few passages, so that the test is short. Over 16 the means are 0.9994 and 0.9974.
    for (length, passages, least) in [(256, 8, 0.997), (512, 4, 0.993)] {
        let texts = speeches::passages(model.tokenizer(), length, passages).expect("passages");
        assert!(texts.iter().all(|text| text.ids.len() == length));
        let progress = Progress::new(compare::steps(passages, &methods, 3));
        let results = compare::compare(&mut model, &texts, &methods, &[0, 1, 2], &progress).expect("a comparison");
        let [stitched] = &results[..] else { panic!("{} results of one method", results.len()) };
        assert!(stitched.token_cosine() >= least, "{length} tokens: {}", stitched.token_cosine());
        assert!(stitched.token_cosine() < 1.0, "it was not replaced");
        assert!(stitched.lowest_sentence_cosine() >= 0.98, "{}", stitched.lowest_sentence_cosine());
        assert!(stitched.attention_seconds > 0.0 && stitched.attention_seconds < stitched.seconds);
    }
}
