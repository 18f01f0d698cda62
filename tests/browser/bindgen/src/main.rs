//! Does what the program `wasm-bindgen` does, from the version in the workspace's lock file: `bindgen LIBRARY.wasm FOLDER` writes
//! `test.js` and `test_bg.wasm`.

use anyhow::{Context, Result};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let library = arguments.next().context("the first argument is the library")?;
    let folder = arguments.next().context("the second argument is the folder to write to")?;
    let mut bindgen = Bindgen::new();
    bindgen.input_path(library).out_name("test").web(true)?.typescript(false).omit_default_module_path(false);
    bindgen.generate(folder)
}
