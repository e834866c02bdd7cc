//! The plans of a run: the training step, the evaluation beside it, and the raw step that both are measured against.

use crate::Error;
use crate::artifacts::environment::kernel_set_name;
use crate::config::{SavePolicy, SaveRule};
use crate::planning::budget;
use frugal_model::{Net, StepShape, Training, evaluation_step, training_step};
use frugal_report::convolutions::Convolutions;
use frugal_report::passes::{PassRow, PassesReport};
use frugal_report::pictures::COLUMNS;
use frugal_report::plan::{LayerReport, PerSample, PlanReport};
use frugal_report::records::Chosen;
use frugal_tensor::codec::Policy;
use frugal_tensor::ir::{PassRecord, Precision};
use frugal_tensor::plan::{Bytes, KeptValue};
use frugal_tensor::{Plan, PlanOptions};
use std::collections::BTreeMap;
use std::rc::Rc;

/// How many of the moments at which most is alive are reported.
const MOMENTS: usize = 3;

/// What is planned.
#[derive(Clone, Debug)]
pub struct Request {
    /// The net.
    pub net: Net,
    /// Batch, image and classes.
    pub shape: StepShape,
    /// What is made small, and how parameters move.
    pub training: Training,
    /// In which precision the step holds activations and multiplies.
    pub precision: Precision,
    /// In which form saved tensors are kept.
    pub store: SavePolicy,
}

/// The plans of a run.
#[derive(Clone, Debug)]
pub struct Plans {
    /// The training step.
    pub train: Plan,
    /// The evaluation beside it, over the same memory.
    pub evaluation: Plan,
    /// What they are measured against.
    pub raw: Rc<RawPlans>,
    /// Where the bytes go.
    pub bytes: Bytes,
    /// The store that was planned: the request's, or what was made of its budget.
    pub store: SavePolicy,
    /// What was chosen for a budget, if there is one.
    pub chosen: Option<Chosen>,
}

/// The plans of a run that keeps everything raw: what stores are measured against.
#[derive(Clone, Debug)]
pub struct RawPlans {
    /// The training step.
    pub train: Plan,
    /// The evaluation beside it.
    pub evaluation: Plan,
}

impl RawPlans {
    /// All of them.
    pub fn all(&self) -> [&Plan; 2] {
        [&self.train, &self.evaluation]
    }
}

impl Plans {
    /// Makes them. Needs no adapter.
    ///
    /// # Errors
    /// [`Error::Model`] if the net does not fit the images, [`Error::Plan`] if the step does not fit the adapter,
    /// [`Error::OverBudget`] if it does not fit the store's budget.
    pub fn new(request: &Request, options: PlanOptions) -> Result<Self, Error> {
        let Request { shape, training, .. } = *request;
        let train = Plan::new(training_step(&request.net, shape, training)?, &Policy::raw(), options)?;
        let evaluation = train.evaluation(evaluation_step(&request.net, shape, training)?)?;
        Self::against(&Rc::new(RawPlans { train, evaluation }), request)
    }

    /// Makes them for an adapter and a net whose raw step is planned already: stores beside each other share it.
    ///
    /// # Errors
    /// As [`Plans::new`].
    pub fn against(raw: &Rc<RawPlans>, request: &Request) -> Result<Self, Error> {
        let (store, chosen) = budget::choose_policy(request, raw.train.options.clone())?;
        let request = &Request { store, ..request.clone() };
        let (train, evaluation) = Self::without_raw(request, raw.train.options.clone())?;
        let bytes = train.bytes(&[&evaluation], &raw.all());
        Ok(Self { train, evaluation, raw: raw.clone(), bytes, store: request.store.clone(), chosen })
    }

    /// The training step and the evaluation beside it: all that a run allocates for. The store says all forms itself
    /// ([`budget::choose_policy`]).
    ///
    /// # Errors
    /// As [`Plans::new`].
    pub fn without_raw(request: &Request, options: PlanOptions) -> Result<(Plan, Plan), Error> {
        let Request { shape, training, .. } = *request;
        let train = Plan::new(training_step(&request.net, shape, training)?, &request.store.policy(), options)?;
        let evaluation = train.evaluation(evaluation_step(&request.net, shape, training)?)?;
        Ok((train, evaluation))
    }

    /// What each pass did to the training step; `request` is what the plans were made for.
    pub fn passes(&self, request: &Request) -> PassesReport {
        let row = |record: &PassRecord| PassRow { pass: record.pass, nodes: record.nodes, did: record.did.clone() };
        PassesReport {
            net: request.net.name,
            batch: request.shape.batch,
            store: request.store.to_string(),
            passes: self.train.graph.passes().iter().map(row).collect(),
        }
    }

    /// Every layer and every byte, for reading; `request` is what the plans were made for.
    pub fn report(&self, request: &Request) -> PlanReport {
        let batch = request.shape.batch;
        let raw: BTreeMap<String, u64> =
            self.raw.train.layers().into_iter().map(|l| (l.name, stored(&l.kept))).collect();
        let mut layers: Vec<LayerReport> = Vec::new();
        let mut encoded_inputs: Vec<KeptValue> = Vec::new();
        for mut layer in self.train.layers() {
            // An input that is encoded counts for the layer that reads it, as it does where it is kept raw.
            if layer.operators.is_empty() {
                encoded_inputs.append(&mut layer.kept);
                continue;
            }
            let kept: Vec<KeptValue> = encoded_inputs.drain(..).chain(layer.kept).collect();
            layers.push(LayerReport {
                kept_raw_bytes: raw.get(&layer.name).copied().unwrap_or(0),
                kept_bytes: stored(&kept),
                name: layer.name,
                operators: layer.operators,
                output: layer.output,
                parameters: layer.parameters,
                macs_per_sample: layer.macs_per_sample,
                kept,
            });
        }
        let per_sample = |bytes: u64| bytes.div_ceil(batch as u64);
        PlanReport {
            net: request.net.name,
            shape: request.shape.sample.extents(),
            samples: request.shape.sample.to_string(),
            classes: request.shape.classes,
            batch,
            store: request.store.to_string(),
            kernels: kernel_set_name(self.train.options.set),
            parameters: self.train.graph.parameters().map(|(_, value)| value.shape.elements() as u64).sum(),
            macs_per_sample: self.train.graph.multiply_adds() / batch as u64,
            bytes: self.bytes,
            kept_per_sample: PerSample { raw: per_sample(self.bytes.kept_raw), stored: per_sample(self.bytes.kept) },
            convolutions: Convolutions::of(layers.iter().flat_map(|layer| &layer.kept), |kept| kept.stored_bytes),
            layers,
            largest_moments: self.train.peak_snapshots(MOMENTS),
            memory_over_step: self.train.memory_over_step(&[&self.evaluation]).thinned(COLUMNS),
            chosen: self.chosen.clone(),
            warnings: self.warnings(),
        }
    }

    /// The rules of the store that decide on no value, as a sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let used = |index: usize| self.train.stored.iter().any(|stored| stored.rule == Some(index));
        let unused = self.store.rules.iter().enumerate().filter(|(index, _)| !used(*index));
        let sentence = |(index, rule): (usize, &SaveRule)| format!("store.rule[{index}] decides on no value: {rule}");
        unused.map(sentence).collect()
    }
}

/// Bytes of the forms of these values.
fn stored(kept: &[KeptValue]) -> u64 {
    kept.iter().map(|value| value.stored_bytes).sum()
}
