//! What a cluster's centroid gives to the keys outside its top-k, group by group. Twin of `shaders/group_remainder.wgsl`.

use super::group_by_cluster::Groups;
use super::panel::{add_weighted, pack, padded, Panel, LANES};
use super::tile::LOWEST;
use super::top_k::weigh_rest;
use super::work::Work;
use crate::parallel::each;
use crate::stages::Scratch;
use pulp::{Arch, Simd, WithSimd};
use std::ops::Range;

/// Members whose rows are copied together, so that they are in the first-level cache for all clusters.
const BLOCK: usize = 64;
/// Clusters for which rows are copied once.
const CLUSTERS: usize = 2 * LANES;

/// A pseudo-key for each group and cluster of a slice.
#[derive(Debug, Default)]
pub(crate) struct PseudoKeys {
    /// `k̄`, `[slices, G, C, E]`.
    pub keys: Vec<f32>,
    /// `Y / R`, `[slices, G, C, M]`.
    pub values: Vec<f32>,
    /// The rest that is known of them, `[slices, G, C]`.
    pub facts: Vec<PseudoFacts>,
}

/// What is known of a pseudo-key.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PseudoFacts {
    /// What is added to `t·q·k̄`, `ρ - t·q̄·k̄`; [`LOWEST`] where the group has no keys outside the top-k.
    pub offset: f32,
    /// Largest scaled logit, `ρ`, and the sum of the weights relative to it, `R`.
    pub maximum: f32,
    pub mass: f32,
}

impl PseudoKeys {
    /// Index of a cluster's first pseudo-key; those of further groups follow `clusters` rows apart.
    pub fn index(slice: usize, (groups, clusters): (usize, usize), cluster: usize) -> usize {
        slice * groups * clusters + cluster
    }
}

impl PseudoFacts {
    /// Logarithm of the group's weight; minus infinity where there is none.
    pub fn log_mass(&self) -> f32 {
        if self.mass > 0.0 {
            self.maximum + self.mass.ln()
        } else {
            f32::NEG_INFINITY
        }
    }
}

/// Sums the keys of each group outside each cluster's top-k by their weights, which `weights` holds the logits of. `O(C·S·(E+M))` a slice.
pub(crate) fn group_remainder(
    work: &Work,
    pass: Range<usize>,
    weights: &[f32],
    members: &[u32],
    centroids: &[f32],
    pseudo: &mut PseudoKeys,
) {
    let (cut, shape) = (&work.plan.cut, work.problem.shape());
    let (clusters, width, value_width) = (cut.clusters, shape.width, shape.value_width);
    let items: Vec<_> = pseudo
        .keys
        .chunks_mut(clusters * width)
        .zip(pseudo.values.chunks_mut(clusters * value_width))
        .zip(pseudo.facts.chunks_mut(clusters))
        .enumerate()
        .map(|(index, ((keys, values), facts))| (index / cut.groups, index % cut.groups, keys, values, facts))
        .collect();
    each(
        items,
        || Summing::new(width, value_width),
        |summing, (slice, group, keys, values, facts)| {
            let listed = Groups::new(members, cut.groups, slice, shape.keys).members(group);
            for first in pass.clone().step_by(CLUSTERS) {
                let some = first..(first + CLUSTERS).min(pass.end);
                let slice_weights = &weights[slice * work.plan.words_of(Scratch::Weights)..];
                let rows = some.clone().map(|cluster| &slice_weights[(cluster - pass.start) * cut.keys_padded..]);
                summing.sum(work, slice, listed, rows);
                for (row, cluster) in some.enumerate() {
                    let (mass, maximum) = summing.masses[row];
                    let key = &mut keys[cluster * width..][..width];
                    let value = &mut values[cluster * value_width..][..value_width];
                    let factor = if mass > 0.0 { 1.0 / mass } else { 0.0 };
                    let sums = &summing.keys[row * padded(width)..];
                    key.iter_mut().zip(sums).for_each(|(key, sum)| *key = factor * sum);
                    let sums = &summing.values[row * padded(value_width)..];
                    value.iter_mut().zip(sums).for_each(|(value, sum)| *value = factor * sum);
                    let centroid = &centroids[(slice * clusters + cluster) * width..];
                    let product: f32 = key.iter().zip(centroid).map(|(key, mean)| key * mean).sum();
                    let offset = if mass > 0.0 { maximum - work.problem.scale() * product } else { LOWEST };
                    facts[cluster] = PseudoFacts { offset, maximum, mass };
                }
            }
        },
    );
}

