//! The gradient graph: each operator's rule appends backward nodes and names what it keeps from the forward pass.

use super::{Graph, GraphError, Kind, Node, Phase, Value, ValueId};
use crate::ops::{Operator, add::Add};
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::rc::Rc;

/// An open interval; without an upper end if that is infinite.
#[derive(Clone, Copy, Debug)]
pub struct Interval {
    /// What all its elements are above.
    pub low: f32,
    /// What all its elements are below, unless it is infinite.
    pub high: f32,
}

impl Interval {
    /// Everything above zero.
    pub const POSITIVE: Self = Self { low: 0.0, high: f32::INFINITY };

    fn bits(self) -> [u32; 2] {
        [self.low, self.high].map(f32::to_bits)
    }
}

impl PartialEq for Interval {
    fn eq(&self, other: &Self) -> bool {
        self.bits() == other.bits()
    }
}

impl Eq for Interval {}

impl Hash for Interval {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bits().hash(state);
    }
}

/// How much of a forward value a gradient rule needs. The less, the less is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Need {
    /// All elements; a policy may store them with an error.
    Values,
    /// Only which elements lie in an interval.
    Within(Interval),
    /// The elements as they are: window indices, batch statistics, logits.
    Exact,
}

/// A forward value that a gradient rule reads again.
///
/// Backward nodes read `view`, a value that nothing makes yet: the storage rewrite ([`crate::codec::store`]) decides
/// whether it is the source itself, comes out of a codec or is made again of others. One source may be kept under
/// several views.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Keep {
    /// The forward value.
    pub source: ValueId,
    /// How much of it is needed.
    pub need: Need,
    /// What the backward nodes read.
    pub view: ValueId,
}

/// What an operator's gradient rule works with.
pub struct Backward<'g> {
    graph: &'g mut Graph,
    node: Node,
    arriving: Vec<Option<ValueId>>,
    made: Vec<Node>,
    given: Vec<(ValueId, ValueId)>,
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
    pub fn arriving(&self) -> Result<ValueId, GraphError> {
        self.arriving[0].ok_or_else(|| self.no_gradient())
    }

    /// What arrives at a loss: a single factor of all gradients, or nothing for 1.
    pub fn seed(&self) -> Option<ValueId> {
        self.arriving[0]
    }

    /// Whether the gradient with respect to this input is wanted at all.
    pub fn wants(&self, index: usize) -> bool {
        self.graph.value(self.node.inputs[index]).needs_gradient
    }

    /// Asks for a forward value in the backward pass. Values that live across steps are there anyway.
    pub fn keep(&mut self, source: ValueId, need: Need) -> ValueId {
        if self.graph.value(source).kind.is_persistent() {
            return source;
        }
        let known = |keep: &&Keep| keep.source == source && keep.need == need;
        if let Some(keep) = self.graph.keeps.iter().find(known) {
            return keep.view;
        }
        self.graph.keep(source, need)
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
    pub fn give(&mut self, index: usize, gradient: ValueId) {
        self.given.push((self.node.inputs[index], gradient));
    }

    /// The error of an operator without a rule.
    pub fn no_gradient(&self) -> GraphError {
        GraphError::NoGradient { layer: self.node.layer.clone(), operator: self.node.operator.name() }
    }
}

impl Graph {
    /// Keeps a value under a view of its own.
    pub(crate) fn keep(&mut self, source: ValueId, need: Need) -> ValueId {
        let kind = Kind::Stored;
        let view = self.add_value(Value { kind, needs_gradient: false, ..self.value(source).clone() });
        self.keeps.push(Keep { source, need, view });
        view
    }

    pub(crate) fn set_keeps(&mut self, keeps: Vec<Keep>) {
        self.keeps = keeps;
    }

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
        self.pool_first(&known);
        self.set_phase(Phase::Backward);
        let mut gradients: HashMap<ValueId, ValueId> = HashMap::new();
        for (value, gradient) in roots {
            if let Some(gradient) = gradient {
                gradients.insert(*value, *gradient);
            }
        }
        for node in self.nodes.clone().into_iter().rev() {
            let arriving: Vec<_> = node.outputs.iter().map(|v| gradients.get(v).copied()).collect();
            let is_root = roots.iter().any(|(v, _)| node.outputs.contains(v));
            let wanted = node.inputs.iter().any(|&v| self.value(v).needs_gradient);
            if !wanted || !(is_root || arriving.iter().any(Option::is_some)) {
                continue;
            }
            let operator = node.operator.clone();
            let layer = node.layer.clone();
            let mut backward = Backward { graph: self, node, arriving, made: Vec::new(), given: Vec::new() };
            operator.gradient(&mut backward)?;
            let Backward { made, given, .. } = backward;
            self.nodes.extend(made);
            for (value, gradient) in given {
                let total = match gradients.get(&value) {
                    None => gradient,
                    Some(&so_far) => {
                        let node = self.make_node(Rc::new(Add), &[so_far, gradient], layer.clone())?;
                        let sum = node.outputs[0];
                        self.nodes.push(node);
                        sum
                    }
                };
                if self.value(value).kind == Kind::Parameter {
                    let name = format!("{}.gradient", self.value(value).name);
                    let gradient = self.value_mut(total);
                    // An addition hands on the gradient that arrives: then it may be an input or another's already.
                    if gradient.kind == Kind::Gradient {
                        gradient.kind = Kind::ParameterGradient;
                        gradient.name = name;
                    }
                }
                gradients.insert(value, total);
            }
        }
        self.set_phase(Phase::Update);
        Ok(gradients)
    }

    /// Appends what forward nodes move in values that live across steps ([`Operator::settle`]): after everything that may
    /// yet stop the step, so that a step that does not count leaves no trace.
    ///
    /// # Errors
    /// [`GraphError::NameTaken`] if another value has the name of the status.
    pub fn settle(&mut self) -> Result<(), GraphError> {
        self.set_phase(Phase::Update);
        for node in self.nodes.clone() {
            if let Some((operator, mut inputs)) = node.operator.settle(&node, self) {
                inputs.push(self.status()?);
                let settle = self.make_node(operator, &inputs, node.layer)?;
                self.nodes.push(settle);
            }
        }
        Ok(())
    }

    /// Moves each update to the place right after the last reader of what it changes and the makers of what it reads,
    /// so that gradients of parameters live as briefly as all others.
    pub fn update_early(&mut self) {
        let (updates, mut nodes): (Vec<Node>, Vec<Node>) =
            self.take_nodes().into_iter().partition(|node| node.phase == Phase::Update);
        // Whether an update reads what a node makes or changes, or changes what it reads.
        let follows = |update: &Node, node: &Node| {
            let changes = |node: &Node, v: &ValueId| {
                node.operator.mutates().iter().any(|&index| node.inputs.get(index) == Some(v))
            };
            node.inputs.iter().any(|v| changes(update, v))
                || update.inputs.iter().any(|v| node.outputs.contains(v) || changes(node, v))
        };
        let mut placed: Vec<(usize, Node)> = Vec::new();
        for update in updates {
            let after_nodes = nodes.iter().rposition(|node| follows(&update, node)).map_or(0, |last| last + 1);
            let updates_before = placed.iter().filter(|(_, other)| follows(&update, other)).map(|(place, _)| *place);
            let position = updates_before.fold(after_nodes, usize::max);
            placed.push((position, update));
        }
        placed.sort_by_key(|(position, _)| *position);
        for (position, update) in placed.into_iter().rev() {
            nodes.insert(position, update);
        }
        self.set_nodes(nodes);
    }
}
