//! What a cluster's centroid gives to the keys outside its top-k, group by group. Twin of `shaders/group_remainder.wgsl`.

use super::exponential::exp;
use super::group_by_cluster::Groups;
use super::panel::{add_weighted, padded, Panel, LANES};
use super::tile::LOWEST;
use super::work::Work;
use crate::parallel::{blocks, each_with, zip};
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
    let keys = blocks(&mut pseudo.keys, cut.groups * clusters * width, clusters * width);
    let values = blocks(&mut pseudo.values, cut.groups * clusters * value_width, clusters * value_width);
    let facts = blocks(&mut pseudo.facts, cut.groups * clusters, clusters);
    each_with(
        work.threads,
        zip(keys, zip(values, facts)),
        |summing: &mut Summing| summing.fit(width, value_width),
        |summing, (keys, (values, facts))| {
            let (slice, group) = (keys.slice, keys.index);
            let (keys, values, facts) = (keys.data, values.data, facts.data);
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
#[derive(Default)]
struct Summing {
    /// Weights of some members, a lane a cluster.
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
    fn fit(&mut self, width: usize, value_width: usize) {
        self.panel.resize(BLOCK, [0.0; LANES]);
        self.key_rows.resize(BLOCK * width, 0.0);
        self.value_rows.resize(BLOCK * value_width, 0.0);
        self.keys.resize(CLUSTERS * padded(width), 0.0);
        self.values.resize(CLUSTERS * padded(value_width), 0.0);
    }

    fn sum<'a>(&mut self, work: &Work, slice: usize, members: &[u32], rows: impl ExactSizeIterator<Item = &'a [f32]>) {
        let Self { panel, key_rows, value_rows, keys, values, masses } = self;
        let (shape, scale, count) = (work.problem.shape(), work.problem.scale(), rows.len());
        let (width, value_width) = (shape.width, shape.value_width);
        let mut logits: [&[f32]; CLUSTERS] = [&[]; CLUSTERS];
        let mut maxima = [LOWEST; CLUSTERS];
        for ((logits, maximum), row) in logits.iter_mut().zip(&mut maxima).zip(rows) {
            (*logits, *maximum) = (row, (scale * largest(row, members)).max(LOWEST));
        }
        let mut sums = [0.0f64; CLUSTERS];
        keys.fill(0.0);
        values.fill(0.0);
        let (tensor_keys, tensor_values) = (work.keys(slice), work.values(slice));
        for listed in members.chunks(BLOCK) {
            let rows = key_rows.chunks_exact_mut(width).zip(value_rows.chunks_exact_mut(value_width));
            for (&key, (key_row, value_row)) in listed.iter().zip(rows) {
                key_row.copy_from_slice(tensor_keys.row(key as usize));
                value_row.copy_from_slice(tensor_values.row(key as usize));
            }
            for first in (0..count).step_by(LANES) {
                let lanes = LANES.min(count - first);
                let panel = &mut panel[..listed.len()];
                for (lane, row) in logits[first..first + lanes].iter().enumerate() {
                    for (weights, &key) in panel.iter_mut().zip(listed) {
                        weights[lane] = row[key as usize];
                    }
                }
                let maxima = maxima[first..].first_chunk().expect("whole panels");
                let mut block_sums = [0.0; LANES];
                Arch::new().dispatch(WeighPanels { panels: panel, scale, maxima, sums: &mut block_sums });
                sums[first..].iter_mut().zip(block_sums).for_each(|(sum, block_sum)| *sum += f64::from(block_sum));
                add_weighted(panel, lanes, key_rows, width, width, &mut keys[first * padded(width)..]);
                let out = &mut values[first * padded(value_width)..];
                add_weighted(panel, lanes, value_rows, value_width, value_width, out);
            }
        }
        for ((mass, sum), maximum) in masses.iter_mut().zip(sums).zip(maxima) {
            *mass = (sum as f32, maximum);
        }
    }
}

/// Largest of some elements. They are not kept, and so are gathered twice: a group may hold all keys.
fn largest(row: &[f32], members: &[u32]) -> f32 {
    let mut highest = [f32::NEG_INFINITY; 8];
    let (whole, tail) = members.as_chunks();
    for members in whole.iter().map(<[u32; 8]>::as_slice).chain([tail]) {
        for (highest, &key) in highest.iter_mut().zip(members) {
            let value = row[key as usize];
            *highest = if value > *highest { value } else { *highest };
        }
    }
    highest.into_iter().fold(f32::NEG_INFINITY, f32::max)
}

/// Turns logits into weights relative to the largest of each lane, and sums them.
struct WeighPanels<'a> {
    panels: &'a mut [Panel],
    scale: f32,
    maxima: &'a Panel,
    sums: &'a mut Panel,
}

impl WithSimd for WeighPanels<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let scale = simd.splat_f32s(self.scale);
        for (v, sum) in S::as_mut_simd_f32s(self.sums).0.iter_mut().enumerate() {
            let maximum = S::as_simd_f32s(self.maxima).0[v];
            let mut total = *sum;
            for panel in self.panels.iter_mut() {
                let logits = &mut S::as_mut_simd_f32s(panel).0[v];
                *logits = exp(simd, simd.sub_f32s(simd.mul_f32s(scale, *logits), maximum));
                total = simd.add_f32s(total, *logits);
            }
            *sum = total;
        }
    }
}
