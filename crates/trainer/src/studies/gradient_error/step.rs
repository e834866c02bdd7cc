//! A step without update, and what is read off it.

use super::bench::Gradients;
use crate::Error;
use crate::planning::uploads::{Inputs, slices};
use crate::state::capacity_history::larger;
use crate::state::weights::Named;
use frugal_data::Batch;
use frugal_report::records::ValueError;
use frugal_tensor::codec::MARGIN;
use frugal_tensor::codec::Stored;
use frugal_tensor::codec::{CodingFacts, SizeReport};
use frugal_tensor::ir::{Element, Graph, Node, OperatorKind, Phase, Role, ValueId};
use frugal_tensor::plan::CapacityStatus;
use frugal_tensor::runtime::StepMetrics;
use frugal_tensor::step::FLAG_CALIBRATES;
use frugal_tensor::{GpuError, Plan, PlannedSession, Session};
use std::collections::HashMap;
use std::ops::Range;

/// Of a layer with more weights, every second, third … is compared.
const MOST_WEIGHTS: usize = 1 << 16;
/// Of a larger value, the errors of so many elements are measured: those of the first samples.
const MOST_ELEMENTS: usize = 1 << 22;

/// The number of the first step: bounds that follow the gradients are not renewed in it, nor right after it.
const SETTLED: u32 = 1001;

/// The name of the operator whose inputs and weights count.
pub(super) const CONVOLUTION: &str = "convolution";

pub(super) fn is_convolved(graph: &Graph, id: ValueId) -> bool {
    let reads = |node: &Node| node.operator.kind() == OperatorKind::Convolution && node.inputs.contains(&id);
    graph.nodes().iter().any(|node| node.phase == Phase::Forward && reads(node))
}

/// The weights of the convolutions that read a value in the forward pass.
fn convolving(graph: &Graph, id: ValueId) -> Vec<String> {
    let readers = graph
        .nodes()
        .iter()
        .filter(|node| node.phase == Phase::Forward && node.operator.kind() == OperatorKind::Convolution);
    let weights = readers.filter(|node| node.inputs[0] == id).map(|node| graph.value(node.inputs[1]).name.clone());
    weights.collect()
}

/// Root mean square; 0 of nothing.
pub(super) fn rms(values: impl Iterator<Item = f64>) -> f64 {
    let (count, squares) = values.fold((0usize, 0.0), |(count, squares), value| (count + 1, squares + value * value));
    (squares / count.max(1) as f64).sqrt()
}

/// Whether a codec has changed the value: a mask waits beside it, for another reader.
fn is_coded(stored: &&Stored) -> bool {
    stored.source != stored.kept && stored.form != "mask"
}

/// A step without update, ready to run.
pub(super) struct Step<'a> {
    pub session: PlannedSession,
    inputs: Inputs,
    /// The convolutions' weights with their gradients.
    pub weights: Vec<(String, ValueId)>,
    batches: &'a [Batch],
    seed: u32,
}

impl<'a> Step<'a> {
    pub fn new(session: PlannedSession, weights: Vec<(String, ValueId)>, batches: &'a [Batch], seed: u32) -> Self {
        let inputs = Inputs::of(&session.plans()[0]);
        Self { session, inputs, weights, batches, seed }
    }

    /// Learns the bounds of codecs that follow the gradients, from the first batch.
    pub fn calibrate(&mut self) -> Result<(), Error> {
        let control = [SETTLED, self.seed, 0, FLAG_CALIBRATES];
        Ok(self.session.calibrate(0, &slices(&self.inputs.bytes(&self.batches[0], &control)), MARGIN)?)
    }

