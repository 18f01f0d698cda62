//! Tensors on a device: only the rows that are looked at are read back.

use super::estimate::{OutputRows, Positions};
use super::source::{offsets, Source};
use crate::accuracy::Chosen;
use crate::gpu::{DeviceTensors, Kernels, RowReader};
use crate::problem::check_lengths;
use crate::{Element, Error, ExactRows, Plan, Problem, Result, Rows};

pub(super) struct Device<'a> {
    pub kernels: &'a Kernels,
    pub queue: &'a wgpu::Queue,
    pub tensors: &'a DeviceTensors<'a>,
    /// Valid queries and keys of each sequence.
    pub lengths: [Option<&'a [u32]>; 2],
}

impl Device<'_> {
    fn reader(&self) -> RowReader<'_> {
        RowReader { kernels: self.kernels, queue: self.queue }
    }
}

impl Source for Device<'_> {
    fn plan(&self, problem: &Problem) -> Result<Plan> {
        Plan::new(problem, &self.kernels.limits())
    }

    fn check(&self, problem: &Problem) -> Result<()> {
        self.kernels.check_alive()?;
        if problem.element() != Element::F32 {
            // Rows are copied on the device and read back as float32.
            return Err(Error::Unsupported { feature: "a search for a method on a device's tensors of f16" });
        }
        check_lengths(problem, self.lengths[0], self.lengths[1])?;
        RowReader::check(problem, self.tensors)
    }

    fn lengths(&self) -> [Option<&[u32]>; 2] {
        self.lengths
    }

    async fn exact(&self, problem: &Problem, rows: Rows) -> Result<ExactRows> {
        let chosen = Chosen::new(problem, self.lengths, rows)?;
        let plan = self.plan(&chosen.problem)?;
        let queries: Vec<(usize, usize)> = chosen.query_offsets().collect();
        let lengths = [Some(&chosen.counts[..]), self.lengths[1]];
        let output = self.reader().of_some_queries(plan, self.tensors, &queries, lengths).await?;
        Ok(chosen.with_output(output))
    }

    async fn rows(&self, problem: &Problem, compared: &Positions, exact: &Positions) -> Result<OutputRows> {
        let wanted: Vec<usize> = offsets(problem, compared).chain(offsets(problem, exact)).collect();
        let mut rows = self.reader().of_the_output(self.plan(problem)?, self.tensors, &wanted, self.lengths).await?;
        let compared_elements = problem.shape().value_width * compared.iter().map(Vec::len).sum::<usize>();
        let exact = rows.split_off(compared_elements);
        Ok(OutputRows { compared: rows, exact })
    }
}
