//! Methods side by side on the packaged recordings, over several seeds.

use super::options::Options;
use anyhow::Result;
use clustered_attention::Method;
use clustered_attention_models::methods::{method_json, with_seed};
use clustered_attention_models::progress::Progress;
use clustered_attention_models::table::{mean, median, origin, seconds, table};
use clustered_attention_whisper::task::{evaluate, Evaluation, SpeechSet};
use serde_json::{json, Value};

/// A method and how it did, by seed.
struct Compared {
    method: Method,
    runs: Vec<(u64, Evaluation)>,
}

/// Prints the table, and writes the results where they are asked for.
pub fn run(options: &Options) -> Result<()> {
    let sets = SpeechSet::packaged()?;
    let mut recognizer = options.load()?;
    let seeds: Vec<u64> = (0..options.seeds).map(|index| options.seed.wrapping_add(index)).collect();
    let mut methods = options.methods();
    // What the others are measured against.
    if !matches!(methods.first(), Some(Method::Exact)) {
        methods.insert(0, Method::Exact);
    }
    let seeds_of = |method: &Method| if method.clustering().is_some() { &seeds[..] } else { &seeds[..1] };
    let windows: usize = sets.iter().map(|set| set.utterances.len()).sum();
    let progress = Progress::new(windows * methods.iter().map(|method| seeds_of(method).len()).sum::<usize>());
    // The first call takes longer than others, whatever the method; its time is no method's.
    if let Some(utterance) = sets.first().and_then(|set| set.utterances.first()) {
        recognizer.set_method(Method::Exact);
        recognizer.transcribe(&utterance.samples)?;
    }
    let mut compared = Vec::new();
    for method in methods {
        let mut runs = Vec::new();
        for &seed in seeds_of(&method) {
            recognizer.set_method(with_seed(method, seed));
            let evaluation = evaluate(&recognizer, &sets, |name| progress.step(&format!("{} {name}", method.name())))?;
            runs.push((seed, evaluation));
        }
        compared.push(Compared { method, runs });
    }
    drop(progress);
    println!("Input:   {}", described(&sets));
    println!("Options: {}\n", options_of(&compared, options));
    println!(
        "{}",
        table(["method", "clips", "cards", "joined", "encoder", "attention", "everything"], rows(&compared))
    );
    println!(
        "Wrong words, over {} seeds where a method has clusters: the mean, and the most of one seed. Encoder: the error of its output,\n\
         L2, relative to the output with exact attention. Times are of a recording: means over recordings, medians over seeds.",
        options.seeds
    );
    options.write_json(&json!({
        "origin": origin(recognizer.device()),
        "sets": sets.iter().map(set_json).collect::<Vec<_>>(),
        "methods": compared.iter().map(|method| method_results(method, &compared[0].runs[0].1)).collect::<Vec<_>>(),
    }))
}

fn described(sets: &[SpeechSet]) -> String {
    let describe = |set: &SpeechSet| format!("{} ({} words)", set.name, set.words());
    sets.iter().map(describe).collect::<Vec<_>>().join(", ")
}

fn options_of(compared: &[Compared], options: &Options) -> String {
    let chosen = &options.methods;
    let mut text = format!("{} clusters, top-k {}", chosen.clusters, chosen.top_k);
    if let Some(window) = compared.iter().find_map(|compared| compared.method.window()) {
        text += &format!(", window {window}");
    }
    text + &format!(", seeds from {}", options.seed)
}

fn rows(compared: &[Compared]) -> Vec<[String; 7]> {
    let Some(exact) = compared.first().map(|compared| &compared.runs[0].1) else { return Vec::new() };
    compared
        .iter()
        .map(|Compared { method, runs }| {
            let errors = |set: usize| {
                let errors: Vec<f64> = runs.iter().map(|(_, run)| run.sets[set].errors.errors as f64).collect();
                match errors[..] {
                    [errors] => format!("{errors:.0}"),
                    _ => format!("{:.1}, most {:.0}", mean(&errors), errors.iter().copied().fold(0.0, f64::max)),
                }
            };
            let middle = |value: &dyn Fn(&Evaluation) -> f64| {
                median(&runs.iter().map(|(_, run)| value(run)).collect::<Vec<_>>())
            };
            let recordings = |run: &Evaluation| run.sets.iter().map(|set| set.transcripts.len()).sum::<usize>() as f64;
            let attention = middle(&|run| run.attention_seconds() / recordings(run));
            let total = middle(&|run| run.total_seconds() / recordings(run));
            let relative = mean(&runs.iter().map(|(_, run)| run.relative_error(exact)).collect::<Vec<_>>());
            let name = method.name().to_owned();
            [name, errors(0), errors(1), errors(2), format!("{relative:.3}"), seconds(attention), seconds(total)]
        })
        .collect()
}

fn set_json(set: &SpeechSet) -> Value {
    json!({ "name": set.name, "recordings": set.utterances.len(), "words": set.words() })
}

fn method_results(compared: &Compared, exact: &Evaluation) -> Value {
    let run = |(seed, run): &(u64, Evaluation)| {
        let set = |set: &clustered_attention_whisper::task::SetResult| {
            json!({
                "name": set.name,
                "errors": set.errors.errors,
                "words": set.errors.words,
                "attention_seconds": set.attention_seconds(),
                "total_seconds": set.total_seconds(),
                "transcripts": set.transcripts.iter().map(|transcript| &transcript.text).collect::<Vec<_>>(),
            })
        };
        json!({
            "seed": seed,
            "relative_error_of_encoder": run.relative_error(exact),
            "sets": run.sets.iter().map(set).collect::<Vec<_>>(),
        })
    };
    json!({ "method": method_json(&compared.method), "runs": compared.runs.iter().map(run).collect::<Vec<_>>() })
}
