//! Batch normalisation (arXiv 1502.03167), per channel over samples and positions.

use super::{
    Binding, Correlation, Kernel, KernelContext, Operator, Output, Part, Rebuild, activation::RELU_AGAIN, add::Add,
    kernel, want,
};
use crate::graph::{Backward, Element, Graph, GraphError, Kind, Need, Node, Value, ValueId};
use std::rc::Rc;

/// Training: y = γ·(x − mean)·inv_std + β with the batch's own mean and variance (divided by the count, plus ε).
///
/// Inputs: x, γ, β, running mean, running variance; the last two move by `momentum` towards the batch's mean and its
/// unbiased variance once the step counts ([`Graph::settle`]). Outputs: y, mean, inv_std.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNorm {
    /// Added to the variance.
    pub epsilon: f32,
    /// Weight of the new batch in the running statistics.
    pub momentum: f32,
}

/// Inference: the running statistics in place of the batch's. Inputs as [`BatchNorm`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNormInference {
    /// Added to the variance.
    pub epsilon: f32,
}

/// dx, dγ, dβ from dy, x, γ, mean, inv_std.
#[derive(Debug)]
struct BatchNormGradient;

/// Moves the running statistics. Inputs: running mean, running variance, mean, inv_std, status.
#[derive(Debug)]
struct MoveRunning {
    norm: BatchNorm,
    /// Elements of a channel.
    count: usize,
}

/// y again from x, γ, β and the batch's mean and inv_std, which were kept: the running statistics do not move twice. An
/// addition and a rectifier behind it are done in the same pass over the elements.
///
/// Inputs after those: what is added, the sign that a rectifier kept.
#[derive(Clone, Copy, Debug, Default)]
struct BatchNormAgain {
    add: bool,
    rectify: bool,
}

fn check(inputs: &[&Value]) -> Result<[usize; 3], String> {
    let planes = inputs[0].shape.planes().ok_or("a value needs samples and channels")?;
    want(planes[0] * planes[2] > 0, "a channel needs at least one element")?;
    for value in &inputs[1..] {
        want(value.shape.extents() == [planes[1]], format!("`{}` must have shape {}", value.name, planes[1]))?;
    }
    Ok(planes)
}

fn planes(context: &KernelContext) -> [usize; 3] {
    context.inputs[0].shape.planes().expect("checked by outputs")
}

impl Operator for BatchNorm {
    fn name(&self) -> &'static str {
        "batch norm"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        let [_, channels, _] = check(inputs)?;
        Ok(vec![
            Output::new("normalized", inputs[0].shape.clone()),
            Output::new("mean", [channels]),
            Output::new("inv_std", [channels]),
        ])
    }

    fn rebuild(&self, _inputs: &[&Value]) -> Option<Rebuild> {
        let [x, gamma, beta] = [0, 1, 2].map(Part::Input);
        Some(Rebuild::pass(BatchNormAgain::default(), [x, gamma, beta, Part::Output(1), Part::Output(2)]))
    }

    fn may_overwrite(&self) -> Option<usize> {
        Some(0)
    }

    fn settle(&self, node: &Node, graph: &Graph) -> Option<(Rc<dyn Operator>, Vec<ValueId>)> {
        let [samples, _, size] = graph.shape(node.inputs[0]).planes()?;
        let inputs = vec![node.inputs[3], node.inputs[4], node.outputs[1], node.outputs[2]];
        Some((Rc::new(MoveRunning { norm: *self, count: samples * size }), inputs))
    }

    fn scratch(&self, context: &KernelContext) -> Vec<usize> {
        let [samples, channels, _] = planes(context);
        vec![2 * samples * channels]
    }

    /// Mean and sum of squared deviations of each plane in one pass over x, then of each channel, then y.
    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let [samples, channels, size] = planes(context);
        let statistics =
            kernel::reduce_planes("ops/batch_norm/plane_statistics", samples * channels, size, context.set)
                .inputs([0])
                .bind(Binding::Scratch(0));
        let combine = Kernel::new("ops/batch_norm/channel_statistics")
            .parameters([samples, channels, size])
            .parameter(self.epsilon)
            .bind(Binding::Scratch(0))
            .outputs([1, 2])
            .invocations(channels, 8);
        let normalize = normalize(context, false, false, "no").inputs([0, 1, 2]).outputs([1, 2]);
        vec![statistics, combine, with_output(normalize, context)]
    }

    fn gradient(&self, backward: &mut Backward) -> Result<(), GraphError> {
        let arriving = backward.arriving()?;
        let gamma = backward.input(1);
        let x = backward.keep(backward.input(0), Need::Values);
        let mean = backward.keep(backward.output(1), Need::Exact);
        let inv_std = backward.keep(backward.output(2), Need::Exact);
        let gradients = backward.apply(BatchNormGradient, &[arriving, x, gamma, mean, inv_std])?;
        for (index, gradient) in gradients.into_iter().enumerate() {
            if backward.wants(index) {
                backward.give(index, gradient);
            }
        }
        Ok(())
    }
}

/// The kernel of y, begun: by running statistics or the batch's, with an addition and a rectifier's mask behind it.
fn normalize(context: &KernelContext, running: bool, add: bool, mask: &'static str) -> Kernel {
    kernel::map_planes("ops/batch_norm/normalize", context)
        .variable("running", running)
        .variable("add", add)
        .variable("mask", mask)
}

