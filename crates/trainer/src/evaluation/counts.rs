//! How well a net does on a set: cross-entropy, accuracy, and which classes it takes for which; or how far its images are off.
//!
//! Answers are counted by pairs of classes that occur, so that memory grows with samples and classes and never with the
//! square of classes.

use crate::artifacts::DataFacts;
use frugal_data::table::TargetKind;
use frugal_data::{Batch, LABELS, TARGETS};
use frugal_model::{Task, metrics};
use frugal_report::records::{
    ClassEvaluation, Classification, Evaluation, MOST_CONFUSED, MOST_DENSE, Reconstruction, Regression, confused, psnr,
};
use std::collections::BTreeMap;

/// Of so many classes, five are no answer.
const FEW_CLASSES: usize = 20;

/// What a task makes of predictions for a set, sample by sample.
pub(super) enum Tally<'a> {
    /// By classes, with the names that the net knows.
    Classes(Count, &'a [String]),
    /// By images.
    Images(Errors),
    /// By numbers.
    Values(Numbers),
}

impl<'a> Tally<'a> {
    /// For nets with this task that learned from such data.
    pub fn of(task: Task, facts: &'a DataFacts) -> Self {
        match task {
            Task::Classes => Self::Classes(Count::default(), &facts.class_names),
            Task::Pixels | Task::Images => Self::Images(Errors::default()),
            Task::Values => Self::Values(Numbers::of(facts)),
        }
    }

    /// Adds the predictions for the samples of a batch; the label of a sample is that of the set, and `class` that of the net for it.
    pub fn add(&mut self, predictions: &[f32], batch: &Batch, class: impl Fn(u32) -> usize) {
        let len = predictions.len() / batch.rows;
        let samples = predictions.chunks_exact(len).take(batch.samples);
        let targets = batch.shares(TARGETS);
        let targets = targets.chunks_exact(len);
        match self {
            Self::Classes(count, _) => {
                samples.zip(batch.u32s(LABELS)).for_each(|(logits, &label)| count.add(logits, class(label)));
            }
            Self::Images(errors) => samples.zip(targets).for_each(|(image, target)| errors.add(image, target)),
            Self::Values(numbers) => samples.zip(targets).for_each(|(value, target)| numbers.add(value[0], target[0])),
        }
    }

    /// What came out.
    pub fn evaluation(self) -> Evaluation {
        match self {
            Self::Classes(count, names) => Evaluation::Classes(count.evaluation(names)),
            Self::Images(errors) => Evaluation::Images(errors.evaluation()),
            Self::Values(numbers) => Evaluation::Values(numbers.evaluation()),
        }
    }
}

/// Numbers that are predicted, with those that were to be.
#[derive(Debug)]
pub(super) struct Numbers {
    target: String,
    mean: f64,
    std: f64,
    pairs: Vec<(f64, f64)>,
}

impl Numbers {
    fn of(facts: &DataFacts) -> Self {
        let target = facts.columns.as_ref().map(|columns| &columns.target);
        let (mean, std) = match target.map(|target| &target.kind) {
            Some(TargetKind::Number { mean, std }) => (*mean, *std),
            // Numbers that no table gave are in their own unit.
            Some(TargetKind::Class { .. }) | None => (0.0, 1.0),
        };
        Self { target: target.map_or(String::new(), |target| target.name.clone()), mean, std, pairs: Vec::new() }
    }

    /// Adds a sample, as the net learned it: less the mean, divided by the deviation.
    fn add(&mut self, prediction: f32, target: f32) {
        let of = |value: f32| f64::from(value) * self.std + self.mean;
        self.pairs.push((of(prediction), of(target)));
    }

    fn evaluation(self) -> Regression {
        let mean = |error: &dyn Fn(f64) -> f64| {
            self.pairs.iter().map(|(prediction, target)| error(prediction - target)).sum::<f64>()
                / self.pairs.len().max(1) as f64
        };
        Regression {
            samples: self.pairs.len() as u64,
            mean_squared_error: mean(&|error| error * error),
            mean_absolute_error: mean(&f64::abs),
            r_squared: metrics::r_squared(&self.pairs),
            target: self.target,
        }
    }
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

    pub fn evaluation(self) -> Reconstruction {
        let values = self.values.max(1) as f64;
        let squared_error = self.squares / values;
        let absolute_error = self.sizes / values;
        Reconstruction { samples: self.samples, squared_error, absolute_error, psnr: psnr(squared_error) }
    }
}

