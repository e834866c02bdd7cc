//! Which nodes run slice by slice, and which of them together.

use super::counted;
use crate::ir::{ALIGNMENT, AlongBatch, Element, Graph, Node, OperatorKind, Phase, Role, Value, ValueId};
use std::collections::{HashMap, HashSet};

/// How a node of a step goes along the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Whole,
    Map,
    Sum,
}

/// A node, and how it runs.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub node: Node,
    pub kind: Kind,
    /// The places of inputs that each slice reads in full.
    pub whole: Vec<usize>,
    /// The places of outputs of which each slice makes a part.
    pub mapped: Vec<usize>,
}

impl Item {
    fn is_view(&self) -> bool {
        self.node.operator.kind() == OperatorKind::View
    }

    /// The outputs of which each slice makes a part.
    pub fn parts(&self) -> impl Iterator<Item = ValueId> {
        self.mapped.iter().map(|&place| self.node.outputs[place])
    }

    /// The outputs that exist in full from the first slice on.
    pub fn in_full(&self) -> impl Iterator<Item = ValueId> {
        let outputs = self.node.outputs.iter().enumerate();
        outputs.filter(|(place, _)| !self.mapped.contains(place)).map(|(_, &output)| output)
    }

    fn run_whole(&mut self) {
        *self = Self { kind: Kind::Whole, whole: Vec::new(), mapped: Vec::new(), node: self.node.clone() };
    }

    /// The inputs of which a slice reads its part.
    pub fn sliced(&self) -> impl Iterator<Item = ValueId> {
        let inputs = self.node.inputs.iter().enumerate();
        inputs.filter(|(place, _)| !self.whole.contains(place)).map(|(_, &input)| input)
    }
}

/// Nodes that run slice by slice, and the whole ones that follow them.
#[derive(Clone, Debug, Default)]
pub(super) struct Stretch {
    pub sliced: Vec<Item>,
    pub then: Vec<Node>,
}

/// A step in stretches.
#[derive(Clone, Debug, Default)]
pub(super) struct Stretches {
    pub batch: usize,
    pub list: Vec<Stretch>,
    /// Values that must lie in memory in one: what something reads in full.
    pub in_one: HashSet<ValueId>,
    /// Packed words that a map makes: each slice has a layout of its own.
    pub packed: HashSet<ValueId>,
    /// The stretch in which a map makes a value.
    pub made_in: HashMap<ValueId, usize>,
    /// Values that are others under another shape.
    pub view_of: HashMap<ValueId, ValueId>,
}

/// When a value is there: for a slice of a stretch that reads its part, and for one that reads all of it.
#[derive(Clone, Copy, Debug, Default)]
struct Available {
    part: usize,
    whole: usize,
}

impl Stretches {
    pub fn of(graph: &Graph, nodes: Vec<Node>, updates: &[Node], samples: usize) -> Self {
        let (items, packed) = classify(graph, nodes, updates, samples);
        let mut this = Self { batch: graph.batch(), packed, ..Self::default() };
        for item in &items {
            match item.kind {
                Kind::Whole => this.in_one.extend(&item.node.inputs),
                _ => this.in_one.extend(item.whole.iter().map(|&place| item.node.inputs[place])),
            }
            this.in_one.extend(item.in_full());
        }
        this.in_one.extend(updates.iter().flat_map(|update| &update.inputs));
        this.in_one.extend(graph.ids().filter(|(_, value)| value.is_given() || value.is_metric()).map(|(id, _)| id));
        this.gather(graph, items);
        this
    }

    /// The value that one is, perhaps under another shape.
    pub fn root(&self, mut id: ValueId) -> ValueId {
        while let Some(&of) = self.view_of.get(&id) {
            id = of;
        }
        id
    }

    /// How many nodes run in slices, in how many stretches.
    pub fn counts(&self) -> String {
        let filled = || self.list.iter().filter(|stretch| !stretch.sliced.is_empty());
        let nodes = filled().map(|stretch| stretch.sliced.len()).sum();
        format!("{} in {}", counted(nodes, "node"), counted_stretches(filled().count()))
    }

