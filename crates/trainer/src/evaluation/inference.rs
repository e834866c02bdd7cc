//! A trained net that answers: the forward pass alone, over what a run left.

use crate::Error;
use crate::artifacts::{DATA, DataFacts, MOST_FACTS};
use crate::config::{Data, Loss, Setup, sample_with};
use crate::evaluation::counts::{Tally, softmax};
use crate::evaluation::{ClassMap, Classes};
use crate::planning::net;
use crate::planning::step_shape;
use crate::planning::uploads::{Inputs, slices};
use crate::state::checkpoint::{self, Origin, Weights};
use crate::state::resolved;
use crate::state::weights;
use frugal_data::table::{self, TargetKind};
use frugal_data::{Augment, Batch, Dataset, Epoch, Goal, Loader, LoaderOptions, Pixels, Split};
use frugal_model::{Task, inference_step};
use frugal_report::records::Evaluation;
use frugal_tensor::codec::Policy;
use frugal_tensor::{Gpu, Plan, PlannedSession};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

/// Which of the nets that a run left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The newest: the weights of a finished run, or else the newest checkpoint. Of a config, its `model.weights`.
    Last,
    /// The checkpoint after the best evaluation.
    Best,
    /// A file: a checkpoint or weights.
    File(PathBuf),
}

/// A net that a run left, or that came with its weights, and what it needs to answer.
#[derive(Debug)]
pub struct Trained {
    /// The settings that it is used with.
    pub config: Setup,
    /// The data that it learned from.
    pub facts: DataFacts,
    /// Its values.
    pub weights: Weights,
    /// What was assumed where nothing says it.
    pub note: Option<String>,
}

impl Trained {
    /// Reads a run's folder, or a config whose net has weights without a run.
    ///
    /// # Errors
    /// [`Error::NotARun`] also if the run has not left any net yet, [`Error::Checkpoint`], [`Error::Io`]; of a config
    /// [`Error::Config`], [`Error::Data`], [`Error::Usage`] if it says of no weights.
    pub fn read(source: &Path, which: &Which) -> Result<Self, Error> {
        if source.is_file() { Self::of_config(source, which) } else { Self::of_run(source, which) }
    }

    fn of_config(path: &Path, which: &Which) -> Result<Self, Error> {
        let config = Setup::load(path)?;
        let file = match (which, &config.model.weights) {
            (Which::File(file), _) | (Which::Last, Some(file)) => file.clone(),
            (Which::Last, None) => {
                let path = path.display();
                return Err(Error::Usage(format!(
                    "{path} is a config without `model.weights`: its net has learned nothing yet; give the folder of a \
                     run, or the weights with --checkpoint FILE"
                )));
            }
            (Which::Best, _) => {
                return Err(Error::Usage(format!("{} is a config: only a run has a best checkpoint", path.display())));
            }
        };
        let weights = Weights::read(&file)?;
        let (facts, note) = facts(&config.data, weights.origin.as_ref())?;
        Ok(Self { config, facts, weights, note })
    }

    fn of_run(run: &Path, which: &Which) -> Result<Self, Error> {
        let config = Setup::from(resolved(run, &[])?);
        let path = run.join(DATA);
        let text = frugal_data::input::read(&path, MOST_FACTS).map_err(Error::io("read", &path))?;
        let damaged = |error: serde_json::Error| Error::io("read", &path)(error.into());
        let facts: DataFacts = serde_json::from_slice(&text).map_err(damaged)?;
        facts.check().map_err(|reason| Error::io("use", &path)(std::io::Error::other(reason)))?;
        let last = run.join(weights::FILE);
        let weights = match which {
            Which::File(file) => Weights::read(file)?,
            Which::Best => Weights::read(&checkpoint::best(run))?,
            Which::Last if last.exists() => Weights::read(&last)?,
            Which::Last => {
                let newest = checkpoint::newest(run, |_, reason| tracing::warn!("{reason}"))?;
                let folder = run.to_path_buf();
                let (step, checkpoint) = newest.ok_or(Error::NotARun { folder, missing: "checkpoint yet" })?;
                Weights::of(&step.path, checkpoint)
            }
        };
        Ok(Self { config, facts, weights, note: None })
    }

    /// Opens the net on a device, for batches of so many images of this shape, as [`Trained::pictures`] reads them.
    ///
    /// # Errors
    /// [`checkpoint::CheckpointError::Weights`] if the values are of another net; [`Error::Model`] if the net does not take such images;
    /// [`Error::Plan`], [`Error::Gpu`].
    pub fn open(&self, batch: usize, image: [usize; 3], gpu: &Rc<Gpu>) -> Result<Inference, Error> {
        self.open_for(self.config.data.pixels(), batch, image, gpu)
    }