/// Counts answers until all are in.
#[derive(Debug, Default)]
pub(super) struct Count {
    cross_entropy: f64,
    in_top_5: u64,
    /// How often a class was answered with another or itself.
    answers: BTreeMap<(usize, usize), u64>,
    /// Of two classes: by how much the logit of the second is larger, and whether it is the class.
    scored: Vec<(f64, bool)>,
}

impl Count {
    /// Adds a sample of class `class` of the net.
    pub fn add(&mut self, logits: &[f32], class: usize) {
        let (answer, _) = best(logits);
        if let [first, second] = logits {
            self.scored.push((f64::from(*second) - f64::from(*first), class == 1));
        }
        self.cross_entropy += log_sum(logits) - f64::from(logits[class]);
        *self.answers.entry((class, answer)).or_default() += 1;
        let ahead = logits.iter().filter(|&&logit| logit > logits[class]).count();
        self.in_top_5 += u64::from(ahead < 5);
    }

    /// What came out, with the names of the net's classes.
    pub fn evaluation(self, names: &[String]) -> Classification {
        let Self { cross_entropy, in_top_5, answers, scored } = self;
        let mut by_class: BTreeMap<usize, (u64, u64)> = BTreeMap::new();
        for (&(class, answer), &count) in &answers {
            let (samples, right) = by_class.entry(class).or_default();
            *samples += count;
            *right += if class == answer { count } else { 0 };
        }
        let (samples, right) = by_class.values().fold((0, 0), |sums, (n, right)| (sums.0 + n, sums.1 + right));
        let share = |right: u64, samples: u64| (samples > 0).then(|| right as f64 / samples as f64);
        let evaluated_classes = by_class.len();
        let dense = names.len() <= MOST_DENSE;
        if dense {
            (0..names.len()).for_each(|class| {
                by_class.entry(class).or_default();
            });
        }
        let class = |(class, (samples, right)): (usize, (u64, u64))| ClassEvaluation {
            class,
            name: names[class].clone(),
            samples,
            accuracy: share(right, samples),
        };
        let name = |class: usize| names[class].clone();
        Classification {
            samples,
            cross_entropy: cross_entropy / samples.max(1) as f64,
            accuracy: share(right, samples).unwrap_or(0.0),
            top_5_accuracy: share(in_top_5, samples).filter(|_| names.len() > FEW_CLASSES),
            auc: metrics::auc(scored),
            known_classes: names.len(),
            evaluated_classes,
            classes: by_class.into_iter().map(class).collect(),
            confusion: dense.then(|| matrix(&answers, names.len())),
            confused: if dense { Vec::new() } else { confused(answers.into_iter(), name, MOST_CONFUSED) },
        }
    }
}

