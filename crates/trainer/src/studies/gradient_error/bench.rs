//! The bench: fixed weights and batches, and the raw gradients against which stores are measured.

use super::BATCHES;
use super::step::{CONVOLUTION, Step, is_convolved, rms};
use crate::Error;
use crate::config::{CodecSpec, Config};
use crate::planning::{Loaders, Request, request_for};
use crate::state::weights::Named;
use frugal_data::{Batch, Dataset};
use frugal_model::{Net, StepShape, Training, gradient_step};
use frugal_report::records::{GradientError, Prediction, RatePoint, StudiedStore};
use frugal_tensor::codec::{Policy, Rule, Slices};
use frugal_tensor::ir::{Element, GradientAverage, Graph, Init, ParameterUpdate, Role, ValueId};
use frugal_tensor::runtime::StepMetrics;
use frugal_tensor::{Gpu, Plan, PlannedSession};
use std::rc::Rc;

/// The name of a parameter's mean gradient, after the parameter's.
const MEAN: &str = "mean";
/// β of that mean as codecs see it: that of an average over very many steps, which has next to no noise of its own.
const DECAY: f32 = 0.99;

/// The gradients of one batch: of each convolution the weights that are compared.
pub(super) type Gradients = Vec<Vec<f32>>;

/// A net at fixed weights, the batches before which stores are studied, and what everything raw gives.
pub struct Study<'a> {
    net: Net,
    shape: StepShape,
    training: Training,
    seed: u32,
    gpu: &'a Rc<Gpu>,
    batches: Vec<Batch>,
    weights: &'a Named,
    raw: Vec<Gradients>,
    noise: Vec<f64>,
    /// The mean over the batches of each parameter's raw gradient.
    means: Named,
}

impl<'a> Study<'a> {
    /// Takes batches of the training set that this config would see next, and their raw gradients at these weights.
    /// Needs the memory of a raw step once; afterwards only what the studied stores need.
    ///
    /// # Errors
    /// [`Error::Plan`] or [`Error::Gpu`] if there is no room for a raw step, [`Error::TooFewBatches`].
    pub fn new(config: &Config, data: &Dataset, gpu: &'a Rc<Gpu>, weights: &'a Named) -> Result<Self, Error> {
        let loader = Loaders::new(config, data)?.train;
        let batches = loader.epoch(config.train.epochs).take(BATCHES).collect::<Result<Vec<Batch>, _>>()?;
        if batches.len() < 2 {
            return Err(Error::TooFewBatches);
        }
        let Request { net, shape, training, .. } = request_for(config, data)?;
        let (raw, noise, means) = Default::default();
        let mut bench = Self { net, shape, training, seed: config.seed, gpu, batches, weights, raw, noise, means };
        (bench.raw, bench.means) = bench.raw_gradients()?;
        bench.noise = (0..bench.raw[0].len()).map(|layer| deviation(&bench.raw, layer)).collect();
        Ok(bench)
    }

    /// How many batches there are.
    pub fn batches(&self) -> usize {
        self.batches.len()
    }

    /// Examines a store. `state` is what its codecs carry from step to step (bounds, for example), by name; weights come
    /// from the bench.
    ///
    /// # Errors
    /// As [`Study::new`].
    pub fn examine(&self, store: &str, policy: &Policy, state: &Named) -> Result<StudiedStore, Error> {
        let mut step = self.open(policy, state)?;
        let metrics = step.run()?;
        let gradient = self.errors(&step, &metrics);
        Ok(StudiedStore { store: store.to_owned(), gradient, values: step.value_errors(&metrics)? })
    }

    /// Examines a form on the inputs of all convolutions but the first.
    ///
    /// # Errors
    /// As [`Study::new`].
    pub fn rate(&self, form: CodecSpec, state: &Named) -> Result<RatePoint, Error> {
        let images = Rule { made_by: Some("input".into()), ..Rule::default() };
        let inputs = Rule { read_by: Some(CONVOLUTION.into()), codec: form.codec(), ..Rule::default() };
        let mut step = self.open(&Policy::raw().rule(images).rule(inputs), state)?;
        let metrics = step.run()?;
        let errors = self.errors(&step, &metrics).into_iter().skip(1).collect::<Vec<_>>();
        let [raw, stored] = step.convolution_inputs(&metrics);
        Ok(RatePoint {
            codec: form.codec().map_or("raw", |codec| codec.name()).to_owned(),
            store: form.to_string(),
            bits_per_value: 32.0 * stored as f64 / raw.max(1) as f64,
            error_over_noise: GradientError::mean(&errors).unwrap_or(0.0),
            worst: GradientError::worst(&errors).map_or(0.0, GradientError::over_noise),
            // Bounds were made from the first batch: δ of the others is larger or smaller than the theory is told.
            predictions: predictions(&step, &metrics, &self.errors(&step, &metrics[..1])),
        })
    }

