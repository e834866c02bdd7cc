//! Stretches written out: nodes on slices, one after the other.

use super::stretches::{Item, Stretch, Stretches};
use crate::codec::Slicing;
use crate::ir::{ALIGNMENT, BatchSlice, Graph, GraphError, Node, Part, Shape, ValueId};
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// The nodes of all stretches, in order; `None` if a part of a value would begin where no binding may.
pub(super) fn emit(graph: &mut Graph, stretches: Stretches, slicing: Slicing) -> Result<Option<Vec<Node>>, GraphError> {
    let units = stretches.batch.div_ceil(slicing.samples);
    let Grain { of_stretch, of_value } = Grain::of(graph, &stretches, slicing, units);
    let mut this = Emitter {
        graph,
        stretches: &stretches,
        slicing,
        units,
        of_value,
        parts: HashMap::new(),
        sums: HashSet::new(),
        packed: HashMap::new(),
        nodes: Vec::new(),
    };
    for (stretch, &grain) in stretches.list.iter().zip(&of_stretch) {
        if this.stretch(stretch, grain)?.is_none() {
            return Ok(None);
        }
    }
    let Emitter { nodes, packed, .. } = this;
    for (value, bytes) in packed {
        graph.value_mut(value).shape = [(bytes / 4) as usize].into();
    }
    Ok(Some(nodes))
}

/// Of how many of the smallest slices those of a stretch are, and the pieces of a value.
struct Grain {
    of_stretch: Vec<usize>,
    of_value: HashMap<ValueId, usize>,
}

impl Grain {
    fn of(graph: &Graph, stretches: &Stretches, slicing: Slicing, units: usize) -> Self {
        let touched = |stretch: &Stretch| -> Vec<ValueId> {
            let of_item = |item: &Item| item.sliced().chain(item.node.outputs.iter().copied()).collect::<Vec<_>>();
            let all = stretch.sliced.iter().flat_map(of_item);
            all.map(|value| stretches.root(value)).collect()
        };
        let mut of_stretch = Vec::new();
        let mut of_value: HashMap<ValueId, usize> = HashMap::new();
        for stretch in &stretches.list {
            let touched = touched(stretch);
            let widest = touched.iter().map(|&value| graph.value(value).bytes()).max().unwrap_or(0);
            let powers = std::iter::successors(Some(1usize), |grain| Some(2 * grain));
            let mut fine = powers.take_while(|&grain| grain < units);
            let enough = |grain: &usize| widest * *grain as u64 / units as u64 >= slicing.least_bytes;
            let grain = if widest < slicing.wide { units } else { fine.find(enough).unwrap_or(units) };
            for value in touched {
                let of = of_value.entry(value).or_insert(grain);
                *of = if stretches.packed.contains(&value) { grain.min(*of) } else { grain.max(*of) };
            }
            of_stretch.push(grain);
        }
        Self { of_stretch, of_value }
    }
}

struct Emitter<'a> {
    graph: &'a mut Graph,
    stretches: &'a Stretches,
    slicing: Slicing,
    /// How many of the smallest slices there are.
    units: usize,
    of_value: HashMap<ValueId, usize>,
    /// Parts by their wholes and their samples.
    parts: HashMap<(ValueId, Range<usize>), ValueId>,
    /// What the first slice has made in full.
    sums: HashSet<ValueId>,
    /// Bytes of packed words so far.
    packed: HashMap<ValueId, u64>,
    nodes: Vec<Node>,
}

