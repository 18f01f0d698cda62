//! Pretrained models and data for the examples: where they lie, how they are fetched, and (feature `burn`) what programs share that load
//! them into [Burn](https://burn.dev) and compare methods of attention in them.

pub mod assets;
mod catalogue;
pub mod fetch;
#[path = "../../headless/terminal.rs"]
pub mod terminal;
pub mod testing;

#[cfg(feature = "burn")]
#[path = "../../headless/command_line.rs"]
pub mod command_line;

#[cfg(feature = "burn")]
pub mod device;
#[cfg(feature = "burn")]
#[path = "../../headless/files.rs"]
pub mod files;
#[cfg(feature = "burn")]
pub mod gelu;
#[cfg(feature = "burn")]
#[path = "../../headless/method_options.rs"]
pub mod method_options;
#[cfg(feature = "burn")]
pub mod methods;
#[cfg(feature = "burn")]
pub mod progress;
#[cfg(feature = "burn")]
pub mod stopwatch;
#[cfg(feature = "burn")]
pub mod table;
#[cfg(feature = "burn")]
pub mod weights;

pub use assets::{Asset, AssetError};
