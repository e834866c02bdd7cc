//! The gradient graph: each operator's rule appends backward nodes and names what it keeps from the forward pass.

use super::{Pass, counted};
use crate::ir::{Backward, Graph, GraphError, Phase, Role, ValueId};
use crate::ops::add::Add;
use std::collections::HashMap;
use std::rc::Rc;

impl Graph {
    /// Appends the backward pass. Each root is a forward value with the gradient that arrives there. Of a loss that is a single
    /// element by which all gradients are multiplied, or `None` for 1. Returns the gradient of every value that got one.
    ///
    /// # Errors
    /// [`GraphError::NoGradient`] if an operator on the way has no rule.
    pub fn differentiate(
        &mut self,
        roots: &[(ValueId, Option<ValueId>)],
    ) -> Result<HashMap<ValueId, ValueId>, GraphError> {
        let known: Vec<ValueId> = roots.iter().map(|(value, _)| *value).collect();
        Pass::SwapReluMaxpool.run(self, |graph| Ok(((), graph.swap_relu_maxpool(&known))))?;
        Pass::Autodiff.run(self, |graph| {
            let (nodes, saved) = (graph.nodes.len(), graph.saved_tensors.len());
            let gradients = graph.append_backward(roots)?;
            let of_parameters = graph.parameters().filter(|(id, _)| gradients.contains_key(id)).count();
            let did = format!(
                "added {} of the backward pass, {}, gradients of {}",
                counted(graph.nodes.len() - nodes, "node"),
                counted(graph.saved_tensors.len() - saved, "saved tensor"),
                counted(of_parameters, "parameter"),
            );
            Ok((gradients, did))
        })
    }

    fn append_backward(
        &mut self,
        roots: &[(ValueId, Option<ValueId>)],
    ) -> Result<HashMap<ValueId, ValueId>, GraphError> {
        self.set_phase(Phase::Backward);
        let mut gradients: HashMap<ValueId, ValueId> = HashMap::new();
        for (value, gradient) in roots {
            if let Some(gradient) = gradient {
                gradients.insert(*value, *gradient);
            }
        }
        for node in self.nodes.clone().into_iter().rev() {
            let grad_outputs: Vec<_> = node.outputs.iter().map(|v| gradients.get(v).copied()).collect();
            let is_root = roots.iter().any(|(v, _)| node.outputs.contains(v));
            let wanted = node.inputs.iter().any(|&v| self.value(v).needs_gradient);
            if !wanted || !(is_root || grad_outputs.iter().any(Option::is_some)) {
                continue;
            }
            let operator = node.operator.clone();
            let layer = node.layer.clone();
            let mut backward = Backward { graph: self, node, grad_outputs, made: Vec::new(), grad_inputs: Vec::new() };
            operator.gradient(&mut backward)?;
            let Backward { made, grad_inputs, .. } = backward;
            self.nodes.extend(made);
            for (value, gradient) in grad_inputs {
                let total = match gradients.get(&value) {
                    None => gradient,
                    Some(&so_far) => {
                        let node = self.make_node(Rc::new(Add), &[so_far, gradient], layer.clone())?;
                        let sum = node.outputs[0];
                        self.nodes.push(node);
                        sum
                    }
                };
                if self.value(value).role == Role::Parameter {
                    let name = format!("{}.gradient", self.value(value).name);
                    let gradient = self.value_mut(total);
                    // An addition hands on the gradient that arrives: then it may be an input or another's already.
                    if gradient.role == Role::Gradient && !gradient.is_metric() {
                        gradient.role = Role::ParameterGradient;
                        gradient.name = name;
                    }
                }
                gradients.insert(value, total);
            }
        }
        self.set_phase(Phase::Update);
        Ok(gradients)
    }
}