    /// Runs every batch. Batch k counts as step [`SETTLED`] + k: the numbers of random rounding differ. Capacities are for the
    /// most that any batch takes of each value.
    pub fn run(&mut self) -> Result<Vec<StepMetrics>, Error> {
        let mut most: Vec<SizeReport> = Vec::new();
        loop {
            let finished = self.run_once()?;
            let plan = &self.session.plans()[0];
            let records: Vec<Vec<SizeReport>> =
                finished.iter().map(|metrics| plan.size_reports(&metrics.words)).collect();
            if records.iter().all(|records| plan.capacity_status(records) != CapacityStatus::Exceeded) {
                return Ok(finished);
            }
            // What overflowed came back as zeros. There is more now, so this ends.
            most = records.iter().fold(most, |most, records| larger(&most, records));
            self.session.replan(0, &most, MARGIN)?;
            self.session.resume_updates()?;
        }
    }

    fn run_once(&mut self) -> Result<Vec<StepMetrics>, Error> {
        let mut finished = Vec::new();
        for (number, batch) in self.batches.iter().enumerate() {
            let control = [SETTLED + number as u32, self.seed, 0, 0];
            finished.extend(self.session.step(0, &slices(&self.inputs.bytes(batch, &control)))?);
        }
        finished.extend(self.session.finished()?);
        Ok(finished)
    }

    /// Where each value that is read back lies among the words of a step.
    fn ranges(&self) -> HashMap<ValueId, Range<usize>> {
        let plan = &self.session.plans()[0];
        let mut start = 0;
        let range = |&id: &ValueId| {
            let end = start + plan.graph.value(id).shape.elements();
            (id, std::mem::replace(&mut start, end)..end)
        };
        plan.metrics().iter().map(range).collect()
    }

    /// The gradients of every batch that are compared.
    pub fn gradients(&self, metrics: &[StepMetrics]) -> Vec<Gradients> {
        let ranges = self.ranges();
        let compared = |words: &[u32]| -> Vec<f32> {
            words.iter().step_by(words.len().div_ceil(MOST_WEIGHTS).max(1)).map(|&word| f32::from_bits(word)).collect()
        };
        let of_batch =
            |words: &[u32]| self.weights.iter().map(|(_, id)| compared(&words[ranges[id].clone()])).collect();
        metrics.iter().map(|metrics| of_batch(&metrics.words)).collect()
    }

    /// The mean over all batches of each of these gradients.
    pub fn means(&self, metrics: &[StepMetrics], gradients: &[(String, ValueId)]) -> Named {
        let ranges = self.ranges();
        let mean = |id: &ValueId| -> Vec<f32> {
            let element = |at: usize| metrics.iter().map(|m| m.f32(at)).sum::<f32>() / metrics.len() as f32;
            ranges[id].clone().map(element).collect()
        };
        gradients.iter().map(|(name, id)| (name.clone(), mean(id))).collect()
    }

    /// What the codecs that follow the gradients took of their values in these steps, on average.
    fn used(&self, metrics: &[StepMetrics]) -> HashMap<ValueId, u64> {
        let plan = &self.session.plans()[0];
        let each: Vec<Vec<u64>> = metrics.iter().map(|m| plan.used_bytes(&plan.size_reports(&m.words))).collect();
        let mean = |index: usize| each.iter().map(|used| used[index]).sum::<u64>() / each.len().max(1) as u64;
        plan.data_sized().enumerate().map(|(index, (stored, _))| (stored.kept, mean(index))).collect()
    }

