//! A batch norm with what comes behind it, in one pass over the elements.

use super::{INPUTS, with_output};
use crate::graph::Value;
use crate::ops::{Kernel, KernelContext, Operator, Output, activation::Activation, add::Add, kernel};
use std::fmt::Debug;
use std::rc::Rc;

/// What is done with y before it is written: an addition, then an activation.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Then {
    add: bool,
    activation: Option<Activation>,
}

/// The two norms of a forward pass.
pub(super) trait Norm: Operator + Copy + Debug + 'static {
    /// The kernels, with what comes behind the norm.
    fn launch(&self, context: &KernelContext, then: Then) -> Vec<Kernel>;
}

/// A norm and what comes behind it.
#[derive(Debug)]
struct Followed<N> {
    norm: N,
    then: Then,
}

impl Then {
    fn and(self, next: &dyn Operator) -> Option<Self> {
        match self {
            Self { activation: Some(_), .. } => None,
            Self { add: false, .. } if next.name() == Add.name() => Some(Self { add: true, ..self }),
            _ => next.activation().map(|activation| Self { activation: Some(activation), ..self }),
        }
    }

    /// The kernel of y, its inputs those of the norm that are named: by running statistics or the batch's.
    pub(super) fn normalize(
        self,
        context: &KernelContext,
        epsilon: Option<f32>,
        bind: impl FnOnce(Kernel) -> Kernel,
    ) -> Kernel {
        let kernel = normalize(context, epsilon, self.add);
        let kernel = match self.activation {
            Some(activation) => activation.function(kernel),
            None => kernel.variable("kind", "none"),
        };
        let kernel = bind(kernel.variable("again", false)).inputs(self.add.then_some(INPUTS));
        with_output(kernel, context)
    }
}

/// The kernel of y, begun.
pub(super) fn normalize(context: &KernelContext, epsilon: Option<f32>, add: bool) -> Kernel {
    let kernel = kernel::map_planes("ops/batch_norm/normalize", context)
        .variable("running", epsilon.is_some())
        .variable("add", add);
    kernel.parameters(epsilon)
}

pub(super) fn followed<N: Norm>(norm: N, next: &dyn Operator) -> Option<Rc<dyn Operator>> {
    Some(Rc::new(Followed { norm, then: Then::default().and(next)? }))
}

impl<N: Norm> Operator for Followed<N> {
    fn name(&self) -> &'static str {
        self.norm.name()
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        self.norm.outputs(&inputs[..INPUTS])
    }

    fn may_overwrite(&self) -> Option<usize> {
        self.norm.may_overwrite()
    }

    fn fused(&self, next: &dyn Operator) -> Option<Rc<dyn Operator>> {
        Some(Rc::new(Self { norm: self.norm, then: self.then.and(next)? }))
    }

    fn scratch(&self, context: &KernelContext) -> Vec<usize> {
        self.norm.scratch(context)
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        self.norm.launch(context, self.then)
    }
}
