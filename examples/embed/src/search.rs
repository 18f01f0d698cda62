//! Nearest-neighbour search: whether a method finds what exact attention finds.

use crate::{Model, Result, Tokens};
use clustered_attention::Method;
use clustered_attention_models::methods::with_seed;
use clustered_attention_models::progress::Progress;
use clustered_attention_models::table::mean;

/// Hits of a query that are compared.
pub const HITS: usize = 5;

/// How often a method's hits are those of exact attention.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Agreement {
    /// The seed.
    pub seed: u64,
    /// Part of the queries whose first hit is the same.
    pub first_hit: f64,
    /// Part of exact attention's first five hits that are among the method's first five, over all queries.
    pub first_five: f64,
    /// Part of the queries whose first five hits are the same, in whatever order.
    pub same_five: f64,
}

/// A method's agreement, seed by seed.
#[derive(Debug, Clone)]
pub struct SearchResult {
    /// The method, with the first seed.
    pub method: Method,
    /// One for each seed; one for exact attention.
    pub seeds: Vec<Agreement>,
}

impl SearchResult {
    /// The mean over the seeds of a number.
    pub fn mean(&self, number: impl Fn(&Agreement) -> f64) -> f64 {
        mean(&self.seeds.iter().map(number).collect::<Vec<_>>())
    }
}

/// The `count` embeddings of the corpus that are nearest to a query, nearest first. All are of length 1, so the product is the cosine.
pub fn nearest(corpus: &[Vec<f32>], query: &[f32], count: usize) -> Vec<usize> {
    let product = |embedding: &Vec<f32>| -> f64 {
        embedding.iter().zip(query).map(|(&first, &second)| f64::from(first) * f64::from(second)).sum()
    };
    let mut order: Vec<(usize, f64)> = corpus.iter().map(product).enumerate().collect();
    order.sort_by(|first, second| second.1.total_cmp(&first.1));
    order.into_iter().take(count).map(|(index, _)| index).collect()
}

/// Compares the hits of two methods, query by query.
pub fn agreement(seed: u64, exact: &[Vec<usize>], hits: &[Vec<usize>]) -> Agreement {
    let shared: Vec<f64> = exact
        .iter()
        .zip(hits)
        .map(|(exact, hits)| hits.iter().filter(|hit| exact.contains(hit)).count() as f64 / exact.len() as f64)
        .collect();
    let part = |holds: &dyn Fn(usize) -> bool| {
        mean(&(0..exact.len()).map(|query| f64::from(u8::from(holds(query)))).collect::<Vec<_>>())
    };
    Agreement {
        seed,
        first_hit: part(&|query| exact[query].first() == hits[query].first()),
        first_five: mean(&shared),
        same_five: part(&|query| shared[query] == 1.0),
    }
}

/// Searches a corpus for queries with every method and every seed, corpus and queries embedded alike.
///
/// # Errors
/// Those of attention.
pub fn search(
    model: &mut Model,
    corpus: &[Tokens],
    queries: &[Tokens],
    methods: &[Method],
    seeds: &[u64],
    progress: &Progress,
) -> Result<Vec<SearchResult>> {
    let mut hits = |method: Method| -> Result<Vec<Vec<usize>>> {
        model.set_method(method);
        let embed = |texts: &[Tokens]| -> Result<Vec<Vec<f32>>> {
            let mut embeddings = Vec::with_capacity(texts.len());
            for batch in texts.chunks(BATCH) {
                progress.step(&format!("search, {}", method.name()));
                embeddings.extend(model.embed_tokens(batch)?);
            }
            Ok(embeddings)
        };
        let (corpus, queries) = (embed(corpus)?, embed(queries)?);
        Ok(queries.iter().map(|query| nearest(&corpus, query, HITS)).collect())
    };
    let exact = hits(Method::Exact)?;
    let mut results = Vec::with_capacity(methods.len());
    for &method in methods {
        let seeds = if method == Method::Exact { &seeds[..seeds.len().min(1)] } else { seeds };
        let mut agreements = Vec::with_capacity(seeds.len());
        for &seed in seeds {
            let found = if method == Method::Exact { exact.clone() } else { hits(with_seed(method, seed))? };
            agreements.push(agreement(seed, &exact, &found));
        }
        results.push(SearchResult { method, seeds: agreements });
    }
    Ok(results)
}

/// Texts between two steps of the progress.
const BATCH: usize = 16;

/// Steps of [`search`], for its progress.
pub fn steps(corpus: usize, queries: usize, methods: &[Method], seeds: usize) -> usize {
    let passes = 1 + methods.iter().filter(|method| **method != Method::Exact).count() * seeds;
    passes * (corpus.div_ceil(BATCH) + queries.div_ceil(BATCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_come_first() {
        let corpus = vec![vec![0.0, 1.0], vec![1.0, 0.0], vec![0.6, 0.8], vec![-1.0, 0.0]];
        assert_eq!(nearest(&corpus, &[1.0, 0.0], 3), [1, 2, 0]);
        assert_eq!(nearest(&corpus, &[1.0, 0.0], 9).len(), 4);
    }

    #[test]
    fn agreement_counts_hits() {
        let exact = vec![vec![1, 2, 3, 4, 5], vec![1, 2, 3, 4, 5]];
        let hits = vec![vec![1, 3, 2, 5, 4], vec![2, 1, 3, 4, 6]];
        let expected = Agreement { seed: 7, first_hit: 0.5, first_five: 0.9, same_five: 0.5 };
        assert_eq!(agreement(7, &exact, &hits), expected);
    }
}
