//! Where the data lies: what a search asks of it.

use super::estimate::{OutputRows, Positions};
use crate::{Attention, ExactRows, Inputs, Method, Plan, Problem, Result, Rows};

/// Rows of outputs of one problem's data, wherever it lies.
pub(super) trait Source {
    /// How the target cuts a problem.
    fn plan(&self, problem: &Problem) -> Result<Plan>;

    /// Checks what is given, before anything is computed.
    fn check(&self, problem: &Problem) -> Result<()>;

    /// Valid queries and keys of each sequence.
    fn lengths(&self) -> [Option<&[u32]>; 2];

    /// Exact attention at some rows.
    async fn exact(&self, problem: &Problem, rows: Rows) -> Result<ExactRows>;

    /// Computes a problem and gives rows of its output.
    async fn rows(&self, problem: &Problem, compared: &Positions, exact: &Positions) -> Result<OutputRows>;
}

/// Host slices.
pub(super) struct Host<'a> {
    pub attention: &'a Attention,
    pub inputs: &'a Inputs<'a>,
    /// Whether to compute on the caller's thread.
    #[cfg(not(target_arch = "wasm32"))]
    pub blocking: bool,
}

impl Source for Host<'_> {
    fn plan(&self, problem: &Problem) -> Result<Plan> {
        self.attention.plan(problem)
    }

    fn check(&self, problem: &Problem) -> Result<()> {
        self.inputs.validate(&problem.with_method(Method::Exact)).map(|_| ())
    }

    fn lengths(&self) -> [Option<&[u32]>; 2] {
        [self.inputs.query_lengths, self.inputs.key_lengths]
    }

    async fn exact(&self, problem: &Problem, rows: Rows) -> Result<ExactRows> {
        #[cfg(not(target_arch = "wasm32"))]
        if self.blocking {
            return ExactRows::compute_blocking(self.attention, problem, self.inputs, rows);
        }
        ExactRows::compute(self.attention, problem, self.inputs, rows).await
    }

    async fn rows(&self, problem: &Problem, compared: &Positions, exact: &Positions) -> Result<OutputRows> {
        #[cfg(not(target_arch = "wasm32"))]
        let output = match self.blocking {
            true => self.attention.run_blocking(problem, self.inputs)?,
            false => self.attention.run(problem, self.inputs).await?,
        };
        #[cfg(target_arch = "wasm32")]
        let output = self.attention.run(problem, self.inputs).await?;
        let of = |positions| {
            let width = problem.shape().value_width;
            offsets(problem, positions).flat_map(|offset| output[offset..][..width].iter().copied()).collect()
        };
        Ok(OutputRows { compared: of(compared), exact: of(exact) })
    }
}

/// The first element of each row of the output, slice by slice.
pub(super) fn offsets<'a>(problem: &Problem, positions: &'a Positions) -> impl Iterator<Item = usize> + 'a {
    let (heads, strides) = (problem.shape().query_heads, problem.output_strides());
    positions.iter().enumerate().flat_map(move |(slice, positions)| {
        positions.iter().map(move |&position| strides.offset(slice / heads, slice % heads, position))
    })
}
