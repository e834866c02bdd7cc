//! The graph: values and nodes, in the order of execution.

use super::step::ControlLayout;
use super::{
    Element, GraphError, Init, MOST_ELEMENTS, Node, Operator, Parametrisation, Part, Phase, Precision, Role,
    SavedTensor, Shape, Value, ValueId,
};
use std::collections::HashSet;
use std::rc::Rc;

/// What a pass did to a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassRecord {
    /// Name of the pass.
    pub pass: &'static str,
    /// Nodes of the graph after it.
    pub nodes: usize,
    /// What it did, for people.
    pub did: String,
}

/// How a parameter is updated: its gradient, and what the optimiser averages of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ParameterUpdate {
    /// The gradient.
    pub gradient: ValueId,
    /// The running sum of earlier gradients, if there is one.
    pub average: Option<GradientAverage>,
    /// What the gradient was multiplied by, if it was; the average is of gradients without it.
    pub scale: Option<ValueId>,
}

/// The running sum Σ c·βᵏ·g of earlier gradients g.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GradientAverage {
    /// The sum, or its codes ([`crate::ops::optimizer::StateForm`]).
    pub value: ValueId,
    /// The scales of its codes, if it is coded: the first of each block.
    pub scales: Option<ValueId>,
    /// β.
    pub decay: f32,
    /// c.
    pub scale: f32,
}

