//! The plan of the last problem.

use super::Plan;
use crate::limits::Limits;
use crate::{Problem, Result};
use std::sync::{Arc, Mutex, PoisonError};

/// Keeps the last plan, so that calls with one problem plan it once.
#[derive(Debug, Default)]
pub(crate) struct LastPlan(Mutex<Option<Arc<Plan>>>);

impl LastPlan {
    /// [`Plan::new`], or what it returned last for the same.
    pub fn plan(&self, problem: &Problem, limits: &Limits) -> Result<Arc<Plan>> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some(plan) if plan.problem == *problem && plan.limits == *limits => Ok(plan.clone()),
            _ => Ok(last.insert(Arc::new(Plan::new(problem, limits)?)).clone()),
        }
    }
}
