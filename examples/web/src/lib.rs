//! Clustered attention for web pages: the crate behind a small typed JavaScript API, `ClusteredAttention`.
//!
//! Numbers and checks are in `engine.rs`, which is plain Rust and tested natively; here they are put into JavaScript's types.

// What it shares with `headless` it uses in part.
#[allow(dead_code)]
#[path = "../../headless/available_memory.rs"]
mod available_memory;
mod device;
mod engine;
mod failure;
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
use engine::{top_k_stride, Engine};
use failure::{Failure, Result};
use js_sys::Promise;
use page_input::Input;
use serde::{de::DeserializeOwned, Deserialize, Serialize};
use settings::{MethodName, Settings};
use std::future::Future;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{future_to_promise, JsFuture};

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
        Shape::self_attention(1, self.heads, self.length, self.width).with_value_width(self.value_width)
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
pub fn presets() -> Answer<JsValue> {
    answer(to_js(&Presets { paper: Settings::paper(), stitched: Settings::stitched() }))
}

/// What JavaScript gets: a value, or an `Error` with a `code`.
type Answer<T> = std::result::Result<T, JsValue>;

/// Attention of one input at a time, on WebGPU or on the CPU. Pages use it through `npm/index.js`.
#[wasm_bindgen]
#[derive(Debug)]
pub struct ClusteredAttention {
    engine: Rc<Engine>,
}

#[wasm_bindgen]
impl ClusteredAttention {
    /// Opens a back end: `auto` takes WebGPU where there is a real GPU and the CPU otherwise.
    ///
    /// # Errors
    /// There is no GPU and `gpu` was asked for.
    pub async fn create(
        #[wasm_bindgen(unchecked_optional_param_type = "Backend")] backend: Option<String>,
    ) -> Answer<ClusteredAttention> {
        let engine = answer(Engine::open(backend.as_deref().unwrap_or("auto")).await)?;
        Ok(Self { engine: Rc::new(engine) })
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

    /// Why `auto` took the CPU.
    #[wasm_bindgen(getter, js_name = fallbackReason)]
    pub fn fallback_reason(&self) -> Option<String> {
        self.engine.fallback_reason()
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
    ) -> Answer<()> {
        answer(from_js::<InputShape>("shape", shape).and_then(|shape| {
            let shape = shape.shape();
            self.engine.set_input(Input { shape, queries, keys, values })
        }))
    }

    /// Gives the tensors `q`, `k` and `v` of a safetensors file, `[heads, length, width]` or with a batch in front, in F32, F16 or BF16.
    ///
    /// # Errors
    /// The file is not such a file, lacks a tensor, or its tensors are not self-attention's.
    #[wasm_bindgen(js_name = setSafetensors, unchecked_return_type = "InputShape")]
    pub fn set_safetensors(&self, bytes: &[u8]) -> Answer<JsValue> {
        answer(self.take_safetensors(bytes))
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
    ) -> Answer<()> {
        answer(from_js("shape", shape).and_then(|shape| self.take_synthetic(&shape, seed as u64)))
    }

    /// Computes with another length from now on: the input that was given, repeated with a little noise.
    ///
    /// # Errors
    /// There is no input, or the length is out of range.
    #[wasm_bindgen(js_name = setTiled)]
    pub fn set_tiled(&self, length: usize, seed: f64) -> Answer<()> {
        answer(self.engine.lengthen(length, seed as u64))
    }

    /// The largest values of the settings for the present input and back end.
    ///
    /// # Errors
    /// There is no input.
    #[wasm_bindgen(unchecked_return_type = "Limits")]
    pub fn limits(&self) -> Answer<JsValue> {
        answer(self.engine.limits().and_then(|limits| to_js(&limits)))
    }

    /// Computes the input by a method and measures time and error.
    ///
    /// # Errors
    /// There is no input, a setting is out of range, or the device failed.
    #[wasm_bindgen(unchecked_return_type = "Promise<Run>")]
    pub fn run(
        &self,
        #[wasm_bindgen(unchecked_param_type = "MethodName")] method: &str,
        #[wasm_bindgen(unchecked_param_type = "Settings")] settings: JsValue,
    ) -> Promise {
        self.later(asked(method, settings), |engine, input, (method, settings)| async move {
            let measured = engine.run(&input, method, &settings).await?;
            let object = to_js(&measured)?;
            set(&object, "output", &js_sys::Float32Array::from(&measured.output[..]))?;
            Ok(object)
        })
    }

    /// How the queries are grouped, and the top keys of each cluster.
    ///
    /// # Errors
    /// As `run`.
    #[wasm_bindgen(unchecked_return_type = "Promise<Groups>")]
    pub fn groups(&self, #[wasm_bindgen(unchecked_param_type = "Settings")] settings: JsValue) -> Promise {
        self.later(from_js::<Settings>("settings", settings), |engine, input, settings| async move {
            let groups = engine.groups(&input, &settings).await?;
            let object = JsValue::from(js_sys::Object::new());
            set(&object, "clusters", &js_sys::Uint32Array::from(&groups.assignment[..]))?;
            set(&object, "topKeys", &js_sys::Uint32Array::from(&groups.top_keys[..]))?;
            set(&object, "sizes", &js_sys::Uint32Array::from(&groups.counts[..]))?;
            set(&object, "topKStride", &JsValue::from(top_k_stride(&input, &settings) as f64))?;
            Ok(object)
        })
    }

    /// What a query gives to each key: numbers that sum to 1.
    ///
    /// # Errors
    /// As `run`; also where there is no such head or position.
    #[wasm_bindgen(unchecked_return_type = "Promise<Float32Array>")]
    pub fn row(
        &self,
        #[wasm_bindgen(unchecked_param_type = "MethodName")] method: &str,
        #[wasm_bindgen(unchecked_param_type = "Settings")] settings: JsValue,
        head: usize,
        position: usize,
    ) -> Promise {
        self.later(asked(method, settings), move |engine, input, (method, settings)| async move {
            let row = engine.row(&input, method, &settings, head, position).await?;
            Ok(js_sys::Float32Array::from(&row[..]).into())
        })
    }

    /// The attention matrix of a head as `size` rows of `size` numbers: the mean weight that a block of queries gives to a block of keys.
    ///
    /// # Errors
    /// As `run`; also where there is no such head, or the size is neither below 257 nor below the length.
    #[wasm_bindgen(unchecked_return_type = "Promise<Float32Array>")]
    pub fn matrix(
        &self,
        #[wasm_bindgen(unchecked_param_type = "MethodName")] method: &str,
        #[wasm_bindgen(unchecked_param_type = "Settings")] settings: JsValue,
        head: usize,
        size: usize,
    ) -> Promise {
        self.later(asked(method, settings), move |engine, input, (method, settings)| async move {
            let image = engine.matrix(&input, method, &settings, head, size).await?;
            Ok(js_sys::Float32Array::from(&image[..]).into())
        })
    }

    /// Frees the device and forgets the input; calls fail from then on.
    pub fn dispose(&self) {
        self.engine.dispose();
    }
}

impl ClusteredAttention {
    fn take_safetensors(&self, bytes: &[u8]) -> Result<JsValue> {
        let tensors = input::parse(bytes, "the file".into()).map_err(|error| format!("{error:#}"))?;
        let input = Input::of(tensors)?;
        let shape = InputShape::of(&input.shape);
        self.engine.set_input(input)?;
        to_js(&shape)
    }

