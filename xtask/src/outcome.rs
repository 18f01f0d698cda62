//! How a step of the tests ended, if it did not fail.

pub enum Outcome {
    Passed,
    /// Left out, and why.
    Skipped(String),
}
