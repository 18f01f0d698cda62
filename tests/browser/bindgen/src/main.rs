//! Does what the program `wasm-bindgen` does, from the version in the workspace's lock file: `bindgen LIBRARY.wasm FOLDER NAME` writes
//! `NAME.js`, `NAME.d.ts` and `NAME_bg.wasm`.

use anyhow::{Context, Result};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let library = arguments.next().context("the first argument is the library")?;
    let folder = arguments.next().context("the second argument is the folder to write to")?;
    let name = arguments.next().context("the third argument is the name of what is written")?;
    let name = name.to_str().context("the name is no text")?;
    let mut bindgen = Bindgen::new();
    bindgen
        .input_path(library)
        .out_name(name)
        .web(true)?
        .typescript(true)
        .omit_default_module_path(false)
        .remove_name_section(true);
    bindgen.generate(folder)
}
