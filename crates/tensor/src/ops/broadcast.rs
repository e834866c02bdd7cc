//! Addition and multiplication of a value with few elements to one with many: a bias, a scale, a gate.

use crate::ir::{
    Backward, Binding, ErrorRole, Graph, GraphError, Kernel, KernelContext, Need, Operator, OperatorKind, Output,
    RecomputeInput, RecomputeRule, Shape, Value, ValueId, want,
};
use crate::ops::launch;

/// y = x + b or x · b, where b has one element for all of x, for each channel, or for each sample and channel.
///
/// Addition keeps nothing; multiplication keeps x for the gradient of b, and b, unless it is a parameter, for that of x.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broadcast {
    /// x + b.
    Add,
    /// x · b.
    Multiply,
}

/// db = Σ dy over all that an element of b meets, in fixed order. Inputs: dy, and of a product x.
#[derive(Debug)]
struct BroadcastGradient {
    operation: Broadcast,
    shape: Shape,
}

/// x as samples × channels × elements, such that element c of b meets channel c.
fn aligned(x: &Shape, b: &Shape) -> Result<[usize; 3], String> {
    let [samples, channels, size] = x.planes().ok_or("a value needs samples and channels")?;
    match *b.extents() {
        [count] if count == channels => Ok([samples, channels, size]),
        [1] => Ok([samples, 1, channels * size]),
        [n, c] if [n, c] == [samples, channels] => Ok([1, n * c, size]),
        _ => Err(format!("the second must have shape {channels}, {samples}×{channels} or 1")),
    }
}

impl Operator for Broadcast {
    fn name(&self) -> &'static str {
        match self {
            Self::Add => "bias",
            Self::Multiply => "scale",
        }
    }

    fn kind(&self) -> OperatorKind {
        match self {
            Self::Add => OperatorKind::AddBias,
            Self::Multiply => OperatorKind::Other,
        }
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        aligned(&inputs[0].shape, &inputs[1].shape)?;
        let name = match self {
            Self::Add => "biased",
            Self::Multiply => "scaled",
        };
        Ok(vec![Output::new(name, inputs[0].shape.clone())])
    }

    fn recompute(&self, _inputs: &[&Value]) -> Option<RecomputeRule> {
        Some(RecomputeRule::pass(*self, [RecomputeInput::Input(0), RecomputeInput::Input(1)]))
    }

    fn error_role(&self, input: usize, _inputs: &[&Value]) -> ErrorRole {
        if input == 0 && *self == Self::Add { ErrorRole::Propagates(&[]) } else { ErrorRole::Unknown }
    }

    fn may_overwrite(&self) -> Option<usize> {
        Some(0)
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let planes = aligned(&context.inputs[0].shape, &context.inputs[1].shape).expect("checked by outputs");
        let kernel = match planes {
            [_, channels, 1] => launch::elementwise("ops/broadcast/rows", context).parameter(channels),
            _ => launch::map_planes_of("ops/broadcast/planes", context, planes),
        };
        let kernel = kernel.variable("multiply", *self == Self::Multiply).inputs([0, 1]);
        vec![if context.in_place { kernel } else { kernel.bind(Binding::Output(0)) }]
    }

    fn gradient(&self, backward: &mut Backward) -> Result<(), GraphError> {
        let grad_output = backward.grad_output()?;
        if backward.wants(1) {
            let shape = backward.value(backward.input(1)).shape.clone();
            let mut inputs = vec![grad_output];
            if *self == Self::Multiply {
                inputs.push(backward.save(backward.input(0), Need::Values));
            }
            let gradient = backward.apply(BroadcastGradient { operation: *self, shape }, &inputs)?[0];
            backward.set_grad_input(1, gradient);
        }
        if backward.wants(0) {
            let gradient = match self {
                Self::Add => grad_output,
                Self::Multiply => {
                    let b = backward.save(backward.input(1), Need::Values);
                    backward.apply(*self, &[grad_output, b])?[0]
                }
            };
            backward.set_grad_input(0, gradient);
        }
        Ok(())
    }
}

impl Operator for BroadcastGradient {
    fn name(&self) -> &'static str {
        match self.operation {
            Broadcast::Add => "bias gradient",
            Broadcast::Multiply => "scale gradient",
        }
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        aligned(&inputs[0].shape, &self.shape)?;
        let alike = inputs.iter().all(|value| value.shape == inputs[0].shape);
        want(alike, "what arrives must have the shape of the first")?;
        Ok(vec![Output::new("broadcast_gradient", self.shape.clone())])
    }

    fn scratch(&self, context: &KernelContext) -> Vec<usize> {
        let [samples, channels, size] = aligned(&context.inputs[0].shape, &self.shape).expect("checked by outputs");
        if size == 1 && context.inputs.len() == 1 { vec![] } else { vec![samples * channels] }
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let [samples, channels, size] = aligned(&context.inputs[0].shape, &self.shape).expect("checked by outputs");
        let total = launch::reduce_columns("ops/broadcast/sum_samples", samples, channels, context.set);
        if size == 1 && context.inputs.len() == 1 {
            return vec![total.inputs([0]).outputs([0])];
        }
        let planes = launch::reduce_planes("ops/broadcast/sum_planes", samples * channels, size, context.set)
            .variable("product", context.inputs.len() == 2)
            .inputs(0..context.inputs.len())
            .bind(Binding::Scratch(0));
        vec![planes, total.bind(Binding::Scratch(0)).outputs([0])]
    }
}

impl Graph {
    /// x + b, with b for all of x (shape 1), per channel (C) or per sample and channel (N×C).
    ///
    /// # Errors
    /// [`GraphError::Shape`] unless b has one of these shapes.
    pub fn bias(&mut self, x: ValueId, b: ValueId) -> Result<ValueId, GraphError> {
        self.apply_one(Broadcast::Add, &[x, b])
    }

    /// x · b, with b as in [`Graph::bias`].
    ///
    /// # Errors
    /// [`GraphError::Shape`] unless b has one of these shapes.
    pub fn scale(&mut self, x: ValueId, b: ValueId) -> Result<ValueId, GraphError> {
        self.apply_one(Broadcast::Multiply, &[x, b])
    }
}
