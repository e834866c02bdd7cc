//! What is said of a set before it is used: its parts, what is left out of them, and what is unusual.

use crate::config::Config;
use crate::{Error, terminal};
use frugal_data::Dataset;
use frugal_report::composition::{EvaluationLine, TrainingLine};

/// Before training.
pub(super) fn say_of_training(config: &Config, set: &Dataset) -> Result<(), Error> {
    let parts = &set.composition(config.data.validation, config.seed.into())?;
    terminal::say(TrainingLine { set, parts });
    parts.account.warnings.iter().for_each(terminal::warn);
    Ok(())
}

/// Before an evaluation of the test part.
pub(super) fn say_of_evaluation(set: &Dataset) {
    terminal::say(EvaluationLine(set));
    set.account.warnings.iter().for_each(terminal::warn);
}
