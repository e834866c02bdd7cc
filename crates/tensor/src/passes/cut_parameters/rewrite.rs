//! Nodes that work on blocks of rows in the place of nodes that work on matrices.

use super::Cuts;
use super::family::{Family, Use, elementwise};
use crate::ir::{Graph, GraphError, Node, OperatorKind, Part, Precision, ValueId};
use crate::ops::add::Add;
use crate::ops::concat::Concat;
use crate::ops::optimizer::BLOCK;
use crate::ops::slice::Slice;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::rc::Rc;

/// A graph on its way from matrices to blocks.
pub(super) struct Rewrite<'g> {
    graph: &'g mut Graph,
    nodes: &'g [Node],
    /// What comes in the place of nodes.
    instead: HashMap<usize, Vec<Node>>,
    /// What comes behind nodes.
    behind: HashMap<usize, Vec<Node>>,
    /// The blocks that there are: of which value, from which row, and how many.
    blocks: HashMap<(ValueId, usize, usize), ValueId>,
    /// Rows and columns of the family that is being cut.
    extents: [usize; 2],
}

impl<'g> Rewrite<'g> {
    pub fn new(graph: &'g mut Graph, nodes: &'g [Node]) -> Self {
        Self { graph, nodes, instead: HashMap::new(), behind: HashMap::new(), blocks: HashMap::new(), extents: [0; 2] }
    }

    pub fn graph(&self) -> &Graph {
        self.graph
    }

    /// Cuts a family; does nothing and says `false` if another family has cut one of its nodes already.
    pub fn cut(&mut self, family: &Family, cuts: &Cuts) -> Result<bool, GraphError> {
        let of_gradient = |node: &Node| family.gradient.is_some_and(|gradient| node.inputs.contains(&gradient));
        let touched: Vec<(usize, Use)> = family
            .uses
            .iter()
            .map(|(&position, &found)| (position, found))
            .filter(|&(position, found)| {
                let with_gradient = found == Use::Gradient || of_gradient(&self.nodes[position]);
                cuts.products.is_some() || with_gradient
            })
            .collect();
        if touched.iter().any(|(position, _)| self.instead.contains_key(position)) {
            return Ok(false);
        }
        self.extents = family.extents;
        let piece = family.gradient.filter(|_| cuts.in_pieces);
        for (position, found) in touched {
            let node = self.nodes[position].clone();
            self.graph.set_phase(node.phase);
            let with_gradient = found == Use::Gradient || of_gradient(&node);
            let ranges = match &cuts.products {
                Some(products) if !with_gradient => products,
                _ => &cuts.gradient,
            };
            let made = match found {
                Use::Product(place) => self.product(&node, place, ranges)?,
                Use::Gradient => self.gradient(&node, ranges, piece)?,
                Use::Elementwise => self.elementwise(&node, ranges, piece),
                Use::Sum { .. } => self.sum(&node, ranges, piece)?,
                Use::Whole => unreachable!("such a family is not cut"),
            };
            // Behind the last that reads the parameter as it was, so that each update can follow its block at once.
            match family
                .last_reader(self.nodes)
                .filter(|&last| found == Use::Gradient && cuts.in_pieces && last > position)
            {
                Some(last) => {
                    self.behind.entry(last).or_default().extend(made);
                    self.instead.insert(position, Vec::new());
                }
                None => {
                    self.instead.insert(position, made);
                }
            }
        }
        Ok(true)
    }

    /// All nodes in their order.
    pub fn finish(mut self) -> Vec<Node> {
        let mut nodes = Vec::with_capacity(self.nodes.len());
        for (position, node) in self.nodes.iter().enumerate() {
            match self.instead.remove(&position) {
                Some(instead) => nodes.extend(instead),
                None => nodes.push(node.clone()),
            }
            nodes.extend(self.behind.remove(&position).unwrap_or_default());
        }
        nodes
    }

    /// A product with the parameter: its blocks make columns that are put together, or summands.
    fn product(&mut self, node: &Node, place: usize, ranges: &[Range<usize>]) -> Result<Vec<Node>, GraphError> {
        let OperatorKind::MatrixProduct { transpose_a, transpose_b } = node.operator.kind() else {
            unreachable!("families know products by their kind");
        };
        let mut made = Vec::new();
        let mut products = Vec::new();
        // Rows of the parameter are columns of what is made, or else the depth of the product.
        let columns = place == 1 && transpose_b;
        let other = 1 - place;
        let depth = if other == 0 { usize::from(!transpose_a) } else { usize::from(transpose_b) };
        for range in ranges {
            let mut inputs = node.inputs.clone();
            inputs[place] = self.block(node.inputs[place], range, false);
            if !columns {
                inputs[other] = self.slice(node, node.inputs[other], depth, range, &mut made)?;
            }
            let product = self.graph.make_node(node.operator.clone(), &inputs, node.layer.clone())?;
            if !columns {
                // Sums that go on are not rounded on the way.
                self.graph.value_mut(product.outputs[0]).precision = Precision::F32;
            }
            products.push(product.outputs[0]);
            made.push(product);
        }
        if columns {
            made.push(self.graph.make_node(Rc::new(Concat), &products, node.layer.clone())?);
        } else {
            let mut sum = products[0];
            for &product in &products[1..] {
                let node = self.graph.make_node(Rc::new(Add), &[sum, product], node.layer.clone())?;
                sum = node.outputs[0];
                self.graph.value_mut(sum).precision = Precision::F32;
                made.push(node);
            }
        }
        if let Some(last) = made.last_mut() {
            last.outputs = node.outputs.clone();
        }
        Ok(made)
    }

