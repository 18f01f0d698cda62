//! Queries, keys and values of any length with structure like that of real attention.
//!
//! Numbers without structure would make attention a plain average over all keys, which every method gets right. Here, for each head:
//! - every position has one of [`TOPICS`] topics, kept for a run of positions; queries and keys of a topic point in its direction, and
//!   half of the runs have another topic for the keys than for the queries, so that topics meet at a distance too;
//! - one key in [`STRONG_KEY`] is strong: few keys take most of the attention;
//! - a vector that drifts with the position is part of query and key, so that neighbours attend to each other;
//! - all queries share a mean, as they do in trained models, and everything carries noise;
//! - values are their topic's vector and noise.

use crate::available_memory::reserved;
use crate::input::Tensors;
use anyhow::Result;
use clustered_attention::Shape;

/// Topics of a head: more than the default number of clusters.
const TOPICS: usize = 40;
/// Longest run of positions with the same topic.
const LONGEST_RUN: usize = 48;
/// One key in so many is strong.
const STRONG_KEY: usize = 16;
/// Positions over which the drifting vector is renewed.
const DRIFT: usize = 8;
/// Lengths of the parts of a query or key; that of a typical part of width 64 is 8.
const TOPIC: f32 = 0.8;
const STRONG_TOPIC: f32 = 1.3;
const NEIGHBOUR: f32 = 0.8;
const MEAN: f32 = 0.5;
const NOISE: f32 = 0.5;

/// Self-attention of one sequence; the same seed and sizes give the same numbers everywhere.
///
/// # Errors
/// There is no memory for it.
pub fn mixture(length: usize, heads: usize, width: usize, seed: u64) -> Result<Tensors> {
    let shape = Shape::self_attention(1, heads, length, width);
    let mut tensors = Tensors {
        source: format!("synthetic, seed {seed}"),
        shape,
        queries: reserved(shape.query_elements())?,
        keys: reserved(shape.key_elements())?,
        values: reserved(shape.value_elements())?,
    };
    // Logits of a topic do not depend on the width.
    let scale = (64.0 / width as f32).powf(0.25);
    for head in 0..heads {
        let mut random = Random::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (head as u64) << 40);
        let directions: Vec<Vec<f32>> = (0..TOPICS).map(|_| random.normals(width)).collect();
        let contents: Vec<Vec<f32>> = (0..TOPICS).map(|_| random.normals(width)).collect();
        let mean = random.normals(width);
        let (mut from, mut to) = (random.normals(width), random.normals(width));
        let (mut query_topic, mut key_topic, mut left) = (0, 0, 0);
        for position in 0..length {
            if left == 0 {
                left = 1 + random.below(LONGEST_RUN);
                query_topic = random.below(TOPICS);
                key_topic = if random.below(2) == 0 { query_topic } else { random.below(TOPICS) };
            }
            left -= 1;
            if position % DRIFT == 0 {
                from = std::mem::replace(&mut to, random.normals(width));
            }
            let part = (position % DRIFT) as f32 / DRIFT as f32;
            let drift_scale = NEIGHBOUR / (part * part + (1.0 - part) * (1.0 - part)).sqrt();
            let strength = if random.below(STRONG_KEY) == 0 { STRONG_TOPIC } else { TOPIC };
            for column in 0..width {
                let drift = drift_scale * ((1.0 - part) * from[column] + part * to[column]);
                let query =
                    TOPIC * directions[query_topic][column] + drift + MEAN * mean[column] + NOISE * random.normal();
                let key = strength * directions[key_topic][column] + drift + NOISE * random.normal();
                tensors.queries.push(scale * query);
                tensors.keys.push(scale * key);
                tensors.values.push(contents[key_topic][column] + random.normal());
            }
        }
    }
    Ok(tensors)
}

/// SplitMix64 (Steele, Lea, Flood 2014).
pub struct Random {
    seed: u64,
    drawn: u64,
}

impl Random {
    pub fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    fn bits(&mut self) -> u64 {
        self.drawn += 1;
        let mut z = self.seed.wrapping_add(self.drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.bits() % limit as u64) as usize
    }

    /// Nearly normal: four uniform numbers of 16 bits, with the mean taken off, scaled to variance one.
    pub fn normal(&mut self) -> f32 {
        let bits = self.bits();
        let sum: u32 = (0..4).map(|part| (bits >> (16 * part)) as u16 as u32).sum();
        (sum as f32 / 65_536.0 - 2.0) * 1.732_050_8
    }

    fn normals(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.normal()).collect()
    }
}
