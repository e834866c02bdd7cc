//! A judgement as a report.

use super::units::count;
use crate::run::{Judgement, Reconstruction};
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

/// The most classes whose matrix is wide enough for a terminal.
const WIDEST: usize = 20;

/// How a net answers to a set.
#[derive(Clone, Debug, Serialize)]
pub struct JudgementReport {
    /// The net.
    pub net: String,
    /// The set.
    pub set: String,
    /// Where its values come from.
    pub file: PathBuf,
    /// How it answers.
    #[serde(flatten)]
    pub judgement: Judgement,
}

impl fmt::Display for JudgementReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { net, set, file, judgement } = self;
        let judgement = match judgement {
            Judgement::Classes(judgement) => judgement,
            Judgement::Images(Reconstruction { samples, squared_error, absolute_error, psnr }) => {
                writeln!(f, "{net} on {} samples of {set}, from {}", count(*samples), file.display())?;
                writeln!(
                    f,
                    "PSNR {psnr:.2} dB: mean squared error {squared_error:.6}, mean absolute error {absolute_error:.6}"
                )?;
                return write!(f, "\nValues go from 0 to 1.");
            }
        };
        writeln!(f, "{net} on {} samples of {set}, from {}", count(judgement.samples), file.display())?;
        let percent = |share: f64| format!("{:.2} %", 100.0 * share);
        let top_5 = judgement.top_5_accuracy.map_or(String::new(), |top_5| format!(", top 5 {}", percent(top_5)));
        writeln!(f, "accuracy {}{top_5}, loss {:.4}\n", percent(judgement.accuracy), judgement.loss)?;
        let with_matrix = judgement.classes.len() <= WIDEST;
        let columns = if with_matrix { judgement.classes.len() } else { 0 };
        let mut header: Vec<String> = ["class", "", "samples", "accuracy"].map(str::to_owned).to_vec();
        header.extend((0..columns).map(|class| class.to_string()));
        let header: Vec<&str> = header.iter().map(String::as_str).collect();
        let mut table = super::table(&header, 2..4 + columns);
        for (index, (class, row)) in judgement.classes.iter().zip(&judgement.confusion).enumerate() {
            if class.samples == 0 && !with_matrix {
                continue;
            }
            let accuracy = class.accuracy.map_or("–".to_owned(), percent);
            let mut cells = vec![index.to_string(), class.name.clone(), count(class.samples), accuracy];
            let cell = |&answers: &u64| if answers == 0 { "·".to_owned() } else { count(answers) };
            cells.extend(row.iter().take(columns).map(cell));
            table.add_row(cells);
        }
        write!(f, "{}", table.trim_fmt())?;
        match with_matrix {
            true => write!(f, "\n\nThe columns on the right count what the samples of a row were taken for."),
            false => write!(f, "\n\nThe confusion matrix is wider than a terminal; --json prints it."),
        }
    }
}
