//! What is to be computed, checked before anything slow begins or memory is taken.

use crate::available_memory::{call_bytes, ensure_free, tensor_bytes};
use crate::description::describe;
use crate::files::{check_outputs, Named};
use crate::input::{self, Tensors};
use crate::options::Options;
use crate::{measure, synthetic};
use anyhow::Result;
use clustered_attention::{Attention, Problem, Shape, DEFAULT_SCRATCH_BUDGET_BYTES};
use std::path::Path;

/// A run whose options are known to go together.
pub struct Job<'a> {
    options: &'a Options,
    input: Input,
    problems: Vec<Problem>,
}

enum Input {
    Synthetic(Shape),
    File(Tensors),
}

impl<'a> Job<'a> {
    /// Reads the input, if it is a file, and checks sizes, methods and where results go.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(options: &'a Options) -> Result<Self> {
        let named = |option, path: &'a Option<_>| path.as_deref().map(|path: &Path| (option, path));
        let outputs: Vec<Named> = [named("--json", &options.json), named("--pipeline-cache", &options.pipeline_cache)]
            .into_iter()
            .flatten()
            .collect();
        let shipped = Path::new(input::SHIPPED_LAYER);
        let inputs: Vec<Named> = match (&options.input, options.length) {
            (Some(path), _) => vec![("--input", path)],
            (None, None) => vec![("the input by default", shipped)],
            (None, Some(_)) => vec![],
        };
        check_outputs(&outputs, &inputs)?;
        let input = match (options.length, &options.input) {
            (Some(length), _) => Input::Synthetic(Shape::self_attention(1, options.heads, length, options.width)),
            (None, Some(path)) => Input::File(input::load(path)?),
            (None, None) => {
                let mut tensors = input::load(shipped)?;
                tensors.source = "a layer of a speech recogniser (examples/data/speech_layer1.safetensors)".to_owned();
                Input::File(tensors)
            }
        };
        let job = Self { options, problems: measure::problems(&input.shape(), options)?, input };
        ensure_free(tensor_bytes(&job.shape()), &describe(&job.shape()))?;
        Ok(job)
    }

    /// Checks that each method's plan holds on a back end, and that its memory is there.
    ///
    /// # Errors
    /// The first that does not, or whose memory is not there.
    pub fn check_calls(&self, attention: &Attention) -> Result<()> {
        let mut most = 0;
        let budget = self.options.scratch_budget_bytes();
        for problem in &self.problems {
            let plan = attention.plan(problem)?;
            let scratch_bytes = match self.options.error {
                // A search tries methods that may need all there is.
                Some(_) => budget.unwrap_or(DEFAULT_SCRATCH_BUDGET_BYTES),
                None => plan.scratch_bytes(),
            };
            most = most.max(call_bytes(problem, scratch_bytes, attention.adapter().is_some()));
        }
        let shape = self.shape();
        ensure_free(tensor_bytes(&shape).saturating_add(most), &describe(&shape))
    }

    /// A problem for each method asked for.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Sizes of the input.
    pub fn shape(&self) -> Shape {
        self.input.shape()
    }

    /// The tensors; synthetic ones are made now.
    ///
    /// # Errors
    /// There is no memory for them.
    pub fn tensors(self) -> Result<Tensors> {
        match self.input {
            Input::Synthetic(shape) => {
                synthetic::mixture(shape.queries, shape.query_heads, shape.width, self.options.seed)
            }
            Input::File(tensors) => Ok(tensors),
        }
    }
}

impl Input {
    fn shape(&self) -> Shape {
        match self {
            Self::Synthetic(shape) => *shape,
            Self::File(tensors) => tensors.shape,
        }
    }
}