    fn gather(&mut self, graph: &Graph, items: Vec<Item>) {
        let mut available: HashMap<ValueId, Available> = HashMap::new();
        // From which stretch on a value can be made, if what is decoded is decoded anew.
        let mut earliest: HashMap<ValueId, Available> = HashMap::new();
        // The first stretch of the backward pass.
        let mut backward = None;
        // Whole nodes that need nothing of a slice follow stretch 0, which has no others.
        let mut now = 1;
        self.grow(now);
        for item in items {
            if item.is_view() && item.kind == Kind::Map {
                let [of, view] = [item.node.inputs[0], item.node.outputs[0]];
                self.view_of.insert(view, of);
                available.insert(view, available.get(&of).copied().unwrap_or_default());
                earliest.insert(view, earliest.get(&of).copied().unwrap_or_default());
                continue;
            }
            let phase = item.node.phase;
            if phase != Phase::Forward && backward.is_none() {
                now += 1;
                self.grow(now);
                backward = Some(now);
            }
            let first = backward.filter(|_| phase != Phase::Forward).unwrap_or(1);
            let needs = |when: &HashMap<ValueId, Available>| {
                let inputs = item.node.inputs.iter().enumerate();
                let at = inputs.map(|(place, input)| {
                    let Available { part, whole } = when.get(input).copied().unwrap_or_default();
                    let reads_all = item.kind == Kind::Whole || item.whole.contains(&place);
                    if reads_all { whole } else { part }
                });
                at.fold(first, usize::max)
            };
            let (at, least) = (needs(&available), needs(&earliest));
            if item.kind == Kind::Whole {
                let changed = item.node.operator.mutates().iter().filter_map(|&place| item.node.inputs.get(place));
                let changed: Vec<ValueId> = changed.copied().collect();
                // It follows the stretch before the first that could read what it makes.
                let follows = if changed.is_empty() { at - 1 } else { now.max(at - 1) };
                self.grow(follows);
                for &output in item.node.outputs.iter().chain(&changed) {
                    let there = Available { part: follows + 1, whole: follows + 1 };
                    available.insert(output, there);
                    earliest.insert(output, there);
                }
                self.list[follows].then.push(item.node);
                continue;
            }
            let reduces = item.kind == Kind::Sum || is_reduction(graph, &item);
            let stretch = if reduces && least < now { least } else { now.max(at) };
            self.grow(stretch);
            now = now.max(stretch);
            for (place, &output) in item.node.outputs.iter().enumerate() {
                let part = if item.mapped.contains(&place) { stretch } else { stretch + 1 };
                let there = Available { part, whole: stretch + 1 };
                available.insert(output, there);
                let again = is_decoded(graph, &item) && !self.in_one.contains(&output);
                earliest.insert(output, if again { Available { part: least, whole: there.whole } } else { there });
                if item.kind == Kind::Map {
                    self.made_in.insert(output, stretch);
                }
            }
            self.list[stretch].sliced.push(item);
        }
    }

    fn grow(&mut self, stretch: usize) {
        let needed = self.list.len().max(stretch + 1);
        self.list.resize(needed, Stretch::default());
    }
}

fn counted_stretches(count: usize) -> String {
    format!("{count} stretch{}", if count == 1 { "" } else { "es" })
}

/// Whether a node only takes a value out of its stored form, or makes it of such in a pass over the elements.
pub(super) fn is_decoded(graph: &Graph, item: &Item) -> bool {
    item.kind == Kind::Map
        && item.node.phase == Phase::Backward
        && item.node.outputs.iter().all(|&output| graph.value(output).role == Role::Stored)
        && graph.node_multiply_adds(&item.node) == 0
}

/// Whether a map makes little of much, such as the sums of planes: then it may run where what it reads is made.
fn is_reduction(graph: &Graph, item: &Item) -> bool {
    let bytes = |ids: &mut dyn Iterator<Item = ValueId>| ids.map(|id| graph.value(id).bytes()).min().unwrap_or(0);
    let made: u64 = item.node.outputs.iter().map(|&id| graph.value(id).bytes()).sum();
    4 * made <= bytes(&mut item.sliced())
}

