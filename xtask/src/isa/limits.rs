//! Limits that are committed beside the kernels: what a change may not make worse unseen.

use super::figures::{drivers, lines, Report, Row};
use crate::process::root;
use anyhow::{Context, Result};
use serde_json::{Map, Value};
use std::path::PathBuf;

/// What is limited, in the order of the file.
const LIMITED: [&str; 3] = ["registers", "spills", "slots_per_multiply_add"];

fn path() -> PathBuf {
    root().join("shaders/limits.json")
}

fn limited(row: &Row) -> [Option<f64>; 3] {
    [row.figure("registers"), Some(row.spills()), row.figure("slots_per_multiply_add")]
}

/// Writes what was measured as the limits.
pub fn write(reports: &[Report]) -> Result<PathBuf> {
    let (drivers, columns) = (drivers(reports), Value::from(LIMITED.map(Value::from).to_vec()));
    let kernels = lines(reports, |row| limited(row).to_vec());
    let text = format!("{{\n\"drivers\": {drivers},\n\"columns\": {columns},\n\"kernels\": {kernels}\n}}\n");
    std::fs::write(path(), text).with_context(|| format!("cannot write {}", path().display()))?;
    Ok(path())
}

/// The limits that are committed.
pub struct Limits(Value);

impl Limits {
    /// # Errors
    /// There are none.
    pub fn read() -> Result<Self> {
        let text = std::fs::read_to_string(path()).with_context(|| format!("cannot read {}", path().display()))?;
        Ok(Self(serde_json::from_str(&text).with_context(|| format!("{}", path().display()))?))
    }

    /// The version of the drivers that they were measured with, if a report is by others.
    pub fn other_drivers(&self, reports: &[Report]) -> Option<String> {
        let of = |report: &Report| Some(self.0["drivers"][report.target.name].as_str()?.to_owned());
        reports.iter().find_map(|report| of(report).filter(|driver| *driver != report.driver))
    }

    /// What exceeds its limit, has none, or is limited and no longer there.
    pub fn violations(&self, reports: &[Report]) -> Vec<String> {
        let none = Map::new();
        let kernels = self.0["kernels"].as_object().unwrap_or(&none);
        reports.iter().flat_map(|report| of_target(report, kernels)).collect()
    }
}

fn of_target(report: &Report, kernels: &Map<String, Value>) -> Vec<String> {
    let name = report.target.name;
    let mut found = Vec::new();
    for row in &report.rows {
        let Some(limits) = kernels.get(&row.key).and_then(|targets| targets.get(name)) else {
            found.push(format!("{name}: {} has no limits", row.key));
            continue;
        };
        for (place, (what, measured)) in LIMITED.iter().zip(limited(row)).enumerate() {
            match (measured, limits[place].as_f64()) {
                (Some(measured), Some(limit)) if measured > limit => {
                    found.push(format!("{name}: {} has {what} {measured}, above its limit {limit}", row.key));
                }
                // A hot loop that there was none of, or registers that a driver did not tell.
                (Some(measured), None) if measured > 0.0 => {
                    found.push(format!("{name}: {} has {what} {measured}, and no limit", row.key));
                }
                _ => {}
            }
        }
    }
    let gone = kernels
        .iter()
        .filter(|(key, targets)| targets.get(name).is_some() && !report.rows.iter().any(|row| row.key == **key));
    found.extend(gone.map(|(key, _)| format!("{name}: {key} has limits, and is no longer there")));
    found
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::report;
    use super::*;

    fn found(report: &Report) -> Vec<String> {
        let limits = serde_json::json!({ "short/x": { "ada": [152, 0, 3.85] }, "short/y": { "m1": [10, 0, null] } });
        of_target(report, limits.as_object().unwrap())
    }

    #[test]
    fn what_is_worse_than_its_limit_is_told() {
        assert_eq!(found(&report("ada", "short/x", 152.0, 0.0, Some(3.85))), [""; 0]);
        assert_eq!(found(&report("ada", "short/x", 100.0, 0.0, None)), [""; 0]);
        let worse = found(&report("ada", "short/x", 153.0, 1.0, Some(3.86)));
        assert_eq!(worse.len(), 3, "{worse:?}");
        assert!(worse[0].contains("registers 153, above its limit 152"), "{worse:?}");
    }

    #[test]
    fn limits_are_of_a_version() {
        let limits = Limits(serde_json::json!({ "drivers": { "ada": "Mesa 1", "m1": "Mesa 0" } }));
        let of = |name| limits.other_drivers(&[report(name, "short/x", 1.0, 0.0, None)]);
        assert_eq!((of("ada"), of("m1"), of("a740")), (None, Some("Mesa 0".into()), None));
    }

    #[test]
    fn kernels_and_limits_belong_together() {
        let unknown = found(&report("ada", "short/z", 1.0, 0.0, None));
        assert_eq!(unknown.len(), 2, "{unknown:?}");
        assert!(unknown[0].contains("has no limits") && unknown[1].contains("short/x has limits"), "{unknown:?}");
        assert!(found(&report("m1", "short/y", 1.0, 0.0, Some(2.0)))[0].contains("and no limit"));
    }
}
