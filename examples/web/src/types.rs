//! TypeScript's view of the objects that are passed: the package's own declarations.

use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
import type { Backend, Groups, InputShape, Limits, MethodName, Presets, Run, Settings } from './index.js';
export type { Backend, Groups, InputShape, Limits, MethodName, Presets, Run, Settings };
"#;
