//! The report: one page that needs nothing else.

mod figures;
mod html;
mod plots;

use super::engine::BackEnd;
use super::results::{Results, Run};
use super::table;
use crate::report::seconds;
use anyhow::Result;
use html::escape;
use std::cmp::Reverse;

/// The page.
pub fn render(results: &Results) -> Result<String> {
    let mut page = String::from("<h1>clustered-attention: benchmark</h1>\n");
    page += &format!(
        "<p class=lead>Version {}, {}, {}.</p>\n",
        results.version,
        escape(&results.date),
        escape(&results.machine.processor)
    );
    if !results.optimised {
        page += "<p class=warning>Built without optimisation: these times mean nothing. Build with --release.</p>\n";
    }
    if let Some(warning) = results.machine.warning() {
        page += &format!("<p class=warning>{}</p>\n", escape(&warning));
    }
    page += &in_short(results);
    page += &setting(results);
    for back_end in &results.back_ends {
        page += &section(back_end, results)?;
    }
    page += &left_out(results);
    page += NOTES;
    Ok(html::page(&format!("benchmark of {}", results.date), &page))
}

const NOTES: &str = "<h2>How it was measured</h2>\n<ul>\n\
    <li>Times are wall times of whole calls on host slices, on an adapter with upload and read-back. All methods and back ends of a \
    length take turns, repetition by repetition, in one process.</li>\n\
    <li>The first call prepares kernels and memory. Kernels are shared by all lengths, so it is the first length that pays for them.</li>\n\
    <li>Operations and bytes are counted, not measured: what the method needs (docs/method.md, section Cost), with each input of a stage \
    read once and each result written once. K-means that ends early does less than is counted.</li>\n\
    <li>Ceilings are measured on the same back end in the same run, before and after, and the best of many counts: a matrix product with a tile in registers, a copy of more memory than \
    caches hold, and a loop of xor, popcount and add. A stage is compared with the ceiling that it is nearest to. It can pass 100 % of \
    the copy where its data are in a cache, and of the popcount loop where its operations are simpler ones.</li>\n\
    <li>Errors are L2, relative to exact attention as the CPU computes it on every back end: of all rows together. An asterisk marks \
    those of a sample of 256 rows a head.</li>\n\
    <li>Other work on the machine makes times longer. The spread tells.</li>\n</ul>\n";

/// The longest length of each back end at which stitched and exact attention were both measured.
fn in_short(results: &Results) -> String {
    let mut sentences = String::new();
    for back_end in &results.back_ends {
        let stitched = results.runs.iter().filter(|run| {
            run.back_end == back_end.name && run.configuration.method == "stitched" && run.speedup_vs_exact.is_some()
        });
        let Some(run) = stitched.min_by_key(|run| Reverse(run.configuration.length)) else { continue };
        let factor = run.speedup_vs_exact.unwrap_or_default();
        sentences += &format!(
            "<li><b>{}</b>: stitched attention takes {} at length {}, exact attention {} ({factor:.1} times as long). Its error is {}.</li>\n",
            escape(&back_end.name),
            seconds(run.seconds.median),
            run.configuration.length,
            seconds(run.seconds.median * factor),
            table::error_of(run)
        );
    }
    if sentences.is_empty() {
        return sentences;
    }
    format!("<ul>\n{sentences}</ul>\n")
}

