//! A parameter and everything that has its rows.

use crate::ir::ALIGNMENT;
use crate::ir::{Graph, Node, OperatorKind, Phase, Readers, ValueId};
use crate::ops::optimizer::BLOCK;
use std::collections::BTreeMap;

/// What a node does with a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// It multiplies the parameter, its input of this place.
    Product(usize),
    /// It makes the gradient.
    Gradient,
    /// It works on members element by element.
    Elementwise,
    /// It adds up something over the elements of members; updates may wait for that.
    Sum { awaited: bool },
    /// It needs a member as a whole.
    Whole,
}

/// A parameter, its gradient, the states of its optimiser, its average: matrices of one shape, and scales of blocks of their elements,
/// that products and updates alone read and make.
#[derive(Debug)]
pub(super) struct Family {
    pub parameter: ValueId,
    /// Rows and columns.
    pub extents: [usize; 2],
    /// The gradient, if a product makes it.
    pub gradient: Option<ValueId>,
    /// What nodes do with it, by their positions.
    pub uses: BTreeMap<usize, Use>,
    members: Vec<ValueId>,
}

impl Family {
    /// The family of a parameter, if that is a matrix.
    pub fn of(graph: &Graph, nodes: &[Node], readers: &Readers, parameter: ValueId) -> Option<Self> {
        let extents = graph.shape(parameter).matrix()?;
        let mut family = Self { parameter, extents, gradient: None, uses: BTreeMap::new(), members: vec![parameter] };
        let mut next = 0;
        while let Some(&member) = family.members.get(next) {
            next += 1;
            for &position in readers.of_value(member) {
                let found = family.use_of(&nodes[position], member);
                if matches!(found, Use::Elementwise | Use::Sum { .. }) {
                    family.join(elementwise(&nodes[position]));
                }
                family.note(position, found);
            }
        }
        for (position, node) in nodes.iter().enumerate() {
            for output in &node.outputs {
                if family.members.contains(output) {
                    let is_product = matches!(node.operator.kind(), OperatorKind::MatrixProduct { .. });
                    let first = family.gradient.replace(*output).is_none();
                    family.note(position, if is_product && first { Use::Gradient } else { Use::Whole });
                }
            }
        }
        Some(family)
    }

    /// Elements of which cuts must be multiples, so that blocks of all members begin at multiples of [`ALIGNMENT`].
    pub fn grain(&self, graph: &Graph) -> usize {
        let aligned = ALIGNMENT as usize;
        let of = |&member: &ValueId| {
            let value = graph.value(member);
            match value.shape.matrix() {
                Some(extents) if extents == self.extents => value.element.elements(aligned),
                scales => BLOCK * (aligned / 4).div_ceil(scales.map_or(1, |[_, moments]| moments)),
            }
        };
        self.members.iter().map(of).max().unwrap_or(1)
    }

    /// Whether every node that reads or makes a member can do so block by block.
    pub fn can_be_cut(&self) -> bool {
        !self.uses.values().any(|found| *found == Use::Whole)
    }

    /// Whether the gradient is of use to updates alone, which take it element by element.
    pub fn gradient_dies_by_rows(&self, nodes: &[Node]) -> bool {
        let Some(gradient) = self.gradient else { return false };
        self.uses.iter().all(|(&position, found)| {
            let node = &nodes[position];
            let touches = node.inputs.contains(&gradient) || node.outputs.contains(&gradient);
            match found {
                Use::Gradient => true,
                Use::Elementwise | Use::Sum { awaited: false } => !touches || node.phase == Phase::Update,
                _ => !touches,
            }
        })
    }

    /// The last node before the updates that reads the parameter.
    pub fn last_reader(&self, nodes: &[Node]) -> Option<usize> {
        let reads = |position: &usize| {
            let node = &nodes[*position];
            node.phase != Phase::Update && node.inputs.contains(&self.parameter)
        };
        self.uses.keys().copied().filter(reads).max()
    }

    fn use_of(&self, node: &Node, member: ValueId) -> Use {
        let places = || node.inputs.iter().enumerate().filter(|(_, input)| **input == member).map(|(place, _)| place);
        match node.operator.kind() {
            OperatorKind::ElementwiseUpdate(along)
                if node.outputs.is_empty() && places().all(|place| along.contains(&place)) =>
            {
                Use::Elementwise
            }
            OperatorKind::SumOfElements { along, awaited, .. } if places().all(|place| along.contains(&place)) => {
                Use::Sum { awaited }
            }
            // A block of rows of the first factor makes rows of the product, which nothing puts together.
            OperatorKind::MatrixProduct { transpose_a: true, .. } if places().eq([0]) => Use::Product(0),
            OperatorKind::MatrixProduct { .. } if places().eq([1]) => Use::Product(1),
            _ => Use::Whole,
        }
    }

    fn join<'n>(&mut self, values: impl Iterator<Item = &'n ValueId>) {
        for value in values {
            if !self.members.contains(value) {
                self.members.push(*value);
            }
        }
    }

    /// A node that uses members in two ways needs them whole, unless both are the same.
    fn note(&mut self, position: usize, found: Use) {
        let known = self.uses.entry(position).or_insert(found);
        if *known != found {
            *known = Use::Whole;
        }
    }
}

/// The inputs that an update or a sum goes through element by element.
pub(super) fn elementwise(node: &Node) -> impl Iterator<Item = &ValueId> {
    let along = match node.operator.kind() {
        OperatorKind::ElementwiseUpdate(along) | OperatorKind::SumOfElements { along, .. } => along,
        _ => &[],
    };
    along.iter().filter_map(|&place| node.inputs.get(place))
}
