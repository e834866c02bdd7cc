//! Whether what a whole checkpoint says can be.
//!
//! A checksum tells a file that was damaged from one that was not. It does not say who wrote the file: numbers that no run
//! comes to would end in a panic, in memory without a limit, or in a run that is no longer what it says. What can be told from the
//! file alone is told here, by the name of the field; what it says of its net and its data is held against those when a run goes on.

use super::{About, PARAMETER, RECORD, STATISTIC, Tensor};
use crate::state::TrainState;
use frugal_report::records::EpochRecord;
use frugal_tensor::codec::error_bounded::{CONTROLLER_STATE_WORDS, ControllerState};
use frugal_tensor::ir::Element;
use std::collections::BTreeMap;

/// More than any run counts: steps, or bytes at a time.
const MOST: u64 = 1 << 48;

/// What cannot be, if anything cannot.
type Finding = Result<(), String>;

pub(super) fn check(about: &About, tensors: &BTreeMap<String, Tensor>) -> Finding {
    let About { position, state, image, classes, kinds, .. } = about;
    holds("image", image.iter().all(|extent| (1..=1 << 20).contains(extent)), || format!("is {image:?}"))?;
    holds("classes", *classes > 0, || "is 0".to_owned())?;
    holds("position.epoch", position.epoch > 0, || "is 0".to_owned())?;
    count("position.epoch", position.epoch, MOST)?;
    count("position.batch", position.batch, MOST)?;
    count("position.steps", position.steps, MOST)?;
    let rate = position.learning_rate;
    holds("position.learning_rate", rate.is_finite() && rate >= 0.0, || format!("is {rate}"))?;
    holds("standing.step", state.step <= position.steps, || {
        format!("is {}, beyond the {} steps of the run", state.step, position.steps)
    })?;
    check_state(state)?;
    for (name, tensor) in tensors {
        let kind = kinds.get(name).ok_or_else(|| format!("`kinds` says nothing of `{name}`"))?;
        check_tensor(name, kind, tensor)?;
    }
    match kinds.keys().find(|name| !tensors.contains_key(*name)) {
        Some(name) => Err(format!("`kinds` knows `{name}`, which is not among the tensors")),
        None => Ok(()),
    }
}

fn holds(field: &str, holds: bool, what: impl FnOnce() -> String) -> Finding {
    if holds { Ok(()) } else { Err(format!("`{field}` {}", what())) }
}

fn count(field: &str, count: u64, most: u64) -> Finding {
    holds(field, count <= most, || format!("is {count}, more than the {most} that can be"))
}

fn amount(field: &str, amount: f64) -> Finding {
    holds(field, amount.is_finite() && amount >= 0.0, || format!("is {amount}"))
}

fn check_state(state: &TrainState) -> Finding {
    let TrainState { step, last, best, discarded, .. } = state;
    let (loss, counted) = state.training.parts();
    holds("standing.training", loss.is_finite() && (0.0..=MOST as f64).contains(&counted), || {
        format!("is a loss of {loss} over {counted} samples")
    })?;
    let (waited, waits) = state.waiting.parts();
    amount("standing.waiting", waited)?;
    count("standing.waiting", waits, *step)?;
    match (last, best) {
        (None, None) => {}
        (Some(_), None) => return Err("`standing.best` is missing, though there is an evaluation".to_owned()),
        (None, Some(_)) => return Err("`standing.last` is missing, though there is a best evaluation".to_owned()),
        (Some(last), Some(best)) => {
            check_evaluation("standing.last", last, *step)?;
            check_evaluation("standing.best", best, last.step)?;
            holds("standing.best", best.watched_accuracy().is_some() == last.watched_accuracy().is_some(), || {
                "has test_accuracy or validation_accuracy where the last evaluation has none, or the other way round"
                    .to_owned()
            })?;
        }
    }
    count("standing.stale", state.stale, step.saturating_add(1))?;
    let (steps, bytes, most) = state.stores.parts();
    count("standing.stores.steps", steps, *step)?;
    bytes.iter().try_for_each(|&sum| count("standing.stores.bytes", sum, MOST.saturating_mul(steps.min(1 << 14))))?;
    count("standing.stores.most", most, MOST)?;
    count("standing.discarded.steps", discarded.steps, MOST)?;
    count("standing.discarded.overflows", discarded.overflows, discarded.steps)?;
    count("standing.most_bytes", state.most_bytes, MOST)?;
    amount("standing.seconds", state.seconds)?;
    amount("standing.epoch_seconds", state.epoch_seconds)
}

/// Of an evaluation after at most so many steps.
fn check_evaluation(field: &str, record: &EpochRecord, most: u64) -> Finding {
    count(&format!("{field}.step"), record.step, most)?;
    count(&format!("{field}.epoch"), record.epoch, most.max(1))?;
    holds(field, record.validation_loss.or(record.test_loss).is_some(), || {
        "has neither validation_loss nor test_loss".to_owned()
    })?;
    for (name, share) in [("validation_accuracy", record.validation_accuracy), ("test_accuracy", record.test_accuracy)]
    {
        holds(&format!("{field}.{name}"), share.is_none_or(|share| (0.0..=1.0).contains(&share)), || {
            format!("is {}, which is no share", share.unwrap_or_default())
        })?;
    }
    holds(field, record.test_accuracy.is_none() || record.test_loss.is_some(), || {
        "has test_accuracy and no test_loss".to_owned()
    })?;
    amount(&format!("{field}.seconds"), record.seconds)
}

fn check_tensor(name: &str, kind: &str, tensor: &Tensor) -> Finding {
    match (kind, tensor.element) {
        // A run whose values are not numbers has diverged, and leaves no checkpoint. Sums of gradients in f16 may hold such, in
        // an update that will be skipped.
        (PARAMETER | STATISTIC, Element::F32) => {
            let nan = tensor.words.iter().filter(|&&word| f32::from_bits(word).is_nan()).count();
            holds(name, nan == 0, || format!("has {nan} NaN among its {} values", tensor.words.len()))
        }
        (RECORD, Element::U32) if tensor.words.len() == CONTROLLER_STATE_WORDS => {
            let ControllerState { bound, worst, density, gain, noise, .. } = ControllerState::read(&tensor.words);
            let fields =
                [("bound", bound), ("worst error", worst), ("density", density), ("gain", gain), ("noise", noise)];
            fields
                .iter()
                .try_for_each(|(what, value)| holds(name, *value >= 0.0, || format!("has {value} as its {what}")))
        }
        _ => Ok(()),
    }
}
