//! Epilogues: what is done with the first output of an operator before it is written, in the same pass.

use super::activation::Activation;
use crate::ir::{
    AlongBatch, Kernel, KernelContext, Operator, OperatorKind, Output, Shape, SplitStep, Value, tiles::Tunable, want,
};
use std::rc::Rc;

/// An epilogue of each element: an addition, then an activation. The arithmetic is that of the
/// operators that would do it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Epilogue {
    /// Whether something is added.
    pub add: bool,
    /// What is applied.
    pub activation: Option<Activation>,
}

/// What an operator can add on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Addend {
    /// A value of the output's shape.
    Alike,
    /// One element for each channel.
    Bias,
    /// Nothing.
    Nothing,
}

/// An operator whose kernels can apply an epilogue to its first output. It holds no shape of its own that grows with the batch.
pub(super) trait TakesEpilogue: Operator + Copy + 'static {
    /// Inputs of its own; what is added comes after them.
    const INPUTS: usize;
    /// What it can add.
    const ADDS: Addend;

    /// Its kernels, with the epilogue.
    fn launch(&self, context: &KernelContext, epilogue: Epilogue) -> Vec<Kernel>;

    /// Its passes, with the epilogue in the last, see [`Operator::split`].
    fn split_with(&self, _epilogue: Epilogue, _inputs: &[&Value]) -> Option<Vec<SplitStep>> {
        None
    }
}

/// An operator and its epilogue.
#[derive(Debug)]
struct WithEpilogue<O> {
    operator: O,
    epilogue: Epilogue,
}

impl Addend {
    /// Whether the operator adds such a thing; the shape of that is not known yet.
    fn comes_of(self, operator: &dyn Operator) -> bool {
        match self {
            Self::Alike => operator.kind() == OperatorKind::Add,
            Self::Bias => operator.kind() == OperatorKind::AddBias,
            Self::Nothing => false,
        }
    }

    fn check(self, output: &Shape, added: &Shape) -> Result<(), String> {
        match (self, output.planes()) {
            (Self::Alike, _) => want(added == output, "what is added must have the shape of the output"),
            (Self::Bias, Some([_, channels, _])) => {
                want(added.extents() == [channels], "a bias must have an element for each channel")
            }
            _ => Err("nothing can be added".into()),
        }
    }
}

impl Epilogue {
    fn and<O: TakesEpilogue>(self, next: &dyn Operator) -> Option<Self> {
        match self {
            Self { activation: Some(_), .. } => None,
            Self { add: false, .. } if O::ADDS.comes_of(next) => Some(Self { add: true, ..self }),
            _ => match next.kind() {
                OperatorKind::Activation(activation) => Some(Self { activation: Some(activation), ..self }),
                _ => None,
            },
        }
    }

    /// The function for a kernel that includes `parts/activated.wgsl`, if there is one.
    pub fn function(self, kernel: Kernel) -> Kernel {
        match self.activation {
            Some(activation) => activation.function(kernel),
            None => kernel.variable("kind", "none"),
        }
    }

    /// A kernel that includes `parts/epilogue.wgsl`, complete but for this. What is added is the input `added`. If nothing
    /// follows, the kernel stays what it is.
    pub fn behind(self, kernel: Kernel, added: usize) -> Kernel {
        if !self.add && self.activation.is_none() {
            return kernel;
        }
        let kernel = self.function(kernel.variable("add", self.add));
        kernel.inputs(self.add.then_some(added))
    }
}

/// The operator with the next one in its pass, if it can take that along.
pub(super) fn epilogue<O: TakesEpilogue>(operator: O, next: &dyn Operator) -> Option<Rc<dyn Operator>> {
    Some(Rc::new(WithEpilogue { operator, epilogue: Epilogue::default().and::<O>(next)? }))
}

impl<O: TakesEpilogue> Operator for WithEpilogue<O> {
    fn name(&self) -> &'static str {
        self.operator.name()
    }

    fn kind(&self) -> OperatorKind {
        self.operator.kind()
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        let outputs = self.operator.outputs(&inputs[..O::INPUTS])?;
        if self.epilogue.add {
            O::ADDS.check(&outputs[0].shape, &inputs[O::INPUTS].shape)?;
        }
        Ok(outputs)
    }

    /// What is added to each element goes along, a bias is read in full. An epilogue of a sum would have to wait for the last slice.
    fn along_batch(&self, inputs: &[&Value]) -> AlongBatch {
        match self.operator.along_batch(&inputs[..O::INPUTS]) {
            AlongBatch::Map { mut whole } => {
                whole.extend((self.epilogue.add && O::ADDS == Addend::Bias).then_some(O::INPUTS));
                AlongBatch::Map { whole }
            }
            _ => AlongBatch::Whole,
        }
    }

    fn split(&self, inputs: &[&Value]) -> Option<Vec<SplitStep>> {
        self.operator.split_with(self.epilogue, inputs)
    }

    fn may_overwrite(&self) -> Option<usize> {
        self.operator.may_overwrite()
    }

    fn fused(&self, next: &dyn Operator) -> Option<Rc<dyn Operator>> {
        Some(Rc::new(Self { operator: self.operator, epilogue: self.epilogue.and::<O>(next)? }))
    }

    fn multiply_adds(&self, inputs: &[&Value], outputs: &[&Value]) -> u64 {
        self.operator.multiply_adds(&inputs[..O::INPUTS], outputs)
    }

    fn as_product(&self, inputs: &[&Value], outputs: &[&Value]) -> Option<[usize; 3]> {
        self.operator.as_product(&inputs[..O::INPUTS], outputs)
    }

    fn scratch(&self, context: &KernelContext) -> Vec<usize> {
        self.operator.scratch(context)
    }

    fn tunable(&self, context: &KernelContext) -> Option<Tunable> {
        self.operator.tunable(context)
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        self.operator.launch(context, self.epilogue)
    }
}
