//! What the modules for tensors of other libraries share: options, lengths of a call, sizes, and the computation on the host.

use crate::background::Cancellation;
use crate::cpu::{self, Workspace};
use crate::problem::{check_lengths, empty_output, Call, Stored};
use crate::{Error, Inputs, Limits, Method, Plan, Problem, Result, Shape, Supplied, DEFAULT_SCRATCH_BUDGET_BYTES};
use std::sync::OnceLock;

/// Method and options of attention on tensors.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AttentionOptions {
    /// The method, with its clustering, top-k and window.
    pub method: Method,
    /// Factor of the products of queries and keys; `None`: `1 / √width`.
    pub scale: Option<f32>,
    /// Bound of the scratch memory of a call; the default is [`DEFAULT_SCRATCH_BUDGET_BYTES`].
    pub scratch_budget_bytes: u64,
    /// Whether tensors of a Burn device with autodiff are taken as constants, through which no gradient flows; otherwise they are refused.
    /// candle's tensors have `detach`.
    pub without_gradients: bool,
}

impl AttentionOptions {
    /// A method with the usual scale.
    pub fn new(method: Method) -> Self {
        Self { method, scale: None, scratch_budget_bytes: DEFAULT_SCRATCH_BUDGET_BYTES, without_gradients: false }
    }

    /// For inference on a Burn device with autodiff: tensors are constants, and so is the output, which later operations take as one.
    pub fn without_gradients(mut self) -> Self {
        self.without_gradients = true;
        self
    }

    /// Another factor of the products; checked when attention is computed.
    pub fn with_scale(mut self, scale: f32) -> Self {
        self.scale = Some(scale);
        self
    }

    /// Another bound of the scratch memory.
    pub fn with_scratch_budget_bytes(mut self, bytes: u64) -> Self {
        self.scratch_budget_bytes = bytes;
        self
    }

    /// What is asked of tensors of a shape, whose sequences have these lengths.
    pub(crate) fn problem(&self, shape: Shape, lengths: Lengths) -> Result<Problem> {
        let problem = Problem::new(shape, self.method)?;
        check_lengths(&problem, lengths.queries, lengths.keys)?;
        match self.scale {
            Some(scale) => problem.with_scale(scale),
            None => Ok(problem),
        }
    }
}

/// Valid positions of each sequence of a call, where sequences of different lengths are padded to one. The default: all are valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Lengths<'a> {
    /// Valid queries of each sequence, `[batch]`; padding queries give zeros. `None`: all are valid.
    pub queries: Option<&'a [u32]>,
    /// Valid keys of each sequence, `[batch]`; padding keys are not looked at. `None`: all are valid.
    pub keys: Option<&'a [u32]>,
}

impl<'a> Lengths<'a> {
    /// Lengths of self-attention: of queries and of keys.
    pub fn new(lengths: &'a [u32]) -> Self {
        Self { queries: Some(lengths), keys: Some(lengths) }
    }

    /// Lengths of the keys; all queries are valid.
    pub fn of_keys(lengths: &'a [u32]) -> Self {
        Self { keys: Some(lengths), ..Self::default() }
    }

    /// Lengths of the queries; all keys are valid.
    pub fn of_queries(lengths: &'a [u32]) -> Self {
        Self { queries: Some(lengths), ..Self::default() }
    }
}

/// The sizes of a call, from the dimensions of queries, keys and values, if they agree.
pub(crate) fn shape_of([queries, keys, values]: [[usize; 4]; 3]) -> Result<Shape> {
    let [batch, query_heads, query_length, width] = queries;
    let [_, key_heads, key_length, _] = keys;
    let [.., value_width] = values;
    for (tensor, actual, needed) in [
        ("keys", keys, [batch, key_heads, key_length, width]),
        ("values", values, [batch, key_heads, key_length, value_width]),
    ] {
        if actual != needed {
            return Err(Error::TensorShape { tensor, actual: format!("{actual:?}"), needed: format!("{needed:?}") });
        }
    }
    Ok(Shape { batch, query_heads, key_heads, queries: query_length, keys: key_length, width, value_width })
}

/// Attention by the CPU back end on memory of the host, in the problem's layout.
pub(crate) fn compute_on_host<E: Stored>(
    problem: &Problem,
    [queries, keys, values]: [&[E]; 3],
    lengths: Lengths,
    scratch_budget_bytes: u64,
) -> Result<Vec<E>> {
    let plan = Plan::new(problem, &Limits::host().with_scratch_budget_bytes(scratch_budget_bytes))?;
    let inputs =
        Inputs { query_lengths: lengths.queries, key_lengths: lengths.keys, ..Inputs::new(queries, keys, values) };
    let sums = inputs.validate(problem)?;
    let mut output = empty_output(problem)?;
    let call = Call { inputs: &inputs, supplied: &Supplied::default(), positions: None };
    cpu::run_stored(&plan, &call, &mut output, None, workspace(), &Cancellation::default())?;
    inputs.check_sums(problem, sums, &output)?;
    Ok(output)
}

/// Scratch memory that is kept from call to call.
fn workspace() -> &'static Workspace {
    static WORKSPACE: OnceLock<Workspace> = OnceLock::new();
    WORKSPACE.get_or_init(Workspace::default)
}
