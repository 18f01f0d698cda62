//! The steps of the tests by name, and the tier that each is of.

use anyhow::{Context, Result};

/// One step of the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Setup,
    Format,
    Lint,
    Test,
    Demo,
    Wasm,
    Browser,
    Bench,
    Features,
    Web,
    BurnLint,
    Burn,
    Candle,
    Models,
    Isa,
    Package,
    RustVersion,
}

impl Step {
    /// The quick tier.
    pub const QUICK: [Self; 7] =
        [Self::Setup, Self::Format, Self::Lint, Self::Test, Self::Demo, Self::Wasm, Self::Browser];
    /// Every step, in order.
    pub const ALL: [Self; 17] = [
        Self::Setup,
        Self::Format,
        Self::Lint,
        Self::Test,
        Self::Demo,
        Self::Wasm,
        Self::Browser,
        Self::Bench,
        Self::Features,
        Self::Web,
        Self::BurnLint,
        Self::Burn,
        Self::Candle,
        Self::Models,
        Self::Isa,
        Self::Package,
        Self::RustVersion,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Format => "fmt",
            Self::Lint => "lint",
            Self::Test => "test",
            Self::Demo => "demo",
            Self::Wasm => "wasm",
            Self::Browser => "browser",
            Self::Bench => "bench",
            Self::Features => "features",
            Self::Web => "web",
            Self::BurnLint => "burn-lint",
            Self::Burn => "burn",
            Self::Candle => "candle",
            Self::Models => "models",
            Self::Isa => "isa",
            Self::Package => "package",
            Self::RustVersion => "msrv",
        }
    }

    pub fn describe(self) -> &'static str {
        match self {
            Self::Setup => {
                "what the tests need: a software Vulkan driver, OpenGL ES, Chromium, Firefox, Rust for WebAssembly"
            }
            Self::Format => "rustfmt finds nothing to change",
            Self::Lint => "Clippy and rustdoc have no warnings",
            Self::Test => "all tests of the library, on the CPU and on adapters, and the examples in its documentation",
            Self::Demo => "the main job runs on a short input",
            Self::Wasm => "the library compiles for WebAssembly",
            Self::Browser => "every method in a headless Chromium, against the CPU",
            Self::Bench => "every benchmark runs once",
            Self::Features => "the library has no warnings without wgpu, and with wgpu for no API",
            Self::Web => "the page is built and does in Chromium and Firefox what it should",
            Self::BurnLint => "Clippy and rustdoc have no warnings in what is built on Burn and candle",
            Self::Burn => "attention on Burn's tensors, with Burn's fusion and without",
            Self::Candle => "attention on candle's tensors, against candle's own operations",
            Self::Models => {
                "speech recognition, embeddings and features of photographs with pretrained models, which are fetched"
            }
            Self::Isa => "real GPUs' compilers keep every kernel within its limits, where their drivers are set up",
            Self::Package => "the package builds by itself and is small enough to publish",
            Self::RustVersion => "the stated minimum Rust versions are true",
        }
    }

    /// Steps of a list like `fmt,lint`.
    pub fn parse_list(list: &str) -> Result<Vec<Self>> {
        let parse = |name: &str| {
            let step = Self::ALL.into_iter().find(|step| step.name() == name);
            step.with_context(|| {
                let names: Vec<&str> = Self::ALL.iter().map(|step| step.name()).collect();
                format!("there is no step `{name}`; there are {}", names.join(", "))
            })
        };
        list.split(',').map(str::trim).map(parse).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_steps_are_read_by_name() {
        assert_eq!(Step::parse_list("fmt, msrv").unwrap(), [Step::Format, Step::RustVersion]);
        assert!(Step::parse_list("fmt,format").unwrap_err().to_string().contains("`format`"));
    }

    #[test]
    fn the_quick_tier_comes_first() {
        assert_eq!(Step::ALL[..Step::QUICK.len()], Step::QUICK);
    }
}