    fn take_synthetic(&self, shape: &InputShape, seed: u64) -> Result<()> {
        clustered_attention::Problem::new(shape.shape(), clustered_attention::Method::Exact)?;
        if shape.value_width != shape.width {
            return Err("`valueWidth` must be `width` in synthetic input".to_owned().into());
        }
        let tensors = synthetic::mixture(shape.length, shape.heads, shape.width, seed);
        let tensors = tensors.map_err(|error| format!("{error:#}"))?;
        self.engine.set_input(Input::of(tensors)?)
    }

    /// Answers a question later, about the input that is there now. An async method would only look once its promise is awaited.
    fn later<Q: 'static, F>(
        &self,
        question: Result<Q>,
        compute: impl FnOnce(Rc<Engine>, Rc<Input>, Q) -> F + 'static,
    ) -> Promise
    where
        F: Future<Output = Result<JsValue>> + 'static,
    {
        let engine = self.engine.clone();
        let question = engine.input().and_then(|input| Ok((input, question?)));
        future_to_promise(async move {
            let result = match question {
                Ok((input, question)) => compute(engine.clone(), input, question).await,
                Err(failure) => Err(failure),
            };
            if result.is_err() && !engine.is_lost() {
                // The browser gets time to say whether the device is gone, so that `lost` is right and the error says so.
                let pause = Promise::new(&mut |resolve, _| set_timeout(&resolve, 30));
                let _ = JsFuture::from(pause).await;
            }
            answer(result.map_err(|failure| engine.explain(failure)))
        })
    }
}

/// A method and its settings.
fn asked(method: &str, settings: JsValue) -> Result<(MethodName, Settings)> {
    Ok((MethodName::parse(method)?, from_js("settings", settings)?))
}

/// In JavaScript's terms: an `Error` with a code.
fn answer<T>(result: Result<T>) -> Answer<T> {
    result.map_err(|Failure { code, message }| {
        let error = JsValue::from(js_sys::Error::new(&message));
        // An error that could not be written to is still one.
        let _ = js_sys::Reflect::set(&error, &"code".into(), &code.name().into());
        error
    })
}

fn to_js(value: &impl Serialize) -> Result<JsValue> {
    let serializer = serde_wasm_bindgen::Serializer::new().serialize_missing_as_null(true);
    Ok(value.serialize(&serializer).map_err(|error| error.to_string())?)
}

fn from_js<T: DeserializeOwned>(argument: &str, value: JsValue) -> Result<T> {
    Ok(serde_wasm_bindgen::from_value(value).map_err(|error| format!("`{argument}`: {error}"))?)
}

fn set(object: &JsValue, name: &str, value: &JsValue) -> Result<()> {
    js_sys::Reflect::set(object, &name.into(), value).map_err(|_| "an object cannot be written".to_owned())?;
    Ok(())
}
