//! The results on the terminal.

use super::engine::BackEnd;
use super::results::{Configuration, Results, Run, OPTIONS};
use crate::report::{error, method_name, seconds};
use clustered_attention::{Element, Precision};
use comfy_table::{presets::UTF8_FULL_CONDENSED, CellAlignment, Table};

/// Everything that is shown.
pub fn render(results: &Results) -> String {
    let mut text = String::new();
    if !results.optimised {
        text += "\nNOT OPTIMISED: this program was built without --release, so its times mean nothing.\n";
    }
    if let Some(warning) = results.machine.warning() {
        text += &format!("\n{warning}\n");
    }
    for back_end in &results.back_ends {
        text += &format!("\n{}\n", ceilings(back_end));
        let runs: Vec<&Run> = results.runs.iter().filter(|run| run.back_end == back_end.name).collect();
        if runs.is_empty() {
            text += "Nothing was measured here.\n";
            continue;
        }
        text += &format!("{}\n", calls(&runs));
        if let Some(run) = longest_stitched(&runs) {
            text += &format!("Stages of {}, by {}:\n", describe(&run.configuration), back_end.stage_times);
            text += &format!("{}\n", stages(run));
        }
    }
    for skipped in &results.skipped {
        text +=
            &format!("Left out: {} on {}, {}.\n", describe(&skipped.configuration), skipped.back_end, skipped.reason);
    }
    text += "\nTimes are medians of whole calls on host slices with least and most of them in brackets, and beside them the times of the \
             stages alone; the first call prepares kernels and memory. Errors are L2, relative to exact attention on the CPU; a * marks \
             those of a sample of 256 rows a head.";
    text
}

/// What a back end can do at best.
pub fn ceilings(back_end: &BackEnd) -> String {
    let ceilings = &back_end.ceilings;
    format!(
        "{}: at best {:.1} GFLOP/s (product: {}), {:.1} GB/s (copy), {:.1} G integer operations/s (popcount loop)",
        back_end.name,
        ceilings.product_gflop_per_second,
        ceilings.product_kernel,
        ceilings.copy_gbyte_per_second,
        ceilings.popcount_gop_per_second
    )
}

/// The run whose stages stand for the rest: the first of the longest, of the method that is there of stitched, improved, clustered, exact,
/// auto.
pub fn longest_stitched<'a>(runs: &[&'a Run]) -> Option<&'a Run> {
    ["stitched", "improved", "clustered", "exact", "auto"].iter().find_map(|method| {
        let of_method = runs.iter().copied().filter(|run| run.configuration.method == *method);
        of_method.min_by_key(|run| std::cmp::Reverse(run.configuration.length))
    })
}

/// Such as `stitched, length 8192, 8 heads of 64, C 25, k 32, w 16`.
pub fn describe(configuration: &Configuration) -> String {
    let Configuration { method, length, heads, width, .. } = configuration;
    let options = options(configuration);
    let comma = if options.is_empty() { "" } else { ", " };
    format!("{method}, length {length}, {heads} head{} of {width}{comma}{options}", if *heads == 1 { "" } else { "s" })
}

/// Such as `C 25, k 32, w 16, f16, float16-pairs`; nothing for exact attention in float32.
pub fn options(configuration: &Configuration) -> String {
    let values = [configuration.clusters, configuration.top_k, configuration.window, configuration.key_groups];
    let options = OPTIONS.iter().zip(values);
    let given = options.filter_map(|((name, _), value)| value.map(|value| format!("{name} {value}")));
    let element = (configuration.element != Element::F32.name()).then(|| configuration.element.to_owned());
    let precision = (configuration.precision != Precision::Float32.name()).then(|| configuration.precision.to_owned());
    given.chain(element).chain(precision).collect::<Vec<_>>().join(", ")
}

/// Such as `12.3 MiB`.
pub fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// An error with a mark if it was taken on a sample.
pub fn error_of(run: &Run) -> String {
    format!("{}{}", error(run.relative_error), if run.rows_sampled { "*" } else { "" })
}

/// Operations in 10^6, bytes in MB.
pub fn millions(count: u64) -> String {
    match count {
        0 => "-".into(),
        count => format!("{:.1}", count as f64 / 1e6),
    }
}

/// A rate or a percentage; nothing where there was nothing to do.
pub fn number(value: f64) -> String {
    match value {
        0.0 => "-".into(),
        value if value < 0.1 => format!("{value:.2}"),
        value => format!("{value:.1}"),
    }
}

/// Headings and cells of the table of calls, the same on the terminal and in the report.
pub const CALL_HEADINGS: [&str; 13] = [
    "length",
    "method",
    "options",
    "time",
    "(least, most)",
    "its stages",
    "first call",
    "speed-up",
    "error",
    "GFLOP/s",
    "scratch",
    "peak heap",
    "allocations",
];

pub fn call_cells(run: &Run) -> [String; 13] {
    let Configuration { method, length, heads, width, .. } = &run.configuration;
    [
        length.to_string(),
        method_name(method, run.taken),
        format!("{heads} × {width} {}", options(&run.configuration)),
        seconds(run.seconds.median),
        format!("({}, {})", seconds(run.seconds.minimum), seconds(run.seconds.maximum)),
        seconds(run.stage_seconds),
        seconds(run.first_seconds),
        run.speedup_vs_exact.map_or("-".into(), |factor| format!("{factor:.1}×")),
        error_of(run),
        number(run.gflop_per_second),
        mebibytes(run.memory.scratch_bytes),
        mebibytes(run.memory.peak_heap_bytes),
        run.memory.allocations.to_string(),
    ]
}

/// Headings and cells of a table of stages.
pub const STAGE_HEADINGS: [&str; 11] = [
    "stage",
    "time",
    "share",
    "MFLOP",
    "M integer ops",
    "MB",
    "GFLOP/s",
    "G int ops/s",
    "GB/s",
    "nearest ceiling",
    "of it",
];

pub fn stage_rows(run: &Run) -> Vec<[String; 11]> {
    let row = |stage: &super::results::StageResult| {
        [
            stage.name.to_owned(),
            seconds(stage.seconds),
            format!("{:.1} %", 100.0 * stage.share),
            millions(stage.operations),
            millions(stage.integer_operations),
            millions(stage.bytes),
            number(stage.gflop_per_second),
            number(stage.gop_per_second),
            number(stage.gbyte_per_second),
            stage.bound.to_owned(),
            format!("{:.0} %", stage.percent_of_ceiling),
        ]
    };
    run.stages.iter().map(row).collect()
}

fn calls(runs: &[&Run]) -> Table {
    aligned(&CALL_HEADINGS, runs.iter().map(|run| call_cells(run)), 3)
}

fn stages(run: &Run) -> Table {
    aligned(&STAGE_HEADINGS, stage_rows(run).into_iter(), 1)
}

/// A table whose columns of numbers, from `first_number` on, are aligned to the right.
pub fn aligned<const N: usize>(
    headings: &[&str; N],
    rows: impl Iterator<Item = [String; N]>,
    first_number: usize,
) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(headings);
    rows.for_each(|row| {
        table.add_row(row);
    });
    for column in table.column_iter_mut().skip(first_number) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
