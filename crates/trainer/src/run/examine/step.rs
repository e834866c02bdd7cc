//! A step without update, and what is read off it.

use super::ValueError;
use super::bench::Gradients;
use crate::Error;
use crate::data::Batch;
use crate::run::stepper::{Slot, slots, uploads};
use frugal_tensor::codec::Stored;
use frugal_tensor::graph::{Element, Graph, Kind, Node, Phase, ValueId};
use frugal_tensor::{GpuError, Plan, Session};
use std::collections::HashMap;

/// Of a layer with more weights, every second, third … is compared.
const MOST_WEIGHTS: usize = 1 << 16;
/// Of a larger value, the errors of so many elements are measured: those of the first samples.
const MOST_ELEMENTS: usize = 1 << 22;

/// The name of the operator whose inputs and weights count.
pub(super) const CONVOLUTION: &str = "convolution";

pub(super) fn is_convolved(graph: &Graph, id: ValueId) -> bool {
    let reads = |node: &Node| node.operator.name() == CONVOLUTION && node.inputs.contains(&id);
    graph.nodes().iter().any(|node| node.phase == Phase::Forward && reads(node))
}

/// Root mean square; 0 of nothing.
pub(super) fn rms(values: impl Iterator<Item = f64>) -> f64 {
    let (count, squares) = values.fold((0usize, 0.0), |(count, squares), value| (count + 1, squares + value * value));
    (squares / count.max(1) as f64).sqrt()
}

/// Whether a codec has changed the value: a mask waits beside it, for another reader.
fn is_coded(stored: &&Stored) -> bool {
    stored.source != stored.waiting && stored.form != "mask"
}

/// A step without update, ready to run.
pub(super) struct Step<'a> {
    session: Session,
    slots: Vec<Slot>,
    /// The convolutions' weights with their gradients.
    pub weights: Vec<(String, ValueId)>,
    batches: &'a [Batch],
    seed: u32,
}

impl<'a> Step<'a> {
    pub fn new(session: Session, weights: Vec<(String, ValueId)>, batches: &'a [Batch], seed: u32) -> Self {
        let slots = slots(&session.plans()[0]);
        Self { session, slots, weights, batches, seed }
    }

    /// The gradients of every batch. Batch k counts as step k: the numbers of random rounding differ.
    pub fn gradients(&mut self) -> Result<Vec<Gradients>, Error> {
        let mut finished = Vec::new();
        for (number, batch) in self.batches.iter().enumerate() {
            let control = [number as u32, self.seed, 0, 0];
            finished.extend(self.session.step(0, &uploads(&self.slots, batch, &control))?);
        }
        finished.extend(self.session.finished()?);
        let plan = &self.session.plans()[0];
        let mut ranges = HashMap::new();
        let mut start = 0;
        for &id in plan.metrics() {
            let end = start + plan.graph.value(id).shape.elements();
            ranges.insert(id, start..end);
            start = end;
        }
        let compared = |words: &[u32]| -> Vec<f32> {
            words.iter().step_by(words.len().div_ceil(MOST_WEIGHTS).max(1)).map(|&word| f32::from_bits(word)).collect()
        };
        let of_batch =
            |words: &[u32]| self.weights.iter().map(|(_, id)| compared(&words[ranges[id].clone()])).collect();
        Ok(finished.iter().map(|metrics| of_batch(&metrics.words)).collect())
    }

    /// Goes through the first batch node by node: takes each value when it is encoded, and compares it with what comes
    /// back when it is first decoded.
    pub fn value_errors(&mut self) -> Result<Vec<ValueError>, Error> {
        let control = [0, self.seed, 0, 0];
        let uploads = uploads(&self.slots, &self.batches[0], &control);
        let mut waiting: HashMap<ValueId, Vec<f32>> = HashMap::new();
        let mut errors = Vec::new();
        let read = |session: &Session, id: ValueId| -> Result<Vec<f32>, GpuError> {
            let words = session.read_value(0, id)?;
            Ok(words.into_iter().take(MOST_ELEMENTS).map(f32::from_bits).collect())
        };
        self.session.step_by_node(0, &uploads, |session, node| {
            let Plan { graph, stored, .. } = &session.plans()[0];
            let node = &graph.nodes()[node];
            for Stored { source, waiting: form, form: name, .. } in stored.iter().filter(is_coded) {
                let value = graph.value(*source);
                let decoded = node.outputs.first().filter(|&&id| {
                    let output = graph.value(id);
                    output.kind == Kind::Stored && output.element == Element::F32 && node.inputs.contains(form)
                });
                if node.outputs.contains(form) {
                    waiting.insert(*form, read(session, *source)?);
                } else if let Some(&decoded) = decoded
                    && let Some(x) = waiting.remove(form)
                {
                    let back = read(session, decoded)?;
                    let off = || x.iter().zip(&back).map(|(x, y)| (f64::from(*x) - f64::from(*y)).abs());
                    errors.push(ValueError {
                        name: value.name.clone(),
                        form: (*name).to_owned(),
                        raw_bytes: value.bytes(),
                        stored_bytes: graph.value(*form).bytes(),
                        bound: None,
                        max_error: off().fold(0.0, f64::max),
                        rms_error: rms(off()),
                    });
                }
            }
            Ok(true)
        })?;
        errors.reverse();
        Ok(errors)
    }

    /// Raw and stored bytes of the convolutions' kept inputs, without the images.
    pub fn convolution_inputs(&self) -> [u64; 2] {
        let Plan { graph, stored, .. } = &self.session.plans()[0];
        let counts = |s: &&Stored| {
            let values = is_coded(s) || s.source == s.waiting;
            values && graph.value(s.source).kind != Kind::Input && is_convolved(graph, s.source)
        };
        let inputs = stored.iter().filter(counts);
        let bytes = |id| graph.value(id).bytes();
        inputs.fold([0, 0], |[raw, kept], s| [raw + bytes(s.source), kept + bytes(s.waiting)])
    }
}
