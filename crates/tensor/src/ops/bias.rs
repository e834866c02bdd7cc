//! A bias per channel.

use super::{Binding, Kernel, KernelContext, Operator, Output, Part, Rebuild, kernel, want};
use crate::graph::{Backward, Graph, GraphError, Value, ValueId};

/// `y[n, c, …] = x[n, c, …] + b[c]`.
#[derive(Debug)]
pub struct Bias;

/// `db[c] = Σ dy[n, c, …]` over samples and positions, in fixed order.
#[derive(Debug)]
struct BiasGradient;

impl Operator for Bias {
    fn name(&self) -> &'static str {
        "bias"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        let planes = inputs[0].shape.planes().ok_or("a value needs samples and channels")?;
        want(inputs[1].shape.extents() == [planes[1]], format!("the bias must have shape {}", planes[1]))?;
        Ok(vec![Output::new("biased", inputs[0].shape.clone())])
    }

    fn rebuild(&self, _inputs: &[&Value]) -> Option<Rebuild> {
        Some(Rebuild::pass(Bias, [Part::Input(0), Part::Input(1)]))
    }

    fn carries(&self, input: usize) -> Option<&'static [usize]> {
        (input == 0).then_some(&[])
    }

    fn may_overwrite(&self) -> Option<usize> {
        Some(0)
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let [_, channels, size] = context.inputs[0].shape.planes().expect("checked by outputs");
        let kernel = match size {
            1 => kernel::elementwise("ops/bias/rows", context).parameter(channels),
            _ => kernel::map_planes("ops/bias/forward", context),
        };
        let kernel = kernel.inputs([0, 1]);
        vec![if context.in_place { kernel } else { kernel.bind(Binding::Output(0)) }]
    }

    fn gradient(&self, backward: &mut Backward) -> Result<(), GraphError> {
        let arriving = backward.arriving()?;
        if backward.wants(1) {
            let gradient = backward.apply(BiasGradient, &[arriving])?[0];
            backward.give(1, gradient);
        }
        if backward.wants(0) {
            backward.give(0, arriving);
        }
        Ok(())
    }
}

impl Operator for BiasGradient {
    fn name(&self) -> &'static str {
        "bias gradient"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        let planes = inputs[0].shape.planes().ok_or("a value needs samples and channels")?;
        Ok(vec![Output::new("bias_gradient", [planes[1]])])
    }

    fn scratch(&self, context: &KernelContext) -> Vec<usize> {
        let [samples, channels, size] = context.inputs[0].shape.planes().expect("checked by outputs");
        if size == 1 { vec![] } else { vec![samples * channels] }
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let [samples, channels, size] = context.inputs[0].shape.planes().expect("checked by outputs");
        let total = Kernel::new("ops/bias/sum_samples").parameters([samples, channels]).invocations(channels, 8);
        if size == 1 {
            return vec![total.inputs([0]).outputs([0])];
        }
        let planes = kernel::reduce_planes("ops/bias/sum_planes", samples * channels, size, context.set)
            .inputs([0])
            .bind(Binding::Scratch(0));
        vec![planes, total.bind(Binding::Scratch(0)).outputs([0])]
    }
}

impl Graph {
    /// x + b, with b per channel.
    ///
    /// # Errors
    /// [`GraphError::Shape`] unless b has one element per channel of x.
    pub fn bias(&mut self, x: ValueId, b: ValueId) -> Result<ValueId, GraphError> {
        self.apply_one(Bias, &[x, b])
    }
}
