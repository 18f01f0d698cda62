//! What hot loops are made of: those that multiply and add most, number by number or matrix by matrix.

use crate::assembly::{Kind, Line};
use crate::loops::own_lines;
use serde_json::{json, Map, Value};

/// A loop counts as hot if it has at least this share of the multiply-adds of the one that has most.
const SHARE: f64 = 0.5;

/// Loops with fewer multiply-adds compute addresses or sum up.
const LEAST: u32 = 16;

/// Slots, multiply-adds and instructions by kind of the hot loops, each gone through once; of the whole program where no loop multiplies and
/// adds, but enough is multiplied outside for loops to have been unrolled; `None` where it is not.
///
/// A kernel often has two, for the products of queries with keys and for those of weights with values. Everything that stands in a loop
/// counts, rare paths too, as nothing is executed. A kernel that multiplies matrices has the loops that do, and no slots for a multiply-add.
pub fn figures(lines: &[Line]) -> Option<Value> {
    let slots = |own: &[&Line]| own.iter().map(|line| line.slots).sum::<u32>();
    let matrices = lines.iter().any(|line| line.kind == Kind::Matrix);
    let multiply_adds = |own: &[&Line]| match matrices {
        true => LEAST * own.iter().filter(|line| line.kind == Kind::Matrix).count() as u32,
        false => own.iter().map(|line| line.multiply_adds).sum::<u32>(),
    };
    let most_of = |loops: &[Vec<&Line>]| loops.iter().map(|own| multiply_adds(own)).max().filter(|&most| most >= LEAST);
    let mut loops = own_lines(lines);
    if most_of(&loops).is_none() {
        loops = vec![lines.iter().collect()];
    }
    let most = most_of(&loops)?;
    loops.retain(|own| f64::from(multiply_adds(own)) >= SHARE * f64::from(most));
    let all: Vec<&Line> = loops.iter().flatten().copied().collect();
    let kinds: Map<String, Value> = Kind::ALL
        .into_iter()
        .map(|(kind, name)| (name.to_owned(), all.iter().filter(|line| line.kind == kind).count()))
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| (name, count.into()))
        .collect();
    Some(json!({
        "slots": slots(&all),
        "multiply_adds": (!matrices).then(|| multiply_adds(&all)),
        "slots_per_multiply_add": (!matrices).then(|| f64::from(slots(&all)) / f64::from(multiply_adds(&all))),
        "instructions": kinds,
        "loops": loops.iter().map(|own| json!([slots(own), multiply_adds(own)])).collect::<Vec<_>>(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_that_hardly_multiply_are_left_out() {
        let looping = |label: &str, multiply_adds: usize, others: usize| {
            let mut lines = vec![Line::new(Kind::Integer); others];
            lines.extend(vec![Line::new(Kind::MultiplyAdd); multiply_adds]);
            lines[0].labels = vec![label.to_owned()];
            lines.push(Line::new(Kind::Control).jumping(Some(label.to_owned()), true));
            lines
        };
        let lines = [looping("a", 32, 3), looping("b", 1, 50), looping("c", 16, 4)].concat();
        let figures = figures(&lines).expect("hot loops");
        assert_eq!(figures["loops"], json!([[36, 32], [21, 16]]));
        assert_eq!(
            (&figures["slots_per_multiply_add"], &figures["instructions"]["integer"]),
            (&json!(57.0 / 48.0), &json!(7))
        );
        assert_eq!(super::figures(&looping("d", 2, 9)), None);
        // However few its matrices, and however much is multiplied beside them.
        let mut of_matrices = [looping("f", 40, 3), looping("g", 1, 5)].concat();
        of_matrices[45] = Line { labels: of_matrices[45].labels.clone(), ..Line::new(Kind::Matrix) };
        let figures = super::figures(&of_matrices).expect("a loop of matrices");
        assert_eq!((&figures["slots"], &figures["slots_per_multiply_add"]), (&json!(7), &Value::Null));
        let unrolled = [vec![Line::new(Kind::MultiplyAdd); 17], looping("e", 1, 8)].concat();
        assert_eq!(super::figures(&unrolled).expect("a program")["loops"], json!([[27, 18]]));
    }
}
