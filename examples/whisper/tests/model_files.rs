//! Files of weights and tokenizers that are broken, foreign or another model's.

mod common;

use burn::tensor::Device;
use clustered_attention::Method;
use clustered_attention_models::{testing::fetched, Asset};
use clustered_attention_whisper::ctranslate2::Ctranslate2File;
use clustered_attention_whisper::tokenizer::Tokenizer;
use clustered_attention_whisper::{Error, ModelFiles, Recognizer};
use common::files::file;
use std::path::Path;

/// A file in CTranslate2's format of variables that are given as name, sizes, type and data.
fn ctranslate2(version: u32, kind: &str, variables: &[(&str, &[u32], u8, &[u8])]) -> Vec<u8> {
    let string = |text: &str| [&(text.len() as u16 + 1).to_le_bytes()[..], text.as_bytes(), &[0]].concat();
    let mut bytes = version.to_le_bytes().to_vec();
    bytes.extend(string(kind));
    bytes.extend(3u32.to_le_bytes());
    bytes.extend((variables.len() as u32).to_le_bytes());
    for (name, sizes, kind, data) in variables {
        bytes.extend(string(name));
        bytes.push(sizes.len() as u8);
        sizes.iter().for_each(|size| bytes.extend(size.to_le_bytes()));
        bytes.push(*kind);
        bytes.extend((data.len() as u32).to_le_bytes());
        bytes.extend(*data);
    }
    bytes
}

const HEADS: [(&str, &[u32], u8, &[u8]); 2] =
    [("encoder/num_heads", &[], 2, &[6, 0]), ("decoder/num_heads", &[], 2, &[6, 0])];

fn opened(bytes: &[u8]) -> Result<usize, Error> {
    let folder = tempfile::tempdir().unwrap();
    Ctranslate2File::open(&file(folder.path(), "model.bin", bytes))?.tensors().map(|tensors| tensors.len())
}

fn not_ctranslate2(bytes: &[u8], reason: &str) {
    let error = opened(bytes).unwrap_err();
    assert!(matches!(error, Error::NotCtranslate2 { .. }), "{error}");
    assert!(error.to_string().contains(reason) && error.to_string().contains("model.bin"), "{error}");
}

fn not_tiny_en(bytes: &[u8], reason: &str) {
    let error = opened(bytes).unwrap_err();
    assert!(matches!(error, Error::NotTinyEn { .. }), "{error}");
    assert!(error.to_string().contains(reason), "{error}");
}

#[test]
fn foreign_files_are_refused() {
    not_ctranslate2(b"", "it breaks off in its version");
    not_ctranslate2(b"GGUF some other format", "its version is 1179993927");
    not_ctranslate2(&ctranslate2(5, "WhisperSpec", &HEADS), "its version is 5");
    not_ctranslate2(&ctranslate2(6, "TransformerSpec", &HEADS), "it holds a \"TransformerSpec\"");
    let mut no_zero = ctranslate2(6, "WhisperSpec", &HEADS);
    no_zero[17] = b'x';
    not_ctranslate2(&no_zero, "does not end with a zero");
    let mut many = ctranslate2(6, "WhisperSpec", &HEADS);
    many[22..26].copy_from_slice(&u32::MAX.to_le_bytes());
    not_ctranslate2(&many, "it announces 4294967295 variables");
}

#[test]
fn files_that_break_off_are_refused_wherever_they_do() {
    let whole = ctranslate2(6, "WhisperSpec", &HEADS);
    for length in 0..whole.len() {
        not_ctranslate2(&whole[..length], "it breaks off");
    }
}

#[test]
fn variables_that_contradict_themselves_are_refused() {
    let of = |sizes: &[u32], kind: u8, data: &[u8]| ctranslate2(6, "WhisperSpec", &[("x", sizes, kind, data)]);
    not_ctranslate2(&of(&[3], 4, &[0; 4]), "x of the sizes [3] and type 4 has 4 bytes");
    not_ctranslate2(&of(&[u32::MAX; 4], 4, &[0; 4]), "x of the sizes");
    not_ctranslate2(&of(&[1; 9], 4, &[0; 2]), "x has the rank 9");
    not_ctranslate2(&of(&[1], 77, &[0; 2]), "unknown type 77");
}

#[test]
fn other_models_are_refused() {
    not_tiny_en(&ctranslate2(6, "WhisperSpec", &[]), "it has no variable encoder/num_heads");
    let heads = [("encoder/num_heads", &[][..], 2, &[8, 0][..]), HEADS[1]];
    not_tiny_en(&ctranslate2(6, "WhisperSpec", &heads), "its encoder has 8 heads, not 6");
    let heads = [("encoder/num_heads", &[2][..], 1, &[8, 0][..]), HEADS[1]];
    not_tiny_en(&ctranslate2(6, "WhisperSpec", &heads), "encoder/num_heads is not one number of 16 bits");
    not_tiny_en(&ctranslate2(6, "WhisperSpec", &HEADS), "it has no variable decoder/embeddings/weight");
    let wider = [HEADS[0], HEADS[1], ("decoder/embeddings/weight", &[2, 512], 1, &[0; 1024])];
    not_tiny_en(
        &ctranslate2(6, "WhisperSpec", &wider),
        "decoder/embeddings/weight has the sizes [2, 512], not [51864, 384]",
    );
    let integers = vec![0; 51_864 * 384];
    let quantised = [HEADS[0], HEADS[1], ("decoder/embeddings/weight", &[51_864, 384][..], 1, &integers[..])];
    not_tiny_en(&ctranslate2(6, "WhisperSpec", &quantised), "decoder/embeddings/weight is quantised");
}