    /// Of each batch what is compared, and the means over all batches of everything.
    fn raw_gradients(&self) -> Result<(Vec<Gradients>, Named), Error> {
        let (mut graph, gradients) = gradient_step(&self.net, self.shape, self.training)?;
        gradients.iter().for_each(|(_, gradient)| graph.mark_metric(*gradient));
        let mut step = self.start(graph, &gradients, &Policy::raw(), &Named::new())?;
        let metrics = step.run()?;
        Ok((step.gradients(&metrics), step.means(&metrics, &gradients)))
    }

    fn errors(&self, step: &Step<'_>, metrics: &[StepMetrics]) -> Vec<GradientError> {
        let gradients = step.gradients(metrics);
        let error = |layer: usize| {
            let pairs = gradients.iter().zip(&self.raw).flat_map(|(a, b)| a[layer].iter().zip(&b[layer]));
            rms(pairs.map(|(a, b)| f64::from(*a) - f64::from(*b)))
        };
        let names = step.weights.iter().map(|(name, _)| name.clone()).enumerate();
        let noise = &self.noise;
        names.map(|(layer, parameter)| GradientError { parameter, error: error(layer), noise: noise[layer] }).collect()
    }

    /// A session that computes gradients at the bench's weights.
    fn open(&self, policy: &Policy, state: &Named) -> Result<Step<'_>, Error> {
        let (mut graph, gradients) = gradient_step(&self.net, self.shape, self.training)?;
        // Codecs that aim at a fraction of the noise get the mean from which it is measured.
        for (name, gradient) in &gradients {
            let shape = graph.shape(*gradient).clone();
            let (name, start) = (format!("{name}.{MEAN}"), Init::Constant(0.0));
            let mean = graph.persistent(&name, Role::OptimizerState, shape, Element::F32, start);
            let mean = mean.map_err(frugal_model::ModelError::from)?;
            graph.note_parameter_update(ParameterUpdate {
                gradient: *gradient,
                average: Some(GradientAverage { value: mean, scales: None, decay: DECAY, scale: 1.0 - DECAY }),
                scale: None,
            });
        }
        let mut step = self.start(graph, &gradients, policy, state)?;
        for (name, mean) in &self.means {
            step.session.write(&format!("{name}.{MEAN}"), mean)?;
        }
        if step.session.plans()[0].has_data_sized() {
            step.calibrate()?;
        }
        Ok(step)
    }

    /// A session over this graph at the bench's weights.
    fn start(
        &self,
        mut graph: Graph,
        gradients: &[(String, ValueId)],
        policy: &Policy,
        state: &Named,
    ) -> Result<Step<'_>, Error> {
        let convolved = |name: &str| graph.find(name).is_some_and(|id| is_convolved(&graph, id));
        let weights: Vec<(String, ValueId)> = gradients.iter().filter(|(name, _)| convolved(name)).cloned().collect();
        weights.iter().for_each(|(_, gradient)| graph.mark_metric(*gradient));
        // In f32, whatever the run computes in: what a store does to gradients is to be seen, and nothing else.
        // The study reads values in the middle of a step, so they have to lie in memory in one: slices change only the order of sums.
        let policy = policy.clone().slices(Slices::Off);
        let plan = Plan::new(graph, &policy, self.gpu.adapter().plan_options())?;
        let session = PlannedSession::new(self.gpu.clone(), vec![plan], self.seed.into())?;
        let graph = &session.plans()[0].graph;
        for (_, value) in graph.ids().filter(|(_, value)| value.is_persistent()) {
            if let Some(elements) = self.weights.get(&value.name).or_else(|| state.get(&value.name)) {
                session.write(&value.name, elements)?;
            }
        }
        Ok(Step::new(session, weights, &self.batches, self.seed))
    }
}

/// Beside each other, what the theory says and what came out.
fn predictions(step: &Step<'_>, metrics: &[StepMetrics], errors: &[GradientError]) -> Vec<Prediction> {
    let of = |(value, weights, deviation): (String, Vec<String>, f64)| {
        let served: Vec<GradientError> = errors.iter().filter(|e| weights.contains(&e.parameter)).cloned().collect();
        let strictest = GradientError::worst(&served).filter(|weight| weight.noise > 0.0)?;
        let (parameter, predicted) = (strictest.parameter.clone(), deviation / strictest.noise);
        Some(Prediction { value, parameter, predicted, measured: strictest.over_noise() })
    };
    step.predictions(metrics).into_iter().filter_map(of).collect()
}

/// The deviation of a layer's gradient from batch to batch, rms over its weights.
fn deviation(batches: &[Gradients], layer: usize) -> f64 {
    let of_weight = |weight: usize| {
        let values = || batches.iter().map(|gradients| f64::from(gradients[layer][weight]));
        let mean = values().sum::<f64>() / batches.len() as f64;
        (values().map(|value| (value - mean).powi(2)).sum::<f64>() / (batches.len() - 1) as f64).sqrt()
    };
    rms((0..batches[0][layer].len()).map(of_weight))
}
