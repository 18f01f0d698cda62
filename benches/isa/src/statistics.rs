//! Drivers' own figures under common names.

use crate::assembly::Dialect;
use serde_json::{json, Value};

/// Registers, spills, occupancy and instructions. What a driver does not tell is null.
pub fn figures(dialect: Dialect, statistics: &[(String, f64)]) -> Value {
    let of = |name: &str| statistics.iter().find(|(known, _)| known == name).map(|(_, value)| *value as i64);
    let [registers, stores, fills, to_registers, scratch, occupancy, instructions] = match dialect {
        Dialect::Nvidia => [
            of("Number of GPRs"),
            of("Spills to memory"),
            of("Fills from memory"),
            of("Spills to reg"),
            of("SLM size"),
            of("Max warps/SM"),
            of("Instruction count"),
        ],
        Dialect::Amd => [
            of("VGPRs"),
            of("Spilled VGPRs"),
            None,
            of("Spilled SGPRs"),
            of("Scratch size"),
            of("Subgroups per SIMD"),
            of("Instructions"),
        ],
        Dialect::Apple => {
            [of("GPRs"), of("Spills"), of("Fills"), None, of("Scratch"), of("Threads"), of("Instructions")]
        }
        Dialect::Adreno => [
            of("Registers used"),
            of("STP Count"),
            of("LDP Count"),
            None,
            None,
            of("Max Waves Per Core"),
            of("Instruction Count"),
        ],
    };
    json!({
        "registers": registers,
        "spill_stores": stores,
        "spill_loads": fills,
        "spills_to_registers": to_registers,
        "scratch_bytes": scratch,
        "occupancy": occupancy,
        "instructions": instructions,
    })
}
