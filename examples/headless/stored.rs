//! Tensors as the problem stores them.

use crate::available_memory::{reserved, zeros};
use crate::input::Tensors;
use anyhow::Result;
use clustered_attention::half::f16;
use clustered_attention::{Attention, Element, Inputs, Problem, Supplied, Trace};
use std::borrow::Cow;

/// Queries, keys and values.
pub enum Given<'a> {
    Floats(&'a Tensors),
    Halves([Vec<f16>; 3]),
}

/// Memory for an output.
pub enum Output {
    Floats(Vec<f32>),
    Halves(Vec<f16>),
}

impl<'a> Given<'a> {
    /// The input, rounded if need be.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn new(tensors: &'a Tensors, element: Element) -> Result<Self> {
        if element == Element::F32 {
            return Ok(Self::Floats(tensors));
        }
        let halves = |numbers: &[f32]| -> Result<Vec<f16>> {
            let mut halves = reserved(numbers.len())?;
            halves.extend(numbers.iter().copied().map(f16::from_f32));
            Ok(halves)
        };
        Ok(Self::Halves([halves(&tensors.queries)?, halves(&tensors.keys)?, halves(&tensors.values)?]))
    }

    /// Computes a problem of the element.
    ///
    /// # Errors
    /// Those of the call; one is that the input's numbers exceed halves.
    pub fn run_into(&self, attention: &Attention, problem: &Problem, output: &mut Output) -> Result<()> {
        match (self, output) {
            (Self::Floats(tensors), Output::Floats(output)) => {
                let inputs = Inputs::new(&tensors.queries, &tensors.keys, &tensors.values);
                attention.run_into_blocking(problem, &inputs, output)?;
            }
            (Self::Halves([queries, keys, values]), Output::Halves(output)) => {
                attention.run_into_blocking(problem, &Inputs::new(queries, keys, values), output)?;
            }
            _ => anyhow::bail!("input and output are stored alike"),
        }
        Ok(())
    }

    /// The same with the times of the stages.
    ///
    /// # Errors
    /// Those of the call.
    pub fn trace(&self, attention: &Attention, problem: &Problem) -> Result<Trace> {
        let supplied = Supplied::default();
        Ok(match self {
            Self::Floats(tensors) => {
                let inputs = Inputs::new(&tensors.queries, &tensors.keys, &tensors.values);
                attention.trace_blocking(problem, &inputs, &supplied)?
            }
            Self::Halves([queries, keys, values]) => {
                attention.trace_blocking(problem, &Inputs::new(queries, keys, values), &supplied)?
            }
        })
    }
}

impl Output {
    /// # Errors
    /// There is no memory for it.
    pub fn zeros(elements: usize, element: Element) -> Result<Self> {
        if element == Element::F32 {
            return Ok(Self::Floats(zeros(elements)?));
        }
        let mut halves = reserved(elements)?;
        halves.resize(elements, f16::ZERO);
        Ok(Self::Halves(halves))
    }

    /// In float32.
    pub fn floats(&self) -> Cow<'_, [f32]> {
        match self {
            Self::Floats(output) => Cow::Borrowed(output),
            Self::Halves(output) => Cow::Owned(output.iter().map(|half| half.to_f32()).collect()),
        }
    }
}