    /// The product that makes the gradient: rows of its first factor make rows.
    fn gradient(
        &mut self,
        node: &Node,
        ranges: &[Range<usize>],
        piece: Option<ValueId>,
    ) -> Result<Vec<Node>, GraphError> {
        let OperatorKind::MatrixProduct { transpose_a, .. } = node.operator.kind() else {
            unreachable!("families know products by their kind");
        };
        let (gradient, axis) = (node.outputs[0], usize::from(transpose_a));
        let mut made = Vec::new();
        for range in ranges {
            let rows = self.slice(node, node.inputs[0], axis, range, &mut made)?;
            let block = self.block(gradient, range, piece == Some(gradient));
            made.push(Node { inputs: vec![rows, node.inputs[1]], outputs: vec![block], ..node.clone() });
        }
        Ok(made)
    }

    /// An update of each block.
    fn elementwise(&mut self, node: &Node, ranges: &[Range<usize>], piece: Option<ValueId>) -> Vec<Node> {
        let update = |range| Node { inputs: self.inputs_of_block(&node.inputs, node, range, piece), ..node.clone() };
        ranges.iter().map(update).collect()
    }

    /// The sums of one block after the other, each going on from the one before.
    fn sum(&mut self, node: &Node, ranges: &[Range<usize>], piece: Option<ValueId>) -> Result<Vec<Node>, GraphError> {
        let OperatorKind::SumOfElements { inputs: count, .. } = node.operator.kind() else {
            unreachable!("families know sums by their kind");
        };
        let mut made: Vec<Node> = Vec::new();
        let mut so_far: Vec<ValueId> = node.inputs[count..].to_vec();
        for range in ranges {
            let inputs = [self.inputs_of_block(&node.inputs[..count], node, range, piece), so_far].concat();
            let sum = self.graph.make_node(node.operator.clone(), &inputs, node.layer.clone())?;
            so_far = sum.outputs.clone();
            made.push(sum);
        }
        if let Some(last) = made.last_mut() {
            last.outputs = node.outputs.clone();
        }
        Ok(made)
    }

    /// These inputs of a node that goes element by element, blocks of those along which it goes.
    fn inputs_of_block(
        &mut self,
        inputs: &[ValueId],
        node: &Node,
        rows: &Range<usize>,
        piece: Option<ValueId>,
    ) -> Vec<ValueId> {
        let along: HashSet<ValueId> = elementwise(node).copied().collect();
        let input = |&input: &ValueId| match along.contains(&input) {
            true => self.block(input, rows, piece == Some(input)),
            false => input,
        };
        inputs.iter().map(input).collect()
    }

    /// A block of rows of a value, or the scales of their elements: a piece, or a window of it.
    fn block(&mut self, of: ValueId, rows: &Range<usize>, piece: bool) -> ValueId {
        let key = (of, rows.start, rows.len());
        if let Some(&known) = self.blocks.get(&key) {
            return known;
        }
        let columns = self.extents[1];
        let whole = self.graph.value(of);
        let (element, extents) = (whole.element, whole.shape.extents());
        let (first, shape) = match extents == self.extents {
            true => (rows.start * columns, [rows.len(), columns]),
            false => {
                let moments = extents[1];
                (rows.start * columns / BLOCK * moments, [(rows.len() * columns).div_ceil(BLOCK), moments])
            }
        };
        let offset = (!piece).then_some(4 * element.words(first) as u64);
        let block = self.graph.add_part(Part { of, first, offset }, shape);
        self.blocks.insert(key, block);
        block
    }

    /// A range of a factor along one axis, copied.
    fn slice(
        &mut self,
        node: &Node,
        of: ValueId,
        axis: usize,
        range: &Range<usize>,
        made: &mut Vec<Node>,
    ) -> Result<ValueId, GraphError> {
        let slice = Slice::axis(self.graph.shape(of), axis, range.start as isize, range.len());
        let slice = self.graph.make_node(Rc::new(slice), &[of], node.layer.clone())?;
        let value = slice.outputs[0];
        self.graph.value_mut(value).precision = self.graph.value(of).precision;
        made.push(slice);
        Ok(value)
    }
}
