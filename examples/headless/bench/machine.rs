//! What is known of the machine, and the date.

use serde::Serialize;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// Where it ran.
#[derive(Debug, Serialize)]
pub struct Machine {
    pub processor: String,
    pub threads: usize,
    pub system: String,
    /// Threads that ran or wanted to in the minute before, where the system tells.
    pub load: Option<f64>,
}

impl Machine {
    /// Says that other work ran beside the benchmark's.
    pub fn warning(&self) -> Option<String> {
        let load = self.load.filter(|&load| load > 0.5)?;
        Some(format!(
            "The machine was not idle: {load:.1} threads on average were at work in the minute before, so times are longer than they need be."
        ))
    }
}

pub fn describe() -> Machine {
    Machine {
        processor: processor().unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        load: load(),
    }
}

/// What is known of the cards and their clocks: by NVIDIA's tool, or where Linux tells it of AMD's. Nothing where neither does.
pub fn clocks() -> Vec<String> {
    let fields = "name,clocks.sm,clocks.max.sm,clocks.mem,power.limit,driver_version";
    let tool = Command::new("nvidia-smi").args([&format!("--query-gpu={fields}"), "--format=csv,noheader"]).output();
    let lines = |text: &str| text.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>();
    if let Some(output) = tool.ok().filter(|output| output.status.success()) {
        return lines(&String::from_utf8_lossy(&output.stdout))
            .iter()
            .map(|line| format!("{fields}: {line}"))
            .collect();
    }
    let entries = std::fs::read_dir("/sys/class/drm").into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    // Connectors, and the same cards for computing alone, have other names.
    let cards = names.filter(|name| name.strip_prefix("card").is_some_and(|number| number.parse::<u32>().is_ok()));
    let clocks = cards.filter_map(|card| {
        let levels = std::fs::read_to_string(format!("/sys/class/drm/{card}/device/pp_dpm_sclk")).ok()?;
        let current = lines(&levels).into_iter().find(|line| line.ends_with('*'))?;
        Some(format!("{card}, level: clock: {current}"))
    });
    clocks.collect()
}

/// Threads that ran or wanted to during the last minute, where the system tells.
fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

fn processor() -> Option<String> {
    let name = match std::env::consts::OS {
        "linux" | "android" => {
            let facts = std::fs::read_to_string("/proc/cpuinfo").ok()?;
            facts.lines().find(|line| line.starts_with("model name"))?.split_once(':')?.1.to_owned()
        }
        "macos" => {
            let output = Command::new("sysctl").args(["-n", "machdep.cpu.brand_string"]).output().ok()?;
            String::from_utf8(output.stdout).ok()?
        }
        _ => std::env::var("PROCESSOR_IDENTIFIER").ok()?,
    };
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// Such as `2025-03-09 14:05 UTC`.
pub fn date() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |duration| duration.as_secs());
    let (year, month, day) = civil((seconds / 86_400) as i64);
    format!("{year}-{month:02}-{day:02} {:02}:{:02} UTC", seconds / 3600 % 24, seconds / 60 % 60)
}

/// Year, month and day of a day since 1970, by Howard Hinnant's `civil_from_days`.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}
