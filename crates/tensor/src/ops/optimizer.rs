//! Optimisers. The learning rate comes from the control words of each step ([`Graph::control`]); nothing is changed
//! once the step's status says stop ([`Graph::status`]).

use super::{Kernel, KernelContext, Operator, Output, want};
use crate::graph::{Element, Graph, GraphError, Init, Kind, Trained, Value, ValueId};
use std::collections::HashMap;

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

/// Adam (arXiv 1412.6980) with bias correction, as PyTorch does it; `weight_decay` is added to the gradient.
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
}

/// An optimiser: which state each parameter has, and what one update does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimizer {
    /// Stochastic gradient descent.
    Sgd(Sgd),
    /// Adam.
    Adam(Adam),
}

impl Optimizer {
    /// β and c if the first state sums c·βᵏ times the gradient of k steps ago.
    fn average(&self) -> Option<(f32, f32)> {
        match self {
            Optimizer::Sgd(sgd) => (sgd.momentum > 0.0).then_some((sgd.momentum, 1.0)),
            Optimizer::Adam(adam) => Some((adam.beta1 as f32, (1.0 - adam.beta1) as f32)),
        }
    }

    fn states(&self) -> &'static [&'static str] {
        match self {
            Optimizer::Sgd(sgd) if sgd.momentum == 0.0 => &[],
            Optimizer::Sgd(_) => &["momentum"],
            Optimizer::Adam(_) => &["mean", "square"],
        }
    }
}

/// The update of one parameter. Inputs: parameter, gradient, control, status, states.
#[derive(Debug)]
struct Update(Optimizer);

impl Operator for Update {
    fn name(&self) -> &'static str {
        match self.0 {
            Optimizer::Sgd(_) => "SGD",
            Optimizer::Adam(_) => "Adam",
        }
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        want(inputs[0].shape == inputs[1].shape, "parameter and gradient must have one shape")?;
        Ok(vec![])
    }

    fn mutates(&self) -> &'static [usize] {
        &[0, 4, 5]
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let vectors = context.inputs[0].shape.elements().div_ceil(4);
        let kernel = match self.0 {
            Optimizer::Sgd(sgd) => Kernel::new("ops/optimizer/sgd")
                .variable("momentum", sgd.momentum != 0.0)
                .variable("nesterov", sgd.nesterov)
                .parameter(vectors)
                .parameters([sgd.momentum, sgd.weight_decay]),
            Optimizer::Adam(adam) => {
                let betas = [adam.beta1, adam.beta2];
                Kernel::new("ops/optimizer/adam")
                    .parameter(vectors)
                    .parameters(betas.map(|beta| beta as f32))
                    .parameters(betas.map(|beta| (1.0 - beta) as f32))
                    .parameters(betas.map(|beta| -beta.ln() as f32))
                    .parameters([adam.epsilon, adam.weight_decay])
            }
        };
        vec![kernel.inputs(0..context.inputs.len()).invocations(vectors, 64)]
    }
}

impl Graph {
    /// Appends the update of every parameter that has a gradient, and [`Graph::settle`]s.
    ///
    /// # Errors
    /// [`GraphError::NameTaken`] if a parameter's state exists already.
    pub fn update(&mut self, optimizer: Optimizer, gradients: &HashMap<ValueId, ValueId>) -> Result<(), GraphError> {
        let (control, status) = (self.control(), self.status()?);
        let parameters: Vec<(ValueId, Value)> = self.parameters().map(|(id, value)| (id, value.clone())).collect();
        for (parameter, value) in parameters {
            let Some(&gradient) = gradients.get(&parameter) else {
                continue;
            };
            let mut inputs = vec![parameter, gradient, control, status];
            for state in optimizer.states() {
                let name = format!("{}.{state}", value.name);
                inputs.push(self.persistent(
                    &name,
                    Kind::OptimizerState,
                    value.shape.clone(),
                    Element::F32,
                    Init::Constant(0.0),
                )?);
            }
            let average = optimizer.average().and_then(|(decay, scale)| Some((*inputs.get(4)?, decay, scale)));
            self.note_trained(Trained { gradient, average });
            let layer = value.name.rsplit_once('.').map_or("", |(layer, _)| layer);
            self.within(layer.to_string(), |graph| graph.apply(Update(optimizer), &inputs))?;
        }
        self.settle()
    }
}
