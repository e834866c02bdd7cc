//! One training run: its plans, its loop, its folder.
//!
//! ```text
//! Config, Dataset ─▶ Plans ─▶ PlannedSession ─▶ epochs: batches ─▶ stepper ─▶ metrics.jsonl
//!                                                     │              └▶ summary.json, weights.safetensors
//!                                                     └▶ checkpoints ─▶ resume
//! ```

mod divergence;
mod epochs;
mod progress;
mod schedule;
pub(crate) mod stepper;

pub use progress::{Progress, View};
pub use schedule::Schedule;

use crate::Error;
use crate::artifacts::environment::{adapter_facts, environment};
use crate::artifacts::folder::Folder;
use crate::artifacts::metrics::{self, Metrics};
use crate::artifacts::tiles::{self, TilesFile};
use crate::artifacts::{CONFIG, DATA, DataFacts, SUMMARY};
use crate::config::Config;
use crate::dashboard::Heading;
use crate::evaluation::{ClassMap, Classes, Trained, changed, same_order};
use crate::planning::{Loaders, Plans};
use crate::state::checkpoint::{About, Checkpoint, CheckpointStore, Origin, Position, Weights};
use crate::state::{Lock, TrainState, resume, weights};
use epochs::{Epochs, Paces};
use frugal_data::{Dataset, Fingerprint};
use frugal_model::Task;
use frugal_report::records::{Record, RunBytes, Summary};
use frugal_tensor::ir::{Graph, Role};
use frugal_tensor::{Gpu, Plan, PlannedSession};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};
use stepper::Stepper;

/// What to run, and where.
pub struct Job<'a> {
    /// The plans of the run, see [`crate::planning::plans`].
    pub plans: Plans,
    /// All settings.
    pub config: &'a Config,
    /// The data that they name.
    pub data: &'a Dataset,
    /// The content of that data.
    pub content: &'a Fingerprint,
    /// The device.
    pub gpu: &'a Rc<Gpu>,
    /// For everything that the run leaves behind.
    pub folder: &'a Folder,
    /// Nobody else works on that folder.
    pub lock: Lock,
    /// Who watches.
    pub label: &'a str,
    /// How it shows how far it is.
    pub view: View,
    /// Where it begins.
    pub from: Start,
}

/// Where a run begins.
pub enum Start {
    /// At its first step, with weights by chance or with these.
    Anew(Option<Box<Weights>>),
    /// After the step of a checkpoint; the folder is that of a run that was stopped.
    Checkpoint(Box<Checkpoint>),
}

/// Where a run begins that has no checkpoint yet. What cannot run is known before its folder is made.
///
/// # Errors
/// [`Error::Data`] if the set is too small for what is to be held out; [`Error::Checkpoint`] if the weights to begin with do not
/// fit the net.
pub fn anew(config: &Config, data: &Dataset, plans: &Plans) -> Result<Start, Error> {
    Loaders::new(config, data)?;
    let Some(path) = &config.model.weights else { return Ok(Start::Anew(None)) };
    let weights = Weights::read(path)?;
    weights.fit(config.model.name(), &plans.train.graph, &config.model.weights_except)?;
    if let Some(origin) = weights.origin.as_ref().filter(|_| keeps_classifier(config, &plans.train.graph)) {
        let there = Classes { names: &origin.data.class_names, numbered: origin.data.numbered };
        same_order(there, &data.name, Classes { names: &data.class_names, numbered: data.numbered })?;
    }
    Ok(Start::Anew(Some(Box::new(weights))))
}

/// What a user should know of the weights that a run begins with: how images are normalised for them if the config does not say
/// it, and whether the classes are others than those that they learned.
pub fn remarks(config: &Config, data: &Dataset, plans: &Plans, start: &Start) -> Vec<String> {
    let Start::Anew(Some(weights)) = start else { return Vec::new() };
    let mut remarks = Vec::new();
    let (facts, origin) = (DataFacts::of(data), weights.origin.as_ref().map(|origin| &origin.data));
    if config.data.normalisation.is_none()
        && origin.is_none_or(|origin| (&origin.mean, &origin.std) != (&facts.mean, &facts.std))
    {
        let set = format!("{}, which are those of {}", facts.normalisation(), facts.set);
        remarks.push(match origin {
            Some(DataFacts { mean, std, .. }) => {
                format!("{set}; the weights learned with `mean = {mean:?}` and `std = {std:?}`, which [data] takes")
            }
            None => format!("{set}; if the weights expect others, give `mean` and `std` in [data]"),
        });
    }
    if let Some(origin) = origin.filter(|_| keeps_classifier(config, &plans.train.graph)) {
        let there = Classes { names: &origin.class_names, numbered: origin.numbered };
        remarks.extend(changed(there, &data.name, Classes { names: &data.class_names, numbered: data.numbered }));
    }
    remarks
}

