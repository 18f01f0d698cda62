//! What a search finds.

use crate::{Accuracy, Method};

/// A method that was measured, on the way to the one that was taken.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Trial {
    /// The method.
    pub method: Method,
    /// Seconds that a call is estimated to take on the target, as [`Method::Auto`] estimates them.
    pub estimated_seconds: f64,
    /// Estimate of the relative L2 error over all valid rows. Infinite where the output is not finite.
    pub error: f64,
    /// The error with its margin of standard errors ([`ForError::with_margin`](super::ForError::with_margin)): what has to meet the target.
    pub upper_error: f64,
    /// Error at the exact rows alone, without what was learned at other rows.
    pub accuracy: Accuracy,
}

/// What [`ForError`](super::ForError) found. The method can be kept, written down (feature `serde`) and used on other input like it.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Found {
    /// The method: a [`Method::Stitched`], or [`Method::Exact`] where no cheaper one meets the target.
    pub method: Method,
    /// The relative L2 error that was asked for.
    pub target: f64,
    /// Seconds that a call of the method is estimated to take on the target.
    pub estimated_seconds: f64,
    /// What was measured, from the cheapest on; the last one is the method, unless that is exact. Empty where exact attention is estimated to cost
    /// no more than any other, and where there is no other.
    pub trials: Vec<Trial>,
}

impl Found {
    /// What was measured of the method; `None` of exact attention.
    pub fn trial(&self) -> Option<&Trial> {
        self.trials.last().filter(|trial| trial.method == self.method)
    }

    /// The measured relative L2 error of the method; 0 of exact attention.
    pub fn error(&self) -> f64 {
        self.trial().map_or(0.0, |trial| trial.error)
    }
}
