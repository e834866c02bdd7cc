//! Which samples of a set can be read.

use super::{DataError, Dataset, Split, look::in_parallel};
use serde::Serialize;

/// What of a set can be read.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// The set.
    pub set: String,
    /// What it is divided into.
    pub parts: Vec<Part>,
    /// What cannot be read.
    pub bad: Vec<Bad>,
    /// What of the user's files is in no part.
    pub left_out: Vec<String>,
    /// What is unusual.
    pub warnings: Vec<String>,
}

/// The samples of one purpose.
#[derive(Clone, Debug, Serialize)]
pub struct Part {
    /// `train`, `validation` or `test`.
    pub part: &'static str,
    /// Each class that has samples, in the order of the labels.
    pub classes: Vec<Class>,
}

/// The samples of one class.
#[derive(Clone, Debug, Serialize)]
pub struct Class {
    /// What it is called.
    pub class: String,
    /// Samples that can be read.
    pub good: usize,
    /// Samples that cannot.
    pub bad: usize,
}

/// A sample that cannot be read.
#[derive(Clone, Debug, Serialize)]
pub struct Bad {
    /// Where it is.
    pub file: String,
    /// Why.
    pub what: String,
}

impl Check {
    /// Reads every sample, on all cores.
    pub fn of(data: &Dataset) -> Self {
        let parts =
            [("train", Some(&data.train)), ("validation", data.validation.as_ref()), ("test", Some(&data.test))];
        let parts = parts.into_iter().filter_map(|(name, split)| Some((name, &**split?)));
        let mut bad = Vec::new();
        let parts = parts.filter(|(_, split)| !split.is_empty()).map(|(name, split)| part(name, split, data, &mut bad));
        Self {
            set: data.name.clone(),
            parts: parts.collect(),
            bad,
            left_out: data.account.left_out.clone(),
            warnings: data.account.warnings.clone(),
        }
    }

    /// How many samples there are.
    pub fn samples(&self) -> usize {
        self.parts.iter().flat_map(|part| &part.classes).map(|class| class.good + class.bad).sum()
    }
}

fn part(name: &'static str, split: &Split, data: &Dataset, bad: &mut Vec<Bad>) -> Part {
    let checks = in_parallel(split.len(), "decoding pictures", |index| split.check(index).err());
    let mut classes: Vec<Class> =
        data.class_names.iter().map(|class| Class { class: class.clone(), good: 0, bad: 0 }).collect();
    for (index, (check, &label)) in checks.into_iter().zip(split.labels()).enumerate() {
        let class = &mut classes[label as usize];
        match check {
            None => class.good += 1,
            Some(error) => {
                class.bad += 1;
                bad.push(Bad::new(index, error));
            }
        }
    }
    classes.retain(|class| class.good + class.bad > 0);
    Part { part: name, classes }
}

impl Bad {
    fn new(index: usize, error: DataError) -> Self {
        match error {
            DataError::Image { file, what } => Self { file, what },
            DataError::Io { path, source, .. } => Self { file: path.display().to_string(), what: source.to_string() },
            other => Self { file: format!("sample {index}"), what: other.to_string() },
        }
    }
}