/// Whether the layer of a net that makes its answers begins with given weights, and tells classes apart.
fn keeps_classifier(config: &Config, graph: &Graph) -> bool {
    let mut parameters = graph.values().iter().filter(|value| value.role == Role::Parameter);
    let last = parameters.next_back().is_none_or(|value| {
        let in_layer =
            |layer: &String| value.name.strip_prefix(layer.as_str()).is_some_and(|rest| rest.starts_with('.'));
        !config.model.weights_except.iter().any(in_layer)
    });
    config.task() == Task::Classes && last
}

/// Trains, or goes on training, and leaves everything in the job's folder.
///
/// # Errors
/// [`Error::Diverged`] if the loss is not finite, [`Error::Interrupted`] if the user stops it, [`Error::Checkpoint`] if the
/// checkpoint to go on from does not fit, [`Error::Plan`], [`Error::Gpu`], [`Error::Io`].
pub fn train(job: Job<'_>) -> Result<Summary, Error> {
    let Job { plans, config, data, content, gpu, folder, lock: _held, label, view, from } = job;
    let begin = Instant::now();
    let loaders = Loaders::new(config, data)?;
    let (weights, from) = match from {
        Start::Anew(weights) => (weights, None),
        Start::Checkpoint(checkpoint) => (None, Some(*checkpoint)),
    };
    if from.is_none() {
        folder.write_json("environment.json", &environment(gpu))?;
        let facts = DataFacts {
            content: Some(content.clone()),
            parts: Some(data.composition(config.data.validation, config.seed.into())?),
            ..DataFacts::of(data)
        };
        folder.write_json(DATA, &facts)?;
        if let Some(tiles) = TilesFile::of(gpu) {
            folder.write(tiles::FILE, tiles.to_toml().as_bytes())?;
        }
        if plans.chosen.is_some() {
            folder.write("store.toml", plans.store.to_toml().as_bytes())?;
        }
        // Last of them: with it the folder is that of a run, which can be resumed.
        folder.write(CONFIG, config.to_toml().as_bytes())?;
    }
    let steps_per_epoch = loaders.train.batches() as u64;
    let steps = steps_per_epoch * config.train.epochs;
    let (state, logs) = from.as_ref().map(|from| (from.about.state.clone(), from.about.logs.clone())).unzip();
    let (state, logs): (TrainState, BTreeMap<String, u64>) = (state.unwrap_or_default(), logs.unwrap_or_default());
    let Plans { train, evaluation, raw, bytes, chosen, .. } = plans;
    let progress = Progress::new(
        view,
        Heading {
            label: label.to_owned(),
            net: config.model.name().to_owned(),
            set: data.name.clone(),
            store: config.store.to_string(),
            adapter: gpu.adapter().info.name.clone(),
            batch: config.data.batch,
            epochs: config.train.epochs,
            steps,
            before: Duration::try_from_secs_f64(state.seconds).unwrap_or_default(),
        },
    );
    let going_on = from.is_some();
    progress.say("compiling kernels");
    progress.bytes(|| bytes);
    let session = session(train, evaluation, from, gpu, config.seed)?;
    if let Some(weights) = weights {
        let graph = &session.plans()[0].graph;
        weights.fit(config.model.name(), graph, &config.model.weights_except)?.restore(&session)?;
    }
    if going_on {
        // As late as all that could refuse the changes has been done.
        folder.write(CONFIG, config.to_toml().as_bytes())?;
    }
    resume::keep_results(folder)?;
    let updates = steps_per_epoch.div_ceil(config.train.accumulate);
    let metrics = Metrics::open(folder, &logs, config.train.tensorboard, |warning| progress.warn(warning))?;
    if going_on {
        progress.recall(&folder.path().join(metrics::LINES), metrics.lines());
    }
    let mut epochs = Epochs {
        stepper: Stepper::new(session, config.seed, state.step),
        metrics,
        checkpoints: CheckpointStore::open(folder.path(), &config.checkpoint, steps_per_epoch)?,
        about: about(&as_long_as(config, state.step.div_ceil(steps_per_epoch)), data, content, gpu),
        facts: DataFacts::of(data),
        settings: config.train.clone(),
        measure: config.measure(),
        task: config.task(),
        upcoming: loaders.train.epoch_from(state.step / steps_per_epoch, (state.step % steps_per_epoch) as usize),
        state,
        loaders: &loaders,
        schedule: Schedule::new(&config.schedule, config.optimizer.rule.learning_rate(), updates, config.train.epochs),
        progress,
        raw,
        budget: chosen.map(|chosen| chosen.budget),
        paces: Paces::default(),
        begin,
    };
    let outcome = epochs.run();
    if let Err(error) = &outcome {
        // The error is what matters; where the disk is full, it cannot be written down.
        let _ = epochs.metrics.add(&Record::Stopped { reason: error.to_string() });
        let _ = epochs.metrics.flush();
    }
    outcome?;
    epochs.metrics.flush()?;

    let state = epochs.state();
    let (Some(last), Some(best)) = (state.last, state.best) else { unreachable!("a run ends with an evaluation") };
    let Some(test_loss) = last.test_loss else { unreachable!("the last evaluation is on the test set, too") };
    let Some(best_score) = best.watched() else { unreachable!("an evaluation gives a loss") };
    let stopped_early = epochs.stopped_early();
    let seconds_per_step = epochs.paces.seconds_per_step() * state.discarded.steps_done_per_step(state.step);
    let session = epochs.stepper.session;
    let [train_plan, evaluation] = session.plans() else { unreachable!("a run has two plans") };
    let coded = state.stores.summary(train_plan, state.discarded);
    // Where sizes follow the data, the plan is no longer that of the beginning.
    let planned = train_plan.bytes(&[evaluation], &epochs.raw.all());
    let facts = DataFacts { content: Some(content.clone()), ..DataFacts::of(data) };
    let origin = Origin { net: config.model.name().to_owned(), seed: config.seed, data: facts.clone() };
    let weights = Weights::of_session(&session, folder.path().join(weights::FILE), origin)?;
    folder.write(weights::FILE, &weights.encode()?)?;
    let allocated = session.bytes();
    let with_session = gpu.buffer_bytes();
    drop(session);
    let counted_by_wgpu = with_session.saturating_sub(gpu.buffer_bytes());
    // From memory: a finished run does not depend on what its files have become meanwhile.
    let trained = Trained { config: config.clone().into(), facts, weights, note: None };
    let evaluation = trained.evaluate(data, &ClassMap::same(data.classes), config.data.batch, gpu)?;
    let summary = Summary {
        name: config.name.clone(),
        seed: config.seed,
        store: config.store.to_string(),
        loss: config.loss.to_string(),
        test_accuracy: last.test_accuracy,
        test_loss,
        test_psnr: last.test_psnr,
        validation_accuracy: last.validation_accuracy,
        validation_loss: last.validation_loss,
        train_loss: last.train_loss,
        steps: state.step,
        stopped_early,
        best: (best.step, best_score),
        since_best: Some(state.stale),
        seconds_per_step,
        data_wait_ms: state.waiting.mean(),
        seconds: state.seconds,
        bytes: RunBytes { planned, allocated, most_allocated: state.most_bytes, counted_by_wgpu },
        coded,
        adapter: adapter_facts(gpu.adapter()),
        evaluation: Some(evaluation),
    };
    folder.write_json(SUMMARY, &summary)?;
    Ok(summary)
}

