//! The bench: fixed weights and batches, and the raw gradients against which stores are measured.

use super::step::{CONVOLUTION, Step, is_convolved, rms};
use super::{BATCHES, Examination, GradientError, RatePoint, mean, worst};
use crate::Error;
use crate::config::{Config, Form};
use crate::data::{Batch, Dataset, Loader, LoaderOptions};
use crate::run::weights::Named;
use frugal_model::{Net, StepShape, gradient_step};
use frugal_tensor::codec::{Policy, Rule};
use frugal_tensor::graph::ValueId;
use frugal_tensor::{Gpu, Plan, Session};
use std::rc::Rc;

/// The gradients of one batch: of each convolution the weights that are compared.
pub(super) type Gradients = Vec<Vec<f32>>;

/// A net at fixed weights, the batches before which stores are examined, and what everything raw gives.
pub struct Bench<'a> {
    net: Net,
    shape: StepShape,
    seed: u32,
    gpu: &'a Rc<Gpu>,
    batches: Vec<Batch>,
    weights: &'a Named,
    raw: Vec<Gradients>,
    noise: Vec<f64>,
}

impl<'a> Bench<'a> {
    /// Takes batches of the training set that this config would see next, and their raw gradients at these weights.
    /// Needs the memory of a raw step once; afterwards only what the examined stores need.
    ///
    /// # Errors
    /// [`Error::Plan`] or [`Error::Gpu`] if there is no room for a raw step, [`Error::TooFewBatches`].
    pub fn new(config: &Config, data: &Dataset, gpu: &'a Rc<Gpu>, weights: &'a Named) -> Result<Self, Error> {
        let batch = config.data.batch;
        let loader = Loader::new(data.train.clone(), LoaderOptions::train(data, batch, config.seed.into()))?;
        let batches: Vec<Batch> = loader.epoch(config.train.epochs).take(BATCHES).collect();
        if batches.len() < 2 {
            return Err(Error::TooFewBatches);
        }
        let shape = StepShape { batch, image: data.shape, classes: data.classes };
        let net = Net::find(&config.model.net)?;
        let (raw, noise) = Default::default();
        let mut bench = Self { net, shape, seed: config.seed, gpu, batches, weights, raw, noise };
        bench.raw = bench.open(&Policy::raw(), &Named::new())?.gradients()?;
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
    /// As [`Bench::new`].
    pub fn examine(&self, store: &str, policy: &Policy, state: &Named) -> Result<Examination, Error> {
        let mut step = self.open(policy, state)?;
        let gradient = self.errors(&mut step)?;
        Ok(Examination { store: store.to_owned(), gradient, values: step.value_errors()? })
    }

    /// Examines a form on the inputs of all convolutions but the first.
    ///
    /// # Errors
    /// As [`Bench::new`].
    pub fn rate(&self, form: Form, state: &Named) -> Result<RatePoint, Error> {
        let images = Rule { made_by: Some("input".into()), ..Rule::default() };
        let inputs = Rule { read_by: Some(CONVOLUTION.into()), codec: form.codec(), ..Rule::default() };
        let mut step = self.open(&Policy::raw().rule(images).rule(inputs), state)?;
        let errors = self.errors(&mut step)?.into_iter().skip(1).collect::<Vec<_>>();
        let [raw, stored] = step.convolution_inputs();
        Ok(RatePoint {
            codec: form.codec().map_or("raw", |codec| codec.name()).to_owned(),
            store: form.to_string(),
            bits_per_value: 32.0 * stored as f64 / raw.max(1) as f64,
            error_over_noise: mean(&errors).unwrap_or(0.0),
            worst: worst(&errors).map_or(0.0, GradientError::over_noise),
        })
    }

    fn errors(&self, step: &mut Step<'_>) -> Result<Vec<GradientError>, Error> {
        let gradients = step.gradients()?;
        let error = |layer: usize| {
            let pairs = gradients.iter().zip(&self.raw).flat_map(|(a, b)| a[layer].iter().zip(&b[layer]));
            rms(pairs.map(|(a, b)| f64::from(*a) - f64::from(*b)))
        };
        let names = step.weights.iter().map(|(name, _)| name.clone()).enumerate();
        let noise = &self.noise;
        Ok(names
            .map(|(layer, parameter)| GradientError { parameter, error: error(layer), noise: noise[layer] })
            .collect())
    }

    /// A session that computes gradients at the bench's weights.
    fn open(&self, policy: &Policy, state: &Named) -> Result<Step<'_>, Error> {
        let (mut graph, gradients) = gradient_step(self.net, self.shape)?;
        let convolved = |name: &str| graph.find(name).is_some_and(|id| is_convolved(&graph, id));
        let weights: Vec<(String, ValueId)> = gradients.into_iter().filter(|(name, _)| convolved(name)).collect();
        weights.iter().for_each(|(_, gradient)| graph.mark_metric(*gradient));
        let plan = Plan::new(graph, policy, self.gpu.plan_options())?;
        let session = Session::new(self.gpu.clone(), vec![plan], self.seed.into())?;
        let graph = &session.plans()[0].graph;
        for (_, value) in graph.ids().filter(|(_, value)| value.kind.is_persistent()) {
            if let Some(elements) = self.weights.get(&value.name).or_else(|| state.get(&value.name)) {
                session.write(&value.name, elements)?;
            }
        }
        Ok(Step::new(session, weights, &self.batches, self.seed))
    }
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
