//! `shared/visible.wgsl` on every adapter against `problem/visibility.rs`, for all short sequences.

use super::adapters;
use super::ask::ask;
use crate::gpu::params::Reach;
use crate::problem::{kinds_of_visibility, Visibility};
use crate::Shape;
use bytemuck::{Pod, Zeroable};

/// A question: what queries at these positions see of so many keys.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Question {
    reach: Reach,
    first: i32,
    last: i32,
    keys: u32,
    /// As many queries as keys in the tensors.
    square: u32,
}

/// The answer: runs, their count, and two bits a key, whether it is listed and whether the list has it at the index that it should.
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
#[repr(C)]
struct Answer {
    runs: [u32; 3],
    count: u32,
    is_listed: u32,
    listed: u32,
    own: [u32; 2],
    /// Of a query by its lengths; `first`, `last` and `keys` are query, valid queries and valid keys then.
    position: i32,
    reserved: [u32; 3],
}

const SHADER: &str = "
#import visible

struct Question {
    reach: Reach,
    first: i32,
    last: i32,
    keys: u32,
    square: u32,
}

struct Answer {
    runs: array<u32, 3>,
    count: u32,
    is_listed: u32,
    listed: u32,
    own: array<u32, 2>,
    position: i32,
    reserved: array<u32, 3>,
}

@group(0) @binding(0) var<storage, read> questions: array<Question>;
@group(0) @binding(1) var<storage, read_write> answers: array<Answer>;

@compute @workgroup_size(64)
fn answer(@builtin(global_invocation_id) invocation: vec3u) {
    let index = invocation.x;
    if (index >= arrayLength(&questions)) {
        return;
    }
    let question = questions[index];
    let keys = keys_of_tile(question.reach, question.first, question.last, question.keys);
    let own = keys_of(question.reach, question.first, question.keys);
    var bits = 0u;
    var listed = 0u;
    for (var key = 0u; key < 16u; key++) {
        bits |= select(0u, 1u, is_listed(keys, key)) << key;
        if (key < count_of(keys)) {
            listed |= 1u << listed_key(keys, key);
        }
    }
    params.sizes.queries = 9u;
    params.sizes.keys = select(10u, 9u, question.square == 1u);
    let position = position_of(u32(abs(question.first)), u32(abs(question.last)), question.keys);
    let runs = array(keys.sinks, keys.begin, keys.end);
    answers[index] = Answer(runs, count_of(keys), bits, listed, array(count_of(own), own.end), position, array(0u, 0u, 0u));
}
";

fn expected(visibility: &Visibility, first: i64, last: i64, keys: usize, square: bool) -> Answer {
    let shape = Shape { keys: if square { 9 } else { 10 }, ..Shape::self_attention(1, 1, 9, 1) };
    let (query, query_length) = (first.unsigned_abs() as usize, last.unsigned_abs() as usize);
    let runs = visibility.keys_of_tile(first, last, keys);
    let own = visibility.keys_of(first, keys);
    let bits = runs.runs().into_iter().flatten().fold(0, |bits, key| bits | 1 << key);
    Answer {
        runs: [runs.sinks as u32, runs.near.start as u32, runs.near.end as u32],
        count: runs.count() as u32,
        is_listed: bits,
        listed: bits,
        own: [own.count() as u32, own.near.end as u32],
        position: Visibility::position(&shape, query, query_length, keys) as i32,
        reserved: [0; 3],
    }
}

#[test]
fn shaders_see_what_the_host_sees() {
    let mut cases = Vec::new();
    for visibility in kinds_of_visibility() {
        for keys in 0..=9 {
            // Up to nine queries, wherever they stand.
            for first in -9..=9i64 {
                cases.extend((first..=9).map(|last| (visibility, first, last, keys)));
            }
        }
    }
    let questions: Vec<Question> = cases
        .iter()
        .map(|&(visibility, first, last, keys)| Question {
            reach: visibility.into(),
            first: first as i32,
            last: last as i32,
            keys: keys as u32,
            square: u32::from((first + last) % 2 == 0),
        })
        .collect();
    for description in adapters() {
        let name = description.to_string();
        let answers: Vec<Answer> = ask(&description, SHADER, "", &questions);
        for (&(visibility, first, last, keys), answer) in cases.iter().zip(answers) {
            let expected = expected(&visibility, first, last, keys, (first + last) % 2 == 0);
            assert_eq!(answer, expected, "{name}: {visibility:?}, positions {first} to {last}, {keys} keys");
        }
    }
}
