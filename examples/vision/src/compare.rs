//! Every method beside exact attention.

use crate::options::Options;
use anyhow::Result;
use clustered_attention_models::methods::method_json;
use clustered_attention_models::progress::Progress;
use clustered_attention_models::table::{mean, median, origin, seconds, table};
use clustered_attention_vision::picture::{compose, Panel};
use clustered_attention_vision::stereo::{Matches, Pair};
use clustered_attention_vision::{Attention, Colours, Features, Model, Photograph};
use serde_json::{json, Value};
use std::time::{Duration, Instant};

/// What was measured of a method.
pub struct Compared {
    attention: Attention,
    /// Of the first seed.
    features: Features,
    /// By seeds: cosine with exact attention's features, seconds of the model and of its attention.
    cosines: Vec<f64>,
    model_seconds: Vec<f64>,
    attention_seconds: Vec<f64>,
    matches: Vec<Matches>,
}

/// Runs every method over a photograph and, where there is one, a pair.
///
/// # Errors
/// Those of the model.
pub fn compare(
    options: &Options,
    model: &mut Model,
    photograph: &Photograph,
    pair: Option<&Pair>,
) -> Result<Vec<Compared>> {
    let (methods, seeds) = (options.compared(), options.seeds());
    let runs = |attention: &Attention| if attention.is_seeded() { seeds.len() } else { 1 };
    let steps = methods.iter().map(runs).sum::<usize>() * if pair.is_some() { 2 } else { 1 };
    let progress = Progress::new(steps);
    // Memory is allocated and pages are met in a first run that nobody counts.
    model.set_attention(Attention::Plain(clustered_attention::Method::Exact));
    model.features(photograph, None)?;
    let mut compared: Vec<Compared> = Vec::new();
    for attention in methods {
        let mut result: Option<Compared> = None;
        for &seed in &seeds[..runs(&attention)] {
            model.set_attention(attention.with_seed(seed));
            progress.step(attention.name());
            let (begin, mut attending) = (Instant::now(), Duration::ZERO);
            let features = model.features(photograph, Some(&mut attending))?;
            let taken = begin.elapsed();
            let exact = compared.first().map_or(&features, |exact| &exact.features);
            let cosine = features.cosine(exact);
            let result = result.get_or_insert_with(|| Compared {
                attention,
                features,
                cosines: Vec::new(),
                model_seconds: Vec::new(),
                attention_seconds: Vec::new(),
                matches: Vec::new(),
            });
            result.cosines.push(cosine);
            result.model_seconds.push(taken.as_secs_f64());
            result.attention_seconds.push(attending.as_secs_f64());
            if let Some(pair) = pair {
                progress.step(&format!("{}, stereo pair", attention.name()));
                result.matches.push(pair.search(model, None)?);
            }
        }
        compared.extend(result);
    }
    Ok(compared)
}

impl Compared {
    fn share(&self) -> f64 {
        mean(&self.matches.iter().map(Matches::share).collect::<Vec<_>>())
    }
}

/// The results for people.
pub fn describe(options: &Options, compared: &[Compared], pair: Option<&Pair>) -> String {
    let whole = compared.first().map_or(0.0, |exact| median(&exact.model_seconds));
    let row = |result: &Compared| {
        let (model, attention) = (median(&result.model_seconds), median(&result.attention_seconds));
        [
            result.attention.name().to_owned(),
            format!("{:.4}", mean(&result.cosines)),
            if result.matches.is_empty() { "-".into() } else { format!("{:.3}", result.share()) },
            seconds(attention),
            seconds(model),
            format!("{:.1}x", whole / model),
        ]
    };
    let header = ["attention", "cosine", "found again", "attention", "model", "speed-up"];
    let mut text = table(header, compared.iter().map(row).collect());
    text += "\nCosine: of each patch's feature with exact attention's, the mean over patches and seeds. Times: attention in all layers, and the \
             whole model.";
    if let (Some(pair), Some(matches)) = (pair, compared.first().and_then(|exact| exact.matches.first())) {
        text += &format!(
            "\nFound again: share of {} patches of a stereo pair ({} positions each) whose most similar patch in the other photograph lies \
             within a patch\nof its true place. Seeds: {:?}",
            matches.patches,
            pair.tokens(),
            options.seeds()
        );
    }
    text
}

/// The results as a picture, in the colours of exact attention's features.
pub fn picture(photograph: &Photograph, compared: &[Compared]) -> image::RgbImage {
    let tokens = 1 + photograph.rows() * photograph.columns();
    let mut panels = vec![Panel::photograph(photograph, format!("{tokens} positions"))];
    if let Some(exact) = compared.first() {
        let colours = Colours::of(&exact.features);
        panels.extend(compared.iter().map(|result| {
            let figures = format!("{}, cosine {:.3}", seconds(median(&result.model_seconds)), result.cosines[0]);
            Panel::features(&result.features, &colours, result.attention.name(), figures)
        }));
    }
    compose(&panels)
}

/// The results for machines.
pub fn document(options: &Options, model: &Model, photograph: &Photograph, compared: &[Compared]) -> Value {
    let result = |result: &Compared| {
        let matches = |matches: &Matches| {
            let Matches { patches, within_one, within_two } = matches;
            json!({ "patches": patches, "within_one": within_one, "within_two": within_two })
        };
        json!({
            "name": result.attention.name(),
            "method": method_json(&result.attention.method(photograph.rows(), photograph.columns())),
            "cosine_mean": mean(&result.cosines),
            "cosines": result.cosines,
            "model_seconds": result.model_seconds,
            "attention_seconds": result.attention_seconds,
            "stereo_within_one_mean": (!result.matches.is_empty()).then(|| result.share()),
            "stereo": result.matches.iter().map(matches).collect::<Vec<_>>(),
        })
    };
    json!({
        "origin": origin(model.device()),
        "photograph": options.photograph.as_ref().map_or("astronaut.png".into(), |path| path.display().to_string()),
        "rows": photograph.rows(),
        "columns": photograph.columns(),
        "seeds": options.seeds(),
        "results": compared.iter().map(result).collect::<Vec<_>>(),
    })
}