fn matrix(answers: &BTreeMap<(usize, usize), u64>, classes: usize) -> Vec<Vec<u64>> {
    let mut rows = vec![vec![0; classes]; classes];
    answers.iter().for_each(|(&(class, answer), &count)| rows[class][answer] = count);
    rows
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

/// The logarithm of the sum of the exponentials, in double precision.
fn log_sum(logits: &[f32]) -> f64 {
    let most = f64::from(best(logits).1);
    most + logits.iter().map(|&logit| (f64::from(logit) - most).exp()).sum::<f64>().ln()
}

/// The probabilities of the classes: the softmax of the logits, in double precision.
pub(super) fn softmax(logits: &[f32]) -> Vec<f64> {
    let sum = log_sum(logits);
    logits.iter().map(|&logit| (f64::from(logit) - sum).exp()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use frugal_report::records::{Confused, Evaluation};

    fn numbered(classes: usize) -> Vec<String> {
        (0..classes).map(|class| class.to_string()).collect()
    }

    #[test]
    fn answers_are_counted_class_by_class() {
        let mut count = Count::default();
        count.add(&[2.0, 1.0, 0.0], 0);
        count.add(&[2.0, 1.0, 0.0], 1);
        // The first of equals.
        count.add(&[0.0, 5.0, 5.0], 1);
        let evaluation = count.evaluation(&["a", "b", "c"].map(str::to_owned));
        assert_eq!(evaluation.confusion.as_ref().unwrap(), &[[1, 0, 0], [1, 1, 0], [0, 0, 0]]);
        let accuracies: Vec<Option<f64>> = evaluation.classes.iter().map(|class| class.accuracy).collect();
        assert_eq!(accuracies, [Some(1.0), Some(0.5), None]);
        assert_eq!((evaluation.known_classes, evaluation.evaluated_classes), (3, 2));
        assert!((evaluation.accuracy - 2.0 / 3.0).abs() < 1e-12);
        let e = 1f64.exp();
        let sum = (e * e + e + 1.0).ln();
        let second = (2.0 * 5f64.exp() + 1.0).ln() - 5.0;
        let cross_entropy = ((sum - 2.0) + (sum - 1.0) + second) / 3.0;
        assert!((evaluation.cross_entropy - cross_entropy).abs() < 1e-12, "{}", evaluation.cross_entropy);
        let once = Confused { name: "b".to_owned(), taken_for: "a".to_owned(), samples: 1 };
        assert_eq!(evaluation.most_confused(5), [once]);
        let text = serde_json::to_string(&Evaluation::Classes(evaluation.clone())).unwrap();
        assert_eq!(serde_json::from_str::<Evaluation>(&text).unwrap(), Evaluation::Classes(evaluation));
    }

    #[test]
    fn one_of_five_answers_may_be_right() {
        let mut count = Count::default();
        let logits: Vec<f32> = (0..30).map(|class| class as f32).collect();
        [29, 26, 25, 24].iter().for_each(|&class| count.add(&logits, class));
        let evaluation = count.evaluation(&numbered(30));
        assert_eq!((evaluation.accuracy, evaluation.top_5_accuracy), (0.25, Some(0.75)));
    }

    /// A matrix of a million classes would take 7 TiB.
    #[test]
    fn a_million_classes_take_no_square() {
        const CLASSES: usize = 1_000_000;
        let mut count = Count::default();
        let mut logits = vec![0.0; CLASSES];
        for (answer, class, times) in [(7, 7, 2), (999_999, 3, 3), (5, 999_999, 1)] {
            logits[answer] = 1.0;
            (0..times).for_each(|_| count.add(&logits, class));
            logits[answer] = 0.0;
        }
        let evaluation = count.evaluation(&numbered(CLASSES));
        assert_eq!((evaluation.samples, evaluation.known_classes, evaluation.evaluated_classes), (6, CLASSES, 3));
        let classes: Vec<_> = evaluation.classes.iter().map(|class| (class.class, class.accuracy)).collect();
        assert_eq!(classes, [(3, Some(0.0)), (7, Some(1.0)), (999_999, Some(0.0))]);
        assert_eq!(evaluation.confusion, None);
        let pairs: Vec<_> = evaluation.confused.iter().map(|pair| (pair.taken_for.as_str(), pair.samples)).collect();
        assert_eq!(pairs, [("999999", 3), ("5", 1)]);
        assert!(serde_json::to_string(&Evaluation::Classes(evaluation)).unwrap().len() < 1_000);
    }

    #[test]
    fn only_the_most_frequent_pairs_of_many_classes_are_listed() {
        let names = numbered(MOST_DENSE + 1);
        let mut count = Count::default();
        for class in 0..=MOST_DENSE {
            for answer in 0..3 {
                count.answers.insert((class, answer), 1 + (class == 500) as u64);
            }
        }
        let evaluation = count.evaluation(&names);
        assert_eq!((evaluation.confused.len(), evaluation.confused[0].name.as_str()), (MOST_CONFUSED, "500"));
        assert_eq!(evaluation.most_confused(2).len(), 2);
    }

    #[test]
    fn errors_are_means_over_all_values() {
        let mut errors = Errors::default();
        errors.add(&[0.5, 1.0], &[0.5, 0.5]);
        errors.add(&[0.25, 1.25], &[0.5, 1.0]);
        let Reconstruction { samples, squared_error, absolute_error, psnr } = errors.evaluation();
        assert_eq!((samples, squared_error, absolute_error), (2, 0.09375, 0.25));
        assert!((psnr - 10.280_287_236_002_437).abs() < 1e-9, "{psnr}");
    }

    #[test]
    fn large_logits_stay_finite() {
        assert_eq!(softmax(&[1e30, 0.0]), [1.0, 0.0]);
        let mut count = Count::default();
        count.add(&[1e30, 0.0], 1);
        assert!((count.cross_entropy / 1e30 - 1.0).abs() < 1e-6);
    }
}
