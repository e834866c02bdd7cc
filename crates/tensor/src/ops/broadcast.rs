//! Addition and multiplication of a value with few elements to one with many: a bias, a scale, a gate.

use crate::ir::{
    AlongBatch, Backward, BatchSlice, Binding, ErrorRole, Graph, GraphError, Kernel, KernelContext, Need, Operator,
    OperatorKind, Output, RecomputeInput, RecomputeRule, Shape, Value, ValueId, want,
};
use crate::ops::launch;
use std::rc::Rc;

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
#[derive(Clone, Debug)]
struct BroadcastGradient {
    operation: Broadcast,
    shape: Shape,
    /// Whether it is added to the input behind these, see [`Operator::adding`].
    adds: bool,
}

/// Whether a value of this shape has elements for each sample.
fn is_of_samples(b: &Shape) -> bool {
    b.rank() == 2
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

    /// A bias is read in full, a gate of each sample goes along.
    fn along_batch(&self, inputs: &[&Value]) -> AlongBatch {
        match is_of_samples(&inputs[1].shape) {
            true => AlongBatch::map([]),
            false => AlongBatch::map([1]),
        }
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
            let gradient = backward.apply(BroadcastGradient { operation: *self, shape, adds: false }, &inputs)?[0];
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

impl BroadcastGradient {
    /// The inputs of which it is: dy, and of a product x.
    fn terms(&self) -> usize {
        match self.operation {
            Broadcast::Add => 1,
            Broadcast::Multiply => 2,
        }
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
        let alike = inputs[..self.terms()].iter().all(|value| value.shape == inputs[0].shape);
        want(alike, "what arrives must have the shape of the first")?;
        let made = Output::new("broadcast_gradient", self.shape.clone());
        Ok(if self.adds { vec![] } else { vec![made] })
    }

    /// Of what has elements for each sample it is a map.
    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        match is_of_samples(&self.shape) {
            true => AlongBatch::map([]),
            false => AlongBatch::sum([]),
        }
    }

    fn for_slice(&self, slice: BatchSlice) -> Option<Rc<dyn Operator>> {
        is_of_samples(&self.shape)
            .then(|| Rc::new(Self { shape: slice.shape(&self.shape), ..self.clone() }) as Rc<dyn Operator>)
    }

    fn adding(&self) -> Option<Rc<dyn Operator>> {
        Some(Rc::new(Self { adds: true, ..self.clone() }))
    }

    fn mutates(&self) -> &'static [usize] {
        match (self.adds, self.operation) {
            (false, _) => &[],
            (true, Broadcast::Add) => &[1],
            (true, Broadcast::Multiply) => &[2],
        }
    }

    fn scratch(&self, context: &KernelContext) -> Vec<usize> {
        let [samples, channels, size] = aligned(&context.inputs[0].shape, &self.shape).expect("checked by outputs");
        if size == 1 && self.terms() == 1 { vec![] } else { vec![samples * channels] }
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let [samples, channels, size] = aligned(&context.inputs[0].shape, &self.shape).expect("checked by outputs");
        let terms = self.terms();
        let total = launch::reduce_columns("ops/broadcast/sum_samples", samples, channels, context.set);
        let total = |partial: Binding| match self.adds {
            true => total.variable("adds", true).bind(partial).inputs([terms]),
            false => total.bind(partial).outputs([0]),
        };
        if size == 1 && terms == 1 {
            return vec![total(Binding::Input(0))];
        }
        let planes = launch::reduce_planes("ops/broadcast/sum_planes", samples * channels, size, context.set)
            .variable("product", terms == 2)
            .inputs(0..terms)
            .bind(Binding::Scratch(0));
        vec![planes, total(Binding::Scratch(0))]
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