/// The memory of a run, as it begins or as a checkpoint left it.
fn session(
    train: Plan,
    evaluation: Plan,
    from: Option<Checkpoint>,
    gpu: &Rc<Gpu>,
    seed: u32,
) -> Result<PlannedSession, Error> {
    let train = match &from {
        Some(checkpoint) => checkpoint.sized(&train)?,
        None => train,
    };
    let planned = Plan::allocated(&[&train, &evaluation]);
    let session = PlannedSession::new(gpu.clone(), vec![train, evaluation], seed.into())?;
    if session.bytes() != planned {
        return Err(Error::BytesDiffer { planned, allocated: session.bytes() });
    }
    if let Some(checkpoint) = from {
        checkpoint.restore(&session)?;
    }
    Ok(session)
}

/// The settings of a run that has come so far already, where it was made shorter than that.
fn as_long_as(config: &Config, epochs: u64) -> Config {
    let mut config = config.clone();
    config.train.epochs = config.train.epochs.max(epochs);
    config
}

/// What every checkpoint of a run says of it.
fn about(config: &Config, data: &Dataset, content: &Fingerprint, gpu: &Gpu) -> About {
    About {
        frugal: env!("CARGO_PKG_VERSION").to_owned(),
        adapter: gpu.adapter().info.name.clone(),
        name: config.name.clone(),
        net: config.model.name().to_owned(),
        set: data.name.clone(),
        image: data.shape,
        classes: data.classes,
        data: Some(content.clone()),
        numbered: data.numbered,
        mean: data.mean.clone(),
        std: data.std.clone(),
        store: config.store.to_string(),
        seed: config.seed,
        config: config.to_toml(),
        position: Position { epoch: 1, batch: 0, steps: 0, learning_rate: 0.0 },
        state: TrainState::default(),
        kinds: BTreeMap::new(),
        capacities: BTreeMap::new(),
        logs: BTreeMap::new(),
    }
}