    /// Goes through the first batch node by node: takes each value when it is encoded, and compares it with what comes
    /// back when it is first decoded.
    pub fn value_errors(&mut self, metrics: &[StepMetrics]) -> Result<Vec<ValueError>, Error> {
        let used = self.used(metrics);
        let bounds = self.bounds(metrics);
        let raw_shares = self.raw_shares(metrics);
        let control = [SETTLED, self.seed, 0, 0];
        let uploads = self.inputs.bytes(&self.batches[0], &control);
        let mut pending: HashMap<ValueId, Vec<f32>> = HashMap::new();
        let mut errors = Vec::new();
        let read = |session: &Session, id: ValueId| -> Result<Vec<f32>, GpuError> {
            Ok(session.read_elements(0, id)?.into_iter().take(MOST_ELEMENTS).collect())
        };
        let (plans, session) = self.session.split();
        session.step_by_node(0, &slices(&uploads), |session, node| {
            let Plan { graph, stored, .. } = &plans[0];
            let node = &graph.nodes()[node];
            for Stored { source, kept: form, form: name, .. } in stored.iter().filter(is_coded) {
                let value = graph.value(*source);
                let decoded = node.outputs.first().filter(|&&id| {
                    let output = graph.value(id);
                    output.role == Role::Stored && output.element == Element::F32 && node.inputs.contains(form)
                });
                if node.outputs.contains(form) {
                    pending.insert(*form, read(session, *source)?);
                } else if let Some(&decoded) = decoded
                    && let Some(x) = pending.remove(form)
                {
                    let back = read(session, decoded)?;
                    let off = || x.iter().zip(&back).map(|(x, y)| (f64::from(*x) - f64::from(*y)).abs());
                    errors.push(ValueError {
                        name: value.name.clone(),
                        form: (*name).to_owned(),
                        raw_bytes: value.bytes(),
                        stored_bytes: used.get(form).copied().unwrap_or(graph.value(*form).bytes()),
                        bound: bounds.get(form).copied(),
                        raw_share: raw_shares.get(form).copied(),
                        max_error: off().fold(0.0, f64::max),
                        rms_error: rms(off()),
                        weights: convolving(graph, *source),
                    });
                }
            }
            Ok(true)
        })?;
        errors.reverse();
        Ok(errors)
    }

    /// By the theory, the deviation of the error that each data-sized value brings into the gradients of the weights it serves.
    pub fn predictions(&self, metrics: &[StepMetrics]) -> Vec<(String, Vec<String>, f64)> {
        let plan = &self.session.plans()[0];
        let reports = metrics.first().map(|m| plan.size_reports(&m.words)).unwrap_or_default();
        let of = |((stored, _), facts): ((&Stored, _), CodingFacts)| {
            let name = plan.graph.value(stored.source).name.clone();
            Some((name, convolving(&plan.graph, stored.source), facts.predicted_error?))
        };
        plan.data_sized().zip(plan.coding_facts(&reports)).filter_map(of).collect()
    }

    /// The bounds of values whose codecs have one.
    fn bounds(&self, metrics: &[StepMetrics]) -> HashMap<ValueId, f64> {
        let plan = &self.session.plans()[0];
        let reports = metrics.first().map(|m| plan.size_reports(&m.words)).unwrap_or_default();
        let facts = plan.data_sized().zip(plan.coding_facts(&reports));
        facts.filter_map(|((stored, _), facts)| Some((stored.kept, facts.bound?))).collect()
    }

    /// The share of tiles that were kept raw in these steps, on average, of values whose codecs have tiles.
    fn raw_shares(&self, metrics: &[StepMetrics]) -> HashMap<ValueId, f64> {
        let plan = &self.session.plans()[0];
        let each: Vec<Vec<CodingFacts>> =
            metrics.iter().map(|m| plan.coding_facts(&plan.size_reports(&m.words))).collect();
        let mean = |index: usize| {
            let shares: Option<Vec<f64>> = each.iter().map(|facts| facts[index].raw_share).collect();
            shares.map(|shares| shares.iter().sum::<f64>() / each.len().max(1) as f64)
        };
        let values = plan.data_sized().enumerate();
        values.filter_map(|(index, (stored, _))| Some((stored.kept, mean(index)?))).collect()
    }

    /// Raw and stored bytes of the convolutions' kept inputs, without the images.
    pub fn convolution_inputs(&self, metrics: &[StepMetrics]) -> [u64; 2] {
        let used = self.used(metrics);
        let Plan { graph, stored, .. } = &self.session.plans()[0];
        let counts = |s: &&Stored| {
            let values = is_coded(s) || s.source == s.kept;
            values && graph.value(s.source).role != Role::Input && is_convolved(graph, s.source)
        };
        let inputs = stored.iter().filter(counts);
        let bytes = |id: ValueId| used.get(&id).copied().unwrap_or(graph.value(id).bytes());
        inputs.fold([0, 0], |[raw, kept], s| [raw + bytes(s.source), kept + bytes(s.kept)])
    }
}
