//! The gradients of a batch norm.

use super::steps::sums_of_planes;
use super::{planes, with_output};
use crate::ir::{
    AlongBatch, Binding, ErrorRole, Kernel, KernelContext, KernelSet, Operator, OperatorKind, Output, SplitStep,
    SplitValue, Value, WeightGradientRole,
};
use crate::ops::{activation::Activation, launch};
use std::rc::Rc;

/// dx, dγ, dβ from dy, x, γ, mean, inv_std; with an activation behind the norm, what it kept comes after dy.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BatchNormGradient {
    behind: Option<Activation>,
}

/// A pass of [`BatchNormGradient`]: Σ d and Σ d·x̂ of each plane, from what the whole operator reads.
#[derive(Debug)]
struct PlaneGradient(BatchNormGradient);

/// A pass of it: dγ, dβ and the four numbers of each channel that dx needs, from the sums of planes, γ, mean and inv_std.
#[derive(Debug)]
struct ChannelGradient {
    /// Elements of a channel.
    count: usize,
}

/// A pass of it: dx from dy, what an activation kept, x and those numbers.
#[derive(Debug)]
struct InputGradient(BatchNormGradient);

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

    /// The sums of each plane.
    fn plane_sums(&self, context: &KernelContext, sums: Binding) -> Kernel {
        let [samples, channels, size] = planes(context);
        let x = self.x();
        let kernel = launch::reduce_planes("ops/batch_norm/plane_gradient", samples * channels, size, context.set)
            .parameter(channels)
            .inputs([0, x, x + 2, x + 3])
            .bind(sums);
        self.through(kernel, context)
    }

    /// dx by what was gathered of each channel.
    fn input_gradient(&self, context: &KernelContext, gathered: Binding) -> Kernel {
        let kernel = launch::map_planes("ops/batch_norm/input_gradient", context).inputs([0, self.x()]).bind(gathered);
        with_output(self.through(kernel, context), context)
    }
}

/// The sums of each channel, each of `count` elements, from those of its planes; without bindings.
fn channel_sums([samples, channels]: [usize; 2], count: usize, set: KernelSet) -> Kernel {
    launch::reduce_columns("ops/batch_norm/channel_gradient", samples, channels, set)
        .parameter(1.0 / count as f32)
        .variable("gathers", true)
}

/// Of a norm with so many channels.
fn parameter_gradients(channels: usize) -> [Output; 2] {
    [Output::new("gamma_gradient", [channels]), Output::new("beta_gradient", [channels])]
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
        let [gamma, beta] = parameter_gradients(inputs[self.x() + 1].shape.elements());
        Ok(vec![Output::new("norm_gradient", inputs[0].shape.clone()), gamma, beta])
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
        let channel_sums = channel_sums([samples, channels], samples * size, context.set)
            .bind(Binding::Scratch(0))
            .outputs([1, 2])
            .inputs([x + 1, x + 2, x + 3])
            .bind(Binding::Scratch(1));
        let input = self.input_gradient(context, Binding::Scratch(1));
        vec![self.plane_sums(context, Binding::Scratch(0)), channel_sums, input]
    }

    fn split(&self, inputs: &[&Value]) -> Option<Vec<SplitStep>> {
        use SplitValue::{Between, Input, Output};
        let [samples, _, size] = inputs.first()?.shape.planes()?;
        let x = self.x();
        let read = |places: std::ops::RangeInclusive<usize>| places.map(Input).collect::<Vec<_>>();
        let channels = ChannelGradient { count: samples * size };
        Some(vec![
            SplitStep::new(PlaneGradient(*self), read(0..=x + 3), [Between(0)]),
            SplitStep::new(
                channels,
                [Between(0), Input(x + 1), Input(x + 2), Input(x + 3)],
                [Output(1), Output(2), Between(1)],
            ),
            SplitStep::new(InputGradient(*self), [read(0..=x), vec![Between(1)]].concat(), [Output(0)]),
        ])
    }
}

impl Operator for PlaneGradient {
    fn name(&self) -> &'static str {
        "batch norm gradient plane sums"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![sums_of_planes(inputs[0])?])
    }

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        let x = self.0.x();
        AlongBatch::map([x + 1, x + 2, x + 3])
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        vec![self.0.plane_sums(context, Binding::Output(0))]
    }
}

impl Operator for ChannelGradient {
    fn name(&self) -> &'static str {
        "batch norm gradient channel sums"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        let channels = inputs[1].shape.elements();
        let [gamma, beta] = parameter_gradients(channels);
        Ok(vec![gamma, beta, Output::new("of_channels", [channels, 4]).always_f32()])
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let [samples, channels, _] = planes(context);
        let kernel = channel_sums([samples, channels], self.count, context.set);
        vec![kernel.inputs([0]).outputs([0, 1]).inputs([1, 2, 3]).outputs([2])]
    }
}

impl Operator for InputGradient {
    fn name(&self) -> &'static str {
        "batch norm gradient map"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::new("norm_gradient", inputs[0].shape.clone())])
    }

    fn may_overwrite(&self) -> Option<usize> {
        Some(0)
    }

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        AlongBatch::map([self.0.x() + 1])
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        vec![self.0.input_gradient(context, Binding::Input(self.0.x() + 1))]
    }
}
