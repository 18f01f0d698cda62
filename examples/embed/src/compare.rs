//! How far a method's states and embeddings are from those of exact attention.

use crate::model::numbers;
use crate::{HiddenStates, Model, Result, Stopwatch, Tokens};
use clustered_attention::Method;
use clustered_attention_models::methods::with_seed;
use clustered_attention_models::progress::Progress;
use clustered_attention_models::table::{cosine, mean, median};
use std::time::Instant;

/// The mean, over the tokens of one text, of the cosine between the states of two methods.
pub fn token_cosine(first: &HiddenStates, second: &HiddenStates) -> f64 {
    let cosines: Vec<f64> = first.rows().zip(second.rows()).map(|(first, second)| cosine(first, second)).collect();
    mean(&cosines)
}

/// One text through the model, with times.
#[derive(Debug, Clone)]
pub struct Run {
    /// The last layer's states.
    pub states: HiddenStates,
    /// The embedding.
    pub embedding: Vec<f32>,
    /// Seconds of attention in all layers.
    pub attention_seconds: f64,
    /// Seconds of the whole, from tokens to the embedding on the host.
    pub seconds: f64,
}

/// Runs the model with the method that it is set to.
///
/// # Errors
/// Those of attention.
pub fn run(model: &Model, text: &Tokens) -> Result<Run> {
    let mut stopwatch = Stopwatch::default();
    let begin = Instant::now();
    let output = model.forward(&[text], Some(&mut stopwatch))?;
    let embedding = numbers(output.embeddings)?;
    let seconds = begin.elapsed().as_secs_f64();
    let [.., width] = output.states.dims();
    let states = HiddenStates { width, values: numbers(output.states)? };
    Ok(Run { states, embedding, attention_seconds: stopwatch.attention.as_secs_f64(), seconds })
}

/// What one seed gives on all texts.
#[derive(Debug, Clone)]
pub struct Seeded {
    /// The seed.
    pub seed: u64,
    /// The mean token cosine of each text.
    pub token_cosines: Vec<f64>,
    /// The cosine of each text's embedding.
    pub sentence_cosines: Vec<f64>,
}

/// A method on texts of one length, compared with exact attention.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// The method, with the first seed.
    pub method: Method,
    /// Tokens of each text.
    pub length: usize,
    /// Results by seed; one for exact attention.
    pub seeds: Vec<Seeded>,
    /// Median seconds of attention in all layers, of one text.
    pub attention_seconds: f64,
    /// Median seconds of the whole model.
    pub seconds: f64,
}

impl Comparison {
    /// The mean token cosine over texts and seeds.
    pub fn token_cosine(&self) -> f64 {
        mean(&self.token_cosines())
    }

    /// The mean token cosine of the text and seed with the lowest.
    pub fn lowest_token_cosine(&self) -> f64 {
        self.token_cosines().into_iter().fold(1.0, f64::min)
    }

    /// The mean over the texts of the seed with the lowest.
    pub fn lowest_seed_token_cosine(&self) -> f64 {
        self.seeds.iter().map(|seed| mean(&seed.token_cosines)).fold(1.0, f64::min)
    }

    /// The mean cosine of the embeddings over texts and seeds.
    pub fn sentence_cosine(&self) -> f64 {
        mean(&self.sentence_cosines())
    }

    /// The lowest cosine of an embedding.
    pub fn lowest_sentence_cosine(&self) -> f64 {
        self.sentence_cosines().into_iter().fold(1.0, f64::min)
    }

    fn token_cosines(&self) -> Vec<f64> {
        self.seeds.iter().flat_map(|seed| seed.token_cosines.iter().copied()).collect()
    }

    fn sentence_cosines(&self) -> Vec<f64> {
        self.seeds.iter().flat_map(|seed| seed.sentence_cosines.iter().copied()).collect()
    }
}

/// Compares methods with exact attention on texts of one length, each with every seed. Exact attention is run again if it is among the
/// methods, so that its times are taken like those of the others. The methods take turns, text by text, so that none has the machine in
/// a better hour.
///
/// # Errors
/// Those of attention.
pub fn compare(
    model: &mut Model,
    texts: &[Tokens],
    methods: &[Method],
    seeds: &[u64],
    progress: &Progress,
) -> Result<Vec<Comparison>> {
    let length = texts.first().map_or(0, |text| text.ids.len());
    let seeds_of = |method: &Method| if *method == Method::Exact { &seeds[..seeds.len().min(1)] } else { seeds };
    let empty = |method: &Method| {
        let seeded = |&seed| Seeded { seed, token_cosines: vec![], sentence_cosines: vec![] };
        seeds_of(method).iter().map(seeded).collect::<Vec<_>>()
    };
    let mut results: Vec<Vec<Seeded>> = methods.iter().map(empty).collect();
    let mut times = vec![(Vec::new(), Vec::new()); methods.len()];
    for (number, text) in texts.iter().enumerate() {
        model.set_method(Method::Exact);
        let exact = run(model, text)?;
        for ((method, seeded), times) in methods.iter().zip(&mut results).zip(&mut times) {
            for result in seeded {
                progress.step(&format!("{length} tokens, text {}, {}", number + 1, method.name()));
                model.set_method(with_seed(*method, result.seed));
                let run = run(model, text)?;
                result.token_cosines.push(token_cosine(&exact.states, &run.states));
                result.sentence_cosines.push(cosine(&exact.embedding, &run.embedding));
                times.0.push(run.attention_seconds);
                times.1.push(run.seconds);
            }
        }
    }
    let mut comparisons = Vec::with_capacity(methods.len());
    for ((&method, seeds), (attention, whole)) in methods.iter().zip(results).zip(&times) {
        let (attention_seconds, seconds) = (median(attention), median(whole));
        comparisons.push(Comparison { method, length, seeds, attention_seconds, seconds });
    }
    Ok(comparisons)
}

/// Runs of [`compare`], for its progress.
pub fn steps(texts: usize, methods: &[Method], seeds: usize) -> usize {
    let runs = |method: &Method| if *method == Method::Exact { 1 } else { seeds };
    texts * methods.iter().map(runs).sum::<usize>()
}
