//! The gradients of a batch norm.

use super::{planes, with_output};
use crate::ir::{Binding, ErrorRole, Kernel, KernelContext, Operator, OperatorKind, Output, Value, WeightGradientRole};
use crate::ops::{activation::Activation, launch};
use std::rc::Rc;

/// dx, dγ, dβ from dy, x, γ, mean, inv_std; with an activation behind the norm, what it kept comes after dy.
#[derive(Debug, Default)]
pub(super) struct BatchNormGradient {
    behind: Option<Activation>,
}

/// The gradients of a norm and of the activation behind it in the same passes, if that is what comes next.
pub(in crate::ops) fn gradient_behind(activation: Activation, next: &dyn Operator) -> Option<Rc<dyn Operator>> {
    let alone = next.kind() == OperatorKind::BatchNormGradient;
    alone.then(|| Rc::new(BatchNormGradient { behind: Some(activation) }) as Rc<dyn Operator>)
}

impl BatchNormGradient {
    /// The place of x; γ, mean and inv_std follow.
    fn x(&self) -> usize {
        1 + usize::from(self.behind.is_some())
    }

    /// Brings what the activation kept.
    fn through(&self, kernel: Kernel, context: &KernelContext) -> Kernel {
        match self.behind {
            Some(activation) => activation.slope(kernel, context.inputs[1], false).inputs([1]),
            None => kernel.variable("kind", "none"),
        }
    }
}

impl Operator for BatchNormGradient {
    fn name(&self) -> &'static str {
        match self.behind {
            None => "batch norm gradient",
            Some(_) => "batch norm and activation gradient",
        }
    }

    /// That of γ, with x̂ for x.
    fn error_role(&self, input: usize, _inputs: &[&Value]) -> ErrorRole {
        match (input, self.behind) {
            (1, None) => {
                let role = WeightGradientRole { with: 0, scale: Some(4), gradient: 1, coverage: 1.0 };
                ErrorRole::WeightGradient(role)
            }
            _ => ErrorRole::Unknown,
        }
    }

    fn kind(&self) -> OperatorKind {
        match self.behind {
            None => OperatorKind::BatchNormGradient,
            Some(_) => OperatorKind::Other,
        }
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        let channels = inputs[self.x() + 1].shape.clone();
        Ok(vec![
            Output::new("norm_gradient", inputs[0].shape.clone()),
            Output::new("gamma_gradient", channels.clone()),
            Output::new("beta_gradient", channels),
        ])
    }

    fn may_overwrite(&self) -> Option<usize> {
        Some(0)
    }

    fn scratch(&self, context: &KernelContext) -> Vec<usize> {
        let [samples, channels, _] = planes(context);
        vec![2 * samples * channels, 4 * channels]
    }

    /// The sums of each plane, then of each channel, then dx.
    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let [samples, channels, size] = planes(context);
        let x = self.x();
        let [gamma, mean, inv_std] = [x + 1, x + 2, x + 3];
        let sums = launch::reduce_planes("ops/batch_norm/plane_gradient", samples * channels, size, context.set)
            .parameter(channels)
            .inputs([0, x, mean, inv_std])
            .bind(Binding::Scratch(0));
        let channel_sums = launch::reduce_columns("ops/batch_norm/channel_gradient", samples, channels, context.set)
            .parameter(1.0 / (samples * size) as f32)
            .variable("gathers", true)
            .bind(Binding::Scratch(0))
            .outputs([1, 2])
            .inputs([gamma, mean, inv_std])
            .bind(Binding::Scratch(1));
        let input =
            launch::map_planes("ops/batch_norm/input_gradient", context).inputs([0, x]).bind(Binding::Scratch(1));
        vec![self.through(sums, context), channel_sums, with_output(self.through(input, context), context)]
    }
}