#[test]
fn folders_without_a_model_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = ModelFiles::in_folder(folder.path()).unwrap_err();
    assert!(error.to_string().contains("holds no model.safetensors or model.bin"), "{error}");
    file(folder.path(), "model.safetensors", b"x");
    let error = ModelFiles::in_folder(folder.path()).unwrap_err();
    assert!(error.to_string().contains("holds no tokenizer.json"), "{error}");
}

#[test]
fn tokenizers_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |text: &str, reason: &str| {
        let Err(error) = Tokenizer::from_file(&file(folder.path(), "tokenizer.json", text.as_bytes())) else {
            panic!("{reason}: it was taken");
        };
        assert!(matches!(error, Error::Tokenizer { .. }), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    };
    refused("", "");
    refused("{}", "");
    refused("\u{1}\u{2}", "");
    let with = |tokens: &[&str]| {
        let tokens: Vec<_> = tokens
            .iter()
            .enumerate()
            .map(|(index, name)| {
                format!(
                    r#"{{"id": {}, "content": "{name}", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}}"#,
                    index + 1
                )
            })
            .collect();
        format!(
            r#"{{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [{}], "normalizer": null, "pre_tokenizer": null,
            "post_processor": null, "decoder": null, "model": {{"type": "BPE", "dropout": null, "unk_token": null,
            "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": false, "vocab": {{"a": 0}}, "merges": []}}}}"#,
            tokens.join(", ")
        )
    };
    refused(&with(&[]), "it has no token <|notimestamps|>");
    let special = ["<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>", "<|nocaptions|>"];
    refused(&with(&special[..3]), "it has no token <|nospeech|>");
    refused(&with(&special), "with the timestamps it has 1505 tokens, but the model 51864");
}

#[test]
fn a_packaged_tokenizer_without_a_token_is_refused() {
    if !fetched(&[Asset::WHISPER]) {
        return;
    }
    let text = std::fs::read_to_string(Asset::WHISPER.path("tokenizer.json").unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let changed = |from: &str, to: &str| {
        let path = file(folder.path(), "tokenizer.json", text.replace(from, to).as_bytes());
        Tokenizer::from_file(&path).map(|_| ()).unwrap_err().to_string()
    };
    assert!(changed("<|startofprev|>", "<|other|>").contains("it has no token <|startofprev|>"));
}

#[test]
fn a_packaged_model_that_was_cut_or_changed_is_refused() {
    if !fetched(&[Asset::WHISPER]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = std::fs::read(Asset::WHISPER.path("model.bin").unwrap()).unwrap();
    let error =
        Ctranslate2File::open(&file(folder.path(), "model.bin", &bytes[..bytes.len() / 2])).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::NotCtranslate2 { .. }), "{error}");
    assert!(error.to_string().contains("it breaks off"), "{error}");
    // Another name for a variable that is needed.
    let name = b"encoder/conv2/bias";
    let position = bytes.windows(name.len()).position(|window| window == name).unwrap();
    bytes[position] = b'E';
    let tokenizer = Asset::WHISPER.path("tokenizer.json").unwrap();
    let files = ModelFiles { weights: file(folder.path(), "model.bin", &bytes), tokenizer };
    let error = load(&files);
    assert!(error.ends_with("it has no variable encoder/conv2/bias"), "{error}");
}

#[test]
fn safetensors_that_are_broken_or_another_models_are_refused() {
    if !fetched(&[Asset::WHISPER]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let tokenizer = Asset::WHISPER.path("tokenizer.json").unwrap();
    let load_from = |bytes: &[u8]| {
        let files =
            ModelFiles { weights: file(folder.path(), "model.safetensors", bytes), tokenizer: tokenizer.clone() };
        load(&files)
    };
    let broken = load_from(b"no weights at all");
    assert!(broken.contains("model.safetensors"), "{broken}");
    let view = |shape: Vec<usize>, data: &'static [u8]| {
        safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape, data).unwrap()
    };
    let other = [("model.other.weight", view(vec![2], &[0; 8]))];
    let missing = load_from(&safetensors::serialize(other, None).unwrap());
    assert!(missing.contains("weights of the model are missing"), "{missing}");
    let wrong = [("model.encoder.conv1.bias", view(vec![2], &[0; 8]))];
    let shape = load_from(&safetensors::serialize(wrong, None).unwrap());
    assert!(shape.contains("encoder.conv1.bias") && shape.contains("[2]"), "{shape}");
}

fn load(files: &ModelFiles) -> String {
    match Recognizer::load(files, Method::Exact, &Device::flex()) {
        Ok(_) => panic!("{} was taken", files.weights.display()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn files_that_are_not_there_are_named() {
    let error = Ctranslate2File::open(Path::new("no/such/model.bin")).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::Read { .. }) && error.to_string().contains("no/such/model.bin"), "{error}");
    let error = Tokenizer::from_file(Path::new("no/such/tokenizer.json")).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::Read { .. }), "{error}");
}
