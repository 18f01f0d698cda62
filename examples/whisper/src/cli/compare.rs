//! Methods side by side on the packaged recordings, over several seeds.

use super::options::Options;
use anyhow::Result;
use clustered_attention::Method;
use clustered_attention_models::method_options::describe_top_k;
use clustered_attention_models::methods::{key_groups, method_json, with_seed};
use clustered_attention_models::progress::Progress;
use clustered_attention_models::say;
use clustered_attention_models::table::{mean, median, origin, seconds, table};
use clustered_attention_whisper::task::{evaluate, Evaluation, SetResult, SpeechSet};
use serde_json::{json, Value};

/// A method and how it did, by seed.
struct Compared {
    method: Method,
    runs: Vec<Run>,
}

/// How a method did with a seed.
struct Run {
    seed: u64,
    /// Of the encoder's output, relative to exact attention.
    relative_error: f64,
    evaluation: Evaluation,
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
    let mut exact: Option<Evaluation> = None;
    for method in methods {
        let mut runs = Vec::new();
        for &seed in seeds_of(&method) {
            recognizer.set_method(with_seed(method, seed));
            let mut evaluation =
                evaluate(&recognizer, &sets, |name| progress.step(&format!("{} {name}", method.name())))?;
            let relative_error = evaluation.relative_error(exact.get_or_insert_with(|| evaluation.clone()));
            evaluation.forget_encoder_outputs();
            runs.push(Run { seed, relative_error, evaluation });
        }
        compared.push(Compared { method, runs });
    }
    drop(progress);
    // The file first: what is printed can fail for reasons of its own.
    options.write_json(&json!({
        "origin": origin(recognizer.device()),
        "sets": sets.iter().map(set_json).collect::<Vec<_>>(),
        "methods": compared.iter().map(method_results).collect::<Vec<_>>(),
    }))?;
    say!("Input:   {}", described(&sets))?;
    say!("Options: {}\n", options_of(&compared, options))?;
    say!("{}", table(["method", "clips", "cards", "joined", "encoder", "attention", "everything"], rows(&compared)))?;
    say!(
        "Wrong words, over {} seeds where a method has clusters: the mean, and the most of one seed. Encoder: the error of its output,\n\
         L2, relative to the output with exact attention. Times are of a recording: means over recordings, medians over seeds.",
        options.seeds
    )?;
    Ok(())
}

fn described(sets: &[SpeechSet]) -> String {
    let describe = |set: &SpeechSet| format!("{} ({} words)", set.name, set.words());
    sets.iter().map(describe).collect::<Vec<_>>().join(", ")
}

fn options_of(compared: &[Compared], options: &Options) -> String {
    let methods: Vec<Method> = compared.iter().map(|compared| compared.method).collect();
    let mut text = format!("{} clusters{}", options.methods.clusters, describe_top_k(&methods));
    if let Some(window) = compared.iter().find_map(|compared| compared.method.window()) {
        text += &format!(", window {window}");
    }
    if let Some(groups) = compared.iter().find_map(|compared| key_groups(&compared.method)) {
        text += &format!(", {groups} key groups");
    }
    text + &format!(", seeds from {}", options.seed)
}

fn rows(compared: &[Compared]) -> Vec<[String; 7]> {
    compared
        .iter()
        .map(|Compared { method, runs }| {
            let of_runs = |value: &dyn Fn(&Run) -> f64| runs.iter().map(value).collect::<Vec<_>>();
            let errors = |set: usize| {
                let errors = of_runs(&|run| run.evaluation.sets[set].errors.errors as f64);
                match errors[..] {
                    [errors] => format!("{errors:.0}"),
                    _ => format!("{:.1}, most {:.0}", mean(&errors), errors.iter().copied().fold(0.0, f64::max)),
                }
            };
            let recordings =
                |run: &Run| run.evaluation.sets.iter().map(|set| set.transcripts.len()).sum::<usize>() as f64;
            let attention = median(&of_runs(&|run| run.evaluation.attention_seconds() / recordings(run)));
            let total = median(&of_runs(&|run| run.evaluation.total_seconds() / recordings(run)));
            let relative = mean(&of_runs(&|run| run.relative_error));
            let name = method.name().to_owned();
            [name, errors(0), errors(1), errors(2), format!("{relative:.3}"), seconds(attention), seconds(total)]
        })
        .collect()
}

fn set_json(set: &SpeechSet) -> Value {
    json!({ "name": set.name, "recordings": set.utterances.len(), "words": set.words() })
}

fn method_results(compared: &Compared) -> Value {
    let run = |run: &Run| {
        let set = |set: &SetResult| {
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
            "seed": run.seed,
            "relative_error_of_encoder": run.relative_error,
            "sets": run.evaluation.sets.iter().map(set).collect::<Vec<_>>(),
        })
    };
    json!({ "method": method_json(&compared.method), "runs": compared.runs.iter().map(run).collect::<Vec<_>>() })
}
