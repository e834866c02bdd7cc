//! What a run reads of a set, in a line.

use super::units::count;
use crate::data::{Composition, Dataset, PartCounts};
use std::fmt::{self, Write};

/// The most characters in which the samples of each class are listed; beyond it their range is given.
const WIDEST: usize = 72;
/// The most things left out that are named.
const MOST_LEFT_OUT: usize = 10;

/// What is said before training: samples of each part and class, where the parts come from, and what is in none of them.
pub struct TrainingLine<'a> {
    /// The set.
    pub set: &'a Dataset,
    /// What the run reads of it.
    pub parts: &'a Composition,
}

impl fmt::Display for TrainingLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { set, parts } = self;
        let Composition { train, validation, test, account } = parts;
        write!(f, "{}: train {}", set.name, Part(train, set))?;
        if let Some(validation) = validation {
            write!(f, "; validation {}: {}", Part(validation, set), account.validation)?;
        }
        write!(f, "; test {}: {}", Part(test, set), account.test)?;
        if validation.is_none() {
            write!(f, "; the best checkpoint is chosen by it")?;
        }
        left_out(f, &account.left_out)
    }
}

/// What is said before an evaluation: the samples that are evaluated, where they come from, and what is left out.
pub struct EvaluationLine<'a>(pub &'a Dataset);

impl fmt::Display for EvaluationLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(set) = self;
        let counts = PartCounts::of(&set.test, set.classes);
        write!(f, "{}: evaluating {}: {}", set.name, Part(&counts, set), set.account.test)?;
        left_out(f, &set.account.left_out)
    }
}

fn left_out(f: &mut fmt::Formatter<'_>, all: &[String]) -> fmt::Result {
    if all.is_empty() {
        return Ok(());
    }
    let shown = all[..all.len().min(MOST_LEFT_OUT)].join("; ");
    match all.len().saturating_sub(MOST_LEFT_OUT) {
        0 => write!(f, ". Left out: {shown}"),
        more => write!(f, ". Left out: {shown}; and {more} more"),
    }
}

/// How many samples a part has, and of each class.
struct Part<'a>(&'a PartCounts, &'a Dataset);

impl fmt::Display for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(counts, set) = self;
        f.write_str(&count(counts.samples))?;
        if set.classes < 2 {
            return Ok(());
        }
        if let Some(list) = list(counts, set) {
            return write!(f, " ({list})");
        }
        let (least, most) = counts.classes.iter().fold((u64::MAX, 0), |(a, b), &n| (a.min(n), b.max(n)));
        let classes = count(set.classes as u64);
        match least == most {
            true => write!(f, " ({} of each of {classes} classes)", count(least)),
            false => write!(f, " ({} to {} of each of {classes} classes)", count(least), count(most)),
        }
    }
}

/// Each class by its name, if they are few.
fn list(counts: &PartCounts, set: &Dataset) -> Option<String> {
    let mut list = String::new();
    for (name, &samples) in set.class_names.iter().zip(&counts.classes) {
        let comma = if list.is_empty() { "" } else { ", " };
        write!(list, "{comma}{name}: {}", count(samples)).ok()?;
        if list.chars().count() > WIDEST {
            return None;
        }
    }
    Some(list)
}
