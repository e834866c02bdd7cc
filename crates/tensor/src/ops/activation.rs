//! Activations: functions of one element. Each keeps as little for its gradient as it can: one bit where the slope has two
//! values, its output where the slope follows from that, its input otherwise.

use super::batch_norm;
use crate::ir::{
    AlongBatch, Backward, Binding, Element, ErrorRole, Graph, GraphError, Interval, Kernel, KernelContext, Need,
    Operator, OperatorKind, Output, RecomputeInput, RecomputeRule, Value, ValueId, want,
};
use crate::ops::launch;
use std::rc::Rc;

pub use crate::ir::{Activation, RELU6};

/// dx from dy and what was kept: its values or its mask ([`crate::codec::mask`]).
#[derive(Debug)]
struct ActivationGradient(Activation);

/// y again from an x that may have waited with an error: on the side of each bound on which y was, by y's exact mask.
///
/// Nothing is cut off at a bound anew. If x is right on average over the chance in its rounding, so is y, and so are the
/// gradients of weights that come of it; max(x, 0) would be too large on average where x is small. Of two bounds the nearer
/// one is taken.
#[derive(Debug)]
struct ActivationRecompute(Activation);

/// What the operators are called: forward, gradient, recomputed; the forward output; the variable of the shaders.
struct Names {
    forward: &'static str,
    gradient: &'static str,
    recompute: &'static str,
    output: &'static str,
    kind: &'static str,
}

impl Activation {
    fn names(self) -> Names {
        let names = |forward, gradient, recompute, output, kind| Names { forward, gradient, recompute, output, kind };
        match self {
            Self::Relu => names("relu", "relu gradient", "relu again", "relu", "relu"),
            Self::LeakyRelu { .. } => {
                names("leaky relu", "leaky relu gradient", "leaky relu again", "leaky_relu", "leaky")
            }
            RELU6 => names("relu6", "relu6 gradient", "relu6 again", "relu6", "clamp"),
            Self::Clamp { .. } => names("hardtanh", "hardtanh gradient", "hardtanh again", "hardtanh", "clamp"),
            Self::Sigmoid => names("sigmoid", "sigmoid gradient", "sigmoid again", "sigmoid", "sigmoid"),
            Self::Tanh => names("tanh", "tanh gradient", "tanh again", "tanh", "tanh"),
            Self::Gelu => names("gelu", "gelu gradient", "gelu again", "gelu", "gelu"),
            Self::Silu => names("silu", "silu gradient", "silu again", "silu", "silu"),
        }
    }

    /// The outputs between which the function has the slope 1, if its slope has two values.
    fn open(self) -> Option<Interval> {
        match self {
            Self::Relu | Self::LeakyRelu { .. } => Some(Interval::POSITIVE),
            Self::Clamp { low, high } => Some(Interval { low, high }),
            Self::Sigmoid | Self::Tanh | Self::Gelu | Self::Silu => None,
        }
    }

    /// The function for a kernel that includes `parts/activated.wgsl`: its variable, and the bounds or the slope in `Params`.
    pub(super) fn function(self, kernel: Kernel) -> Kernel {
        let settings = match self {
            Self::LeakyRelu { slope } => [slope, 0.0],
            Self::Clamp { low, high } => [low, high],
            _ => [0.0; 2],
        };
        kernel.variable("kind", self.names().kind).parameters(settings)
    }

    /// The slope for a kernel that includes `parts/activation_backward.wgsl`, from what was kept; or the function recomputed.
    pub(crate) fn slope(self, kernel: Kernel, kept: &Value, recompute: bool) -> Kernel {
        self.function(kernel).variable("masked", kept.element == Element::U32).variable("recompute", recompute)
    }

    /// The kernel over something and what was kept.
    fn kernel_with_kept(self, context: &KernelContext, recompute: bool) -> Vec<Kernel> {
        let kernel = launch::elementwise("ops/activation/gradient", context).inputs([0, 1]);
        let kernel = self.slope(kernel, context.inputs[1], recompute);
        vec![if context.in_place { kernel } else { kernel.bind(Binding::Output(0)) }]
    }
}

