//! Cases in `f16`.

use super::case::Case;
use super::Engine;
use clustered_attention::half::f16;
use clustered_attention::{Attention, Element, Inputs, Problem, Result, Supplied, Trace};

pub fn halves(numbers: &[f32]) -> Vec<f16> {
    numbers.iter().map(|&number| f16::from_f32(number)).collect()
}

pub fn floats(halves: &[f16]) -> Vec<f32> {
    halves.iter().map(|half| half.to_f32()).collect()
}

/// A case whose tensors are halves, and the same numbers in float32.
pub struct HalfCase {
    pub problem: Problem,
    pub queries: Vec<f16>,
    pub keys: Vec<f16>,
    pub values: Vec<f16>,
    pub wide: Case,
}

impl HalfCase {
    pub fn of(case: &Case) -> Self {
        let [queries, keys, values] = [&case.queries, &case.keys, &case.values].map(|tensor| halves(tensor));
        let wide = Case { queries: floats(&queries), keys: floats(&keys), values: floats(&values), ..case.clone() };
        Self { problem: case.problem.with_element(Element::F16), queries, keys, values, wide }
    }

    pub fn inputs(&self) -> Inputs<'_, f16> {
        let inputs = Inputs::new(&self.queries, &self.keys, &self.values);
        inputs.with_lengths(&self.wide.query_lengths, &self.wide.key_lengths)
    }

    pub fn run(&self, attention: &Attention) -> Result<Vec<f16>> {
        attention.run_blocking(&self.problem, &self.inputs())
    }

    pub fn trace(&self, engine: &Engine) -> Trace {
        let trace = engine.attention.trace_blocking(&self.problem, &self.inputs(), &Supplied::default());
        trace.unwrap_or_else(|error| panic!("{}: {error}", engine.name))
    }
}
