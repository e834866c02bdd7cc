//! Batch normalisation (arXiv 1502.03167), per channel over samples and positions.

mod gradient;
mod normalize;
mod recompute;
mod running;
mod steps;

pub(super) use gradient::gradient_behind;

use super::epilogue::{Addend, Epilogue, TakesEpilogue, epilogue};
use crate::ir::{
    AlongBatch, Backward, Binding, Element, Graph, GraphError, Kernel, KernelContext, KernelSet, Need, Node, Operator,
    Output, RecomputeInput, RecomputeRule, Role, SplitStep, Value, ValueId, want,
};
use crate::ops::launch;
use gradient::BatchNormGradient;
use normalize::normalize_then;
use recompute::BatchNormRecompute;
use running::MoveRunning;
use std::rc::Rc;

/// Inputs of both operators; what is added behind them in the same pass comes after these.
const INPUTS: usize = 5;

/// Training: y = γ·(x − mean)·inv_std + β with the batch's own mean and variance (divided by the count, plus ε).
///
/// Inputs: x, γ, β, running mean, running variance; the last two move by `momentum` towards the batch's mean and its
/// unbiased variance once the step counts ([`Graph::add_deferred_updates`]). Outputs: y, mean, inv_std.
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
            Output::new("mean", [channels]).always_f32(),
            Output::new("inv_std", [channels]).always_f32(),
        ])
    }

    fn recompute(&self, _inputs: &[&Value]) -> Option<RecomputeRule> {
        let [x, gamma, beta] = [0, 1, 2].map(RecomputeInput::Input);
        Some(RecomputeRule::pass(
            BatchNormRecompute::default(),
            [x, gamma, beta, RecomputeInput::Output(1), RecomputeInput::Output(2)],
        ))
    }

    fn may_overwrite(&self) -> Option<usize> {
        Some(0)
    }

    fn deferred_update(&self, node: &Node, graph: &Graph) -> Option<(Rc<dyn Operator>, Vec<ValueId>)> {
        let [samples, _, size] = graph.shape(node.inputs[0]).planes()?;
        let inputs = vec![node.inputs[3], node.inputs[4], node.outputs[1], node.outputs[2]];
        Some((Rc::new(MoveRunning { norm: *self, count: samples * size }), inputs))
    }

    fn scratch(&self, context: &KernelContext) -> Vec<usize> {
        let [samples, channels, _] = planes(context);
        vec![2 * samples * channels]
    }

    fn fused(&self, next: &dyn Operator) -> Option<Rc<dyn Operator>> {
        epilogue(*self, next)
    }

    fn split(&self, inputs: &[&Value]) -> Option<Vec<SplitStep>> {
        steps::steps(*self, Epilogue::default(), inputs)
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        self.launch(context, Epilogue::default())
    }

    fn gradient(&self, backward: &mut Backward) -> Result<(), GraphError> {
        let grad_output = backward.grad_output()?;
        let gamma = backward.input(1);
        let x = backward.save(backward.input(0), Need::Values);
        let mean = backward.save(backward.output(1), Need::Exact);
        let inv_std = backward.save(backward.output(2), Need::Exact);
        let gradients = backward.apply(BatchNormGradient::default(), &[grad_output, x, gamma, mean, inv_std])?;
        for (index, gradient) in gradients.into_iter().enumerate() {
            if backward.wants(index) {
                backward.set_grad_input(index, gradient);
            }
        }
        Ok(())
    }
}

impl TakesEpilogue for BatchNorm {
    const INPUTS: usize = INPUTS;
    const ADDS: Addend = Addend::Alike;

    /// Mean and sum of squared deviations of each plane in one pass over x, then of each channel, then y.
    fn launch(&self, context: &KernelContext, epilogue: Epilogue) -> Vec<Kernel> {
        let planes = planes(context);
        let statistics = plane_statistics(planes, context.set).bind(Binding::Scratch(0));
        let combine = channel_statistics(planes, self.epsilon, context.set).bind(Binding::Scratch(0)).outputs([1, 2]);
        let normalize = normalize_then(epilogue, context, None, |kernel| kernel.inputs([0, 1, 2]).outputs([1, 2]));
        vec![statistics, combine, normalize]
    }

    fn split_with(&self, epilogue: Epilogue, inputs: &[&Value]) -> Option<Vec<SplitStep>> {
        steps::steps(*self, epilogue, inputs)
    }
}

/// Mean and sum of squared deviations of each plane of x; where they go is not bound yet.
fn plane_statistics([samples, channels, size]: [usize; 3], set: KernelSet) -> Kernel {
    launch::reduce_planes("ops/batch_norm/plane_statistics", samples * channels, size, set).inputs([0])
}

/// Mean and inv_std of each channel from those of its planes, without bindings.
fn channel_statistics([samples, channels, size]: [usize; 3], epsilon: f32, set: KernelSet) -> Kernel {
    launch::reduce_columns("ops/batch_norm/channel_statistics", samples, channels, set)
        .parameter(size)
        .parameter(epsilon)
}

fn with_output(kernel: Kernel, context: &KernelContext) -> Kernel {
    if context.in_place { kernel } else { kernel.outputs([0]) }
}

impl Operator for BatchNormInference {
    fn name(&self) -> &'static str {
        "batch norm inference"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        check(inputs)?;
        Ok(vec![Output::new("normalized", inputs[0].shape.clone())])
    }

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        AlongBatch::map([1, 2, 3, 4])
    }

    fn may_overwrite(&self) -> Option<usize> {
        Some(0)
    }

    fn fused(&self, next: &dyn Operator) -> Option<Rc<dyn Operator>> {
        epilogue(*self, next)
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        self.launch(context, Epilogue::default())
    }
}

impl TakesEpilogue for BatchNormInference {
    const INPUTS: usize = INPUTS;
    const ADDS: Addend = Addend::Alike;

    fn launch(&self, context: &KernelContext, epilogue: Epilogue) -> Vec<Kernel> {
        vec![normalize_then(epilogue, context, Some(self.epsilon), |kernel| kernel.inputs([0, 1, 2, 3, 4]))]
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
        use crate::ir::Init::Constant;
        use Element::F32;
        let kind = Role::Statistic;
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
