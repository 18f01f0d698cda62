//! `shared/neighbours.wgsl` on every adapter against `problem/grid.rs`, for every kind of small image, tile by tile.

use super::adapters;
use super::ask::ask;
use crate::gpu::params::Near;
use crate::problem::{kinds_of_grid, Patches};
use crate::stages::WINDOW_TILE;
use crate::Grid;
use bytemuck::{Pod, Zeroable};

/// A question: what is around a tile, of so many valid keys, and around which of its queries.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Question {
    near: Near,
    tile: u32,
    keys: u32,
    reserved: [u32; 2],
}

/// The answer: sums that tell other answers apart.
#[derive(Debug, Clone, Copy, PartialEq, Default, Pod, Zeroable)]
#[repr(C)]
struct Answer {
    count: u32,
    listed: u32,
    queries: u32,
    around: u32,
    own_count: u32,
    own: u32,
    /// Runs of keys that are none of a query's, as far as that is found.
    missed: u32,
    /// Those of them that are some all the same.
    missed_wrongly: u32,
}

const SHADER: &str = "
#import neighbours

struct Question {
    @size(32) near: Near,
    tile: u32,
    keys: u32,
    reserved: vec2u,
}

struct Answer {
    count: u32,
    listed: u32,
    queries: u32,
    around: u32,
    own_count: u32,
    own: u32,
    missed: u32,
    missed_wrongly: u32,
}

@group(0) @binding(0) var<storage, read> questions: array<Question>;
@group(0) @binding(1) var<storage, read_write> answers: array<Answer>;

@compute @workgroup_size(64)
fn answer(@builtin(global_invocation_id) invocation: vec3u) {
    if (invocation.x >= arrayLength(&questions)) {
        return;
    }
    let question = questions[invocation.x];
    params.sizes.near = question.near;
    let listed = neighbours_of_tile(question.tile, question.keys);
    var answer = Answer();
    answer.count = count_of_neighbours(listed);
    for (var index = 0u; index < answer.count; index++) {
        let key = neighbour_at(listed, index);
        answer.listed += (index + 1u) * (key + 7u);
    }
    for (var place = 0u; place < TILE; place++) {
        let own = patch_at(question.tile, place);
        let query = query_of(own);
        // A sequence ends where its queries do, which kernels know.
        if (query >= question.near.leading + question.near.rows * question.near.columns) {
            continue;
        }
        answer.queries += (place + 1u) * (query + 3u);
        for (var key = 0u; key < question.keys; key++) {
            answer.around += select(0u, (place + 1u) * (key + 5u), is_around(own, key, patch_of(key)));
        }
        let around = neighbours_of(own, own, question.keys);
        let count = count_of_neighbours(around);
        answer.own_count += count;
        for (var index = 0u; index < count; index++) {
            answer.own += (index + 1u) * (neighbour_at(around, index) + 11u);
        }
        for (var begin = 0u; begin < question.keys; begin += 4u) {
            let end = min(begin + 4u, question.keys);
            if (misses_neighbours(around, begin, end)) {
                answer.missed++;
                for (var key = begin; key < end; key++) {
                    answer.missed_wrongly += select(0u, 1u, is_around(own, key, patch_of(key)));
                }
            }
        }
    }
    answers[invocation.x] = answer;
}
";

/// Keys as shaders list them: whole rows of the rectangle, those behind the valid keys too where they cut a row.
fn listed(grid: &Grid, of: &Patches, keys: usize) -> Vec<usize> {
    if grid.is_band() {
        return grid.runs(&grid.reach(of), keys).flat_map(|(_, run)| run).collect();
    }
    let all = grid.leading + grid.rows * grid.columns;
    let of_row = |row: Option<usize>| row.is_none_or(|row| grid.leading + row * grid.columns < keys);
    let runs: Vec<_> = grid.runs(&grid.reach(of), all).filter(|&(row, _)| of_row(row)).collect();
    runs.into_iter().flat_map(|(row, run)| run.start..if row.is_none() { run.end.min(keys) } else { run.end }).collect()
}

fn expected(grid: &Grid, tile: usize, keys: usize) -> Answer {
    let patches = grid.tile(WINDOW_TILE, tile);
    let sum = |keys: &[usize], offset: usize| {
        keys.iter().enumerate().fold(0u32, |sum, (index, key)| sum.wrapping_add(((index + 1) * (key + offset)) as u32))
    };
    let all = listed(grid, &patches, keys);
    let mut answer = Answer { count: all.len() as u32, listed: sum(&all, 7), ..Answer::default() };
    let columns = grid.tile_shape(WINDOW_TILE).1;
    for query in grid.positions(&patches) {
        let (row, column) = grid.place(query);
        let place = (row - patches.rows.start) * columns + column - patches.columns.start;
        answer.queries += ((place + 1) * (query + 3)) as u32;
        let around = (0..keys).filter(|&key| grid.sees(query, key));
        answer.around += around.map(|key| ((place + 1) * (key + 5)) as u32).sum::<u32>();
        let own = Patches { rows: row..row + 1, columns: column..column + 1 };
        let around = listed(grid, &own, keys);
        answer.own_count += around.len() as u32;
        answer.own = answer.own.wrapping_add(sum(&around, 11));
    }
    answer
}

#[test]
fn shaders_know_the_neighbours_that_the_host_knows() {
    let bands = (1..40).flat_map(|positions| [0, 1, 5, 40].map(|half_width| Grid::band(positions, half_width)));
    for (constants, grids) in [
        ("const GRID: u32 = 0u;", bands.collect::<Vec<_>>()),
        ("const GRID: u32 = 1u;", kinds_of_grid().into_iter().filter(|grid| !grid.is_band()).collect()),
    ] {
        let constants = format!("{constants}\nconst TILE: u32 = {WINDOW_TILE}u;\n");
        let mut cases = Vec::new();
        for grid in grids {
            let positions = grid.leading + grid.rows * grid.columns;
            let keys = [0, 1, positions / 2, positions - 1, positions];
            cases.extend((0..grid.tiles(WINDOW_TILE)).flat_map(|tile| keys.map(|keys| (grid, tile, keys))));
        }
        let question = |&(grid, tile, keys): &(Grid, usize, usize)| Question {
            near: grid.into(),
            tile: tile as u32,
            keys: keys as u32,
            reserved: [0; 2],
        };
        let questions: Vec<Question> = cases.iter().map(question).collect();
        for description in adapters() {
            let mut missed = 0;
            let answers: Vec<Answer> = ask(&description, SHADER, &constants, &questions);
            for (&(grid, tile, keys), answer) in cases.iter().zip(answers) {
                missed += answer.missed;
                let expected = Answer { missed: answer.missed, ..expected(&grid, tile, keys) };
                assert_eq!(answer, expected, "{description}: {grid:?}, tile {tile}, {keys} keys");
            }
            assert!(missed > 0, "{description}: no run of keys was found to be missed");
        }
    }
}