/// Says of each node how it goes along the batch, and which values are packed words of slices.
fn classify(graph: &Graph, nodes: Vec<Node>, updates: &[Node], samples: usize) -> (Vec<Item>, HashSet<ValueId>) {
    let batch = graph.batch();
    let mut of_batch: HashSet<ValueId> = HashSet::new();
    let is_input = |value: &Value| value.role == Role::Input && value.name != crate::step::CONTROL;
    of_batch.extend(graph.ids().filter(|(_, value)| is_input(value)).map(|(id, _)| id));
    let divides = |value: &Value| {
        let outermost = value.shape.extents().first().copied().unwrap_or(0);
        outermost > 0 && outermost.is_multiple_of(batch) && value.shape.rank() > 1
    };
    let is_packed = |value: &Value| value.element != Element::F32 && value.shape.rank() == 1;
    let mut packed: HashSet<ValueId> = HashSet::new();
    let mut items: Vec<Item> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let value = |&id: &ValueId| graph.value(id);
        let related = node.inputs.iter().any(|input| of_batch.contains(input));
        if related {
            let made = node.outputs.iter().filter(|&&id| graph.value(id).role != Role::ParameterGradient);
            of_batch.extend(made);
        }
        let inputs: Vec<&Value> = node.inputs.iter().map(value).collect();
        let (kind, whole, mapped) = match node.operator.along_batch(&inputs) {
            AlongBatch::Map { whole } => (Kind::Map, whole, (0..node.outputs.len()).collect()),
            AlongBatch::Sum { whole, mapped } => (Kind::Sum, whole, mapped),
            AlongBatch::Whole => (Kind::Whole, Vec::new(), Vec::new()),
        };
        let mut inputs = node.inputs.iter().enumerate().filter(|(place, _)| !whole.contains(place));
        let inputs_divide = inputs.all(|(_, input)| packed.contains(input) || divides(value(input)));
        let outputs_divide =
            mapped.iter().map(|&place| value(&node.outputs[place])).all(|value| divides(value) || is_packed(value));
        let fits = match kind {
            Kind::Map => outputs_divide && node.operator.mutates().is_empty(),
            Kind::Sum => outputs_divide && node.operator.adding().is_some(),
            Kind::Whole => false,
        };
        let reads_metric = node.outputs.iter().any(|&id| graph.value(id).role == Role::ParameterGradient);
        let fits = fits && related && inputs_divide && !(kind == Kind::Map && reads_metric);
        let mut item = Item { node, kind, whole, mapped };
        if fits {
            packed.extend(item.parts().filter(|&id| is_packed(graph.value(id))));
        } else {
            item.run_whole();
        }
        items.push(item);
    }
    settle(graph, &mut items, &mut packed, updates, samples);
    (items, packed)
}

/// Of the widest value's bytes, the share up to which a node's values are small: slices gain nothing there.
const SMALL: u64 = 16;

/// Runs whole what would have to lie in one and cannot in slices of so many samples: packed words, views, and small values whose parts
/// would begin where no binding may, such as logits.
fn settle(graph: &Graph, items: &mut [Item], packed: &mut HashSet<ValueId>, updates: &[Node], samples: usize) {
    let bytes = |id: ValueId| graph.value(id).bytes();
    let given: HashSet<ValueId> = graph.ids().filter(|(_, value)| value.is_given()).map(|(id, _)| id).collect();
    let widest = items.iter().flat_map(|item| &item.node.outputs).map(|&id| bytes(id)).max().unwrap_or(0);
    let misaligned = |id: ValueId| {
        let value = graph.value(id);
        let offset = value.bytes_of(value.shape.elements() / graph.batch() * samples);
        offset.is_none_or(|offset| !offset.is_multiple_of(ALIGNMENT))
    };
    loop {
        let mut in_one: HashSet<ValueId> = updates.iter().flat_map(|update| update.inputs.iter().copied()).collect();
        in_one.extend(graph.ids().filter(|(_, value)| value.is_metric()).map(|(id, _)| id));
        in_one.extend(&given);
        for item in items.iter() {
            match item.kind {
                Kind::Whole => in_one.extend(item.node.inputs.iter().chain(&item.node.outputs)),
                _ => in_one.extend(item.whole.iter().map(|&place| item.node.inputs[place])),
            }
        }
        let mut changed = false;
        let mut unpacked: HashSet<ValueId> = HashSet::new();
        for item in items.iter_mut().filter(|item| item.kind != Kind::Whole) {
            let stuck = |output: ValueId| in_one.contains(&output) && (item.is_view() || packed.contains(&output));
            let parts = || item.sliced().chain(item.parts());
            let apart = |id: ValueId| in_one.contains(&id) && !packed.contains(&id) && misaligned(id);
            let small = || parts().all(|id| SMALL * bytes(id) <= widest);
            let views_one =
                item.is_view() && item.sliced().any(|input| in_one.contains(&input) && !given.contains(&input));
            if item.parts().any(stuck)
                || item.sliced().any(|input| unpacked.contains(&input))
                || views_one
                || (parts().any(apart) && small())
            {
                unpacked.extend(item.parts().filter(|id| packed.contains(id)));
                item.run_whole();
                changed = true;
            }
        }
        packed.retain(|id| !unpacked.contains(id));
        if !changed {
            return;
        }
    }
}