fn setting(results: &Results) -> String {
    let mut page = String::from("<h2>Setting</h2>\n");
    page += &html::facts(&[
        ("processor", format!("{}, {} threads", results.machine.processor, results.machine.threads)),
        ("system", results.machine.system.clone()),
        ("command", format!("headless {}", results.arguments.join(" "))),
        ("input", format!("{}, seed {}", results.input, results.seed)),
        ("calls", format!("{} of each, after the first", results.repeat)),
        ("limit", format!("{} s a call, as predicted", results.seconds_limit)),
    ]);
    page += "<h3>Back ends and what they can do at best</h3>\n";
    let rows: Vec<[String; 8]> = results
        .back_ends
        .iter()
        .map(|back_end| {
            [
                back_end.name.clone(),
                back_end.driver.clone().unwrap_or_else(|| format!("{} threads", back_end.threads.unwrap_or_default())),
                format!("{:.1} GFLOP/s", back_end.ceilings.product_gflop_per_second),
                back_end.ceilings.product_kernel.clone(),
                format!("{:.1} GB/s", back_end.ceilings.copy_gbyte_per_second),
                format!("{:.1} G/s", back_end.ceilings.popcount_gop_per_second),
                back_end.stage_times.to_owned(),
                if back_end.open_seconds > 0.0 { seconds(back_end.open_seconds) } else { "-".into() },
            ]
        })
        .collect();
    page + &html::table(
        &["back end", "driver", "product", "its kernel", "copy", "popcount loop", "times of stages", "opening"],
        &rows,
        8,
    )
}

fn section(back_end: &BackEnd, results: &Results) -> Result<String> {
    let runs: Vec<&Run> = results.runs.iter().filter(|run| run.back_end == back_end.name).collect();
    let mut page = format!("<h2>{}</h2>\n", escape(&back_end.name));
    if runs.is_empty() {
        return Ok(page + "<p>Nothing was measured here.</p>\n");
    }
    page += &figures::all(&runs, back_end.kind == "gpu")?;
    page += "<h3>Calls</h3>\n";
    page += &html::table(&table::CALL_HEADINGS, &runs.iter().map(|run| table::call_cells(run)).collect::<Vec<_>>(), 3);
    page += &format!("<h3>Stages</h3>\n<p class=note>Where the times come from: {}.</p>\n", back_end.stage_times);
    let shown = table::longest_stitched(&runs).map(|run| &run.configuration);
    let (first, others): (Vec<&Run>, _) = runs.iter().copied().partition(|run| Some(&run.configuration) == shown);
    first.into_iter().for_each(|run| page += &stages(run, true));
    if !others.is_empty() {
        page += "<details><summary>Stages of all other calls</summary>\n";
        others.into_iter().for_each(|run| page += &stages(run, false));
        page += "</details>\n";
    }
    Ok(page + &compilations(back_end))
}

fn stages(run: &Run, open: bool) -> String {
    format!(
        "<details{}><summary>{}: {} in all stages, {} a call</summary>\n{}</details>\n",
        if open { " open" } else { "" },
        escape(&table::describe(&run.configuration)),
        seconds(run.stage_seconds),
        seconds(run.seconds.median),
        html::table(&table::STAGE_HEADINGS, &table::stage_rows(run), 1)
    )
}

/// What was compiled; nothing where the back end does not tell.
fn compilations(back_end: &BackEnd) -> String {
    if back_end.compilations.is_empty() {
        return String::new();
    }
    let rows: Vec<[String; 2]> = back_end
        .compilations
        .iter()
        .map(|compilation| [compilation.kernel.to_owned(), seconds(compilation.seconds)])
        .collect();
    let total = seconds(back_end.compilations.iter().map(|compilation| compilation.seconds).sum());
    format!(
        "<h3>Compilation</h3>\n<p class=note>Creation of each kernel's shader module and pipeline, {total} in all; a kernel is there once \
         for each set of sizes that it was compiled for. Some drivers, software ones among them, compile only when a kernel first runs: that \
         is part of the first call instead.</p>\n{}",
        html::table(&["kernel", "time"], &rows, 1)
    )
}

fn left_out(results: &Results) -> String {
    if results.skipped.is_empty() {
        return String::new();
    }
    let rows: Vec<[String; 3]> = results
        .skipped
        .iter()
        .map(|skipped| [skipped.back_end.clone(), table::describe(&skipped.configuration), skipped.reason.clone()])
        .collect();
    format!("<h2>Left out</h2>\n{}", html::table(&["back end", "what", "why"], &rows, 3))
}
