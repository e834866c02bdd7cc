//! Batch norm in the backward pass: y again.

use super::{INPUTS, check, normalize::normalize, with_output};
use crate::ir::{AlongBatch, ErrorRole, Kernel, KernelContext, Operator, OperatorKind, Output, Value};
use crate::ops::activation::Activation;
use std::rc::Rc;

/// y again from x, γ, β and the batch's mean and inv_std, which were kept: the running statistics do not move twice. An
/// addition and a rectifier behind it are done in the same pass over the elements.
///
/// Inputs after those: what is added, the sign that a rectifier kept.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BatchNormRecompute {
    add: bool,
    rectify: bool,
}

impl Operator for BatchNormRecompute {
    fn name(&self) -> &'static str {
        "batch norm again"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        check(&inputs[..INPUTS])?;
        Ok(vec![Output::new("recomputed", inputs[0].shape.clone())])
    }

    /// Of x by γ and inv_std; of what is added as it is.
    fn error_role(&self, input: usize, _inputs: &[&Value]) -> ErrorRole {
        match input {
            0 => ErrorRole::Propagates(&[1, 4]),
            5 if self.add => ErrorRole::Propagates(&[]),
            _ => ErrorRole::Unknown,
        }
    }

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        AlongBatch::map([1, 2, 3, 4])
    }

    fn may_overwrite(&self) -> Option<usize> {
        Some(0)
    }

    fn fused(&self, next: &dyn Operator) -> Option<Rc<dyn Operator>> {
        match next.kind() {
            OperatorKind::Add if !self.add && !self.rectify => Some(Rc::new(Self { add: true, ..*self })),
            OperatorKind::ActivationRecompute(Activation::Relu) if !self.rectify => {
                Some(Rc::new(Self { rectify: true, ..*self }))
            }
            _ => None,
        }
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let kernel = normalize(context, None, self.add).inputs(0..context.inputs.len());
        let kernel = match context.inputs.last() {
            Some(kept) if self.rectify => Activation::Relu.slope(kernel, kept, true),
            _ => kernel.variable("kind", "none").variable("recompute", false),
        };
        vec![with_output(kernel, context)]
    }
}
