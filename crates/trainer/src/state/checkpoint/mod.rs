//! Checkpoints: all that a run needs to go on as if it had never stopped.
//!
//! ```text
//! session: parameters, optimiser state,   ─┐
//!          running statistics, records     ├─▶ Checkpoint ─▶ file: safetensors, ─▶ CheckpointStore: the newest,
//! run:     position, sums, best, capacities ┘                one JSON inside        the best, every N
//! ```
//!
//! What random numbers there are depend on seed, epoch and step alone, so the position is all their state. The sizes of
//! forms that follow the data are kept, too; they change no result, only how often a step is done again.
//! `docs/runs.md` describes the file.

mod file;
mod matching;
mod report;
mod store;
mod validate;
mod weights;

pub use crate::error::{CheckpointError, Differences, FileFormat};
pub use file::{FORMAT, checksum, decode, encode, tensors};
pub use matching::Matched;
pub use report::CheckpointReport;
pub use store::{CheckpointStore, Step, best, newest, read};
pub use weights::{Origin, Weights};

use crate::Error;
use crate::artifacts::metrics::{LINES, TABLE};
use crate::state::TrainState;
use frugal_data::Fingerprint;
use frugal_tensor::codec::{DataSized, Stored};
use frugal_tensor::ir::{Element, Role, Value};
use frugal_tensor::{Plan, PlannedSession};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The state of a run between two steps.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Everything but the tensors.
    pub about: About,
    /// Every value that lives across steps, by its name.
    pub tensors: BTreeMap<String, Tensor>,
}

/// A value that lives across steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Extents.
    pub shape: Vec<usize>,
    /// What a word is.
    pub element: Element,
    /// The elements, as bits; of bytes four to a word, and zeros behind the last.
    pub words: Vec<u32>,
}

/// What a checkpoint is of, and where its run stood: the JSON in the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct About {
    /// The version of the program that wrote it.
    pub frugal: String,
    /// The adapter that it ran on. Another one may round differently.
    pub adapter: String,
    /// Name of the run.
    pub name: String,
    /// The net.
    pub net: String,
    /// The data set.
    pub set: String,
    /// Channels, height, width of an image.
    pub image: [usize; 3],
    /// Number of classes.
    pub classes: usize,
    /// The content of the set. Older checkpoints do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Fingerprint>,
    /// Whether the names of its classes are no more than numbers.
    #[serde(default)]
    pub numbered: bool,
    /// What is subtracted from `x / 255`, per channel. Older checkpoints do not have it.
    #[serde(default)]
    pub mean: Vec<f32>,
    /// What the difference is divided by, per channel.
    #[serde(default)]
    pub std: Vec<f32>,
    /// The store, by its label.
    pub store: String,
    /// The seed.
    pub seed: u32,
    /// All settings, as TOML.
    pub config: String,
    /// Where it stood among batches and in the schedule.
    pub position: Position,
    /// What the host knows of the run so far.
    #[serde(rename = "standing")]
    pub state: TrainState,
    /// What each tensor is for.
    pub kinds: BTreeMap<String, String>,
    /// For each data-sized value, by the name of its report, the words that were planned.
    pub capacities: BTreeMap<String, u64>,
    /// Bytes of each growing file of the run folder at this moment.
    pub logs: BTreeMap<String, u64>,
}

/// Where a run stands. It follows from the number of steps, and is there for readers of the file.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// The epoch of the next step, counted from 1.
    pub epoch: u64,
    /// The batch of the next step within its epoch, counted from 0.
    pub batch: u64,
    /// Steps of the whole run.
    pub steps: u64,
    /// The learning rate of the next step.
    pub learning_rate: f32,
}

