//! Every method in a browser, on the GPU against the CPU: `cargo xtask web-check`.
//!
//! Natively, the comparison itself is tested.

mod comparison;

use clustered_attention::{Attention, Backend};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console)]
    fn error(message: &str);
}

/// Runs all comparisons and calls `report` with a line for each.
///
/// # Errors
/// The number of comparisons that failed, or why there were none.
#[wasm_bindgen]
pub async fn run(report: js_sys::Function) -> Result<(), JsValue> {
    // A panic ends as a mere `unreachable` in the browser; its message would be lost.
    std::panic::set_hook(Box::new(|panic| error(&panic.to_string())));
    let report = |line: &str| {
        let _ = report.call1(&JsValue::NULL, &line.into());
    };
    let result = async {
        let reference = Attention::new(Backend::Cpu).await.map_err(|error| error.to_string())?;
        let candidate = Attention::new(Backend::Gpu).await.map_err(|error| error.to_string())?;
        match candidate.adapter() {
            Some(adapter) => report(&format!("adapter: {adapter}")),
            None => return Err("the GPU was asked for and the CPU came".to_string()),
        }
        comparison::run(&reference, &candidate, &report).await
    };
    result.await.map_err(|message| JsValue::from_str(&message))
}
