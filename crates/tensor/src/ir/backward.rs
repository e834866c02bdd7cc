//! What an operator's gradient rule works with.

use super::{Graph, GraphError, Need, Node, Operator, SavedTensor, Value, ValueId};
use std::rc::Rc;

/// What an operator's gradient rule works with.
pub struct Backward<'g> {
    pub(crate) graph: &'g mut Graph,
    pub(crate) node: Node,
    pub(crate) grad_outputs: Vec<Option<ValueId>>,
    pub(crate) made: Vec<Node>,
    pub(crate) grad_inputs: Vec<(ValueId, ValueId)>,
}

impl Backward<'_> {
    /// The node's input.
    pub fn input(&self, index: usize) -> ValueId {
        self.node.inputs[index]
    }

    /// How many inputs the node has.
    pub fn inputs(&self) -> usize {
        self.node.inputs.len()
    }

    /// The node's output.
    pub fn output(&self, index: usize) -> ValueId {
        self.node.outputs[index]
    }

    /// A value of the graph.
    pub fn value(&self, id: ValueId) -> &Value {
        self.graph.value(id)
    }

    /// The gradient of the loss with respect to the first output.
    ///
    /// # Errors
    /// [`GraphError::NoGradient`] if none arrives: only a loss may start a backward pass.
    pub fn grad_output(&self) -> Result<ValueId, GraphError> {
        self.grad_outputs[0].ok_or_else(|| self.no_gradient())
    }

    /// The gradient of the loss with respect to any of the outputs; none if the loss does not depend on it.
    pub fn grad_output_of(&self, index: usize) -> Option<ValueId> {
        self.grad_outputs.get(index).copied().flatten()
    }

    /// What arrives at a loss: a single factor of all gradients, or nothing for 1.
    pub fn seed(&self) -> Option<ValueId> {
        self.grad_outputs[0]
    }

    /// Whether the gradient with respect to this input is wanted at all.
    pub fn wants(&self, index: usize) -> bool {
        self.graph.value(self.node.inputs[index]).needs_gradient
    }

    /// Saves a forward value and returns what backward nodes read in its place. Values that live across steps are there anyway.
    pub fn save(&mut self, source: ValueId, need: Need) -> ValueId {
        if self.graph.value(source).is_persistent() {
            return source;
        }
        let known = |saved: &&SavedTensor| saved.source == source && saved.need == need;
        if let Some(saved) = self.graph.saved_tensors.iter().find(known) {
            return saved.decoded;
        }
        self.graph.save(source, need)
    }

    /// Appends a backward node.
    ///
    /// # Errors
    /// [`GraphError::Shape`] if the operator does not take these values.
    pub fn apply(&mut self, operator: impl Operator + 'static, inputs: &[ValueId]) -> Result<Vec<ValueId>, GraphError> {
        let layer = self.node.layer.clone();
        let node = self.graph.make_node(Rc::new(operator), inputs, layer)?;
        let outputs = node.outputs.clone();
        self.made.push(node);
        Ok(outputs)
    }

    /// Says what the gradient with respect to an input is.
    pub fn set_grad_input(&mut self, index: usize, gradient: ValueId) {
        self.grad_inputs.push((self.node.inputs[index], gradient));
    }

    /// The error of an operator without a rule.
    pub fn no_gradient(&self) -> GraphError {
        GraphError::NoGradient { layer: self.node.layer.clone(), operator: self.node.operator.name() }
    }
}