/// Sums of a group's members for some clusters.
struct Summing {
    /// Logits, then weights, of the members, a row a cluster.
    weights: Vec<f32>,
    panel: Vec<Panel>,
    key_rows: Vec<f32>,
    value_rows: Vec<f32>,
    /// Weighted sums, rows of whole panels.
    keys: Vec<f32>,
    values: Vec<f32>,
    /// Sum of a cluster's weights, relative to the largest, whose scaled logit follows.
    masses: [(f32, f32); CLUSTERS],
}

impl Summing {
    fn new(width: usize, value_width: usize) -> Self {
        Self {
            weights: Vec::new(),
            panel: vec![[0.0; LANES]; BLOCK],
            key_rows: Vec::with_capacity(BLOCK * width),
            value_rows: Vec::with_capacity(BLOCK * value_width),
            keys: vec![0.0; CLUSTERS * padded(width)],
            values: vec![0.0; CLUSTERS * padded(value_width)],
            masses: [(0.0, LOWEST); CLUSTERS],
        }
    }

    fn sum<'a>(&mut self, work: &Work, slice: usize, members: &[u32], rows: impl ExactSizeIterator<Item = &'a [f32]>) {
        let Self { weights, panel, key_rows, value_rows, keys, values, masses } = self;
        let (shape, scale, count) = (work.problem.shape(), work.problem.scale(), rows.len());
        weights.clear();
        for (row, mass) in rows.zip(masses.iter_mut()) {
            let begin = weights.len();
            weights.extend(members.iter().map(|&key| row[key as usize]));
            *mass = (0.0, weigh_rest(&mut weights[begin..], scale));
        }
        let mut sums = [0.0f64; CLUSTERS];
        keys.fill(0.0);
        values.fill(0.0);
        let (tensor_keys, tensor_values) = (work.keys(slice), work.values(slice));
        for (block, listed) in members.chunks(BLOCK).enumerate() {
            key_rows.clear();
            value_rows.clear();
            for &key in listed {
                key_rows.extend_from_slice(tensor_keys.row(key as usize));
                value_rows.extend_from_slice(tensor_values.row(key as usize));
            }
            for first in (0..count).step_by(LANES) {
                let lanes = LANES.min(count - first);
                let panel = &mut panel[..listed.len()];
                let row = |lane: usize| &weights[(first + lane) * members.len() + block * BLOCK..][..listed.len()];
                pack(panel, (0..lanes).map(row));
                let mut block_sums = [0.0; LANES];
                Arch::new().dispatch(SumPanels { panels: panel, sums: &mut block_sums });
                sums[first..].iter_mut().zip(block_sums).for_each(|(sum, block_sum)| *sum += f64::from(block_sum));
                let (width, value_width) = (shape.width, shape.value_width);
                add_weighted(panel, lanes, key_rows, width, width, &mut keys[first * padded(width)..]);
                let out = &mut values[first * padded(value_width)..];
                add_weighted(panel, lanes, value_rows, value_width, value_width, out);
            }
        }
        masses.iter_mut().zip(sums).for_each(|(mass, sum)| mass.0 = sum as f32);
    }
}

/// Sums the lanes of panels.
struct SumPanels<'a> {
    panels: &'a [Panel],
    sums: &'a mut Panel,
}

impl WithSimd for SumPanels<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (v, sum) in S::as_mut_simd_f32s(self.sums).0.iter_mut().enumerate() {
            let mut total = *sum;
            for panel in self.panels {
                total = simd.add_f32s(total, S::as_simd_f32s(panel).0[v]);
            }
            *sum = total;
        }
    }
}
