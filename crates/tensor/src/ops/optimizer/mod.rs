//! Optimisers, and what comes before and after them: gradients that are summed over micro-batches, their clipping, averages
//! of parameters. The learning rate is a scalar of each step ([`crate::step::LEARNING_RATE`]); nothing is changed
//! once the step's status says stop ([`crate::Graph::status`]).

mod average;
mod deferred;
mod gradients;
mod moments;
mod scale;
mod update_config;

pub(crate) use gradients::total_of_sums;
pub use moments::{BLOCK, StateForm};
pub use scale::LossScale;
pub use update_config::UpdateConfig;

use crate::ir::{Kernel, KernelContext, KernelSet, Operator, OperatorKind, Output, Value, want};
use crate::random;
use crate::step::Scalar;

/// Stochastic gradient descent as PyTorch does it: g ← g + decay·p; m ← momentum·m + g (m ← g at the first step, which
/// is the same as m starts at 0); p ← p − rate·(nesterov ? g + momentum·m : m).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    /// Share of the old direction in the new one.
    pub momentum: f32,
    /// Whether to look ahead (Nesterov).
    pub nesterov: bool,
    /// Pull towards zero.
    pub weight_decay: f32,
}

/// Adam (arXiv 1412.6980) with bias correction, or AdamW (arXiv 1711.05101), as PyTorch does them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// Decay of the mean gradient. Double, because what counts is its small distance from 1.
    pub beta1: f64,
    /// Decay of the mean squared gradient.
    pub beta2: f64,
    /// Keeps the divisor away from zero.
    pub epsilon: f32,
    /// Pull towards zero.
    pub weight_decay: f32,
    /// Whether the pull acts on the parameter by itself, p ← p − rate·decay·p (AdamW), and not through the gradient.
    pub decoupled: bool,
}

/// RMSprop as PyTorch does it: g ← g + decay·p; v ← α·v + (1 − α)·g²; m ← momentum·m + g / (√v + ε); p ← p − rate·m.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsProp {
    /// Decay α of the mean squared gradient. Double, because what counts is its small distance from 1.
    pub alpha: f64,
    /// Keeps the divisor away from zero.
    pub epsilon: f32,
    /// Share of the old direction in the new one.
    pub momentum: f32,
    /// Pull towards zero.
    pub weight_decay: f32,
}

/// An optimiser: which state each parameter has, and what one update does.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Optimizer {
    /// Stochastic gradient descent.
    Sgd(Sgd),
    /// Adam and AdamW.
    Adam(Adam),
    /// RMSprop.
    RmsProp(RmsProp),
}

impl Optimizer {
    /// β and c if the first state sums c·βᵏ times the gradient of k steps ago.
    fn average(&self) -> Option<(f32, f32)> {
        match self {
            Optimizer::Sgd(sgd) => (sgd.momentum > 0.0).then_some((sgd.momentum, 1.0)),
            Optimizer::Adam(adam) => Some((adam.beta1 as f32, (1.0 - adam.beta1) as f32)),
            Optimizer::RmsProp(_) => None,
        }
    }

    fn states(&self) -> &'static [&'static str] {
        match self {
            Optimizer::Sgd(sgd) if sgd.momentum == 0.0 => &[],
            Optimizer::Sgd(_) => &["momentum"],
            Optimizer::Adam(_) => &["mean", "square"],
            Optimizer::RmsProp(rms) if rms.momentum == 0.0 => &["square"],
            Optimizer::RmsProp(_) => &["square", "momentum"],
        }
    }

    /// Whether there is any state: SGD without momentum has none.
    pub fn has_state(&self) -> bool {
        !self.states().is_empty()
    }

    /// Which of the states is a mean of squares; 2 for none.
    fn square(&self) -> usize {
        self.states().iter().position(|state| *state == "square").unwrap_or(2)
    }
}

/// The update of one parameter. Inputs: parameter, gradient, control, status, states, perhaps the scales of their codes, perhaps what
/// the gradient is multiplied by.
#[derive(Debug)]
struct Update {
    optimizer: Optimizer,
    /// What its steps are multiplied by.
    learning_rate: Scalar,
    /// Whether the gradient is a sum over micro-batches.
    summed: bool,
    /// Whether there is a factor.
    scaled: bool,
    /// Whether states are codes.
    coded: bool,
}

