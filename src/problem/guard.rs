//! What watches over stitched attention's error.

use super::clustering::in_range;
use crate::{Error, Result};
use std::fmt;
use std::hash::{Hash, Hasher};

/// What a [`Guard`] does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum GuardAction {
    /// Nothing is measured.
    #[default]
    Off,
    /// The error of each slice is measured; the output stays what it was, bit for bit.
    Report,
    /// Slices whose error exceeds the tolerance are computed exactly, bit for bit as by [`Method::Exact`](super::Method::Exact).
    Recompute,
}

/// Measures the error of stitched attention in every slice (a sequence and a query head) on a few exact rows, where the output is computed
/// and without reading anything back (`docs/method.md`).
///
/// The error of a slice is `‖output - exact‖ / ‖exact‖` over `rows` queries: half of them drawn in strata, the others those farthest from their
/// centroid among a sample. Rows that were not looked at may be worse: with `n` drawn rows, 95 % certainty is that at most `3/n` of all rows
/// exceed the worst of them. Costs `O(rows·S·(E+M) + 256·E²)` a slice, and exact attention for each that falls back.
///
/// The default is [`Guard::OFF`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Guard {
    /// What is done. Default of [`Guard::new`]: [`GuardAction::Recompute`].
    pub action: GuardAction,
    /// Queries of a slice that are computed exactly, from [`Guard::MIN_ROWS`] to [`Guard::MAX_ROWS`]; all where there are no more. Default 8.
    pub rows: usize,
    /// Relative error above which a slice is computed exactly. Default 0.2.
    pub tolerance: Tolerance,
}

impl Guard {
    /// The smallest number of rows: one drawn, one far from its centroid.
    pub const MIN_ROWS: usize = 2;
    /// The largest number of rows.
    pub const MAX_ROWS: usize = 64;
    /// No guard.
    pub const OFF: Self = Self { action: GuardAction::Off, rows: 8, tolerance: Tolerance::new(0.2) };

    /// Slices in error by more than 0.2 on 8 rows are computed exactly.
    pub const fn new() -> Self {
        Self { action: GuardAction::Recompute, ..Self::OFF }
    }

    /// The same with another action.
    pub const fn with_action(self, action: GuardAction) -> Self {
        Self { action, ..self }
    }

    /// The same with other rows.
    pub const fn with_rows(self, rows: usize) -> Self {
        Self { rows, ..self }
    }

    /// The same with another tolerance: a relative error, finite and not negative.
    pub const fn with_tolerance(self, tolerance: f32) -> Self {
        Self { tolerance: Tolerance::new(tolerance), ..self }
    }

    pub(super) fn validate(&self) -> Result<()> {
        in_range("guard_rows", self.rows, Self::MIN_ROWS, Self::MAX_ROWS)?;
        let tolerance = self.tolerance.value();
        if tolerance.is_finite() && tolerance >= 0.0 {
            return Ok(());
        }
        let (value, allowed) = (tolerance.to_string(), "finite and not negative".into());
        Err(Error::OutOfRange { argument: "guard_tolerance", value, allowed })
    }
}

impl Default for Guard {
    fn default() -> Self {
        Self::OFF
    }
}

/// A relative error that is allowed. Compared and hashed by its bits, as the options of a method are.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct Tolerance(f32);

impl Tolerance {
    /// Any number; [`Problem::new`](super::Problem::new) checks that it is finite and not negative.
    pub const fn new(value: f32) -> Self {
        Self(value)
    }

    /// The number.
    pub const fn value(self) -> f32 {
        self.0
    }
}

impl PartialEq for Tolerance {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Tolerance {}

impl Hash for Tolerance {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

impl From<f32> for Tolerance {
    fn from(value: f32) -> Self {
        Self::new(value)
    }
}

/// The number.
impl fmt::Display for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Method, Problem, Shape};

    #[test]
    fn rows_and_tolerances_out_of_range_are_named() {
        let refused = |guard: Guard| {
            let method = Method::stitched(5).with_guard(guard);
            Problem::new(Shape::self_attention(1, 1, 10, 4), method).map(|_| ()).map_err(|error| error.to_string())
        };
        for rows in [2, 3, 64] {
            assert_eq!(refused(Guard::new().with_rows(rows)), Ok(()));
        }
        for (guard, named) in [
            (Guard::new().with_rows(1), "guard_rows"),
            (Guard::OFF.with_rows(65), "from 2 to 64"),
            (Guard::new().with_tolerance(-0.1), "guard_tolerance"),
            (Guard::new().with_tolerance(f32::NAN), "finite"),
            (Guard::new().with_tolerance(f32::INFINITY), "finite"),
        ] {
            let error = refused(guard).expect_err("it is out of range");
            assert!(error.contains(named), "{error}");
        }
        assert_eq!(refused(Guard::new().with_tolerance(0.0)), Ok(()));
        assert_eq!(Guard::default(), Guard::OFF);
    }

    #[cfg(feature = "serde")]
    #[test]
    fn methods_kept_before_there_was_a_guard_have_none() {
        let method = Method::stitched(5).with_guard(Guard::new().with_tolerance(0.25).with_rows(12));
        let mut kept = serde_json::to_value(method).expect("text");
        assert_eq!(kept["guard"]["tolerance"], serde_json::json!(0.25));
        assert_eq!(kept["guard"]["action"], serde_json::json!("recompute"));
        assert_eq!(serde_json::from_value::<Method>(kept.clone()).expect("a method"), method);
        kept.as_object_mut().expect("an object").remove("guard");
        assert_eq!(serde_json::from_value::<Method>(kept).expect("a method"), method.with_guard(Guard::OFF));
    }
}
