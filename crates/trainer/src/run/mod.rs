//! One training run: its plans, its loop, its folder.
//!
//! ```text
//! Config, Dataset ─▶ Plans ─▶ Session ─▶ epochs: batches ─▶ stepper ─▶ metrics.jsonl
//!                                                                    └▶ summary.json, weights.safetensors
//! ```

pub mod budget;
mod demand;
mod divergence;
pub mod environment;
mod epochs;
pub mod examine;
mod fit;
pub mod folder;
mod loaders;
mod plans;
mod progress;
pub mod record;
mod schedule;
mod stepper;
mod stores;
pub mod weights;

pub use budget::Chosen;
pub use fit::{Fit, MOST_SAMPLES, largest_batch};
pub use plans::{Plans, Request};
pub use progress::Progress;
pub use record::Summary;
pub use schedule::Schedule;

use crate::Error;
use crate::config::Config;
use crate::data::Dataset;
use environment::{AdapterFacts, Environment};
use epochs::Epochs;
use folder::Folder;
use frugal_model::{Net, StepShape};
use frugal_tensor::{Gpu, Session};
use loaders::Loaders;
use record::{Record, RunBytes};
use std::rc::Rc;
use std::time::Instant;
use stepper::Stepper;

/// What to run, and where.
pub struct Job<'a> {
    /// The plans of the run, see [`plans()`].
    pub plans: Plans,
    /// All settings.
    pub config: &'a Config,
    /// The data that they name.
    pub data: &'a Dataset,
    /// The device.
    pub gpu: &'a Rc<Gpu>,
    /// For everything that the run leaves behind.
    pub folder: &'a Folder,
    /// Who watches.
    pub label: &'a str,
    /// Whether to show how far it is.
    pub quiet: bool,
}

/// What a config asks to be planned, for images of this shape.
///
/// # Errors
/// [`Error::Model`] if there is no such net.
pub fn request(config: &Config, image: [usize; 3], classes: usize) -> Result<Request, Error> {
    Ok(Request {
        net: Net::find(&config.model.net)?,
        shape: StepShape { batch: config.data.batch, image, classes },
        training: config.training(),
        store: config.store.clone(),
    })
}

/// The plans of a run on an open device: what cannot run is known before anything is written.
///
/// # Errors
/// [`Error::Model`], [`Error::Plan`].
pub fn plans(config: &Config, data: &Dataset, gpu: &Gpu) -> Result<Plans, Error> {
    Plans::new(&request(config, data.shape, data.classes)?, gpu.plan_options())
}

/// Trains and leaves everything in the job's folder.
///
/// # Errors
/// [`Error::Diverged`] if the loss is not finite, [`Error::Plan`], [`Error::Gpu`], [`Error::Io`].
pub fn train(job: Job<'_>) -> Result<Summary, Error> {
    let Job { plans, config, data, gpu, folder, label, quiet } = job;
    let begin = Instant::now();
    let Loaders { train, validation, test } = Loaders::new(config, data)?;

    folder.write("config.resolved.toml", config.to_toml().as_bytes())?;
    folder.write_json("environment.json", &Environment::of(gpu))?;
    let steps = train.batches() as u64 * config.train.epochs;
    let progress = if quiet { Progress::silent() } else { Progress::new(label, config.train.epochs, steps) };
    progress.say("compiling kernels");

    if plans.chosen.is_some() {
        folder.write("store.toml", plans.store.to_toml().as_bytes())?;
    }
    let (planned, raw) = (plans.bytes, plans.raw);
    let session = Session::new(gpu.clone(), vec![plans.train, plans.evaluation], config.seed.into())?;
    if session.bytes() != planned.peak {
        return Err(Error::BytesDiffer { planned: planned.peak, allocated: session.bytes() });
    }
    let accumulate = config.train.accumulate;
    let updates = (train.batches() as u64).div_ceil(accumulate);
    let schedule = Schedule::new(&config.schedule, config.optimizer.learning_rate(), updates, config.train.epochs);
    let mut epochs = Epochs::new(
        Stepper::new(session, config.seed),
        &train,
        validation.as_ref(),
        &test,
        schedule,
        folder.log("metrics.jsonl")?,
        progress,
    );
    epochs.accumulate = accumulate;
    epochs.budget = plans.chosen.map(|chosen| chosen.budget);
    let outcome = epochs.run(config.train.epochs);
    if let Err(error) = &outcome {
        epochs.log.add(&Record::Stopped { reason: error.to_string() })?;
    }
    epochs.log.flush()?;
    let last = outcome?;

    let (Some(test_accuracy), Some(test_loss)) = (last.test_accuracy, last.test_loss) else {
        unreachable!("the last epoch evaluates on the test set")
    };
    let data_wait_ms = epochs.waiting.mean();
    let seconds_per_step = record::median(&mut epochs.seconds);
    let Stepper { session, discarded, .. } = epochs.stepper;
    let [train_plan, evaluation] = session.plans() else { unreachable!("a run has two plans") };
    let coded = epochs.stores.summary(train_plan, discarded);
    // Where sizes follow the data, the plan is no longer that of the beginning.
    let planned = train_plan.bytes(&[evaluation], &raw);
    let metadata = [("net", config.model.net.clone()), ("set", data.name.clone()), ("seed", config.seed.to_string())];
    weights::write(&session, folder, &metadata)?;
    let (allocated, most_allocated) = (session.bytes(), session.most_bytes());
    let with_session = gpu.buffer_bytes();
    drop(session);
    let counted_by_wgpu = with_session.saturating_sub(gpu.buffer_bytes());
    let summary = Summary {
        name: config.name.clone(),
        seed: config.seed,
        store: config.store.to_string(),
        test_accuracy,
        test_loss,
        validation_accuracy: last.validation_accuracy,
        train_loss: last.train_loss,
        steps,
        seconds_per_step,
        data_wait_ms,
        seconds: begin.elapsed().as_secs_f64(),
        bytes: RunBytes { planned, allocated, most_allocated, counted_by_wgpu },
        coded,
        adapter: AdapterFacts::of(gpu.adapter()),
    };
    folder.write_json("summary.json", &summary)?;
    Ok(summary)
}
