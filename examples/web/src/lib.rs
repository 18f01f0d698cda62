//! Clustered attention for web pages: the crate behind a small typed JavaScript API, `ClusteredAttention`.
//!
//! Numbers and checks are in `engine.rs`, which is plain Rust and tested natively; here they are put into JavaScript's types.

mod engine;
#[allow(dead_code)]
#[path = "../../headless/input.rs"]
mod input;
mod matrix;
mod page_input;
mod rows;
mod settings;
#[path = "../../headless/synthetic.rs"]
mod synthetic;
mod types;

use clustered_attention::Shape;
use engine::Engine;
use page_input::Input;
use serde::{de::DeserializeOwned, Deserialize, Serialize};
use settings::{MethodName, Settings};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

/// Sizes of an input; `heads` counts those of all sequences.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct InputShape {
    heads: usize,
    length: usize,
    width: usize,
    value_width: usize,
}

impl InputShape {
    fn of(shape: &Shape) -> Self {
        Self { heads: shape.slices(), length: shape.queries, width: shape.width, value_width: shape.value_width }
    }

    fn shape(&self) -> Shape {
        Shape { value_width: self.value_width, ..Shape::self_attention(1, self.heads, self.length, self.width) }
    }
}

#[derive(Serialize)]
struct Presets {
    paper: Settings,
    stitched: Settings,
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(resolve: &js_sys::Function, milliseconds: i32);
    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn log_error(message: &str);
}

#[wasm_bindgen(start)]
fn start() {
    // A panic ends as a mere `unreachable` in the browser; its message would be lost.
    std::panic::set_hook(Box::new(|panic| log_error(&panic.to_string())));
}

/// The settings that the paper's methods and stitched attention come with.
///
/// # Errors
/// None in practice.
#[wasm_bindgen(unchecked_return_type = "Presets")]
pub fn presets() -> Result<JsValue, JsError> {
    to_js(&Presets { paper: Settings::paper(), stitched: Settings::stitched() })
}

/// Attention of one input at a time, on WebGPU or on the CPU.
#[wasm_bindgen]
#[derive(Debug)]
pub struct ClusteredAttention {
    engine: Engine,
}

#[wasm_bindgen]
impl ClusteredAttention {
    /// Opens a back end: `auto` takes WebGPU where there is one and the CPU otherwise.
    ///
    /// # Errors
    /// There is no WebGPU and `gpu` was asked for.
    pub async fn create(
        #[wasm_bindgen(unchecked_param_type = "Backend | undefined")] backend: Option<String>,
    ) -> Result<ClusteredAttention, JsError> {
        let engine = Engine::open(backend.as_deref().unwrap_or("auto")).await.map_err(to_error)?;
        Ok(Self { engine })
    }

    /// `gpu` or `cpu`.
    #[wasm_bindgen(getter, unchecked_return_type = "'gpu' | 'cpu'")]
    pub fn backend(&self) -> String {
        self.engine.backend().into()
    }

    /// The adapter in words.
    #[wasm_bindgen(getter)]
    pub fn adapter(&self) -> String {
        self.engine.adapter()
    }

    /// Whether the device is gone, by `dispose` or by itself; another has to be created then.
    #[wasm_bindgen(getter)]
    pub fn lost(&self) -> bool {
        self.engine.is_lost()
    }

    /// Gives queries, keys and values of self-attention, each `[heads, length, width]` in one array.
    ///
    /// # Errors
    /// An array has another size than its shape, or holds what is not finite; a size is out of range.
    #[wasm_bindgen(js_name = setInput)]
    pub fn set_input(
        &self,
        queries: Vec<f32>,
        keys: Vec<f32>,
        values: Vec<f32>,
        #[wasm_bindgen(unchecked_param_type = "InputShape")] shape: JsValue,
    ) -> Result<(), JsError> {
        let shape = from_js::<InputShape>("shape", shape)?.shape();
        self.engine.set_input(Input { shape, queries, keys, values }).map_err(to_error)
    }

    /// Gives the tensors `q`, `k` and `v` of a safetensors file, `[heads, length, width]` or with a batch in front, in F32, F16 or BF16.
    ///
    /// # Errors
    /// The file is not such a file, lacks a tensor, or its tensors are not self-attention's.
    #[wasm_bindgen(js_name = setSafetensors, unchecked_return_type = "InputShape")]
    pub fn set_safetensors(&self, bytes: &[u8]) -> Result<JsValue, JsError> {
        let tensors = input::parse(bytes, "the file".into()).map_err(|error| JsError::new(&format!("{error:#}")))?;
        let input = Input::of(tensors).map_err(to_error)?;
        let shape = InputShape::of(&input.shape);
        self.engine.set_input(input).map_err(to_error)?;
        to_js(&shape)
    }

    /// Gives synthetic input with structure like that of real attention; the same seed gives the same numbers.
    ///
    /// # Errors
    /// A size is out of range, or the value width is another than the width.
    #[wasm_bindgen(js_name = setSynthetic)]
    pub fn set_synthetic(
        &self,
        #[wasm_bindgen(unchecked_param_type = "InputShape")] shape: JsValue,
        seed: f64,
    ) -> Result<(), JsError> {
        let shape = from_js::<InputShape>("shape", shape)?;
        clustered_attention::Problem::new(shape.shape(), clustered_attention::Method::Exact)?;
        if shape.value_width != shape.width {
            return Err(JsError::new("`valueWidth` must be `width` in synthetic input"));
        }
        let tensors = synthetic::mixture(shape.length, shape.heads, shape.width, seed as u64);
        self.engine.set_input(Input::of(tensors).map_err(to_error)?).map_err(to_error)
    }