impl Operator for Activation {
    fn name(&self) -> &'static str {
        self.names().forward
    }

    fn kind(&self) -> OperatorKind {
        OperatorKind::Activation(*self)
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        match *self {
            Self::LeakyRelu { slope } => want((0.0..=1.0).contains(&slope), "the slope must lie in [0, 1]")?,
            Self::Clamp { low, high } => want(low < high, "the bounds must be two, the lower one first")?,
            _ => {}
        }
        Ok(vec![Output::new(self.names().output, inputs[0].shape.clone())])
    }

    fn recompute(&self, _inputs: &[&Value]) -> Option<RecomputeRule> {
        Some(match self.open() {
            Some(open) => RecomputeRule::pass(
                ActivationRecompute(*self),
                [RecomputeInput::Input(0), RecomputeInput::Within(open)],
            ),
            None => RecomputeRule::pass(*self, [RecomputeInput::Input(0)]),
        })
    }

    /// Of those that are applied again as they are. Their slopes are at most 1.13.
    fn error_role(&self, input: usize, _inputs: &[&Value]) -> ErrorRole {
        if input == 0 && self.open().is_none() { ErrorRole::Propagates(&[]) } else { ErrorRole::Unknown }
    }

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        AlongBatch::map([])
    }

    fn may_overwrite(&self) -> Option<usize> {
        Some(0)
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let kernel = self.function(launch::elementwise("ops/activation/forward", context)).inputs([0]);
        vec![if context.in_place { kernel } else { kernel.bind(Binding::Output(0)) }]
    }

    fn gradient(&self, backward: &mut Backward) -> Result<(), GraphError> {
        let grad_output = backward.grad_output()?;
        let kept = match (self, self.open()) {
            (_, Some(open)) => backward.save(backward.output(0), Need::Within(open)),
            (Self::Gelu | Self::Silu, _) => backward.save(backward.input(0), Need::Values),
            _ => backward.save(backward.output(0), Need::Values),
        };
        let gradient = backward.apply(ActivationGradient(*self), &[grad_output, kept])?[0];
        backward.set_grad_input(0, gradient);
        Ok(())
    }
}

impl Operator for ActivationGradient {
    fn name(&self) -> &'static str {
        self.0.names().gradient
    }

    fn kind(&self) -> OperatorKind {
        OperatorKind::ActivationGradient(self.0)
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::new("activation_gradient", inputs[0].shape.clone())])
    }

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        AlongBatch::map([])
    }

    fn may_overwrite(&self) -> Option<usize> {
        Some(0)
    }

    fn fused(&self, next: &dyn Operator) -> Option<Rc<dyn Operator>> {
        batch_norm::gradient_behind(self.0, next)
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        self.0.kernel_with_kept(context, false)
    }
}

impl Operator for ActivationRecompute {
    fn name(&self) -> &'static str {
        self.0.names().recompute
    }

    fn kind(&self) -> OperatorKind {
        OperatorKind::ActivationRecompute(self.0)
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::new("recomputed", inputs[0].shape.clone())])
    }

    fn error_role(&self, input: usize, _inputs: &[&Value]) -> ErrorRole {
        if input == 0 { ErrorRole::Propagates(&[]) } else { ErrorRole::Unknown }
    }

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        AlongBatch::map([])
    }

    fn may_overwrite(&self) -> Option<usize> {
        Some(0)
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        self.0.kernel_with_kept(context, true)
    }
}

impl Graph {
    /// f(x), element by element.
    ///
    /// # Errors
    /// [`GraphError::Shape`] if the function has settings that it does not take.
    pub fn activate(&mut self, x: ValueId, activation: Activation) -> Result<ValueId, GraphError> {
        self.apply_one(activation, &[x])
    }

    /// max(x, 0).
    ///
    /// # Errors
    /// None.
    pub fn relu(&mut self, x: ValueId) -> Result<ValueId, GraphError> {
        self.activate(x, Activation::Relu)
    }
}