    /// As [`Trained::open`], for images that are floats and normalised: see [`Inference::logits`].
    ///
    /// # Errors
    /// As [`Trained::open`].
    pub fn open_normalised(&self, batch: usize, image: [usize; 3], gpu: &Rc<Gpu>) -> Result<Inference, Error> {
        self.open_for(Pixels::Normalised, batch, image, gpu)
    }

    fn open_for(&self, pixels: Pixels, batch: usize, image: [usize; 3], gpu: &Rc<Gpu>) -> Result<Inference, Error> {
        let classes = self.facts.class_names.len();
        let net_of_config = self.config.model.net()?;
        let shape = step_shape(&net_of_config, batch, sample_with(image, self.facts.columns.as_ref()), classes);
        let normalization = [self.facts.mean.as_slice(), self.facts.std.as_slice()];
        let graph = inference_step(&net(&self.config.model, pixels, normalization, shape)?, shape)?;
        let fit = self.weights.fit(self.config.model.name(), &graph, &[])?;
        // In f32, as evaluations are, whatever the run was trained in.
        let plan = Plan::new(graph, &Policy::raw(), gpu.adapter().plan_options())?;
        let session = PlannedSession::new(gpu.clone(), vec![plan], 0)?;
        fit.restore(&session)?;
        let outputs = net_of_config.task.prediction(shape.sample, shape.classes).iter().product();
        let inputs = Inputs::of(&session.plans()[0]);
        let binary = self.config.loss == Loss::Bce && matches!(self.config.task(), Task::Images | Task::Pixels);
        Ok(Inference { session, inputs, outputs, binary })
    }

    /// Picture files as an evaluation would show them to the net, one by one and in their order; each that cannot be read is an error in
    /// its place.
    ///
    /// # Errors
    /// [`Error::Data`] if the net does not take pictures.
    pub fn pictures(&self, files: &[PathBuf]) -> Result<Epoch, Error> {
        let DataFacts { shape, mean, std, .. } = self.facts.clone();
        let (augment, goal, pixels) = (Augment::default(), Goal::Classes(1), self.config.data.pixels());
        // Two threads decode ahead of the device, which keeps memory to a few pictures.
        let workers = self.config.data.workers.unwrap_or(2);
        let options = LoaderOptions {
            batch: 1,
            shuffle: None,
            augment,
            goal,
            noise: 0.0,
            pixels,
            mean,
            std,
            workers,
            prefetch: 1,
        };
        let split = Split::pictures(shape, files, self.config.data.frame.orientation)?;
        Ok(Loader::new(Arc::new(split), options)?.epoch(0))
    }

    /// The class of the net for each class of a set.
    ///
    /// # Errors
    /// [`Error::Classes`] if the set has classes that the net does not know.
    pub fn class_map(&self, data: &Dataset, by_number: bool) -> Result<ClassMap, Error> {
        if self.config.task() != Task::Classes {
            // A net that makes images learned nothing of classes.
            return Ok(ClassMap::same(data.classes));
        }
        let net = Classes { names: &self.facts.class_names, numbered: self.facts.numbered };
        let set = Classes { names: &data.class_names, numbered: data.numbered };
        Ok(ClassMap::of(net, &data.name, set, by_number)?)
    }

    /// How well the net does on the test samples of a set, whose classes are those of the net as `classes` says.
    ///
    /// # Errors
    /// As [`Trained::open`]; [`Error::OtherImages`] if the net learned from images of another shape, [`Error::OtherColumns`] if from a
    /// table with other columns;
    /// [`Error::OutputNotFinite`].
    pub fn evaluate(
        &self,
        data: &Dataset,
        classes: &ClassMap,
        batch: usize,
        gpu: &Rc<Gpu>,
    ) -> Result<Evaluation, Error> {
        if data.schema.as_deref() != self.facts.columns.as_ref() {
            return Err(Error::OtherColumns { set: data.name.clone() });
        }
        if data.shape != self.facts.shape {
            let (set, there, here) = (data.name.clone(), data.shape, self.facts.shape);
            return Err(Error::OtherImages { set, there, here });
        }
        let mut net = self.open(batch, data.shape, gpu)?;
        // As it learned to see, whatever the set.
        let (mean, std) = (self.facts.mean.clone(), self.facts.std.clone());
        let plain = LoaderOptions::evaluate(data, batch);
        let workers = self.config.data.workers.unwrap_or(plain.workers);
        let options = LoaderOptions {
            mean,
            std,
            workers,
            goal: self.config.goal(data.classes),
            noise: self.config.data.noise.unwrap_or(0.0),
            pixels: self.config.data.pixels(),
            ..plain
        };
        let batches = Loader::new(data.test.clone(), options)?.epoch(0);
        let mut tally = Tally::of(self.config.task(), &self.facts);
        for (index, found) in batches.enumerate() {
            let found = found?;
            let name = |row: usize| format!("sample {} of {}", index * batch + row, data.name);
            tally.add(&net.predictions(&found, name)?, &found, |label| classes.class(label));
        }
        Ok(tally.evaluation())
    }

