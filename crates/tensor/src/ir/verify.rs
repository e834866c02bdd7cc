//! Whether a graph is sound: what every pass may rely on and must leave behind.

use super::{AlongBatch, Element, Graph, Node, OperatorKind, Part, Phase, Precision, Shape, Value, ValueId};

use std::collections::HashMap;
use std::ops::Range;

/// What is wrong with a graph. Each variant names the node or the saved tensor where it shows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// A node reads a value that nothing has made so far.
    #[error("layer `{layer}`: {operator} reads `{value}`, which no node before it makes")]
    NotMade {
        /// Where in the net.
        layer: String,
        /// The operator that reads.
        operator: &'static str,
        /// Name of the value.
        value: String,
    },
    /// A node makes a value that is there already: an input, one that lives across steps, or the output of another node.
    #[error("layer `{layer}`: {operator} makes `{value}`, which is there already")]
    MadeTwice {
        /// Where in the net.
        layer: String,
        /// The operator that makes it the second time.
        operator: &'static str,
        /// Name of the value.
        value: String,
    },
    /// A node reads a value after another has written over it.
    #[error("layer `{layer}`: {operator} reads `{value}` after {writer} has changed it in place")]
    ReadAfterWrite {
        /// Where in the net.
        layer: String,
        /// The operator that reads.
        operator: &'static str,
        /// Name of the value.
        value: String,
        /// The operator that wrote.
        writer: &'static str,
    },
    /// An operator refuses the values that its node reads.
    #[error("layer `{layer}`: {operator} does not take what it reads: {reason}")]
    Refused {
        /// Where in the net.
        layer: String,
        /// The operator.
        operator: &'static str,
        /// What it wants.
        reason: String,
    },
    /// A value has another shape than the operator that makes it says.
    #[error("layer `{layer}`: {operator} makes `{value}` of shape {expected}, but the graph has {found}")]
    Shape {
        /// Where in the net.
        layer: String,
        /// The operator.
        operator: &'static str,
        /// Name of the value.
        value: String,
        /// The shape by the operator's rule.
        expected: Shape,
        /// The shape of the value.
        found: Shape,
    },
    /// A value has elements that the operator that makes it, or the memory that holds it, cannot have.
    #[error("layer `{layer}`: {operator} makes `{value}`: {reason}")]
    Element {
        /// Where in the net.
        layer: String,
        /// The operator.
        operator: &'static str,
        /// Name of the value.
        value: String,
        /// What does not agree.
        reason: String,
    },
    /// A node of the forward pass stands behind one of the backward pass.
    #[error("layer `{layer}`: {operator} is of the forward pass, but stands behind {before} of the backward pass")]
    Phase {
        /// Where in the net.
        layer: String,
        /// The operator.
        operator: &'static str,
        /// The operator of the backward pass.
        before: &'static str,
    },
    /// A saved tensor does not agree with its source.
    #[error("the saved tensor of `{value}` {reason}")]
    Saved {
        /// Name of the source.
        value: String,
        /// What does not agree.
        reason: String,
    },
}

/// Checks a graph, in time linear in its nodes and values: every value is made before it is read, and once; none is read after a
/// write in place that destroyed it; shapes and elements are those of the operators' rules; no node of the forward pass
/// stands behind one of the backward pass; saved tensors agree with their sources.
///
/// # Errors
/// The first [`Fault`] in the order of the nodes.
pub fn verify(graph: &Graph) -> Result<(), Fault> {
    let mut check = Check::new(graph);
    graph.nodes().iter().try_for_each(|node| check.node(node))?;
    saved_tensors(graph)
}

struct Check<'g> {
    graph: &'g Graph,
    /// Whether each value is there.
    made: Vec<bool>,
    /// The value in whose memory each lies: what a view is of.
    root: Vec<ValueId>,
    /// By root, the node that changed the value in place, after which it is not what was made.
    changed_by: Vec<Option<&'g Node>>,
    /// How many parts of each value nodes have yet to make; the last of them makes the whole.
    parts_to_come: Vec<usize>,
    /// The bytes of each value that were made in windows.
    windows: HashMap<ValueId, Vec<Range<u64>>>,
    /// A node of the backward pass.
    backward: Option<&'g Node>,
}

