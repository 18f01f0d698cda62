//! Features against float64, and what stitched attention leaves of them.

use burn::tensor::Device;
use clustered_attention::Method;
use clustered_attention_models::{testing::fetched, Asset};
use clustered_attention_vision::stereo::Pair;
use clustered_attention_vision::{open, Attention, Colours, Model, Photograph, PATCH};
use image::{Rgb, RgbImage};
use serde::Deserialize;
use std::collections::BTreeMap;

/// What `data-tools/reference.py` prints: the first numbers of some tokens' features, the class token's the first.
#[derive(Deserialize)]
struct Reference {
    rows: usize,
    columns: usize,
    largest: f32,
    features: BTreeMap<usize, Vec<f32>>,
}

/// The script's picture.
fn picture(rows: usize, columns: usize) -> Photograph {
    let image = RgbImage::from_fn((columns * PATCH) as u32, (rows * PATCH) as u32, |x, y| {
        let blue = 255 - i64::from(x) + 3 * i64::from(y / 5);
        Rgb([(x * 2 + y) % 256, (x * y / 7) % 256, blue.rem_euclid(256) as u32].map(|value| value as u8))
    });
    Photograph { image }
}

#[test]
fn features_are_those_of_the_reference_in_float64() {
    if !fetched(&[Asset::DINO]) {
        return;
    }
    let reference: Reference = serde_json::from_str(include_str!("data/reference.json")).expect("the script's output");
    let mut model = Model::load(&Device::flex()).expect("the model");
    let photograph = picture(reference.rows, reference.columns);
    // A radius over the whole image is exact attention too.
    let whole = Attention::Image { stitched: Method::stitched(3), radius: 20 };
    for attention in [Attention::Plain(Method::Exact), whole] {
        model.set_attention(attention);
        let features = model.features(&photograph, None).expect("features");
        let patches: Vec<&[f32]> = features.each().collect();
        for (&token, numbers) in &reference.features {
            let feature = if token == 0 { &features.class[..] } else { patches[token - 1] };
            let differences = feature.iter().zip(numbers).map(|(one, other)| (one - other).abs());
            let difference = differences.fold(0.0, f32::max) / reference.largest;
            assert!(difference < 2e-5, "{}, token {token}: {difference}", attention.name());
        }
    }
}

/// A photograph of half the side that the documentation's figures are of.
#[test]
fn features_survive_stitched_attention_and_nothing_else() {
    if !fetched(&[Asset::DINO, Asset::PHOTOGRAPHS]) {
        return;
    }
    let mut model = Model::load(&Device::flex()).expect("the model");
    let path = Asset::PHOTOGRAPHS.path("astronaut.png").expect("the photograph");
    let photograph = open(&path, 518).expect("a photograph");
    assert_eq!((photograph.rows(), photograph.columns()), (37, 37));
    let exact = model.features(&photograph, None).expect("features");
    let mut cosine = |attention| {
        model.set_attention(attention);
        model.features(&photograph, None).expect("features").cosine(&exact)
    };
    let (image, improved) = (cosine(Attention::image(25, 64)), cosine(Attention::Plain(Method::improved(25))));
    assert!(image > 0.98, "{image}");
    assert!(improved < 0.8, "{improved}");
    let colours = Colours::of(&exact);
    let differ = exact.each().map(|feature| colours.colour(feature)).collect::<std::collections::HashSet<_>>().len();
    assert!(differ > 100, "{differ} colours");
}

#[test]
fn the_pair_that_is_fetched_can_be_read() {
    if fetched(&[Asset::PHOTOGRAPHS]) {
        assert_eq!(Pair::load().expect("the pair").tokens(), 3701);
    }
}