fn with_output(kernel: Kernel, context: &KernelContext) -> Kernel {
    if context.in_place { kernel } else { kernel.outputs([0]) }
}

impl Operator for BatchNormAgain {
    fn name(&self) -> &'static str {
        "batch norm again"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        check(&inputs[..5])?;
        Ok(vec![Output::new("rebuilt", inputs[0].shape.clone())])
    }

    /// Of x by γ and inv_std; of what is added as it is.
    fn carries(&self, input: usize) -> Option<&'static [usize]> {
        match input {
            0 => Some(&[1, 4]),
            5 if self.add => Some(&[]),
            _ => None,
        }
    }

    fn may_overwrite(&self) -> Option<usize> {
        Some(0)
    }

    fn fused(&self, next: &dyn Operator) -> Option<Rc<dyn Operator>> {
        match next.name() {
            name if name == Add.name() && !self.add && !self.rectify => Some(Rc::new(Self { add: true, ..*self })),
            name if name == RELU_AGAIN && !self.rectify => Some(Rc::new(Self { rectify: true, ..*self })),
            _ => None,
        }
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let mask = match context.inputs.last().map(|value| value.element) {
            _ if !self.rectify => "no",
            Some(Element::U32) => "bits",
            _ => "values",
        };
        let kernel = normalize(context, false, self.add, mask).inputs(0..context.inputs.len());
        vec![with_output(kernel, context)]
    }
}

impl Operator for BatchNormInference {
    fn name(&self) -> &'static str {
        "batch norm inference"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        check(inputs)?;
        Ok(vec![Output::new("normalized", inputs[0].shape.clone())])
    }

    fn may_overwrite(&self) -> Option<usize> {
        Some(0)
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let kernel = normalize(context, true, false, "no").parameter(self.epsilon).inputs([0, 1, 2, 3, 4]);
        vec![with_output(kernel, context)]
    }
}

impl Operator for MoveRunning {
    fn name(&self) -> &'static str {
        "running statistics"
    }

    fn outputs(&self, _inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![])
    }

    fn mutates(&self) -> &'static [usize] {
        &[0, 1]
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let channels = context.inputs[0].shape.elements();
        let unbiased = self.count as f32 / (self.count.max(2) - 1) as f32;
        let kernel = Kernel::new("ops/batch_norm/move_running")
            .parameter(channels)
            .parameters([self.norm.epsilon, self.norm.momentum, unbiased])
            .inputs(0..5)
            .invocations(channels, 8);
        vec![kernel]
    }
}

impl Operator for BatchNormGradient {
    fn name(&self) -> &'static str {
        "batch norm gradient"
    }

    /// That of γ, with x̂ for x.
    fn correlates(&self, input: usize, _inputs: &[&Value]) -> Option<Correlation> {
        (input == 1).then_some(Correlation { with: 0, scale: Some(4), gradient: 1, coverage: 1.0 })
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        let channels = inputs[2].shape.clone();
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
        vec![2 * samples * channels]
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let [samples, channels, size] = planes(context);
        let sums = kernel::reduce_planes("ops/batch_norm/plane_gradient", samples * channels, size, context.set)
            .parameter(channels)
            .inputs([0, 1, 3, 4])
            .bind(Binding::Scratch(0));
        let channel_sums = Kernel::new("ops/batch_norm/channel_gradient")
            .parameters([samples, channels])
            .bind(Binding::Scratch(0))
            .outputs([1, 2])
            .invocations(channels, 8);
        let input = kernel::map_planes("ops/batch_norm/input_gradient", context)
            .parameter(1.0 / (samples * size) as f32)
            .inputs([0, 1, 2, 3, 4])
            .outputs([1, 2]);
        vec![sums, channel_sums, with_output(input, context)]
    }
}

/// The persistent values of a batch norm.
#[derive(Clone, Copy, Debug)]
pub struct BatchNormState {
    /// Scale.
    pub gamma: ValueId,
    /// Shift.
    pub beta: ValueId,
    /// Running mean.
    pub mean: ValueId,
    /// Running variance.
    pub variance: ValueId,
}

impl BatchNormState {
    /// Adds them under PyTorch's names: `weight`, `bias`, `running_mean`, `running_var`.
    ///
    /// # Errors
    /// [`GraphError::NameTaken`].
    pub fn new(graph: &mut Graph, channels: usize) -> Result<Self, GraphError> {
        use crate::graph::Init::Constant;
        use Element::F32;
        let kind = Kind::Statistic;
        Ok(Self {
            gamma: graph.parameter("weight", [channels], Constant(1.0))?,
            beta: graph.parameter("bias", [channels], Constant(0.0))?,
            mean: graph.persistent("running_mean", kind, [channels], F32, Constant(0.0))?,
            variance: graph.persistent("running_var", kind, [channels], F32, Constant(1.0))?,
        })
    }

    /// The inputs of both operators after x.
    pub fn inputs(&self, x: ValueId) -> [ValueId; 5] {
        [x, self.gamma, self.beta, self.mean, self.variance]
    }
}
