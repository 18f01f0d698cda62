//! The layer with projections against Burn's own, with the same weights under several names.

mod common;

use burn::nn::attention::{MhaInput, MultiHeadAttentionConfig as BurnConfig};
use burn::tensor::{Bool, Device, Tensor, TensorData};
use burn_store::{ModuleSnapshot, SafetensorsStore};
use clustered_attention::burn::{AttentionOptions, Lengths, MultiHeadAttention, MultiHeadAttentionConfig, USUAL_NAMES};
use clustered_attention::{Error, Method};
use common::{devices, numbers, relative_difference, values, Idle};

const WIDTH: usize = 48;
const HEADS: usize = 4;

fn exact() -> AttentionOptions {
    AttentionOptions::new(Method::Exact)
}

fn sequence(batch: usize, length: usize, seed: u32, device: &Device) -> Tensor<3> {
    Tensor::from_data(TensorData::new(numbers(batch * length * WIDTH, seed), [batch, length, WIDTH]), device)
}

/// Burn's layer, and this crate's with the weights of the first, stored under the names that `rename` gives them.
fn pair(device: &Device, rename: &[(&str, &str)]) -> (burn::nn::attention::MultiHeadAttention, MultiHeadAttention) {
    let burns = BurnConfig::new(WIDTH, HEADS).with_dropout(0.0).init(device);
    let mut saved = SafetensorsStore::from_bytes(None);
    for (from, to) in rename {
        saved = saved.with_key_remapping(*from, *to);
    }
    burns.save_into(&mut saved).expect("the weights are saved");
    let bytes = saved.get_bytes().expect("the weights");
    let mut store = SafetensorsStore::from_bytes(Some(bytes));
    for (from, to) in USUAL_NAMES {
        store = store.with_key_remapping(*from, *to);
    }
    let mut layer = MultiHeadAttentionConfig::new(WIDTH, HEADS).init_with(exact(), device).expect("a layer");
    let result = layer.load_from(&mut store).expect("the weights are loaded");
    assert!(result.missing.is_empty() && result.errors.is_empty(), "{result:?}");
    (burns, layer)
}

#[test]
fn exact_attention_is_that_of_burns_layer() {
    let _idle = Idle;
    let whisper = [("query", "q_proj"), ("key", "k_proj"), ("value", "v_proj"), ("output", "out_proj")];
    let distilbert = [("query", "q_lin"), ("key", "k_lin"), ("value", "v_lin"), ("output", "out_lin")];
    for device in devices() {
        for rename in [&[][..], &whisper, &distilbert] {
            let (burns, layer) = pair(&device, rename);
            let input = sequence(2, 37, 1, &device);
            let expected = values(burns.forward(MhaInput::self_attn(input.clone())).context);
            let difference = relative_difference(&values(layer.forward(input).expect("attention")), &expected);
            assert!(difference < 1e-5, "{device:?} {rename:?}: {difference:e}");
        }
        let (burns, layer) = pair(&device, &[]);
        let (input, context) = (sequence(2, 37, 2, &device), sequence(2, 23, 3, &device));
        let expected = burns.forward(MhaInput::new(input.clone(), context.clone(), context.clone())).context;
        let crossed = layer.forward_cross(input, context).expect("attention");
        let difference = relative_difference(&values(crossed), &values(expected));
        assert!(difference < 1e-5, "{device:?} cross: {difference:e}");
    }
}