impl Operator for Update {
    fn name(&self) -> &'static str {
        match self.optimizer {
            Optimizer::Sgd(_) => "SGD",
            Optimizer::Adam(adam) if adam.decoupled => "AdamW",
            Optimizer::Adam(_) => "Adam",
            Optimizer::RmsProp(_) => "RMSprop",
        }
    }

    fn kind(&self) -> OperatorKind {
        OperatorKind::ElementwiseUpdate(match self.optimizer.states().len() + usize::from(self.coded) {
            0 => &[0, 1],
            1 => &[0, 1, 4],
            2 => &[0, 1, 4, 5],
            _ => &[0, 1, 4, 5, 6],
        })
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        want(inputs[0].shape == inputs[1].shape, "parameter and gradient must have one shape")?;
        if self.coded {
            let states = self.optimizer.states().len();
            let scales = moments::scales(&inputs[0].shape, states);
            let fits = inputs[4..4 + states].iter().all(|codes| codes.shape == inputs[0].shape);
            want(fits && inputs[4 + states].shape == scales, "codes and scales must be those of the parameter")?;
            want(inputs[0].first_element().is_multiple_of(BLOCK), "a part of a parameter must begin with a block")?;
        }
        Ok(vec![])
    }

    fn mutates(&self) -> &'static [usize] {
        match self.optimizer.states().len() + usize::from(self.coded) {
            0 => &[0],
            1 => &[0, 4],
            2 => &[0, 4, 5],
            _ => &[0, 4, 5, 6],
        }
    }

    /// An invocation for each four elements. Of coded states one workgroup for each block on GPUs, for CPU-backed drivers one
    /// invocation.
    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let parameter = context.inputs[0];
        let elements = parameter.shape.elements();
        let (vectors, blocks) = (elements.div_ceil(4), elements.div_ceil(BLOCK));
        let (shader, decoupled) = match self.optimizer {
            Optimizer::Sgd(_) => ("ops/optimizer/sgd", false),
            Optimizer::Adam(adam) => ("ops/optimizer/adam", adam.decoupled),
            Optimizer::RmsProp(_) => ("ops/optimizer/rmsprop", false),
        };
        let kernel = Kernel::new(shader)
            .variable("states", self.optimizer.states().len())
            .variable("decoupled", decoupled)
            .variable("coded", self.coded)
            .scalar("learning_rate", self.learning_rate)
            .variable("summed", self.summed)
            .variable("scaled", self.scaled)
            .inputs(0..context.inputs.len());
        let kernel = match self.coded {
            false => kernel.parameter(vectors).invocations(vectors, 64),
            true => {
                let tiles = context.set == KernelSet::Tiles;
                let kernel = kernel
                    .variable("square", self.optimizer.square())
                    .variable("block", BLOCK)
                    .variable("tiles", tiles)
                    .parameters([blocks, elements, parameter.first_element()])
                    .parameter(random::purpose([parameter.name.as_str()]));
                if tiles { kernel.workgroups(blocks) } else { kernel.invocations(blocks, 8) }
            }
        };
        vec![match self.optimizer {
            Optimizer::Sgd(sgd) => {
                kernel.variable("nesterov", sgd.nesterov).parameters([sgd.momentum, sgd.weight_decay])
            }
            Optimizer::Adam(adam) => {
                let betas = [adam.beta1, adam.beta2];
                kernel
                    .parameters(betas.map(|beta| beta as f32))
                    .parameters(betas.map(|beta| (1.0 - beta) as f32))
                    // 100 is as good as infinity, which shaders need not know: exp(-100) is nothing in f32.
                    .parameters(betas.map(|beta| (-beta.ln()).min(100.0) as f32))
                    .parameters([adam.epsilon, adam.weight_decay])
            }
            Optimizer::RmsProp(rms) => kernel.parameters([rms.alpha as f32, (1.0 - rms.alpha) as f32]).parameters([
                rms.epsilon,
                rms.momentum,
                rms.weight_decay,
            ]),
        }]
    }
}
