//! The comparison as tables for people and as JSON for machines.

use crate::options::Options;
use burn::tensor::Device;
use clustered_attention_embed::compare::{Comparison, Seeded};
use clustered_attention_embed::search::{Agreement, SearchResult};
use clustered_attention_models::methods::{describe, method_json};
use clustered_attention_models::table::{origin, seconds, table};
use clustered_attention_models::{device, Asset};
use serde_json::{json, Value};

/// What is compared.
pub fn heading(options: &Options, device: &Device) -> String {
    let methods: Vec<String> = options.methods.methods().iter().map(describe).collect();
    format!(
        "Runs on: {}\nMethods: {}\nTexts:   {} passages of each length from State of the Union addresses; seeds {:?}",
        device::describe(device),
        methods.join("; "),
        options.chunks,
        options.seeds()
    )
}

/// States and embeddings by length and method.
pub fn comparison_table(comparisons: &[Comparison]) -> String {
    let row = |comparison: &Comparison| {
        [
            format!("{} tokens, {}", comparison.length, comparison.method.name()),
            format!("{:.4}", comparison.token_cosine()),
            format!("{:.4}", comparison.lowest_seed_token_cosine()),
            format!("{:.4}", comparison.lowest_token_cosine()),
            format!("{:.4}", comparison.sentence_cosine()),
            format!("{:.4}", comparison.lowest_sentence_cosine()),
            seconds(comparison.attention_seconds),
            seconds(comparison.seconds),
        ]
    };
    let header = ["method", "tokens", "lowest seed", "lowest text", "embedding", "lowest text", "attention", "model"];
    format!(
        "{}\nCosines to exact attention: of the last states, the mean over tokens, texts and seeds, of the lowest seed, of the lowest \
         text and\nseed; of the embedding, the mean and the lowest. Times are medians of one text: attention in all layers, and the \
         whole model.",
        table(header, comparisons.iter().map(row).collect())
    )
}

/// Agreement of the search by method.
pub fn search_table(searches: &[SearchResult], options: &Options) -> String {
    let percent = |part: f64| format!("{:.1} %", 100.0 * part);
    let row = |search: &SearchResult| {
        let lowest = search.seeds.iter().map(|seed| seed.first_hit).fold(1.0, f64::min);
        [
            search.method.name().to_owned(),
            percent(search.mean(|seed| seed.first_hit)),
            percent(lowest),
            percent(search.mean(|seed| seed.first_five)),
            percent(search.mean(|seed| seed.same_five)),
        ]
    };
    let header = ["method", "first hit", "lowest seed", "first five", "all five"];
    format!(
        "{}\nSearch among {} passages of {} tokens for {} others, all embedded by the method: how often the first hit is that of exact \
         attention,\nhow many of its first five are among the method's, how often all five are; means over the seeds.",
        table(header, searches.iter().map(row).collect()),
        options.passages,
        options.passage_length,
        options.queries
    )
}

/// All of it as JSON.
pub fn document(options: &Options, device: &Device, comparisons: &[Comparison], searches: &[SearchResult]) -> Value {
    let comparison = |comparison: &Comparison| {
        let seed = |seed: &Seeded| {
            let Seeded { seed, token_cosines, sentence_cosines } = seed;
            json!({ "seed": seed, "token_cosines": token_cosines, "sentence_cosines": sentence_cosines })
        };
        json!({
            "method": method_json(&comparison.method),
            "length": comparison.length,
            "token_cosine_mean": comparison.token_cosine(),
            "token_cosine_lowest_seed": comparison.lowest_seed_token_cosine(),
            "token_cosine_lowest_text": comparison.lowest_token_cosine(),
            "sentence_cosine_mean": comparison.sentence_cosine(),
            "sentence_cosine_lowest": comparison.lowest_sentence_cosine(),
            "attention_seconds_median": comparison.attention_seconds,
            "model_seconds_median": comparison.seconds,
            "seeds": comparison.seeds.iter().map(seed).collect::<Vec<_>>(),
        })
    };
    let search = |search: &SearchResult| {
        let seed = |seed: &Agreement| {
            json!({
                "seed": seed.seed,
                "first_hit": seed.first_hit,
                "first_five": seed.first_five,
                "same_five": seed.same_five,
            })
        };
        json!({
            "method": method_json(&search.method),
            "first_hit_mean": search.mean(|seed| seed.first_hit),
            "first_five_mean": search.mean(|seed| seed.first_five),
            "same_five_mean": search.mean(|seed| seed.same_five),
            "seeds": search.seeds.iter().map(seed).collect::<Vec<_>>(),
        })
    };
    let model = options.model.as_ref().map_or(Asset::MINILM.name.to_owned(), |path| path.display().to_string());
    json!({
        "origin": origin(device),
        "model": model,
        "texts": Asset::SPEECHES.package.to_string(),
        "texts_per_length": options.chunks,
        "seeds": options.seeds(),
        "comparisons": comparisons.iter().map(comparison).collect::<Vec<_>>(),
        "search": {
            "passages": options.passages,
            "queries": options.queries,
            "passage_length": options.passage_length,
            "results": searches.iter().map(search).collect::<Vec<_>>(),
        },
    })
}
