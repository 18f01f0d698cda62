//! Sentence embeddings from the command line.
//!
//! ```text
//! cargo run --release -p clustered-attention-embed -- "The weather is lovely today."
//! cargo run --release -p clustered-attention-embed -- --file texts.txt --method stitched --json embeddings.json
//! cargo run --release -p clustered-attention-embed -- --compare
//! cargo run --release -p clustered-attention-embed -- --help
//! ```

mod options;
mod report;

use anyhow::{bail, Context, Result};
use burn::tensor::Device;
use clustered_attention_embed::{compare, search, speeches, Model, Tokens};
use clustered_attention_models::method_options::MethodName;
use clustered_attention_models::methods::method_json;
use clustered_attention_models::progress::Progress;
use clustered_attention_models::table::{origin, write_json};
use clustered_attention_models::terminal::complain;
use clustered_attention_models::{command_line, say};
use options::Options;
use serde_json::json;
use std::io::{IsTerminal, Read};
use std::process::ExitCode;

fn main() -> ExitCode {
    command_line::run(Ok, |options: &Options| {
        options.check_files()?;
        let work = if options.compare { compare_methods } else { embed };
        work(options).map(|()| ExitCode::SUCCESS)
    })
}

fn load(options: &Options, device: &Device) -> Result<Model> {
    let mut model = match &options.model {
        Some(folder) => Model::load_from(folder, device)?,
        None => Model::load(device)?,
    };
    if let Some(length) = options.max_tokens {
        model.tokenizer_mut().set_longest(length)?;
    }
    Ok(model)
}

/// Prints the embedding of each text as a JSON array, one a line.
fn embed(options: &Options) -> Result<()> {
    let Some(method) = options.methods.method_or(MethodName::Exact) else {
        bail!("an embedding is computed by one method, but --method names several; --compare compares them");
    };
    let texts = read_texts(options)?;
    let device = options.device.open()?;
    let mut model = load(options, &device)?;
    model.set_method(method);
    let tokens = model.tokenize(&texts)?;
    for (number, tokens) in tokens.iter().enumerate().filter(|(_, tokens)| tokens.left_out > 0) {
        let Tokens { ids, left_out } = tokens;
        let (number, length) = (number + 1, ids.len());
        complain(format_args!("note: text {number} is longer than {length} tokens; its last {left_out} are left out"));
    }
    let progress = Progress::new(tokens.len());
    let mut embeddings = Vec::with_capacity(tokens.len());
    for batch in tokens.chunks(options::BATCH) {
        embeddings.extend(model.embed_tokens(batch)?);
        batch.iter().for_each(|_| progress.step("embedding"));
    }
    drop(progress);
    let embeddings: Vec<Vec<f64>> = embeddings.iter().map(|embedding| decimals(embedding)).collect();
    // The file first: what is printed can fail for reasons of its own.
    if let Some(path) = &options.json {
        let text = |((text, tokens), embedding): ((&String, &Tokens), &Vec<f64>)| {
            let Tokens { ids, left_out } = tokens;
            json!({ "text": text, "tokens": ids.len(), "left_out": left_out, "embedding": embedding })
        };
        let texts: Vec<_> = texts.iter().zip(&tokens).zip(&embeddings).map(text).collect();
        let seed = options.methods.seed;
        write_json(
            path,
            &json!({ "origin": origin(&device), "method": method_json(&method), "seed": seed, "texts": texts }),
        )?;
    }
    embeddings.iter().try_for_each(|embedding| say!("{}", json!(embedding)))?;
    Ok(())
}

/// Numbers whose digits in float64 are no more than float32 has.
fn decimals(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().map(|number| number.to_string().parse().unwrap_or(f64::from(*number))).collect()
}

/// The texts of the command line, or of the lines of a file or of standard input that are not empty.
fn read_texts(options: &Options) -> Result<Vec<String>> {
    let lines = match (&options.file, options.text.is_empty()) {
        (Some(path), _) => std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?,
        (None, false) => return Ok(options.text.clone()),
        (None, true) => {
            if std::io::stdin().is_terminal() {
                complain(format_args!("Reading texts from standard input, one a line"));
            }
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
            text
        }
    };
    let texts: Vec<String> = lines.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
    if texts.is_empty() {
        bail!("there is no text to embed");
    }
    Ok(texts)
}

/// Compares methods on speeches: states, embeddings, search.
fn compare_methods(options: &Options) -> Result<()> {
    let device = options.device.open()?;
    let mut model = load(options, &device)?;
    let (methods, seeds) = (options.methods.methods(), options.seeds());
    say!("{}", report::heading(options, &device))?;
    let mut comparisons = Vec::new();
    let progress = Progress::new(options.length.len() * compare::steps(options.chunks, &methods, seeds.len()));
    for &length in &options.length {
        let texts = speeches::passages(model.tokenizer(), length, options.chunks)?;
        comparisons.extend(compare::compare(&mut model, &texts, &methods, &seeds, &progress)?);
    }
    drop(progress);
    let (passages, queries) = (options.passages, options.queries);
    let mut searches = Vec::new();
    if passages > 0 && queries > 0 {
        let mut corpus = speeches::passages(model.tokenizer(), options.passage_length, passages + queries)?;
        let wanted = corpus.split_off(passages);
        let progress = Progress::new(search::steps(passages, queries, &methods, seeds.len()));
        searches = search::search(&mut model, &corpus, &wanted, &methods, &seeds, &progress)?;
        drop(progress);
    }
    if let Some(path) = &options.json {
        write_json(path, &report::document(options, &device, &comparisons, &searches))?;
    }
    say!("\n{}", report::comparison_table(&comparisons))?;
    if !searches.is_empty() {
        say!("\n{}", report::search_table(&searches, options))?;
    }
    options.json.iter().try_for_each(|path| say!("Written: {}", path.display()))?;
    Ok(())
}
