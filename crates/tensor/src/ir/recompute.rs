//! How a value is recomputed in the backward pass, so that it need not wait for it.

use super::{Interval, Operator};
use std::rc::Rc;

/// How the backward pass makes an operator's first output again, without convolutions and reductions.
#[derive(Debug)]
pub struct RecomputeRule {
    /// Operators in order, and what each reads; the last one makes the output.
    pub steps: Vec<(Rc<dyn Operator>, Vec<RecomputeInput>)>,
    /// Whether it takes next to nothing, so that the output is never kept: decoded and concatenations. What is made in
    /// a pass over the elements is only recomputed where a policy asks for it.
    pub always: bool,
}

/// Something that a step of a [`RecomputeRule`] reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecomputeInput {
    /// The operator's input, as it was kept or is recomputed.
    Input(usize),
    /// The operator's output as it was, for example a statistic.
    Output(usize),
    /// Which elements of the first output lie in an interval.
    Within(Interval),
    /// What the step before made.
    SoFar,
}

impl RecomputeRule {
    /// One operator, over the elements once.
    pub fn pass(operator: impl Operator + 'static, parts: impl Into<Vec<RecomputeInput>>) -> Self {
        Self { steps: vec![(Rc::new(operator), parts.into())], always: false }
    }
}