    /// Computes with another length from now on: the input that was given, repeated with a little noise.
    ///
    /// # Errors
    /// There is no input, or the length is out of range.
    #[wasm_bindgen(js_name = setTiled)]
    pub fn set_tiled(&self, length: usize, seed: f64) -> Result<(), JsError> {
        self.engine.lengthen(length, seed as u64).map_err(to_error)
    }

    /// The largest values of the settings for the present input and back end.
    ///
    /// # Errors
    /// There is no input.
    #[wasm_bindgen(unchecked_return_type = "Limits")]
    pub fn limits(&self) -> Result<JsValue, JsError> {
        to_js(&self.engine.limits().map_err(to_error)?)
    }

    /// Computes the input by a method and measures time and error.
    ///
    /// # Errors
    /// There is no input, a setting is out of range, or the device failed.
    #[wasm_bindgen(unchecked_return_type = "Run")]
    pub async fn run(
        &self,
        #[wasm_bindgen(unchecked_param_type = "MethodName")] method: String,
        #[wasm_bindgen(unchecked_param_type = "Settings")] settings: JsValue,
    ) -> Result<JsValue, JsError> {
        let (method, settings) = asked(&method, settings)?;
        let measured = self.settled(self.engine.run(method, &settings).await).await?;
        let object = to_js(&measured)?;
        set(&object, "output", &js_sys::Float32Array::from(&measured.output[..]))?;
        Ok(object)
    }

    /// How the queries are grouped, and the top keys of each cluster.
    ///
    /// # Errors
    /// As `run`.
    #[wasm_bindgen(unchecked_return_type = "Groups")]
    pub async fn groups(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Settings")] settings: JsValue,
    ) -> Result<JsValue, JsError> {
        let settings: Settings = from_js("settings", settings)?;
        let groups = self.settled(self.engine.groups(&settings).await).await?;
        let object = JsValue::from(js_sys::Object::new());
        set(&object, "clusters", &js_sys::Uint32Array::from(&groups.assignment[..]))?;
        set(&object, "topKeys", &js_sys::Uint32Array::from(&groups.top_keys[..]))?;
        set(&object, "sizes", &js_sys::Uint32Array::from(&groups.counts[..]))?;
        let stride = self.engine.top_k_stride(&settings).map_err(to_error)?;
        set(&object, "topKStride", &JsValue::from(stride as f64))?;
        Ok(object)
    }

    /// What a query gives to each key: numbers that sum to 1.
    ///
    /// # Errors
    /// As `run`; also where there is no such head or position.
    pub async fn row(
        &self,
        #[wasm_bindgen(unchecked_param_type = "MethodName")] method: String,
        #[wasm_bindgen(unchecked_param_type = "Settings")] settings: JsValue,
        head: usize,
        position: usize,
    ) -> Result<Vec<f32>, JsError> {
        let (method, settings) = asked(&method, settings)?;
        self.settled(self.engine.row(method, &settings, head, position).await).await
    }

    /// The attention matrix of a head as `size` rows of `size` numbers: the mean weight that a block of queries gives to a block of keys.
    ///
    /// # Errors
    /// As `run`; also where there is no such head, or the size is neither below 257 nor below the length.
    pub async fn matrix(
        &self,
        #[wasm_bindgen(unchecked_param_type = "MethodName")] method: String,
        #[wasm_bindgen(unchecked_param_type = "Settings")] settings: JsValue,
        head: usize,
        size: usize,
    ) -> Result<Vec<f32>, JsError> {
        let (method, settings) = asked(&method, settings)?;
        self.settled(self.engine.matrix(method, &settings, head, size).await).await
    }

    /// Frees the device and forgets the input; calls fail from then on.
    pub fn dispose(&self) {
        self.engine.dispose();
    }

    /// A result; before an error is passed on, the browser has time to say whether the device is gone, so that `lost` is right.
    async fn settled<T>(&self, result: Result<T, String>) -> Result<T, JsError> {
        if result.is_err() && !self.engine.is_lost() {
            let pause = js_sys::Promise::new(&mut |resolve, _| set_timeout(&resolve, 30));
            let _ = JsFuture::from(pause).await;
        }
        result.map_err(to_error)
    }
}

/// A method and its settings.
fn asked(method: &str, settings: JsValue) -> Result<(MethodName, Settings), JsError> {
    Ok((MethodName::parse(method).map_err(to_error)?, from_js("settings", settings)?))
}

fn to_error(message: String) -> JsError {
    JsError::new(&message)
}

fn to_js(value: &impl Serialize) -> Result<JsValue, JsError> {
    Ok(value.serialize(&serde_wasm_bindgen::Serializer::new().serialize_missing_as_null(true))?)
}

fn from_js<T: DeserializeOwned>(argument: &str, value: JsValue) -> Result<T, JsError> {
    serde_wasm_bindgen::from_value(value).map_err(|error| JsError::new(&format!("`{argument}`: {error}")))
}

fn set(object: &JsValue, name: &str, value: &JsValue) -> Result<(), JsError> {
    js_sys::Reflect::set(object, &name.into(), value).map_err(|_| JsError::new("an object cannot be written"))?;
    Ok(())
}
