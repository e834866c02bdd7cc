//! The rectifier. Its gradient keeps one bit per element: whether the output is above zero.

use super::{Binding, Kernel, KernelContext, Operator, Output, Part, Rebuild, kernel};
use crate::graph::{Backward, Element, Graph, GraphError, Need, Value, ValueId};

/// y = max(x, 0); a NaN stays a NaN.
#[derive(Debug)]
pub struct Relu;

/// dx = dy where y > 0, else 0. Reads y itself, or its mask ([`crate::codec::mask`]).
#[derive(Debug)]
struct ReluGradient;

/// y again from an x that may have waited with an error: x where y was above zero, else 0, by y's exact mask.
///
/// Nothing is cut off at zero anew. If x is right on average over the chance in its rounding, so is y, and so are the
/// gradients of weights that come of it; max(x, 0) would be too large on average where x is small.
#[derive(Debug)]
pub(super) struct ReluAgain;

impl Operator for Relu {
    fn name(&self) -> &'static str {
        "relu"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::new("relu", inputs[0].shape.clone())])
    }

    fn rebuild(&self, _inputs: &[&Value]) -> Option<Rebuild> {
        Some(Rebuild::pass(ReluAgain, [Part::Input(0), Part::Sign]))
    }

    fn never_decreases(&self) -> bool {
        true
    }

    fn may_overwrite(&self) -> Option<usize> {
        Some(0)
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let kernel = kernel::elementwise("ops/relu/forward", context).inputs([0]);
        vec![if context.in_place { kernel } else { kernel.bind(Binding::Output(0)) }]
    }

    fn gradient(&self, backward: &mut Backward) -> Result<(), GraphError> {
        let arriving = backward.arriving()?;
        let sign = backward.keep(backward.output(0), Need::Sign);
        let gradient = backward.apply(ReluGradient, &[arriving, sign])?[0];
        backward.give(0, gradient);
        Ok(())
    }
}

impl Operator for ReluGradient {
    fn name(&self) -> &'static str {
        "relu gradient"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::new("relu_gradient", inputs[0].shape.clone())])
    }

    fn may_overwrite(&self) -> Option<usize> {
        Some(0)
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        cut(context)
    }
}

/// The first input where the second is above zero, else 0.
fn cut(context: &KernelContext) -> Vec<Kernel> {
    let masked = context.inputs[1].element == Element::U32;
    let kernel = kernel::elementwise("ops/relu/gradient", context).variable("masked", masked).inputs([0, 1]);
    vec![if context.in_place { kernel } else { kernel.bind(Binding::Output(0)) }]
}

impl Operator for ReluAgain {
    fn name(&self) -> &'static str {
        "relu again"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::new("rebuilt", inputs[0].shape.clone())])
    }

    fn carries(&self, input: usize) -> Option<&'static [usize]> {
        (input == 0).then_some(&[])
    }

    fn may_overwrite(&self) -> Option<usize> {
        Some(0)
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        cut(context)
    }
}

impl Graph {
    /// max(x, 0).
    ///
    /// # Errors
    /// None of its own.
    pub fn relu(&mut self, x: ValueId) -> Result<ValueId, GraphError> {
        self.apply_one(Relu, &[x])
    }
}
