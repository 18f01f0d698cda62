//! Embeddings: whether nearest neighbours stay the same.

use crate::results::{Configuration, Run, Task};
use crate::sweep::Sweep;
use anyhow::Result;
use burn::tensor::Device;
use clustered_attention::Method;
use clustered_attention_embed::compare::{run, Run as Embedded};
use clustered_attention_embed::search::{agreement, nearest, HITS};
use clustered_attention_embed::{speeches, Model, Tokens};
use clustered_attention_models::progress::Progress;
use clustered_attention_models::table::relative_error_of;

/// Embeds passages with every method and seed, and looks for the passages nearest to each.
pub fn measure(sweep: &Sweep, length: usize, count: usize, device: &Device) -> Result<Task> {
    let mut model = Model::load(device)?;
    let passages = speeches::passages(model.tokenizer(), length, count)?;
    let progress = Progress::new((sweep.runs() + 1) * passages.len());
    let reference = embed(&mut model, Method::Exact, &passages, &progress)?;
    let reference_hits = hits(&reference);
    let mut configurations = Vec::new();
    for &method in &sweep.methods {
        let mut runs = Vec::new();
        for (seed, seeded) in sweep.seeded(method) {
            let embedded = embed(&mut model, seeded, &passages, &progress)?;
            let seconds = |of: fn(&Embedded) -> f64| embedded.iter().map(of).sum();
            runs.push(Run {
                seed,
                error: relative_error(&embedded, &reference),
                metric: 100.0 * agreement(seed, &reference_hits, &hits(&embedded)).first_five,
                attention_seconds: seconds(|run| run.attention_seconds),
                seconds: seconds(|run| run.seconds),
            });
        }
        configurations.push(Configuration { method, runs });
    }
    Ok(Task {
        name: "text",
        title: "Embeddings and search, all-MiniLM-L6-v2".into(),
        data: format!(
            "{count} passages of {length} tokens of State of the Union addresses, each searched for among the others; attention of all \
             6 layers replaced, 12 heads of width 32"
        ),
        error: "of the states of all tokens",
        metric: "part of exact attention's first five hits that is found, per cent",
        metric_axis: "hits found, %",
        seconds: "attention in all layers, all passages",
        configurations,
    })
}

fn embed(model: &mut Model, method: Method, passages: &[Tokens], progress: &Progress) -> Result<Vec<Embedded>> {
    model.set_method(method);
    let mut embedded = Vec::with_capacity(passages.len());
    for passage in passages {
        progress.step(&format!("text, {}", method.name()));
        embedded.push(run(model, passage)?);
    }
    Ok(embedded)
}

/// The passages nearest to each, other than itself.
fn hits(embedded: &[Embedded]) -> Vec<Vec<usize>> {
    let corpus: Vec<Vec<f32>> = embedded.iter().map(|run| run.embedding.clone()).collect();
    let others = |query: usize| {
        let found = nearest(&corpus, &corpus[query], HITS + 1);
        found.into_iter().filter(|&hit| hit != query).take(HITS).collect()
    };
    (0..corpus.len()).map(others).collect()
}

fn relative_error(embedded: &[Embedded], reference: &[Embedded]) -> f64 {
    let pairs = embedded.iter().zip(reference);
    relative_error_of(pairs.map(|(run, exact)| (&run.states.values[..], &exact.states.values[..])))
}
