//! The table of scratch memory: what the steps ask for, and how it is made to fit.

use crate::limits::Limits;
use crate::problem::Recipe;
use crate::stages::{forward, Cut, Given, Scratch};
use crate::{Error, Result};
use std::iter::once;

/// Each piece that a step writes, and its words for one slice.
fn table(recipe: &Recipe, cut: &Cut) -> Vec<(Scratch, u64)> {
    let mut pieces: Vec<(Scratch, u64)> = Vec::new();
    // Later rounds and passes write the same pieces again.
    let every_cluster = 0..cut.clusters;
    for step in forward(recipe, once(every_cluster), Given::default()) {
        for (piece, words) in (step.stage.definition().scratch)(&step, cut) {
            match pieces.iter_mut().find(|(known, _)| *known == piece) {
                Some((_, known)) => *known = (*known).max(words as u64),
                None => pieces.push((piece, words as u64)),
            }
        }
    }
    pieces.retain(|(_, words)| *words > 0);
    pieces.sort_unstable_by_key(|(piece, _)| *piece);
    pieces
}

/// Bytes of all pieces for one slice.
pub(super) fn bytes(table: &[(Scratch, u64)]) -> u64 {
    4 * table.iter().map(|(_, words)| words).sum::<u64>()
}

/// Takes as many clusters at a time as fit the budget and a binding.
pub(super) fn fit(recipe: &Recipe, cut: Cut, limits: &Limits, budget_bytes: u64) -> Result<(Cut, Vec<(Scratch, u64)>)> {
    let clusters = cut.clusters as u64;
    let cut = if clusters == 0 {
        cut
    } else {
        let of_passes = |clusters| bytes(&table(recipe, &cut.clone().with_clusters_per_pass(clusters)));
        let fixed = of_passes(0);
        let per_cluster = (of_passes(1) - fixed).max(1);
        let fitting = (budget_bytes.saturating_sub(fixed) / per_cluster)
            .min(limits.binding_bytes.min(limits.buffer_bytes) / (4 * cut.keys_padded as u64))
            .clamp(1, clusters);
        cut.in_passes_of(fitting as usize)
    };
    let table = table(recipe, &cut);
    let needed_bytes = bytes(&table);
    if needed_bytes > budget_bytes {
        return Err(Error::ScratchBudget { budget_bytes, needed_bytes });
    }
    Ok((cut, table))
}