#[test]
fn names_of_bert_load_within_a_block() {
    let _idle = Idle;
    // `attention.self.query` and `attention.output.dense` of a model are `attention.query` and `attention.output` here.
    let remapper = burn_store::KeyRemapper::from_patterns(USUAL_NAMES.to_vec()).expect("regular expressions");
    let renamed = |name: &str| {
        remapper.to_regex_pairs().iter().fold(name.to_string(), |name, (regex, to)| regex.replace_all(&name, to).into())
    };
    assert_eq!(renamed("layer.3.attention.self.key.bias"), "layer.3.attention.key.bias");
    assert_eq!(renamed("layer.3.attention.output.dense.weight"), "layer.3.attention.output.weight");
    assert_eq!(renamed("layer.3.attention.output.LayerNorm.weight"), "layer.3.attention.output.LayerNorm.weight");
    assert_eq!(renamed("layer.3.output.dense.weight"), "layer.3.output.dense.weight");
    assert_eq!(renamed("encoder.layers.0.self_attn.out_proj.weight"), "encoder.layers.0.self_attn.output.weight");
}

#[test]
fn lengths_are_burns_padding_mask() {
    let _idle = Idle;
    for device in devices() {
        let (burns, layer) = pair(&device, &[]);
        let input = sequence(2, 20, 4, &device);
        let padding: Vec<bool> = [11, 20].into_iter().flat_map(|length| (0..20).map(move |i| i >= length)).collect();
        let mask = Tensor::<2, Bool>::from_data(TensorData::new(padding, [2, 20]), &device);
        let expected = values(burns.forward(MhaInput::self_attn(input.clone()).mask_pad(mask)).context);
        let output = values(layer.forward_with_lengths(input, Lengths::of_keys(&[11, 20])).expect("attention"));
        let difference = relative_difference(&output, &expected);
        assert!(difference < 1e-5, "{device:?}: {difference:e}");
    }
}

#[test]
fn grouped_heads_and_methods() {
    let _idle = Idle;
    for device in devices() {
        let config = MultiHeadAttentionConfig::new(WIDTH, HEADS).with_n_key_heads(Some(2)).with_key_bias(false);
        let mut layer = config.init_with(exact(), &device).expect("a layer");
        assert_eq!(layer.key.weight.dims(), [WIDTH, WIDTH / 2]);
        assert!(layer.key.bias.is_none());
        let input = sequence(1, 90, 5, &device);
        let exact = values(layer.forward(input.clone()).expect("attention"));
        // All queries alone in a cluster, all keys in the top-k: the same by other means.
        layer.options.method = Method::improved(90).with_top_k(90);
        let difference = relative_difference(&values(layer.forward(input.clone()).expect("attention")), &exact);
        assert!(difference < 1e-4, "{device:?}: {difference:e}");
        layer.options.method = Method::clustered(2);
        let difference = relative_difference(&values(layer.forward(input).expect("attention")), &exact);
        assert!(difference > 1e-3, "{device:?}: two clusters must differ, {difference:e}");
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let _idle = Idle;
    let device = Device::flex();
    let refused = |config: MultiHeadAttentionConfig| match config.init_with(exact(), &device) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("must be refused"),
    };
    assert!(refused(MultiHeadAttentionConfig::new(48, 5)).contains("`n_heads` is 5"));
    assert!(refused(MultiHeadAttentionConfig::new(48, 0)).contains("`n_heads` is 0"));
    assert!(refused(MultiHeadAttentionConfig::new(48, 4).with_n_key_heads(Some(3))).contains("`n_key_heads` is 3"));
    let config = MultiHeadAttentionConfig::new(WIDTH, HEADS);
    let named = config.clone().with_method("improved:7,top_k=3".into());
    assert_eq!(named.init(&device).expect("a layer").options.method, Method::improved(7).with_top_k(3));
    assert_eq!(config.init(&device).expect("a layer").options.method, Method::stitched(25));
    let error = config.with_method("linear".into()).init(&device).expect_err("no such method");
    assert!(error.to_string().contains("`method` is `linear`"), "{error}");
    let layer = MultiHeadAttentionConfig::new(WIDTH, HEADS).init_with(exact(), &device).expect("a layer");
    let narrow = Tensor::<3>::zeros([1, 5, 47], &device);
    let error = layer.forward(narrow).expect_err("must be refused");
    assert!(matches!(error, Error::TensorShape { tensor: "input", .. }), "{error}");
}
