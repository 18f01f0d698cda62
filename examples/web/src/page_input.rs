//! Queries, keys and values that a page gave, and longer ones made of them.

use crate::failure::Result;
use crate::input::Tensors;
use crate::synthetic::Random;
use clustered_attention::{Inputs, Method, Problem, Shape};

/// Self-attention's input, `[batch, heads, length, width]` each.
#[derive(Debug, Clone)]
pub struct Input {
    pub shape: Shape,
    pub queries: Vec<f32>,
    pub keys: Vec<f32>,
    pub values: Vec<f32>,
}

impl Input {
    pub fn inputs(&self) -> Inputs<'_> {
        Inputs::new(&self.queries, &self.keys, &self.values)
    }

    /// The input in a file of tensors.
    ///
    /// # Errors
    /// It must be self-attention: as many queries as keys.
    pub fn of(tensors: Tensors) -> Result<Self> {
        let Tensors { shape, queries, keys, values, .. } = tensors;
        if shape.queries != shape.keys {
            return Err(format!(
                "`q` has {} positions and `k` has {}; self-attention needs as many of both",
                shape.queries, shape.keys
            )
            .into());
        }
        Ok(Self { shape, queries, keys, values })
    }

    /// Whether it can be computed with.
    ///
    /// # Errors
    /// A size is out of range, an array has another size than its shape, or numbers are not finite or so large that logits overflow.
    pub fn check(&self) -> Result<()> {
        let shape = self.shape;
        Problem::new(shape, Method::Exact)?;
        for (name, data, elements) in [
            ("queries", &self.queries, shape.query_elements()),
            ("keys", &self.keys, shape.key_elements()),
            ("values", &self.values, shape.value_elements()),
        ] {
            if data.len() != elements {
                return Err(format!("`{name}` has {} numbers; its shape has {elements}", data.len()).into());
            }
            if let Some(place) = data.iter().position(|value| !value.is_finite()) {
                return Err(format!("`{name}` holds {} at number {place}; all must be finite", data[place]).into());
            }
        }
        let logit = longest_row(&self.queries, shape.width) * longest_row(&self.keys, shape.width);
        if logit > f64::from(f32::MAX) {
            return Err(format!(
                "`queries` and `keys` are too large: their products can reach {logit:.0e}, but 32-bit floats end at {:.1e}; scale them down",
                f32::MAX
            )
            .into());
        }
        Ok(())
    }

    /// Heads of all sequences.
    pub fn heads(&self) -> usize {
        self.shape.slices()
    }

    /// Queries of a head, keys and values of the head that it reads.
    pub fn head(&self, head: usize) -> (&[f32], &[f32], &[f32]) {
        let Shape { query_heads, key_heads, queries, width, value_width, .. } = self.shape;
        let (batch, of_batch) = (head / query_heads, head % query_heads);
        let source = batch * key_heads + of_batch / (query_heads / key_heads);
        let rows = |data, index, width| -> &[f32] { row(data, index, queries * width) };
        (rows(&self.queries, head, width), rows(&self.keys, source, width), rows(&self.values, source, value_width))
    }

    /// The same heads over `length` positions: the input again and again, each time with other noise, a tenth of its spread, so that no
    /// two positions are equal.
    pub fn lengthened(&self, length: usize, seed: u64) -> Self {
        const NOISE: f32 = 0.1;
        let mut random = Random::new(seed);
        let mut repeat = |data: &[f32], width: usize| {
            let square = data.iter().map(|value| value * value).sum::<f32>() / data.len().max(1) as f32;
            let noise = NOISE * square.sqrt();
            let heads = data.chunks_exact(self.shape.queries * width);
            let mut long = Vec::with_capacity(heads.len() * length * width);
            for head in heads {
                long.extend(head.iter().cycle().take(length * width).map(|value| value + noise * random.normal()));
            }
            long
        };
        Self {
            queries: repeat(&self.queries, self.shape.width),
            keys: repeat(&self.keys, self.shape.width),
            values: repeat(&self.values, self.shape.value_width),
            shape: self.shape.with_queries(length).with_keys(length),
        }
    }
}

/// The largest length of a row.
fn longest_row(data: &[f32], width: usize) -> f64 {
    let squares = data.chunks_exact(width).map(|row| row.iter().map(|value| f64::from(*value).powi(2)).sum());
    squares.fold(0.0, f64::max).sqrt()
}

/// Row `index` of rows of `width` numbers.
pub fn row<T>(data: &[T], index: usize, width: usize) -> &[T] {
    &data[index * width..][..width]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counting(shape: Shape) -> Input {
        let count = |elements: usize| (0..elements).map(|i| i as f32).collect();
        Input {
            queries: count(shape.query_elements()),
            keys: count(shape.key_elements()),
            values: count(shape.value_elements()),
            shape,
        }
    }

    #[test]
    fn heads_read_the_keys_of_their_group() {
        let shape = Shape::self_attention(2, 4, 5, 2).with_query_heads(4).with_key_heads(2).with_value_width(3);
        let input = counting(shape);
        let (queries, keys, values) = input.head(7);
        assert_eq!((queries[0], keys[0], values[0]), (70.0, 30.0, 45.0));
        assert_eq!((queries.len(), keys.len(), values.len()), (10, 10, 15));
    }

    #[test]
    fn what_cannot_be_computed_with_is_refused_in_words() {
        let input = |change: &dyn Fn(&mut Input)| {
            let mut input = counting(Shape::self_attention(1, 2, 5, 4));
            change(&mut input);
            input.check().map_err(|failure| failure.message)
        };
        assert_eq!(input(&|_| ()), Ok(()));
        assert!(input(&|input| input.keys[7] = f32::NAN).unwrap_err().contains("`keys` holds NaN at number 7"));
        assert!(input(&|input| _ = input.values.pop()).unwrap_err().contains("`values` has 39 numbers"));
        let scaled = |factor: f32| {
            input(&|input| {
                input.queries.iter_mut().for_each(|value| *value *= factor);
                input.keys.iter_mut().for_each(|value| *value *= factor);
            })
        };
        assert_eq!(scaled(1e15), Ok(()));
        assert!(scaled(1e30).unwrap_err().contains("too large"), "{:?}", scaled(1e30));
    }

    #[test]
    fn a_longer_input_repeats_the_short_one() {
        let input = counting(Shape::self_attention(1, 3, 40, 4));
        let long = input.lengthened(100, 1);
        assert_eq!(long.queries.len(), 3 * 100 * 4);
        let (short, repeated) = (input.head(2).1, long.head(2).1);
        let spread = 300.0;
        assert!((repeated[41 * 4] - short[4]).abs() < 0.6 * spread && repeated[41 * 4] != repeated[4]);
        assert_eq!(long.keys, input.lengthened(100, 1).keys);
        assert_ne!(long.keys, input.lengthened(100, 2).keys);
    }
}
