//! Tests of what the public interface does not show: declarations, constants, and shared functions of the shaders.

mod ask;
mod declarations;
mod halves;
mod hardware_constants;
mod matrices;
mod neighbours;
mod visible;

use super::adapter::{self, AdapterDescription};

/// The adapters that are tested: all, or those whose description contains CLUSTERED_ATTENTION_ADAPTER. At least one, unless the machine is
/// said to have none.
fn adapters() -> Vec<AdapterDescription> {
    let wanted = std::env::var("CLUSTERED_ATTENTION_ADAPTER").unwrap_or_default().to_lowercase();
    let mut adapters = pollster::block_on(adapter::adapters());
    adapters.retain(|adapter| adapter.to_string().to_lowercase().contains(&wanted));
    assert!(
        !adapters.is_empty() || std::env::var_os("CLUSTERED_ATTENTION_NO_ADAPTER").is_some(),
        "no GPU adapter was found; install a software one or set CLUSTERED_ATTENTION_NO_ADAPTER=1"
    );
    adapters
}