    /// The number that a prediction stands for, in the unit of the table; none if the net was not trained for numbers.
    pub fn number(&self, prediction: f32) -> Option<f64> {
        match self.facts.columns.as_ref()?.target.kind {
            TargetKind::Number { mean, std } => Some(f64::from(prediction) * std + mean),
            TargetKind::Class { .. } => None,
        }
    }

    /// The probability of each class, by its logits.
    pub fn probabilities(&self, logits: &[f32]) -> Vec<f64> {
        softmax(logits)
    }

    /// The rows of a table as the net sees them, in batches and in their order.
    ///
    /// # Errors
    /// [`Error::Data`] with the line and the column of what cannot be used; [`Error::Usage`] if the net takes no rows.
    pub fn rows(&self, table: &Path, batch: usize) -> Result<Epoch, Error> {
        let Some(schema) = &self.facts.columns else {
            return Err(Error::Usage(format!("the net takes images, and {} is a table", table.display())));
        };
        let split = Arc::new(table::rows_of(table, schema)?);
        let (augment, goal, pixels) = (Augment::default(), Goal::Classes(1), Pixels::Bytes);
        let (mean, std) = (vec![0.0], vec![1.0]);
        let options = LoaderOptions {
            batch,
            shuffle: None,
            augment,
            goal,
            noise: 0.0,
            pixels,
            mean,
            std,
            workers: 1,
            prefetch: 1,
        };
        Ok(Loader::new(split, options)?.epoch(0))
    }
}

/// What the net of a config learned from: what its weights say themselves, or else that it was the config's set; and what is
/// assumed of the normalisation, if the config does not say it.
fn facts(settings: &Data, origin: Option<&Origin>) -> Result<(DataFacts, Option<String>), Error> {
    // What a checkpoint says of a table is not all that its rows need.
    let Some(origin) = origin.filter(|origin| origin.data.columns.is_some() == settings.is_table()) else {
        let facts = DataFacts::of(&settings.open()?);
        let note = format!("{}, which are those of {}", facts.normalisation(), facts.set);
        return Ok((facts, settings.normalisation.is_none().then_some(note)));
    };
    let mut facts = origin.data.clone();
    if let Some([height, width]) = settings.frame.size {
        facts.shape = [facts.shape[0], height, width];
    }
    let Some(given) = &settings.normalisation else {
        let note = format!("{}, as the weights say of themselves", facts.normalisation());
        return Ok((facts, Some(note)));
    };
    given.check(facts.shape[0])?;
    (facts.mean, facts.std) = (given.mean.clone(), given.std.clone());
    Ok((facts, None))
}

/// A net on a device.
pub struct Inference {
    session: PlannedSession,
    inputs: Inputs,
    /// Values that the net makes of one sample.
    outputs: usize,
    /// Whether outputs are logits of values by themselves.
    binary: bool,
}

impl Inference {
    /// The logits of a batch, image by image, from its normalised images, N×C×H×W, of a net that was opened for such
    /// ([`Trained::open_normalised`]).
    ///
    /// # Errors
    /// [`Error::Gpu`]; also if the images are not as many as the net was opened for. [`Error::OutputNotFinite`].
    pub fn logits(&mut self, images: &[f32]) -> Result<Vec<f32>, Error> {
        self.run(&[bytemuck::cast_slice(images)], |row| format!("image {row} of the batch"))
    }

    /// What the net makes of a batch, sample by sample: logits, numbers, or images with values from 0 to 1. `name` says what stands in a
    /// row of the batch, for messages.
    ///
    /// # Errors
    /// As [`Inference::logits`].
    pub fn predictions(&mut self, batch: &Batch, name: impl Fn(usize) -> String) -> Result<Vec<f32>, Error> {
        let uploads = self.inputs.bytes(batch, &[]);
        self.run(&slices(&uploads), name).map(|made| self.probable(made))
    }

    fn run(&mut self, uploads: &[&[u8]], name: impl Fn(usize) -> String) -> Result<Vec<f32>, Error> {
        self.session.step(0, uploads)?;
        let metrics = self.session.finished()?.pop().expect("a step with metrics reports");
        let logits: Vec<f32> = metrics.words.into_iter().map(f32::from_bits).collect();
        match logits.iter().position(|logit| !logit.is_finite()) {
            Some(at) => Err(Error::OutputNotFinite { sample: name(at / self.outputs), value: logits[at] }),
            None => Ok(logits),
        }
    }

    /// Of logits of values, those values.
    fn probable(&self, mut made: Vec<f32>) -> Vec<f32> {
        if self.binary {
            made.iter_mut().for_each(|x| *x = 1.0 / (1.0 + (-*x).exp()));
        }
        made
    }
}
