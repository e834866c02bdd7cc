//! How a net answers to a set: loss, accuracy, and which classes it takes for which; or how far its images are off.

use super::measure::psnr;
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// Of so many classes, five are no answer.
const FEW_CLASSES: usize = 20;
/// How a net answers to a set.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Judgement {
    /// By classes.
    Classes(Classification),
    /// By images.
    Images(Reconstruction),
}

/// How far images are from what was to be made; values go from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Reconstruction {
    /// How many samples were looked at.
    pub samples: u64,
    /// Mean over all values.
    pub squared_error: f64,
    /// Mean over all values.
    pub absolute_error: f64,
    /// Peak signal-to-noise ratio of that squared error, in dB.
    pub psnr: f64,
}

/// How a net answers to a labelled set.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Classification {
    /// How many samples were looked at.
    pub samples: u64,
    /// Mean cross-entropy, in nats.
    pub loss: f64,
    /// Share of right answers, from 0 to 1.
    pub accuracy: f64,
    /// Share of samples whose class is among the five likeliest; none of sets with few classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_5_accuracy: Option<f64>,
    /// Class by class.
    pub classes: Vec<ClassJudgement>,
    /// How often a sample of the row's class was taken for the column's.
    #[serde(serialize_with = "row_by_row")]
    pub confusion: Vec<Vec<u64>>,
}

/// How a net answers to the samples of one class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassJudgement {
    /// What it is called.
    pub name: String,
    /// How many samples it has.
    pub samples: u64,
    /// Share of right answers, from 0 to 1; none if it has no samples.
    pub accuracy: Option<f64>,
}

/// Adds up errors until all are in.
#[derive(Debug, Default)]
pub(super) struct Errors {
    samples: u64,
    values: u64,
    squares: f64,
    sizes: f64,
}

impl Errors {
    /// Adds a sample.
    pub fn add(&mut self, image: &[f32], target: &[f32]) {
        self.samples += 1;
        self.values += image.len() as u64;
        for (x, t) in image.iter().zip(target) {
            let error = f64::from(*x) - f64::from(*t);
            self.squares += error * error;
            self.sizes += error.abs();
        }
    }

    pub fn judgement(self) -> Reconstruction {
        let values = self.values.max(1) as f64;
        let squared_error = self.squares / values;
        let absolute_error = self.sizes / values;
        Reconstruction { samples: self.samples, squared_error, absolute_error, psnr: psnr(squared_error) }
    }
}

/// Counts answers until all are in.
#[derive(Debug)]
pub(super) struct Count {
    loss: f64,
    in_top_5: u64,
    confusion: Vec<Vec<u64>>,
}

impl Count {
    pub fn new(classes: usize) -> Self {
        Self { loss: 0.0, in_top_5: 0, confusion: vec![vec![0; classes]; classes] }
    }

    /// Adds a sample of class `label`.
    pub fn add(&mut self, logits: &[f32], label: usize) {
        let (answer, _) = best(logits);
        self.loss -= log_softmax(logits)[label];
        self.confusion[label][answer] += 1;
        let ahead = logits.iter().filter(|&&logit| logit > logits[label]).count();
        self.in_top_5 += u64::from(ahead < 5);
    }

    pub fn judgement(self, names: &[String]) -> Classification {
        let Self { loss, in_top_5, confusion } = self;
        let samples: u64 = confusion.iter().flatten().sum();
        let right: u64 = confusion.iter().enumerate().map(|(class, row)| row[class]).sum();
        let share = |right: u64, samples: u64| (samples > 0).then(|| right as f64 / samples as f64);
        let class = |(class, row): (usize, &Vec<u64>)| {
            let samples = row.iter().sum();
            ClassJudgement { name: names[class].clone(), samples, accuracy: share(row[class], samples) }
        };
        Classification {
            samples,
            loss: loss / samples.max(1) as f64,
            accuracy: share(right, samples).unwrap_or(0.0),
            top_5_accuracy: share(in_top_5, samples).filter(|_| confusion.len() > FEW_CLASSES),
            classes: confusion.iter().enumerate().map(class).collect(),
            confusion,
        }
    }
}

/// The first of the largest, and its value.
fn best(logits: &[f32]) -> (usize, f32) {
    let first = (0, logits[0]);
    logits
        .iter()
        .copied()
        .enumerate()
        .fold(first, |best, (class, logit)| if logit > best.1 { (class, logit) } else { best })
}

/// Logarithms of the probabilities.
pub(super) fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let most = f64::from(best(logits).1);
    let sum: f64 = logits.iter().map(|&logit| (f64::from(logit) - most).exp()).sum();
    logits.iter().map(|&logit| f64::from(logit) - most - sum.ln()).collect()
}

/// Each row of the matrix on a line of its own, however the rest is laid out.
fn row_by_row<S: Serializer>(rows: &[Vec<u64>], serializer: S) -> Result<S::Ok, S::Error> {
    let mut sequence = serializer.serialize_seq(Some(rows.len()))?;
    for row in rows {
        let text = serde_json::to_string(row).expect("numbers");
        sequence.serialize_element(&RawValue::from_string(text).expect("it was just written as JSON"))?;
    }
    sequence.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_class_by_class() {
        let mut count = Count::new(3);
        count.add(&[2.0, 1.0, 0.0], 0);
        count.add(&[2.0, 1.0, 0.0], 1);
        // The first of equals.
        count.add(&[0.0, 5.0, 5.0], 1);
        let judgement = count.judgement(&["a", "b", "c"].map(str::to_owned));
        assert_eq!(judgement.confusion, [[1, 0, 0], [1, 1, 0], [0, 0, 0]]);
        let accuracies: Vec<Option<f64>> = judgement.classes.iter().map(|class| class.accuracy).collect();
        assert_eq!(accuracies, [Some(1.0), Some(0.5), None]);
        assert!((judgement.accuracy - 2.0 / 3.0).abs() < 1e-12);
        let e = 1f64.exp();
        let sum = (e * e + e + 1.0).ln();
        let second = (2.0 * 5f64.exp() + 1.0).ln() - 5.0;
        assert!((judgement.loss - ((sum - 2.0) + (sum - 1.0) + second) / 3.0).abs() < 1e-12, "{}", judgement.loss);
    }

    #[test]
    fn one_of_five_answers_may_be_right() {
        let mut count = Count::new(30);
        let logits: Vec<f32> = (0..30).map(|class| class as f32).collect();
        [29, 26, 25, 24].iter().for_each(|&label| count.add(&logits, label));
        let names: Vec<String> = (0..30).map(|class| class.to_string()).collect();
        let judgement = count.judgement(&names);
        assert_eq!((judgement.accuracy, judgement.top_5_accuracy), (0.25, Some(0.75)));
    }

    #[test]
    fn errors_are_means_over_all_values() {
        let mut errors = Errors::default();
        errors.add(&[0.5, 1.0], &[0.5, 0.5]);
        errors.add(&[0.25, 1.25], &[0.5, 1.0]);
        let Reconstruction { samples, squared_error, absolute_error, psnr } = errors.judgement();
        assert_eq!((samples, squared_error, absolute_error), (2, 0.09375, 0.25));
        assert!((psnr - 10.280_287_236_002_437).abs() < 1e-9, "{psnr}");
    }

    #[test]
    fn large_logits_stay_finite() {
        let logs = log_softmax(&[1e30, 0.0]);
        assert!(logs[0] == 0.0 && logs[1] < -1e29);
    }
}
