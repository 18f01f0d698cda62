//! What stitched attention computes exactly beside the top-k keys.

use super::visibility::{Keys, Visibility};

/// The keys around a query's own position. Queries and keys are as many, and query `i` stands at key `i` whatever the lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Neighbourhood {
    /// At most this far away.
    Band(usize),
}

impl Neighbourhood {
    /// The same as a bound on what is seen.
    pub fn reach(self) -> Visibility {
        let Self::Band(half_width) = self;
        Visibility { left: Some(half_width), right: Some(half_width), ..Visibility::ALL }
    }

    /// Neighbours of one query among `keys` valid keys.
    pub fn keys_of(self, query: usize, keys: usize) -> Keys {
        self.reach().keys_of(query as i64, keys)
    }

    /// Neighbours of any query from `first` to `last`.
    pub fn keys_of_tile(self, first: usize, last: usize, keys: usize) -> Keys {
        self.reach().keys_of_tile(first as i64, last as i64, keys)
    }

    /// Pairs of a query and a neighbour of it.
    pub fn pairs(self, queries: usize, keys: usize) -> u64 {
        self.reach().pairs(0, queries, keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_are_those_of_dense_masks() {
        for (queries, keys, half_width) in
            (0..=9).flat_map(|queries| (0..=9).flat_map(move |keys| (0..=10).map(move |width| (queries, keys, width))))
        {
            let band = Neighbourhood::Band(half_width);
            let near = |query: usize, key: usize| query.abs_diff(key) <= half_width;
            let count = (0..queries).map(|query| (0..keys).filter(|&key| near(query, key)).count() as u64).sum::<u64>();
            assert_eq!(band.pairs(queries, keys), count);
            for query in 0..queries {
                let row: Vec<usize> = (0..keys).filter(|&key| near(query, key)).collect();
                assert_eq!(band.keys_of(query, keys).near.collect::<Vec<_>>(), row);
                for last in query..queries {
                    let any: Vec<usize> =
                        (0..keys).filter(|&key| (query..=last).any(|query| near(query, key))).collect();
                    assert_eq!(band.keys_of_tile(query, last, keys).near.collect::<Vec<_>>(), any);
                }
            }
        }
    }
}