impl<'g> Check<'g> {
    fn new(graph: &'g Graph) -> Self {
        let mut made: Vec<bool> = graph.ids().map(|(_, value)| value.is_given()).collect();
        // A pass will store it, so it may be read before something makes it.
        graph.saved_tensors().iter().for_each(|saved| made[saved.decoded.index()] = true);
        let root = graph.ids().map(|(id, _)| graph.memory_of(id).0).collect();
        let mut parts_to_come = vec![0; graph.values().len()];
        for &output in graph.nodes().iter().flat_map(|node| &node.outputs) {
            let mut part = graph.value(output).part;
            while let Some(Part { of: whole, .. }) = part {
                parts_to_come[whole.index()] += 1;
                // The first part of a part announces that one, too.
                part = graph.value(whole).part.filter(|_| parts_to_come[whole.index()] == 1);
            }
        }
        Self {
            graph,
            made,
            root,
            changed_by: vec![None; graph.values().len()],
            parts_to_come,
            windows: HashMap::new(),
            backward: None,
        }
    }

    fn node(&mut self, node: &'g Node) -> Result<(), Fault> {
        let (layer, operator) = (|| node.layer.clone(), node.operator.name());
        match (node.phase, self.backward) {
            (Phase::Forward, Some(before)) => {
                return Err(Fault::Phase { layer: layer(), operator, before: before.operator.name() });
            }
            (Phase::Backward, None) => self.backward = Some(node),
            _ => {}
        }
        for &input in &node.inputs {
            let value = || self.graph.value(input).name.clone();
            let whole = self.graph.memory_of(input).0;
            if !self.made[input.index()] && !self.made[whole.index()] && !self.window_is_made(input) {
                return Err(Fault::NotMade { layer: layer(), operator, value: value() });
            }
            if let Some(writer) = self.changed_by[self.root[input.index()].index()]
                .filter(|writer| spoils(self.graph, writer, node, self.graph.value(whole)))
            {
                return Err(Fault::ReadAfterWrite {
                    layer: layer(),
                    operator,
                    value: value(),
                    writer: writer.operator.name(),
                });
            }
        }
        self.outputs(node)?;
        for &index in node.operator.mutates() {
            if let Some(input) = node.inputs.get(index) {
                self.changed_by[self.root[input.index()].index()] = Some(node);
            }
        }
        if let (true, Some(&input), Some(&output)) =
            (node.operator.kind() == OperatorKind::View, node.inputs.first(), node.outputs.first())
        {
            self.root[output.index()] = self.root[input.index()];
        }
        Ok(())
    }

    /// Whether windows that were made cover one.
    fn window_is_made(&self, id: ValueId) -> bool {
        let (whole, start) = self.graph.memory_of(id);
        let end = start + self.graph.value(id).bytes();
        let covers = |made: &Range<u64>| made.start <= start && end <= made.end;
        self.windows.get(&whole).is_some_and(|windows| windows.iter().any(covers))
    }

    /// Notes that a window was made; what lies side by side becomes one.
    fn make_window(&mut self, id: ValueId) {
        let (whole, start) = self.graph.memory_of(id);
        let end = start + self.graph.value(id).bytes();
        let windows = self.windows.entry(whole).or_default();
        match windows.iter_mut().find(|made| made.end == start) {
            Some(made) => made.end = end,
            None => windows.push(start..end),
        }
    }

