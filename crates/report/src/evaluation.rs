//! An evaluation as a report.

use super::units::count;
use crate::records::{ClassEvaluation, Classification, Evaluation, Reconstruction, Regression};
use serde::Serialize;
use std::cmp::Ordering;
use std::fmt;
use std::path::PathBuf;

/// The most classes whose matrix is wide enough for a terminal.
const WIDEST: usize = 20;
/// The most classes with a line each.
const LONGEST: usize = 100;
/// How many of more classes, and of pairs of confused ones, have a line.
const WORST: usize = 20;

/// How well a net does on a set.
#[derive(Clone, Debug, Serialize)]
pub struct EvaluationReport {
    /// The net.
    pub net: String,
    /// The set.
    pub set: String,
    /// Where its values come from.
    pub file: PathBuf,
    /// What came out.
    #[serde(flatten)]
    pub evaluation: Evaluation,
}

impl fmt::Display for EvaluationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { net, set, file, evaluation } = self;
        let samples = match evaluation {
            Evaluation::Classes(evaluation) => evaluation.samples,
            Evaluation::Images(evaluation) => evaluation.samples,
            Evaluation::Values(evaluation) => evaluation.samples,
        };
        writeln!(f, "{net} on {} samples of {set}, from {}", count(samples), file.display())?;
        match evaluation {
            Evaluation::Classes(evaluation) => classes(f, evaluation),
            Evaluation::Images(Reconstruction { squared_error, absolute_error, psnr, .. }) => {
                writeln!(
                    f,
                    "PSNR {psnr:.2} dB: mean squared error {squared_error:.6}, mean absolute error {absolute_error:.6}"
                )?;
                write!(f, "\nValues go from 0 to 1.")
            }
            Evaluation::Values(Regression { target, mean_squared_error, mean_absolute_error, r_squared, .. }) => {
                let r_squared = r_squared.map_or("–".to_owned(), |share| format!("{share:.4}"));
                write!(
                    f,
                    "R² {r_squared}: mean squared error {mean_squared_error:.6}, mean absolute error \
                     {mean_absolute_error:.6}, in the unit of `{target}`"
                )
            }
        }
    }
}

fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

fn classes(f: &mut fmt::Formatter<'_>, evaluation: &Classification) -> fmt::Result {
    let top_5 = evaluation.top_5_accuracy.map_or(String::new(), |top_5| format!(", top 5 {}", percent(top_5)));
    let auc = evaluation.auc.map_or(String::new(), |auc| format!(", AUC {}", percent(auc)));
    writeln!(
        f,
        "accuracy {}{top_5}{auc}, cross-entropy {:.4}",
        percent(evaluation.accuracy),
        evaluation.cross_entropy
    )?;
    let (known, evaluated) = (evaluation.known_classes, evaluation.evaluated_classes);
    if evaluated < known {
        let of = (count(evaluated as u64), count(known as u64));
        writeln!(f, "{} of the net's {} classes have samples", of.0, of.1)?;
    }
    writeln!(f)?;
    if let (Some(matrix), true) = (&evaluation.confusion, known <= WIDEST) {
        write_table(f, evaluation.classes.iter(), |class| &matrix[class.class])?;
        return write!(f, "\n\nThe columns on the right count what the samples of a row were taken for.");
    }
    let mut shown: Vec<&ClassEvaluation> = evaluation.classes.iter().filter(|class| class.samples > 0).collect();
    let all = shown.len();
    if all > LONGEST {
        // The first sort is kept among equals, so that larger classes come first.
        shown.sort_by_key(|class| std::cmp::Reverse(class.samples));
        shown.sort_by(|a, b| a.accuracy.partial_cmp(&b.accuracy).unwrap_or(Ordering::Equal));
        shown.truncate(WORST);
        writeln!(f, "The {WORST} classes of {} with the lowest accuracy:\n", count(all as u64))?;
    }
    write_table(f, shown.into_iter(), |_| &[])?;
    let confused = evaluation.most_confused(WORST);
    if !confused.is_empty() {
        let mut table = super::table(&["class", "taken for", "samples"], 2..3);
        for pair in &confused {
            table.add_row([pair.name.clone(), pair.taken_for.clone(), count(pair.samples)]);
        }
        write!(f, "\n\nMost frequent confusions:\n\n{}", table.trim_fmt())?;
    }
    let what = if evaluation.confusion.is_some() { "the confusion matrix" } else { "more pairs" };
    write!(f, "\n\n--json prints {what} and all classes.")
}

/// A line per class, with what its samples were taken for.
fn write_table<'a>(
    f: &mut fmt::Formatter<'_>,
    classes: impl Iterator<Item = &'a ClassEvaluation>,
    row: impl Fn(&ClassEvaluation) -> &'a [u64],
) -> fmt::Result {
    let classes: Vec<&ClassEvaluation> = classes.collect();
    let columns = classes.first().map_or(0, |class| row(class).len());
    let mut header: Vec<String> = ["class", "", "samples", "accuracy"].map(str::to_owned).to_vec();
    header.extend((0..columns).map(|class| class.to_string()));
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let mut table = super::table(&header, 2..4 + columns);
    for class in classes {
        let accuracy = class.accuracy.map_or("–".to_owned(), percent);
        let mut cells = vec![class.class.to_string(), class.name.clone(), count(class.samples), accuracy];
        let cell = |&answers: &u64| if answers == 0 { "·".to_owned() } else { count(answers) };
        cells.extend(row(class).iter().map(cell));
        table.add_row(cells);
    }
    write!(f, "{}", table.trim_fmt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Confused;

    #[test]
    fn reports_of_many_classes_stay_readable() {
        let class = |class: usize| ClassEvaluation {
            class,
            name: format!("class {class}"),
            samples: 10,
            accuracy: Some(if class == 700 { 0.1 } else { 0.9 }),
        };
        let confused = Confused { name: "class 700".to_owned(), taken_for: "class 3".to_owned(), samples: 9 };
        let evaluation = Evaluation::Classes(Classification {
            samples: 20_000,
            known_classes: 1_000_000,
            evaluated_classes: 2_000,
            classes: (0..2_000).map(class).collect(),
            confused: vec![confused; 100],
            ..Classification::default()
        });
        let (net, set) = ("net".to_owned(), "set".to_owned());
        let text = EvaluationReport { net, set, file: PathBuf::from("weights"), evaluation }.to_string();
        assert!(text.lines().count() < 60, "{text}");
        assert!(text.contains("2,000 of the net's 1,000,000 classes have samples"), "{text}");
        let table = text.split("lowest accuracy:").nth(1).unwrap();
        assert!(table.lines().nth(4).unwrap().contains("class 700"), "{table}");
        assert!(text.contains("Most frequent confusions:") && text.contains("class 3"), "{text}");
    }
}
