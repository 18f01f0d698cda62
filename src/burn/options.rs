//! What is asked beside the tensors.

use crate::{Method, Problem, Result, Shape, DEFAULT_SCRATCH_BUDGET_BYTES};

/// Method and options of attention on Burn's tensors.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionOptions {
    /// The method, with its clustering, top-k and window.
    pub method: Method,
    /// Factor of the products of queries and keys; `None`: `1 / √width`.
    pub scale: Option<f32>,
    /// Valid queries of each sequence, `[batch]`; padding queries give zeros. `None`: all are valid.
    pub query_lengths: Option<Vec<u32>>,
    /// Valid keys of each sequence, `[batch]`; padding keys are not looked at. `None`: all are valid.
    pub key_lengths: Option<Vec<u32>>,
    /// Bound of the scratch memory of a call; the default is [`DEFAULT_SCRATCH_BUDGET_BYTES`].
    pub scratch_budget_bytes: u64,
}

impl AttentionOptions {
    /// A method on sequences of full length, with the usual scale.
    pub fn new(method: Method) -> Self {
        Self {
            method,
            scale: None,
            query_lengths: None,
            key_lengths: None,
            scratch_budget_bytes: DEFAULT_SCRATCH_BUDGET_BYTES,
        }
    }

    /// Another factor of the products; checked when attention is computed.
    pub fn with_scale(mut self, scale: f32) -> Self {
        self.scale = Some(scale);
        self
    }

    /// Valid keys of each sequence, `[batch]`, where sequences of different lengths are padded to one.
    pub fn with_key_lengths(mut self, lengths: impl Into<Vec<u32>>) -> Self {
        self.key_lengths = Some(lengths.into());
        self
    }

    /// Valid queries of each sequence, `[batch]`.
    pub fn with_query_lengths(mut self, lengths: impl Into<Vec<u32>>) -> Self {
        self.query_lengths = Some(lengths.into());
        self
    }

    /// Valid positions of each sequence, `[batch]`, of self-attention: of queries and of keys.
    pub fn with_lengths(self, lengths: impl Into<Vec<u32>>) -> Self {
        let lengths = lengths.into();
        self.with_query_lengths(lengths.clone()).with_key_lengths(lengths)
    }

    /// Another bound of the scratch memory.
    pub fn with_scratch_budget_bytes(mut self, bytes: u64) -> Self {
        self.scratch_budget_bytes = bytes;
        self
    }

    /// What is asked of tensors of a shape.
    pub(super) fn problem(&self, shape: Shape) -> Result<Problem> {
        let problem = Problem::new(shape, self.method)?;
        match self.scale {
            Some(scale) => problem.with_scale(scale),
            None => Ok(problem),
        }
    }
}