    /// What a node makes is new, and what its operator says.
    fn outputs(&mut self, node: &Node) -> Result<(), Fault> {
        let (layer, operator) = (|| node.layer.clone(), node.operator.name());
        let inputs: Vec<&Value> = node.inputs.iter().map(|&input| self.graph.value(input)).collect();
        let refused = |reason| Fault::Refused { layer: layer(), operator, reason };
        let expected = node.operator.outputs(&inputs).map_err(refused)?;
        if expected.len() != node.outputs.len() {
            let reason = format!("it makes {} values, but the node has {}", expected.len(), node.outputs.len());
            return Err(Fault::Refused { layer: layer(), operator, reason });
        }
        for (&output, expected) in node.outputs.iter().zip(expected) {
            let value = self.graph.value(output);
            let name = || value.name.clone();
            if std::mem::replace(&mut self.made[output.index()], true) {
                return Err(Fault::MadeTwice { layer: layer(), operator, value: name() });
            }
            if value.window().is_some() {
                self.make_window(output);
            }
            let mut part = value.part;
            while let Some(Part { of: whole, .. }) = part {
                self.parts_to_come[whole.index()] -= 1;
                if self.parts_to_come[whole.index()] > 0 {
                    break;
                }
                self.made[whole.index()] = true;
                part = self.graph.value(whole).part;
            }
            if value.shape != expected.shape {
                let (expected, found) = (expected.shape, value.shape.clone());
                return Err(Fault::Shape { layer: layer(), operator, value: name(), expected, found });
            }
            let half = value.precision == Precision::F16;
            let reason = match (value.element, expected.element) {
                (found, wanted) if found != wanted => Some(format!("of {wanted:?}, but the graph has {found:?}")),
                (Element::F32, _) if half && expected.always_f32 => Some("always in f32, but memory holds f16".into()),
                (element, _) if half && element != Element::F32 => Some(format!("memory holds {element:?} in f16")),
                _ => None,
            };
            if let Some(reason) = reason {
                return Err(Fault::Element { layer: layer(), operator, value: name(), reason });
            }
        }
        Ok(())
    }
}

/// Saved tensors are of what the forward pass has, and like their sources.
fn saved_tensors(graph: &Graph) -> Result<(), Fault> {
    let mut forward: Vec<bool> = graph.ids().map(|(_, value)| value.is_given()).collect();
    for node in graph.nodes().iter().filter(|node| node.phase == Phase::Forward) {
        node.outputs.iter().for_each(|output| forward[output.index()] = true);
    }
    for saved in graph.saved_tensors() {
        let [source, decoded] = [saved.source, saved.decoded].map(|id| graph.value(id));
        let fault = |reason: String| Fault::Saved { value: source.name.clone(), reason };
        if !forward[saved.source.index()] {
            return Err(fault("is of a value that the forward pass does not make".into()));
        }
        if source.shape != decoded.shape {
            return Err(fault(format!("has shape {}, but its source has {}", decoded.shape, source.shape)));
        }
        if (source.element, source.precision) != (decoded.element, decoded.precision) {
            return Err(fault("has other elements than its source".into()));
        }
    }
    Ok(())
}