impl Emitter<'_> {
    fn samples(&self, units: Range<usize>) -> Range<usize> {
        let at = |unit: usize| (unit * self.slicing.samples).min(self.stretches.batch);
        at(units.start)..at(units.end)
    }

    fn stretch(&mut self, stretch: &Stretch, grain: usize) -> Result<Option<()>, GraphError> {
        for start in (0..self.units).step_by(grain) {
            let end = (start + grain).min(self.units);
            for item in &stretch.sliced {
                let values = item.sliced().chain(item.node.outputs.iter().copied());
                let packed = values.filter(|value| self.stretches.packed.contains(value));
                let fine = packed.map(|value| self.of_value[&value]).fold(grain, usize::min);
                for first in (start..end).step_by(fine) {
                    let samples = self.samples(first..(first + fine).min(end));
                    if self.item(item, samples)?.is_none() {
                        return Ok(None);
                    }
                }
            }
        }
        self.nodes.extend(stretch.then.iter().cloned());
        Ok(Some(()))
    }

    /// One node for a slice.
    fn item(&mut self, item: &Item, samples: Range<usize>) -> Result<Option<()>, GraphError> {
        let of = self.stretches.batch;
        let slice = BatchSlice { first: samples.start, samples: samples.len(), of };
        let mut operator = item.node.operator.clone();
        if slice.samples < of {
            operator = operator.for_slice(slice).unwrap_or(operator);
        }
        let mut inputs = Vec::with_capacity(item.node.inputs.len());
        for (place, &input) in item.node.inputs.iter().enumerate() {
            let Some(input) = (if item.whole.contains(&place) { Some(input) } else { self.part(input, &samples) })
            else {
                return Ok(None);
            };
            inputs.push(input);
        }
        let mut outputs = Vec::with_capacity(item.node.outputs.len());
        let adds = item.in_full().any(|output| self.sums.contains(&output));
        if adds {
            operator = operator.adding().expect("a sum that is run in slices can add");
            inputs.extend(item.in_full());
        }
        self.sums.extend(item.in_full());
        let values: Vec<_> = inputs.iter().map(|&input| self.graph.value(input)).collect();
        let made = operator.outputs(&values).map_err(|reason| GraphError::Shape {
            layer: item.node.layer.clone(),
            operator: operator.name(),
            shapes: values.iter().map(|value| value.shape.clone()).collect(),
            reason,
        })?;
        let places = (0..item.node.outputs.len()).filter(|place| !adds || item.mapped.contains(place));
        for (place, made) in places.zip(made) {
            let output = item.node.outputs[place];
            let part = match (item.mapped.contains(&place), self.stretches.packed.contains(&output)) {
                (false, _) => Some(output),
                (true, true) => Some(self.words(output, &samples, made.shape.elements())),
                (true, false) => self.part(output, &samples),
            };
            let Some(part) = part else { return Ok(None) };
            outputs.push(part);
        }
        let Node { layer, phase, .. } = &item.node;
        self.nodes.push(Node { operator, layer: layer.clone(), phase: *phase, inputs, outputs });
        Ok(Some(()))
    }

    /// The part of a value that a slice reads or makes.
    fn part(&mut self, value: ValueId, samples: &Range<usize>) -> Option<ValueId> {
        let batch = self.stretches.batch;
        let whole = 0..batch;
        let key = (value, samples.clone());
        if let Some(&known) = self.parts.get(&key) {
            return Some(known);
        }
        let shape = |range: &Range<usize>| {
            let mut extents = self.graph.shape(value).extents().to_vec();
            extents[0] = extents[0] / batch * range.len();
            Shape::new(extents)
        };
        let elements = |range: &Range<usize>| self.graph.shape(value).elements() / batch * range.len();
        let first = elements(&(0..samples.start));
        let part = if let Some(&of) = self.stretches.view_of.get(&value) {
            if *samples == whole && self.stretches.in_one.contains(&of) {
                return Some(value);
            }
            let shape = shape(samples);
            let of = self.part(of, samples)?;
            self.graph.add_part_like(value, Part { of, first, offset: Some(0) }, shape)
        } else {
            let grain = self.of_value.get(&value).copied().unwrap_or(self.units);
            let piece = match self.stretches.in_one.contains(&value) || grain >= self.units {
                true => whole.clone(),
                false => {
                    let size = grain * self.slicing.samples;
                    let start = samples.start / size * size;
                    start..(start + size).min(batch)
                }
            };
            if *samples == piece {
                if piece == whole {
                    return Some(value);
                }
                let shape = shape(samples);
                self.graph.add_part(Part { of: value, first, offset: None }, shape)
            } else {
                let shape = shape(samples);
                let offset = self.graph.value(value).bytes_of(elements(&(piece.start..samples.start)))?;
                if !offset.is_multiple_of(ALIGNMENT) {
                    return None;
                }
                let of = if piece == (0..batch) { value } else { self.part(value, &piece)? };
                self.graph.add_part_like(value, Part { of, first, offset: Some(offset) }, shape)
            }
        };
        self.parts.insert(key, part);
        Some(part)
    }

    /// The packed words that a slice makes: they lie behind those of the slices before.
    fn words(&mut self, value: ValueId, samples: &Range<usize>, words: usize) -> ValueId {
        if samples.len() == self.stretches.batch {
            return value;
        }
        let bytes = self.packed.entry(value).or_default();
        let offset = *bytes;
        *bytes = offset + (4 * words as u64).next_multiple_of(ALIGNMENT);
        let part = self.graph.add_part(Part { of: value, first: (offset / 4) as usize, offset: Some(offset) }, [words]);
        self.parts.insert((value, samples.clone()), part);
        part
    }
}
