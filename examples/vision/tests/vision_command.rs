//! The program as its users see it, as far as it needs no model; with it, where it is there.

use clustered_attention_models::testing::{ends_quietly_unread, fetched};
use clustered_attention_models::Asset;
use image::{Rgb, RgbImage};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

fn vision(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vision"));
    command.args(arguments).stdin(Stdio::null()).output().expect("the program starts")
}

fn fail(arguments: &[&str]) -> String {
    let output = vision(arguments);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{arguments:?}");
    assert!(!errors.contains("panicked"), "{errors}");
    errors
}

/// A folder with a photograph of odd sides.
fn photograph() -> (TempDir, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("odd.jpg");
    RgbImage::from_fn(101, 67, |x, y| Rgb([x as u8 * 2, y as u8 * 3, 90])).save(&path).expect("a file");
    let name = path.to_str().expect("a path in Unicode").to_owned();
    (folder, name)
}

fn inside(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().expect("a path in Unicode").to_owned()
}

#[test]
fn what_cannot_be_is_said() {
    let (folder, photograph) = photograph();
    let text = inside(folder.path(), "text.png");
    std::fs::write(&text, "no photograph").expect("a file");
    assert!(fail(&["no such file.png"]).contains("no such file.png cannot be read"));
    assert!(fail(&[&text]).contains("is no photograph"));
    assert!(fail(&[&photograph, "--pixels", "100"]).contains("98 or 112"));
    assert!(fail(&[&photograph, "--pixels", "0"]).contains("14 or 28"));
    assert!(fail(&[&photograph, "--method", "linear"]).contains("stitched"));
    assert!(fail(&[&photograph, "--pixels", "28", "--model", &text]).contains("no ONNX model"));
    assert!(fail(&["--seeds", "2"]).contains("--compare"));
    assert!(fail(&["--clusters", "0"]).contains("at least 1"));
    assert!(fail(&[&photograph, "--picture", &photograph]).contains("the photograph reads"));
    assert!(fail(&[&photograph, "--features", &inside(folder.path(), "none/of")]).contains("there is no folder"));
    if !cfg!(feature = "wgpu") {
        assert!(fail(&[&photograph, "--pixels", "28", "--backend", "wgpu"]).contains("--features wgpu"));
    }
    ends_quietly_unread(Command::new(env!("CARGO_BIN_EXE_vision")).arg("--help"));
}

#[test]
fn features_and_picture_are_written() {
    if !fetched(&[Asset::DINO]) {
        return;
    }
    let (folder, photograph) = photograph();
    let [features, picture] = ["features.safetensors", "picture.png"].map(|name| inside(folder.path(), name));
    let output = vision(&[&photograph, "--pixels", "56", "--features", &features, "--picture", &picture]);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(
        printed.contains("4 x 4 patches, 384 numbers each") && printed.contains("grid=4x4+1,radius=2"),
        "{printed}"
    );
    let bytes = std::fs::read(features).expect("a file");
    let tensors = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");
    assert_eq!(tensors.tensor("patches").expect("patches").shape(), [4, 4, 384]);
    assert_eq!(tensors.tensor("class").expect("the class token").shape(), [384]);
    let picture = image::open(picture).expect("a picture").into_rgb8();
    assert!(picture.width() > 700 && picture.height() > 370, "{:?}", picture.dimensions());
}

#[test]
fn methods_are_compared() {
    if !fetched(&[Asset::DINO]) {
        return;
    }
    let (folder, photograph) = photograph();
    let [json, picture] = ["compared.json", "compared.png"].map(|name| inside(folder.path(), name));
    let arguments =
        ["--compare", "--no-stereo", "--seeds", "2", "--pixels", "70", "--json", &json, "--picture", &picture];
    let output = vision(&[&[photograph.as_str()][..], &arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let document: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(json).expect("a file")).expect("JSON");
    let results = document["results"].as_array().expect("results");
    let names: Vec<&str> = results.iter().filter_map(|result| result["name"].as_str()).collect();
    assert_eq!(names, ["exact", "clustered", "improved", "stitched, as a sequence", "stitched, as an image"]);
    assert_eq!(results[0]["cosine_mean"], 1.0);
    assert_eq!(results[4]["cosines"].as_array().map(Vec::len), Some(2));
    assert_eq!(results[4]["method"]["grid"], "5x5+1");
    assert!(image::open(picture).expect("a picture").height() > 800);
}
