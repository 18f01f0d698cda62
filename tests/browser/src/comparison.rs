//! Two back ends on the same inputs.

use clustered_attention::half::f16;
use clustered_attention::{
    Attention, Element, Grid, Inputs, Layout, Method, Problem, Shape, Stitched, Stored, Supplied, Trace,
};

/// Largest difference allowed, relative to the largest value of the reference: what float32 may round, and a unit in the last place of a half.
const TOLERANCE: f64 = 1e-5;
const TOLERANCE_OF_HALVES: f64 = 1.0 / 1024.0;
/// Least share of queries that both back ends put into the same cluster. Near ties may be decided differently.
const SAME_CLUSTER: f64 = 0.9;

/// A problem of any method.
struct Case {
    name: &'static str,
    shape: Shape,
    layout: Layout,
    /// Valid queries and keys of each sequence.
    lengths: Option<[&'static [u32]; 2]>,
    clusters: usize,
    top_k: usize,
    /// Window of the stitched method.
    window: Option<usize>,
    /// Whether it is computed in halves too: in vectors, and half by half.
    in_halves: bool,
}

/// Sizes that are multiples of nothing.
fn cases() -> [Case; 4] {
    let shape =
        |batch, [query_heads, key_heads]: [usize; 2], [queries, keys]: [usize; 2], [width, value_width]: [usize; 2]| {
            Shape::self_attention(batch, query_heads, queries, width)
                .with_key_heads(key_heads)
                .with_keys(keys)
                .with_value_width(value_width)
        };
    [
        Case {
            name: "grouped heads, lengths, E=13, M=40",
            shape: shape(2, [4, 2], [77, 77], [13, 40]),
            layout: Layout::HeadsFirst,
            lengths: Some([&[77, 50], &[77, 50]]),
            clusters: 7,
            top_k: 5,
            window: Some(3),
            in_halves: true,
        },
        Case {
            name: "length first, E=M=64",
            shape: shape(1, [2, 2], [301, 301], [64, 64]),
            layout: Layout::LengthFirst,
            lengths: None,
            clusters: 25,
            top_k: 32,
            window: Some(16),
            in_halves: true,
        },
        Case {
            name: "cross attention, E=40, M=13",
            shape: shape(2, [2, 1], [51, 131], [40, 13]),
            layout: Layout::LengthFirst,
            lengths: Some([&[0, 51], &[131, 90]]),
            clusters: 9,
            top_k: 11,
            window: None,
            in_halves: false,
        },
        Case {
            name: "one query",
            shape: shape(1, [1, 1], [1, 1], [5, 3]),
            layout: Layout::HeadsFirst,
            lengths: None,
            clusters: 4,
            top_k: 8,
            window: Some(2),
            in_halves: false,
        },
    ]
}

/// Compares every method on every case and reports a line for each.
pub async fn run(reference: &Attention, candidate: &Attention, report: &dyn Fn(&str)) -> Result<(), String> {
    let (mut count, mut failures) = (0, 0);
    for case in cases() {
        let methods = [
            Method::Exact,
            Method::clustered(case.clusters),
            Method::improved(case.clusters),
            Method::stitched(case.clusters),
            Method::Stitched(Stitched::hamming(case.clusters)),
        ];
        let methods = methods.map(|method| method.with_top_k(case.top_k).with_window(case.window));
        // Patches of an image, behind what a whole row would have more.
        let (columns, queries) = (7, case.shape.queries);
        let grid = Grid::new(queries / columns, columns).with_leading(queries % columns);
        let is_image = case.shape.keys == queries && queries >= columns;
        let image = is_image.then(|| Method::stitched(case.clusters).with_top_k(case.top_k).with_grid(grid));
        for method in methods.into_iter().chain(image) {
            let space = method.clustering().map_or(String::new(), |clustering| clustering.space.to_string());
            for element in Element::ALL.into_iter().filter(|&element| element == Element::F32 || case.in_halves) {
                let result = match element {
                    Element::F32 => compare(&case, method, reference, candidate, |floats| floats).await,
                    _ => compare(&case, method, reference, candidate, halves).await,
                };
                count += 1;
                failures += usize::from(result.is_err());
                let (verdict, text) = match result {
                    Ok(text) => ("ok", text),
                    Err(text) => ("FAILED", text),
                };
                report(&format!("{verdict:6} {:9} {space:7} {element} {:36} {text}", method.name(), case.name));
            }
        }
    }
    if failures == 0 {
        Ok(())
    } else {
        Err(format!("{failures} of {count} comparisons failed"))
    }
}

fn halves(floats: Vec<f32>) -> Vec<f16> {
    floats.into_iter().map(f16::from_f32).collect()
}

/// Compares one method on one case, with numbers stored in some way; what was found, either way.
async fn compare<E: Stored + Into<f32>>(
    case: &Case,
    method: Method,
    reference: &Attention,
    candidate: &Attention,
    stored: impl Fn(Vec<f32>) -> Vec<E>,
) -> Result<String, String> {
    let problem = Problem::new(case.shape, method).map_err(|error| error.to_string())?.with_layout(case.layout);
    let problem = problem.with_element(E::ELEMENT);
    let queries = stored(numbers(case.shape.query_elements(), 1));
    let keys = stored(numbers(case.shape.key_elements(), 2));
    let values = stored(numbers(case.shape.value_elements(), 3));
    let mut inputs = Inputs::new(&queries, &keys, &values);
    if let Some([query_lengths, key_lengths]) = case.lengths {
        inputs = inputs.with_lengths(query_lengths, key_lengths);
    }
    let expected = trace(reference, &problem, &inputs, &Supplied::default()).await?;
    let alone = trace(candidate, &problem, &inputs, &Supplied::default()).await?;
    let same_cluster = share_of_equal(&alone.assignment, &expected.assignment)?;
    if same_cluster < SAME_CLUSTER {
        return Err(format!("only {:.0}% of the queries are in the same cluster", 100.0 * same_cluster));
    }
    if alone.output.iter().any(|value| !value.is_finite()) {
        return Err("the output is not finite".into());
    }
    let again = candidate.run(&problem, &inputs).await.map_err(|error| error.to_string())?;
    let again: Vec<f32> = again.into_iter().map(Into::into).collect();
    if again.iter().zip(&alone.output).any(|(a, b)| a.to_bits() != b.to_bits()) {
        return Err("a second run gave other bits".into());
    }
    // With the same groups, only rounding is left to differ.
    let assignment = method.clustering().map(|_| expected.assignment.as_slice());
    let key_groups = Some(expected.key_groups.as_slice()).filter(|groups| !groups.is_empty());
    let supplied = Supplied::default().with_assignment(assignment).with_key_groups(key_groups);
    let given = trace(candidate, &problem, &inputs, &supplied).await?;
    let difference = relative_difference(&given.output, &expected.output)?;
    if difference > if E::ELEMENT == Element::F32 { TOLERANCE } else { TOLERANCE_OF_HALVES } {
        return Err(format!("the outputs differ by {difference:.1e} of the largest value"));
    }
    Ok(match assignment {
        Some(_) => format!("difference {difference:.1e}, {:.0}% in the same cluster", 100.0 * same_cluster),
        None => format!("difference {difference:.1e}"),
    })
}

async fn trace<E: Stored>(
    attention: &Attention,
    problem: &Problem,
    inputs: &Inputs<'_, E>,
    supplied: &Supplied<'_>,
) -> Result<Trace, String> {
    attention.trace(problem, inputs, supplied).await.map_err(|error| error.to_string())
}

fn share_of_equal(actual: &[u32], expected: &[u32]) -> Result<f64, String> {
    if actual.len() != expected.len() {
        return Err(format!("{} queries have a cluster; {} should", actual.len(), expected.len()));
    }
    let equal = actual.iter().zip(expected).filter(|(a, b)| a == b).count();
    Ok(if expected.is_empty() { 1.0 } else { equal as f64 / expected.len() as f64 })
}

/// Largest difference, relative to the largest value of `expected`; infinite where a value is NaN.
fn relative_difference(actual: &[f32], expected: &[f32]) -> Result<f64, String> {
    if actual.len() != expected.len() {
        return Err(format!("the output has {} values; it should have {}", actual.len(), expected.len()));
    }
    let largest = expected.iter().fold(0.0, |largest: f64, &value| largest.max(f64::from(value).abs()));
    let difference = actual.iter().zip(expected).fold(0.0, |largest: f64, (&a, &b)| {
        let difference = (f64::from(a) - f64::from(b)).abs();
        if difference.is_nan() {
            f64::INFINITY
        } else {
            largest.max(difference)
        }
    });
    Ok(if largest > 0.0 { difference / largest } else { difference })
}

/// Numbers from -2 to 2 that depend on the seed only.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let mut next = || {
        // Xorshift (Marsaglia 2003).
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as f32 / u32::MAX as f32
    };
    (0..count).map(|_| next() * 4.0 - 2.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clustered_attention::Backend;

    #[test]
    fn a_back_end_equals_itself() {
        let attention = Attention::new_blocking(Backend::Cpu).unwrap();
        let lines = std::cell::RefCell::new(vec![]);
        pollster::block_on(run(&attention, &attention, &|line| lines.borrow_mut().push(line.to_string()))).unwrap();
        let lines = lines.into_inner();
        assert_eq!(lines.len(), 34);
        assert_eq!(lines.iter().filter(|line| line.contains(" f16 ")).count(), 12);
        assert!(lines.iter().all(|line| line.starts_with("ok")), "{}", lines.join("\n"));
    }

    #[test]
    fn differences_are_found() {
        assert_eq!(relative_difference(&[1.0, 2.5], &[1.0, 2.0]), Ok(0.25));
        assert_eq!(relative_difference(&[f32::NAN], &[1.0]), Ok(f64::INFINITY));
        assert!(relative_difference(&[1.0], &[]).is_err());
        assert_eq!(share_of_equal(&[1, 2], &[1, 3]), Ok(0.5));
        assert!(share_of_equal(&[], &[1]).is_err());
    }
}