/// Values and nodes in the order of execution.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    values: Vec<Value>,
    pub(crate) nodes: Vec<Node>,
    scope: Vec<String>,
    phase: Option<Phase>,
    /// In which memory holds activations and their gradients ([`Graph::hold_in_f16`]).
    pub(crate) precision: Precision,
    pub(crate) saved_tensors: Vec<SavedTensor>,
    parameter_updates: Vec<ParameterUpdate>,
    pub(super) parametrisations: Vec<(String, Rc<dyn Parametrisation>)>,
    passes: Vec<PassRecord>,
    /// See [`Graph::name_output`].
    outputs: Vec<(String, ValueId)>,
    pub(crate) control_layout: ControlLayout,
    persistent_names: HashSet<String>,
    batch: Option<usize>,
    /// Those of inputs and of what the forward pass makes.
    forward_names: HashSet<String>,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// All values.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// All nodes, in the order of execution.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// One value.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.0]
    }

    /// The shape of a value.
    pub fn shape(&self, id: ValueId) -> &Shape {
        &self.values[id.0].shape
    }

    /// Says how many samples a step has. What is said of one sample divides by it, and so does the largest batch in errors.
    pub fn set_batch(&mut self, samples: usize) {
        self.batch = Some(samples);
    }

    /// Samples of a step: what was said ([`Graph::set_batch`]), or else the first extent of the first input.
    pub fn batch(&self) -> usize {
        let first_input = || self.values.iter().find(|value| value.role == Role::Input);
        let extent = || first_input()?.shape.extents().first().copied();
        self.batch.or_else(extent).unwrap_or(1).max(1)
    }

    /// The largest batch with which a value of this shape has at most so many elements, if its outermost axis has samples.
    pub(crate) fn largest_batch(&self, shape: &Shape, most_elements: usize) -> Option<usize> {
        let (&outermost, rest) = shape.extents().split_first().filter(|(_, rest)| !rest.is_empty())?;
        let rows = (outermost % self.batch() == 0).then(|| outermost / self.batch())?;
        let sample = rest.iter().fold(rows.max(1), |product, &extent| product.saturating_mul(extent.max(1)));
        Some(most_elements / sample)
    }

    /// Every value with its name.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = (ValueId, &Value)> {
        self.values.iter().enumerate().map(|(index, value)| (ValueId(index), value))
    }

    /// The values that training changes, in the order in which they were added: parameters that are not frozen.
    pub fn parameters(&self) -> impl Iterator<Item = (ValueId, &Value)> {
        self.ids().filter(|(_, value)| value.role == Role::Parameter && !value.frozen)
    }

    /// What the gradient rules save of the forward pass.
    pub fn saved_tensors(&self) -> &[SavedTensor] {
        &self.saved_tensors
    }

    /// The gradients that an optimiser uses, in the order of its updates.
    pub fn parameter_updates(&self) -> &[ParameterUpdate] {
        &self.parameter_updates
    }

    /// The passes that made the graph what it is, in their order.
    pub fn passes(&self) -> &[PassRecord] {
        &self.passes
    }

    pub(crate) fn note_pass(&mut self, pass: &'static str, did: String) {
        self.passes.push(PassRecord { pass, nodes: self.nodes.len(), did });
    }

    /// Says what an optimiser uses, or would use: codecs aim their errors at it.
    pub fn note_parameter_update(&mut self, update: ParameterUpdate) {
        self.parameter_updates.push(update);
    }

    /// Multiply-adds of the forward pass; 2^64 − 1 for more than that.
    pub fn multiply_adds(&self) -> u64 {
        let forward = self.nodes.iter().filter(|n| n.phase == Phase::Forward);
        forward.map(|node| self.node_multiply_adds(node)).fold(0, u64::saturating_add)
    }

    /// Multiply-adds of one node.
    pub fn node_multiply_adds(&self, node: &Node) -> u64 {
        let [inputs, outputs] = self.values_around(node);
        node.operator.multiply_adds(&inputs, &outputs)
    }

    /// Rows, columns and depth of the matrix product of the same size as a node, see [`Operator::as_product`].
    pub fn node_as_product(&self, node: &Node) -> Option<[usize; 3]> {
        let [inputs, outputs] = self.values_around(node);
        node.operator.as_product(&inputs, &outputs)
    }

    /// What a node reads and what it makes.
    fn values_around(&self, node: &Node) -> [Vec<&Value>; 2] {
        [&node.inputs, &node.outputs].map(|values| values.iter().map(|&value| self.value(value)).collect())
    }

    /// Adds nodes under a name: `within("layer1", …)` inside `within("0", …)` names them `layer1.0`.
    pub fn within<T>(&mut self, name: impl Into<String>, add: impl FnOnce(&mut Self) -> T) -> T {
        self.scope.push(name.into());
        let result = add(self);
        self.scope.pop();
        result
    }

    /// Adds nodes or values under no name, wherever the present scope is.
    pub(crate) fn at_root<T>(&mut self, add: impl FnOnce(&mut Self) -> T) -> T {
        let scope = std::mem::take(&mut self.scope);
        let result = add(self);
        self.scope = scope;
        result
    }

    /// The dotted path of the present scope.
    pub fn layer(&self) -> String {
        self.scope.join(".")
    }

    pub(super) fn path(&self, name: &str) -> String {
        match (self.scope.is_empty(), name.is_empty()) {
            (true, _) => name.to_string(),
            (_, true) => self.layer(),
            _ => format!("{}.{name}", self.layer()),
        }
    }

    /// A value that the host uploads before each step. The first node that reads it says if it is too large.
    pub fn input(&mut self, name: &str, shape: impl Into<Shape>, element: Element) -> ValueId {
        let name = self.path(name);
        self.forward_names.insert(name.clone());
        self.add_value(Value {
            name,
            shape: shape.into(),
            element,
            precision: Precision::F32,
            role: Role::Input,
            read_back: false,
            frozen: false,
            init: None,
            part: None,
            needs_gradient: false,
        })
    }

    /// A value that lives across steps, for example a parameter. Its name must be its own.
    ///
    /// # Errors
    /// [`GraphError::NameTaken`], [`GraphError::TooLarge`].
    pub fn persistent(
        &mut self,
        name: &str,
        role: Role,
        shape: impl Into<Shape>,
        element: Element,
        init: Init,
    ) -> Result<ValueId, GraphError> {
        let (name, shape) = (self.path(name), shape.into());
        if !shape.is_countable() {
            return Err(GraphError::TooLarge { layer: name, shape, largest_batch: None });
        }
        if !self.persistent_names.insert(name.clone()) {
            return Err(GraphError::NameTaken(name));
        }
        Ok(self.add_value(Value {
            name,
            shape,
            element,
            precision: Precision::F32,
            role,
            read_back: role == Role::Report,
            frozen: false,
            init: Some(init),
            part: None,
            needs_gradient: role == Role::Parameter,
        }))
    }

    /// A value that is the same in all steps: memory gets it when a session begins, and no checkpoint has it. `words` are its
    /// elements as memory holds them, packed bits 32 to a word.
    ///
    /// # Errors
    /// [`GraphError::ConstantSize`] unless there are as many words as the shape asks for, and as [`Graph::persistent`].
    pub fn constant(
        &mut self,
        name: &str,
        shape: impl Into<Shape>,
        element: Element,
        words: Vec<u32>,
    ) -> Result<ValueId, GraphError> {
        let (shape, given) = (shape.into(), words.len());
        let expected = element.words(shape.elements());
        if given != expected {
            return Err(GraphError::ConstantSize { name: self.path(name), expected, given });
        }
        self.persistent(name, Role::Constant, shape, element, Init::Words(words))
    }

    /// The persistent value of this full name, if there is one.
    pub fn find(&self, name: &str) -> Option<ValueId> {
        self.ids().find(|(_, value)| value.name == name && value.is_persistent()).map(|(id, _)| id)
    }

    /// Where the words that the host writes before each step have their scalars.
    pub fn control_layout(&self) -> &ControlLayout {
        &self.control_layout
    }

    /// Gives a value a name by which others find it, such as what a net makes of its inputs. It costs nothing, and the value is not
    /// read back for it.
    pub fn name_output(&mut self, name: &str, id: ValueId) {
        self.outputs.push((name.to_owned(), id));
    }

    /// The value of this name.
    pub fn output(&self, name: &str) -> Option<ValueId> {
        self.outputs.iter().find(|(output, _)| output == name).map(|(_, id)| *id)
    }

    /// Marks a value as one that is read back after the step.
    pub fn mark_metric(&mut self, id: ValueId) {
        self.values[id.0].read_back = true;
    }

    pub(crate) fn add_value(&mut self, value: Value) -> ValueId {
        self.values.push(value);
        ValueId(self.values.len() - 1)
    }

    /// Adds a part of a value along the outermost axis; it has the value's name. A part of what is given is an activation to those that
    /// look at roles: the whole is what the host uploads or keeps.
    pub fn add_part(&mut self, part: Part, shape: impl Into<Shape>) -> ValueId {
        self.add_part_like(part.of, part, shape)
    }

    /// As [`Graph::add_part`], of a value that lies in the memory of `part.of`, perhaps under another shape.
    pub(crate) fn add_part_like(&mut self, whole: ValueId, part: Part, shape: impl Into<Shape>) -> ValueId {
        let whole = self.value(whole);
        let role = if whole.is_given() { Role::Activation } else { whole.role };
        let value = Value {
            shape: shape.into(),
            role,
            read_back: false,
            init: None,
            part: Some(part),
            needs_gradient: false,
            ..whole.clone()
        };
        self.add_value(value)
    }

    /// The value of which this one is a part, or a part of a part: itself, unless it is one.
    pub fn whole_of(&self, mut id: ValueId) -> ValueId {
        while let Some(part) = self.value(id).part {
            id = part.of;
        }
        id
    }

    /// The value in whose memory this one lies, and at how many bytes from its start: itself, unless it is a window.
    pub(crate) fn memory_of(&self, mut id: ValueId) -> (ValueId, u64) {
        let mut bytes = 0;
        while let Some((whole, offset)) = self.value(id).window() {
            (id, bytes) = (whole, bytes + offset);
        }
        (id, bytes)
    }

    /// Applies an operator and returns all its outputs.
    ///
    /// # Errors
    /// [`GraphError::Shape`] if the operator does not take these values, [`GraphError::TooLarge`] if it makes one that kernels
    /// cannot count.
    pub fn apply(&mut self, operator: impl Operator + 'static, inputs: &[ValueId]) -> Result<Vec<ValueId>, GraphError> {
        self.apply_shared(Rc::new(operator), inputs)
    }

    /// Applies an operator that others may hold too, for example a codec's, and returns all its outputs.
    ///
    /// # Errors
    /// As [`Graph::apply`].
    pub fn apply_shared(&mut self, operator: Rc<dyn Operator>, inputs: &[ValueId]) -> Result<Vec<ValueId>, GraphError> {
        let node = self.make_node(operator, inputs, self.layer())?;
        let outputs = node.outputs.clone();
        self.nodes.push(node);
        Ok(outputs)
    }

    /// Applies an operator that has one output.
    ///
    /// # Errors
    /// As [`Graph::apply`].
    pub fn apply_one(&mut self, operator: impl Operator + 'static, inputs: &[ValueId]) -> Result<ValueId, GraphError> {
        Ok(self.apply(operator, inputs)?[0])
    }

    /// The name, with a number where another value of the forward pass has it: rules and reports know values by their names,
    /// and codecs draw random numbers by them.
    fn own_name(&mut self, name: String) -> String {
        let numbered = (2..).map(|number| format!("{name}{number}"));
        let mut names = std::iter::once(name.clone()).chain(numbered);
        let free = names.find(|name| !self.forward_names.contains(name)).expect("there are enough numbers");
        self.forward_names.insert(free.clone());
        free
    }

    pub(crate) fn make_node(
        &mut self,
        operator: Rc<dyn Operator>,
        inputs: &[ValueId],
        layer: String,
    ) -> Result<Node, GraphError> {
        let phase = self.phase.unwrap_or(Phase::Forward);
        let values: Vec<&Value> = inputs.iter().map(|&v| self.value(v)).collect();
        for value in &values {
            self.check_size(&value.name, &value.shape)?;
        }
        let needs_gradient = phase == Phase::Forward && values.iter().any(|v| v.needs_gradient);
        let outputs = operator.outputs(&values).map_err(|reason| GraphError::Shape {
            layer: layer.clone(),
            operator: operator.name(),
            shapes: values.iter().map(|v| v.shape.clone()).collect(),
            reason,
        })?;
        for output in &outputs {
            self.check_size(&layer, &output.shape)?;
        }
        let usual = match phase {
            Phase::Forward => Role::Activation,
            _ => Role::Gradient,
        };
        let outputs = outputs
            .into_iter()
            .map(|output| {
                let role = output.role.unwrap_or(usual);
                let precision = self.precision_of(&*operator, inputs, phase, &output, role, output.read_back);
                let name = format!("{layer}.{}", output.name);
                let name = if phase == Phase::Forward { self.own_name(name) } else { name };
                self.add_value(Value {
                    name,
                    shape: output.shape,
                    element: output.element,
                    precision,
                    role,
                    read_back: output.read_back,
                    frozen: false,
                    init: None,
                    part: None,
                    needs_gradient: needs_gradient && output.differentiable,
                })
            })
            .collect();
        Ok(Node { operator, layer, phase, inputs: inputs.to_vec(), outputs })
    }

    /// The nodes again, as `rewrite` wants them: the one way to insert nodes in the middle.
    pub(crate) fn take_nodes(&mut self) -> Vec<Node> {
        std::mem::take(&mut self.nodes)
    }

    pub(crate) fn set_nodes(&mut self, nodes: Vec<Node>) {
        self.nodes = nodes;
    }

    pub(crate) fn set_phase(&mut self, phase: Phase) {
        self.phase = Some(phase);
    }

    pub(crate) fn take_saved_tensors(&mut self) -> Vec<SavedTensor> {
        std::mem::take(&mut self.saved_tensors)
    }

    /// Refuses a value that kernels cannot count.
    fn check_size(&self, layer: &str, shape: &Shape) -> Result<(), GraphError> {
        if shape.is_countable() {
            return Ok(());
        }
        let largest_batch = self.largest_batch(shape, MOST_ELEMENTS);
        Err(GraphError::TooLarge { layer: layer.to_owned(), shape: shape.clone(), largest_batch })
    }

    pub(crate) fn value_mut(&mut self, id: ValueId) -> &mut Value {
        &mut self.values[id.0]
    }
}
