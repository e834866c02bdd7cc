//! Puts a set together from the parts that were found: what is learned from, what is evaluated, and what is unusual about them.

use std::path::Path;
use std::sync::Arc;

use super::names::{Classes, first};
use super::{Found, HeldOut, Purpose, own};
use crate::{DataError, Dataset, Split};

/// Images from which mean and deviation of encoded sets are taken: a few seconds of decoding, and enough.
const MEASURED: usize = 256;

/// Puts a set together. A validation part without a test part serves as that. Without either, a fifth is held out of the training
/// samples, class by class and always the same, or all are the test part where nothing is to be learned.
pub(super) fn assemble(path: &Path, found: Found<Split>, purpose: Purpose) -> Result<Dataset, DataError> {
    let Found { classes, train, validation, test, mut account } = found;
    let nothing = || own(path, "there are no samples in it");
    let (validation, test) = match (validation, test) {
        (validation, Some(test)) => (validation, Some(test)),
        (validation, None) => (None, validation),
    };
    let (train, test) = match (train, test, purpose) {
        (train, Some(test), _) => (train.unwrap_or_else(|| test.samples.none()), test),
        (Some(train), None, Purpose::Train) => {
            let (samples, train) = train.divide(train.len() / 5, 0);
            (train, HeldOut { samples, origin: "a fifth of all, drawn class by class".to_owned() })
        }
        (Some(train), None, Purpose::Evaluate) => {
            let origin = "all samples, as the set has no test part".to_owned();
            (train.none(), HeldOut { samples: train, origin })
        }
        (Some(train), None, Purpose::Check) => {
            let none = HeldOut { samples: train.none(), origin: String::new() };
            (train, none)
        }
        (None, None, _) => return Err(nothing()),
    };
    if test.samples.is_empty() && purpose != Purpose::Check {
        return Err(own(path, "there are too few samples to train and to test"));
    }
    let test_part = (!test.samples.is_empty()).then_some(("test", &test));
    let held_out = validation.iter().map(|part| ("validation", part)).chain(test_part);
    account.warnings.extend(unusual(&classes, &train, held_out));
    account.test = test.origin;
    let validation = validation.map(|part| {
        account.validation = part.origin;
        Arc::new(part.samples)
    });
    let name = path.file_stem().map_or("data".into(), |stem| stem.to_string_lossy().into_owned());
    let make = if purpose == Purpose::Check { Dataset::unmeasured } else { Dataset::new };
    let set = make(name, classes.names().to_vec(), train, test.samples)?;
    Ok(Dataset { numbered: classes.is_numbered(), validation, account, ..set })
}

/// Classes that cannot be learned or are not evaluated, in words.
fn unusual<'a>(
    classes: &Classes,
    train: &Split,
    held_out: impl Iterator<Item = (&'static str, &'a HeldOut<Split>)>,
) -> Vec<String> {
    // There to evaluate nets by: any of their classes will do.
    if train.is_empty() || classes.len() < 2 {
        return Vec::new();
    }
    let without = |split: &Split, of: &dyn Fn(usize) -> bool| -> Vec<&String> {
        let counts = split.counts(classes.len());
        let missing = |&(class, &count): &(usize, &u64)| count == 0 && of(class);
        counts.iter().enumerate().filter(missing).map(|(class, _)| &classes.names()[class]).collect()
    };
    let word = |names: &[&String]| match names.len() {
        1 => format!("class {}", names[0]),
        several => format!("{several} of {} classes: {}", classes.len(), first(names)),
    };
    let mut all = Vec::new();
    let unlearned = without(train, &|_| true);
    match unlearned.as_slice() {
        [] => {}
        [first] if classes.is_numbered() && *first == "0" => all.push(
            "no training sample has label 0: are labels counted from 1? The net gets a class 0 that it never learns"
                .to_owned(),
        ),
        some => all.push(format!("there are no training samples of {}", word(some))),
    }
    let counts = train.counts(classes.len());
    for (name, part) in held_out {
        let missing = without(&part.samples, &|class| counts[class] > 0);
        if !missing.is_empty() {
            all.push(format!("the {name} part ({}) has no samples of {}", part.origin, word(&missing)));
        }
    }
    all
}

/// Mean and deviation of `x / 255` for each channel: over all images, or over some that are spread evenly where each has
/// to be decoded.
pub(crate) fn measured(split: &Split) -> Result<(Vec<f32>, Vec<f32>), DataError> {
    let step = if split.is_encoded() { split.len().div_ceil(MEASURED) } else { 1 };
    let [channels, height, width] = split.shape();
    let (mut sums, mut squares, mut count) = (vec![0u64; channels], vec![0u64; channels], 0u64);
    for index in (0..split.len()).step_by(step) {
        let image = split.image(index)?;
        for (channel, plane) in image.chunks_exact(height * width).enumerate() {
            sums[channel] += plane.iter().map(|&byte| u64::from(byte)).sum::<u64>();
            squares[channel] += plane.iter().map(|&byte| u64::from(byte).pow(2)).sum::<u64>();
        }
        count += (height * width) as u64;
    }
    let of = |sum: u64, squares: u64| {
        let mean = sum as f64 / count as f64 / 255.0;
        let variance = squares as f64 / count as f64 / 255f64.powi(2) - mean * mean;
        // Images without any contrast must not divide by zero: one step of a byte.
        (mean as f32, variance.max(0.0).sqrt().max(1.0 / 255.0) as f32)
    };
    Ok(sums.into_iter().zip(squares).map(|(sum, squares)| of(sum, squares)).unzip())
}
