//! What compilers made of kernels: figures, as a table and as JSON.

use super::target::Target;
use anyhow::{Context, Result};
use serde_json::Value;

/// Figures of a kernel by name, as the program of `benches/isa` tells them.
pub const COLUMNS: [&str; 9] = [
    "registers",
    "spill_stores",
    "spill_loads",
    "spills_to_registers",
    "scratch_bytes",
    "occupancy",
    "instructions",
    "workgroup_bytes",
    "slots_per_multiply_add",
];

/// A kernel on a target.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub key: String,
    /// In the order of [`COLUMNS`]; what a driver does not tell, or a kernel does not have, is `None`.
    pub figures: [Option<f64>; 9],
}

impl Row {
    /// A line that the program wrote.
    pub fn parse(key: &str, line: &str) -> Result<Self> {
        let line: Value = serde_json::from_str(line).context("a line is no JSON")?;
        let of = |name: &str| match name {
            "workgroup_bytes" => line[name].as_f64(),
            // Hundredths say enough, and survive a file.
            "slots_per_multiply_add" => line["hot_loop"][name].as_f64().map(|slots| (slots * 100.0).round() / 100.0),
            _ => line["figures"][name].as_f64(),
        };
        Ok(Self { key: key.to_owned(), figures: COLUMNS.map(of) })
    }

    pub fn figure(&self, name: &str) -> Option<f64> {
        let place = COLUMNS.iter().position(|column| *column == name)?;
        self.figures[place]
    }

    /// Registers that went to memory: stores, and loads where they are told.
    pub fn spills(&self) -> f64 {
        self.figure("spill_stores").unwrap_or(0.0) + self.figure("spill_loads").unwrap_or(0.0)
    }
}

/// All kernels on a target.
pub struct Report {
    pub target: Target,
    /// The driver's version.
    pub driver: String,
    pub rows: Vec<Row>,
}

impl Report {
    /// The table that is printed.
    pub fn table(&self) -> String {
        let Self { target, driver, rows } = self;
        let mut text = format!("\n{} ({}, {driver}). {}.\n", target.name, target.describe, target.units);
        let titles = ["registers", "spills", "occupancy", "workgroup", "instructions", "slots/fma"];
        let mut line = |key: &str, cells: [String; 6]| {
            let cells: String = cells.iter().map(|cell| format!("{cell:>13}")).collect();
            text += &format!("{key:48}{cells}\n");
        };
        line("kernel", titles.map(str::to_owned));
        for row in rows {
            let shown = |name: &str| row.figure(name).map_or("-".to_owned(), |value| value.to_string());
            let spills = match (shown("spill_stores"), shown("spill_loads")) {
                (stores, loads) if loads == "-" => stores,
                (stores, loads) => format!("{stores}/{loads}"),
            };
            let slots = row.figure("slots_per_multiply_add").map_or("-".to_owned(), |slots| format!("{slots:.2}"));
            let cells = [
                shown("registers"),
                spills,
                shown("occupancy"),
                shown("workgroup_bytes"),
                shown("instructions"),
                slots,
            ];
            line(&row.key, cells);
        }
        text
    }
}

/// All reports as JSON, a line a kernel.
pub fn json(reports: &[Report]) -> String {
    let columns = COLUMNS.map(Value::from).to_vec();
    format!(
        "{{\n\"drivers\": {},\n\"columns\": {},\n\"kernels\": {}\n}}\n",
        drivers(reports),
        Value::from(columns),
        lines(reports, |row| row.figures.to_vec())
    )
}

/// The version of each target's driver.
pub fn drivers(reports: &[Report]) -> Value {
    let version = |report: &Report| (report.target.name.to_owned(), Value::from(report.driver.clone()));
    Value::from(reports.iter().map(version).collect::<serde_json::Map<_, _>>())
}

/// An object of kernels, a line each, with numbers for each target.
pub fn lines(reports: &[Report], numbers: impl Fn(&Row) -> Vec<Option<f64>>) -> String {
    let mut keys: Vec<&str> = Vec::new();
    for row in reports.iter().flat_map(|report| &report.rows) {
        if !keys.contains(&row.key.as_str()) {
            keys.push(&row.key);
        }
    }
    let number = |number: Option<f64>| number.map_or("null".to_owned(), |number| number.to_string());
    let line = |key: &&str| {
        let of = |report: &Report| {
            let row = report.rows.iter().find(|row| row.key == *key)?;
            let numbers: Vec<String> = numbers(row).into_iter().map(number).collect();
            Some(format!("\"{}\": [{}]", report.target.name, numbers.join(", ")))
        };
        let targets: Vec<String> = reports.iter().filter_map(of).collect();
        format!("\"{key}\": {{ {} }}", targets.join(", "))
    };
    format!("{{\n{}\n}}", keys.iter().map(line).collect::<Vec<_>>().join(",\n"))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// One kernel with some figures.
    pub fn report(name: &str, key: &str, registers: f64, spills: f64, slots: Option<f64>) -> Report {
        let target = Target::parse_list(name).unwrap()[0];
        let mut figures = [Some(1.0); 9];
        (figures[0], figures[1], figures[2], figures[8]) = (Some(registers), Some(spills), None, slots);
        Report { target, driver: "Mesa 1".into(), rows: vec![Row { key: key.into(), figures }] }
    }

    #[test]
    fn lines_of_the_program_become_rows() {
        let line = r#"{"file":"x","workgroup_bytes":4096,"figures":{"registers":152,"spill_stores":3,"spill_loads":4,
            "occupancy":12},"hot_loop":{"slots_per_multiply_add":3.8548}}"#;
        let row = Row::parse("short/x", line).unwrap();
        assert_eq!((row.figure("registers"), row.figure("workgroup_bytes")), (Some(152.0), Some(4096.0)));
        assert_eq!((row.spills(), row.figure("slots_per_multiply_add")), (7.0, Some(3.85)));
        assert_eq!(row.figure("instructions"), None);
    }

    #[test]
    fn json_has_a_line_for_each_kernel() {
        let reports = [report("ada", "short/x", 152.0, 0.0, Some(3.85)), report("m1", "short/x", 255.0, 9.0, None)];
        let document: Value = serde_json::from_str(&json(&reports)).unwrap();
        assert_eq!(document["columns"][0], "registers");
        assert_eq!(document["kernels"]["short/x"]["m1"][0], 255);
        assert!(document["kernels"]["short/x"]["m1"][8].is_null());
        assert!(reports[0].table().contains("short/x") && reports[0].table().contains("3.85"));
    }
}