/// Whether a value that one node changed is no longer what the reader wants: a step's own value is used up by that, unless the
/// writer added a slice's share to it, and one that lives across steps has moved on once an update has changed it.
fn spoils(graph: &Graph, writer: &Node, reader: &Node, value: &Value) -> bool {
    let inputs: Vec<&Value> = writer.inputs.iter().map(|&input| graph.value(input)).collect();
    let adds_share = writer.operator.along_batch(&inputs) != AlongBatch::Whole;
    (!value.is_persistent() && !adds_share) || (writer.phase == Phase::Update && reader.phase != Phase::Update)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{Init, Need, Operator, Output, SavedTensor};
    use crate::ops::optimizer::{Optimizer, Sgd};

    /// A step with two parameters, saved tensors and updates: y = relu(relu(x·u)·w), with its gradients.
    fn step() -> Graph {
        let mut g = Graph::new();
        let x = g.input("x", [3, 5], Element::F32);
        let u = g.parameter("u", [4, 5], Init::Constant(0.0)).unwrap();
        let w = g.parameter("w", [4, 4], Init::Constant(0.0)).unwrap();
        let product = g.linear(x, u).unwrap();
        let hidden = g.relu(product).unwrap();
        let product = g.linear(hidden, w).unwrap();
        let y = g.relu(product).unwrap();
        let dy = g.input("dy", [3, 4], Element::F32);
        let gradients = g.differentiate(&[(y, Some(dy))]).unwrap();
        let sgd = Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 };
        g.update(Optimizer::Sgd(sgd), &gradients).unwrap();
        g
    }

    /// The position of the first node of a phase.
    fn first(g: &Graph, phase: Phase) -> usize {
        g.nodes.iter().position(|node| node.phase == phase).unwrap()
    }

    /// The fault that a change brings about.
    fn found(change: impl FnOnce(&mut Graph)) -> String {
        let mut g = step();
        assert_eq!(verify(&g), Ok(()));
        change(&mut g);
        verify(&g).expect_err("the fault is found").to_string()
    }

    #[test]
    fn a_value_that_is_read_before_it_is_made_is_found() {
        let text = found(|g| g.nodes.swap(0, 1));
        assert_eq!(text, "layer ``: relu reads `.product`, which no node before it makes");
    }

    #[test]
    fn a_value_that_is_made_twice_is_found() {
        let text = found(|g| g.nodes[1].outputs = g.nodes[0].outputs.clone());
        assert!(text.ends_with("makes `.product`, which is there already"), "{text}");
        let text = found(|g| g.nodes[1].outputs = vec![g.find("w").unwrap()]);
        assert!(text.ends_with("makes `w`, which is there already"), "{text}");
    }

    /// An update that runs before the last node that reads the parameter as it was.
    #[test]
    fn a_read_after_an_update_is_found() {
        let text = found(|g| {
            let w = g.find("w").unwrap();
            let is_update = |node: &Node| node.phase == Phase::Update && node.inputs[0] == w;
            let update = g.nodes.iter().position(is_update).unwrap();
            let mut update = g.nodes.remove(update);
            // It reads what is there by then.
            update.inputs[1] = w;
            g.nodes.insert(first(g, Phase::Backward), update);
        });
        assert_eq!(text, "layer ``: matrix product reads `w` after SGD has changed it in place");
    }

    /// Adds one to its input in place; makes nothing.
    #[derive(Debug)]
    struct Increment;

    impl Operator for Increment {
        fn name(&self) -> &'static str {
            "increment"
        }

        fn outputs(&self, _inputs: &[&Value]) -> Result<Vec<Output>, String> {
            Ok(vec![])
        }

        fn mutates(&self) -> &'static [usize] {
            &[0]
        }

        fn kernels(&self, _context: &crate::ir::KernelContext) -> Vec<crate::ir::Kernel> {
            vec![]
        }
    }

    /// Also where it is read under another shape: a view lies in the same memory.
    #[test]
    fn a_read_of_what_was_written_over_is_found() {
        let mut g = Graph::new();
        let x = g.input("x", [3, 4], Element::F32);
        let y = g.relu(x).unwrap();
        let flat = g.reshape(y, [12]).unwrap();
        g.apply(Increment, &[y]).unwrap();
        assert_eq!(verify(&g), Ok(()));
        g.relu(flat).unwrap();
        let text = verify(&g).unwrap_err().to_string();
        assert_eq!(text, "layer ``: relu reads `.reshaped` after increment has changed it in place");
    }

    #[test]
    fn a_shape_that_is_not_the_operators_is_found() {
        let text = found(|g| {
            let product = g.nodes[0].outputs[0];
            g.value_mut(product).shape = [3, 9].into();
        });
        assert_eq!(text, "layer ``: matrix product makes `.product` of shape 3×4, but the graph has 3×9");
        let text = found(|g| {
            let x = g.nodes[0].inputs[0];
            g.value_mut(x).shape = [3, 9].into();
        });
        assert!(text.starts_with("layer ``: matrix product does not take what it reads: "), "{text}");
    }

    #[test]
    fn an_element_that_is_not_the_operators_is_found() {
        let element = |change: fn(&mut Value)| {
            found(|g| {
                let product = g.nodes[0].outputs[0];
                change(g.value_mut(product));
            })
        };
        let text = element(|value| value.element = Element::U32);
        assert_eq!(text, "layer ``: matrix product makes `.product`: of F32, but the graph has U32");
    }

    #[test]
    fn a_node_of_the_forward_pass_behind_the_backward_pass_is_found() {
        let text = found(|g| {
            let backward = first(g, Phase::Backward);
            g.nodes.insert(backward + 1, g.nodes[1].clone());
        });
        assert!(text.starts_with("layer ``: relu is of the forward pass, but stands behind relu gradient"), "{text}");
    }

    #[test]
    fn a_saved_tensor_unlike_its_source_is_found() {
        let text = found(|g| {
            let SavedTensor { decoded, .. } = g.saved_tensors[0];
            g.value_mut(decoded).shape = [1].into();
        });
        assert!(text.contains("has shape 1, but its source has"), "{text}");
        let text = found(|g| {
            let made_later = g.nodes[first(g, Phase::Backward)].outputs[0];
            g.save(made_later, Need::Values);
        });
        assert!(text.ends_with("is of a value that the forward pass does not make"), "{text}");
    }
}
