//! The loops of a program, by its flow of control.

use crate::assembly::Line;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The lines of each loop, without those of loops inside it.
pub fn own_lines(lines: &[Line]) -> Vec<Vec<&Line>> {
    let blocks = blocks(lines);
    let loops = natural_loops(&blocks);
    let mut bodies = Vec::new();
    for (header, body) in &loops {
        let inside = |block: &usize| {
            loops.iter().any(|(other, inner)| {
                other != header && body.contains(other) && inner.contains(block) && inner.len() < body.len()
            })
        };
        let own = body.iter().filter(|block| !inside(block));
        bodies.push(own.flat_map(|&block| &lines[blocks[block].begin..blocks[block].end]).collect());
    }
    bodies
}

/// A run of lines that is entered at its first and left at its last.
struct Block {
    begin: usize,
    end: usize,
    successors: Vec<usize>,
}

fn blocks(lines: &[Line]) -> Vec<Block> {
    let mut begins: BTreeSet<usize> = BTreeSet::from([0]);
    let targets: BTreeSet<&str> = lines.iter().filter_map(|line| line.target.as_deref()).collect();
    for (index, line) in lines.iter().enumerate() {
        if line.labels.iter().any(|label| targets.contains(label.as_str())) {
            begins.insert(index);
        }
        if line.target.is_some() || !line.falls_through {
            begins.insert(index + 1);
        }
    }
    begins.remove(&lines.len());
    let begins: Vec<usize> = begins.into_iter().collect();
    let labels: HashMap<&str, usize> = begins
        .iter()
        .enumerate()
        .filter_map(|(block, &begin)| Some((block, lines.get(begin)?)))
        .flat_map(|(block, line)| line.labels.iter().map(move |label| (label.as_str(), block)))
        .collect();
    let of = |(block, &begin): (usize, &usize)| {
        let end = begins.get(block + 1).copied().unwrap_or(lines.len());
        let last = lines[begin..end].last();
        let next = Some(block + 1).filter(|&next| next < begins.len() && last.is_none_or(|line| line.falls_through));
        let target = last.and_then(|line| labels.get(line.target.as_deref()?).copied());
        Block { begin, end, successors: next.into_iter().chain(target).collect() }
    };
    begins.iter().enumerate().map(of).collect()
}

/// The blocks of each loop by its first. Compilers lay programs out so that only a loop's end jumps back.
fn natural_loops(blocks: &[Block]) -> BTreeMap<usize, BTreeSet<usize>> {
    let mut predecessors = vec![Vec::new(); blocks.len()];
    for (index, block) in blocks.iter().enumerate() {
        block.successors.iter().for_each(|&successor| predecessors[successor].push(index));
    }
    let mut loops: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for (end, block) in blocks.iter().enumerate() {
        for &header in block.successors.iter().filter(|&&successor| successor <= end) {
            let body = loops.entry(header).or_default();
            body.insert(header);
            let mut pending = vec![end];
            while let Some(next) = pending.pop() {
                // What lies before the loop is not part of it, even where flow cannot be told from the text.
                if next >= header && body.insert(next) {
                    pending.extend(&predecessors[next]);
                }
            }
        }
    }
    loops
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assembly::Kind;

    fn line(label: &str, kind: Kind, target: &str, falls_through: bool) -> Line {
        let named = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let labels = named(label).into_iter().collect();
        Line { labels, ..Line::new(kind).jumping(named(target), falls_through) }
    }

    #[test]
    fn an_inner_loop_is_not_counted_to_the_outer() {
        let lines = [
            line("", Kind::Move, "", true),
            line("outer", Kind::Load, "", true),
            line("inner", Kind::MultiplyAdd, "", true),
            line("", Kind::Control, "inner", true),
            line("", Kind::Store, "behind", true),
            line("", Kind::Control, "outer", false),
            line("behind", Kind::Control, "", false),
        ];
        let kinds = |lines: Vec<&Line>| lines.iter().map(|line| line.kind).collect::<Vec<_>>();
        let mut loops: Vec<Vec<Kind>> = own_lines(&lines).into_iter().map(kinds).collect();
        loops.sort_by_key(Vec::len);
        assert_eq!(loops, [vec![Kind::MultiplyAdd, Kind::Control], vec![Kind::Load, Kind::Store, Kind::Control]]);
    }

    #[test]
    fn a_loop_that_is_tested_at_its_middle_is_whole() {
        let lines = [
            line("", Kind::Control, "test", false),
            line("body", Kind::MultiplyAdd, "", true),
            line("test", Kind::Integer, "", true),
            line("", Kind::Control, "body", true),
            line("", Kind::Control, "", false),
        ];
        assert_eq!(own_lines(&lines).into_iter().map(|own| own.len()).collect::<Vec<_>>(), [3]);
    }
}