impl Checkpoint {
    /// Reads what lives across steps from a session in which no step is on its way.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn of(session: &PlannedSession, mut about: About) -> Result<Self, Error> {
        let plan = &session.plans()[0];
        let mut tensors = BTreeMap::new();
        for (id, value) in plan.graph.ids().filter(|(id, value)| is_kept(plan, *id, value)) {
            let (shape, words) = (value.shape.extents().to_vec(), session.read_value(0, id)?);
            tensors.insert(value.name.clone(), Tensor { shape, element: value.element, words });
            about.kinds.insert(value.name.clone(), role_name(value.role).to_owned());
        }
        Ok(Self { about, tensors })
    }

    /// Puts everything back into a session of the same net.
    ///
    /// # Errors
    /// [`CheckpointError::Misfit`] names the first value that differs, before anything is changed.
    pub fn restore(&self, session: &PlannedSession) -> Result<(), Error> {
        let has = |name: &String| kept(session).any(|value| value.name == *name);
        if let Some((name, tensor)) = self.tensors.iter().find(|(name, _)| !has(name)) {
            // What the session has and the checkpoint lacks says more.
            check(session, &self.about.net, &self.tensors)?;
            return Err(misfit(&self.about.net, name, None, Some(&tensor.shape)).into());
        }
        check(session, &self.about.net, &self.tensors)?;
        for value in kept(session) {
            session.write_words(&value.name, &self.tensors[&value.name].words)?;
        }
        Ok(())
    }

    /// The plan with the capacities of encoded values that the run had come to.
    ///
    /// # Errors
    /// [`CheckpointError::Impossible`] if there is none that the plan can have, [`Error::Plan`].
    pub fn sized(&self, plan: &Plan) -> Result<Plan, Error> {
        let mut sizes = Vec::new();
        for (name, stored, data_sized) in reports(plan) {
            let possible = plan.capacities(data_sized);
            match self.about.capacities.get(&name) {
                Some(words) if possible.contains(words) => sizes.push((stored.kept, *words as usize)),
                Some(words) => {
                    let (least, most) = possible.into_inner();
                    let what = format!("is {words} for `{name}`, not from {least} to {most}");
                    return Err(CheckpointError::Impossible { field: "capacities", what }.into());
                }
                // Whatever the plan begins with will do: what finds no room is done again.
                None => {}
            }
        }
        Ok(plan.resized(&sizes)?)
    }

    /// Whether the checkpoint is of a run with so many steps per epoch and in all, by its own settings.
    ///
    /// # Errors
    /// [`CheckpointError::Impossible`].
    pub fn check_position(&self, steps_per_epoch: u64, steps: u64) -> Result<(), CheckpointError> {
        let About { position, state, logs, .. } = &self.about;
        let impossible = |field, what| Err(CheckpointError::Impossible { field, what });
        if state.step > steps {
            return impossible("standing.step", format!("is {}, beyond the {steps} steps of its run", state.step));
        }
        let here = (state.step / steps_per_epoch + 1, state.step % steps_per_epoch);
        if here != (position.epoch, position.batch) {
            let Position { epoch, batch, .. } = position;
            let what = format!("is batch {batch} of epoch {epoch}, but step {} is in epoch {}", state.step, here.0);
            return impossible("position", what);
        }
        match [LINES, TABLE].iter().find(|name| !logs.contains_key(**name)) {
            Some(name) => impossible("logs", format!("says nothing of {name}")),
            None => Ok(()),
        }
    }
}

/// Whether the tensors have all values of a session, in their shapes.
fn check(session: &PlannedSession, made_by: &str, tensors: &BTreeMap<String, Tensor>) -> Result<(), CheckpointError> {
    for value in kept(session) {
        let here = value.shape.extents();
        match tensors.get(&value.name) {
            Some(tensor) if tensor.shape == here && tensor.element == value.element => {}
            found => return Err(misfit(made_by, &value.name, Some(here), found.map(|tensor| tensor.shape.as_slice()))),
        }
    }
    Ok(())
}

fn misfit(made_by: &str, name: &str, here: Option<&[usize]>, there: Option<&[usize]>) -> CheckpointError {
    CheckpointError::Misfit {
        made_by: made_by.to_owned(),
        name: name.to_owned(),
        here: here.map(<[usize]>::to_vec),
        there: there.map(<[usize]>::to_vec),
    }
}

/// The values of a session that live across steps, in the order of its graph.
fn kept(session: &PlannedSession) -> impl Iterator<Item = &Value> {
    let plan = &session.plans()[0];
    plan.graph.ids().filter(|(id, value)| is_kept(plan, *id, value)).map(|(_, value)| value)
}

/// What a kind is called in the file.
fn role_name(role: Role) -> &'static str {
    match role {
        Role::Parameter => PARAMETER,
        Role::Statistic => STATISTIC,
        Role::OptimizerState => OPTIMIZER_STATE,
        Role::Report => RECORD,
        role => unreachable!("{role:?} does not live across steps"),
    }
}

/// What parameters are called in the file.
pub const PARAMETER: &str = "parameter";
/// What running statistics are called in the file.
const STATISTIC: &str = "statistic";
/// What belongs to an optimiser.
const OPTIMIZER_STATE: &str = "optimiser state";
/// What a codec learns.
const RECORD: &str = "record";

/// For each data-sized value: the name of its report, and its words.
pub fn capacities(plan: &Plan) -> BTreeMap<String, u64> {
    reports(plan).map(|(name, stored, _)| (name, plan.graph.shape(stored.kept).elements() as u64)).collect()
}

/// Reports have unique names; the values whose sizes they report need not.
fn reports(plan: &Plan) -> impl Iterator<Item = (String, &Stored, &dyn DataSized)> {
    plan.data_sized()
        .map(|(stored, data_sized)| (plan.graph.value(data_sized.report()).name.clone(), stored, data_sized))
}

/// Whether a value has to be kept: it lives across steps, steps may change it, and something uses it.
fn is_kept(plan: &Plan, id: frugal_tensor::ValueId, value: &Value) -> bool {
    value.is_persistent() && value.role != Role::Constant && plan.location(id).is_some()
}
