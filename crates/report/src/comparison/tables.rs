//! The tables of a comparison: for terminals, as Markdown, as CSV.

use super::{Comparison, Row};
use crate::records::Measure;
use crate::text::shown;
use crate::units::{bytes, count, largest_batch};
use serde::Serialize;
use std::fmt::Write;

/// A row as people read it.
#[derive(Clone, Debug, Serialize)]
pub struct Cells {
    /// The label.
    pub store: String,
    /// Accuracy or loss on the test set, mean ± deviation, or where it diverged.
    pub judged: String,
    /// In dB, where it follows from that.
    pub psnr: String,
    /// Over the last epochs.
    pub loss: String,
    /// Median.
    pub milliseconds: String,
    /// Against raw.
    pub overhead: String,
    /// Mean over weights.
    pub gradient: String,
    /// Of the worst weight.
    pub worst: String,
    /// With a unit.
    pub peak: String,
    /// Against raw.
    pub peak_ratio: String,
    /// With a unit.
    pub kept: String,
    /// Against raw.
    pub kept_ratio: String,
    /// Against raw, for what convolutions read.
    pub convolutions: String,
    /// In the budget.
    pub batch: String,
}

/// What is meant by the error of gradients.
pub(super) const GRADIENTS: &str =
    "- gradient error: over the noise between minibatches, mean over weights and worst one";

const NOTHING: &str = "–";

fn or_nothing<T>(value: Option<T>, text: impl Fn(T) -> String) -> String {
    value.map_or_else(|| NOTHING.to_owned(), text)
}

/// A budget without needless zeros: `8 GiB`.
pub fn budget(budget: u64) -> String {
    let text = bytes(budget);
    let Some((number, unit)) = text.split_once(' ') else { return text };
    let number = if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number };
    format!("{number} {unit}")
}

impl Row {
    fn judged(&self, measure: Measure) -> String {
        let runs = match (measure.is_accuracy(), self.judged_by(measure)) {
            (true, (Some(mean), Some(deviation))) => format!("{:.2} ± {:.2} %", 100.0 * mean, 100.0 * deviation),
            (true, (Some(mean), None)) => format!("{:.2} %", 100.0 * mean),
            (false, (Some(mean), Some(deviation))) => format!("{mean:.5} ± {deviation:.5}"),
            (false, (Some(mean), None)) => format!("{mean:.5}"),
            (_, (None, _)) => String::new(),
        };
        match self.diverged.iter().map(|run| run.step).min() {
            None => runs,
            Some(step) if runs.is_empty() => format!("diverged at step {}", count(step)),
            Some(_) => format!("{runs}, {} diverged", self.diverged.len()),
        }
    }

    /// Mean and deviation of what runs are evaluated by.
    pub(super) fn judged_by(&self, measure: Measure) -> (Option<f64>, Option<f64>) {
        match measure {
            Measure::Accuracy => (self.test_accuracy, self.test_accuracy_deviation),
            Measure::SquaredError | Measure::Loss => (self.test_loss, self.test_loss_deviation),
        }
    }

    /// As people read it.
    pub fn cells(&self, measure: Measure) -> Cells {
        let memory = &self.memory;
        let times = |ratio: f64| format!("{ratio:.2}×");
        let share = |share: f64| match 100.0 * share {
            p if p.abs() < 0.5 => "0 %".to_owned(),
            p => format!("{p:+.0} %").replace('-', "−"),
        };
        let error = self.gradient_error.as_ref();
        Cells {
            store: self.store.clone(),
            judged: self.judged(measure),
            psnr: or_nothing(self.test_loss.and_then(|loss| measure.psnr(loss)), |psnr| format!("{psnr:.2} dB")),
            loss: or_nothing(self.train_loss, |loss| format!("{loss:.4}")),
            milliseconds: or_nothing(self.milliseconds_per_step, |time| format!("{time:.1}")),
            overhead: or_nothing(self.overhead.filter(|_| self.store != "raw"), share),
            gradient: or_nothing(error, |error| format!("{:.3}", error.mean)),
            worst: or_nothing(error, |error| format!("{:.3}", error.worst)),
            peak: bytes(memory.peak_bytes),
            peak_ratio: times(memory.peak_ratio),
            kept: bytes(memory.kept_bytes),
            kept_ratio: times(memory.kept_ratio),
            convolutions: or_nothing(memory.kept_ratio_convolutions, times),
            batch: or_nothing(memory.largest_batch, largest_batch),
        }
    }
}

impl Comparison {
    /// Whether the error of gradients was measured.
    pub fn examined(&self) -> bool {
        self.stores.iter().any(|row| row.gradient_error.is_some())
    }

    /// Whether the peak signal-to-noise ratio is known.
    pub fn has_psnr(&self) -> bool {
        self.measure == Measure::SquaredError
    }

    /// What each store saves, and what it costs: two tables, so that neither is wider than a terminal.
    fn tables(&self) -> [(Vec<String>, Vec<Vec<String>>); 2] {
        let batch = format!("batch in {}", budget(self.budget));
        let saves = ["saves", "peak", "ratio", "kept", "ratio", "convolutions", &batch].map(str::to_owned);
        let mut costs = vec!["costs".to_owned(), format!("test {}", self.measure.name())];
        costs.extend(self.has_psnr().then(|| "PSNR".to_owned()));
        costs.extend(["train loss", "ms/step", "overhead"].map(str::to_owned));
        if self.examined() {
            costs.extend(["gradient error", "worst"].map(str::to_owned));
        }
        let cells = || self.stores.iter().map(|row| row.cells(self.measure));
        let saved = |c: Cells| vec![c.store, c.peak, c.peak_ratio, c.kept, c.kept_ratio, c.convolutions, c.batch];
        let paid = |c: Cells| {
            let mut cells = vec![c.store, c.judged];
            cells.extend(self.has_psnr().then_some(c.psnr));
            cells.extend([c.loss, c.milliseconds, c.overhead]);
            cells.extend(self.examined().then_some([c.gradient, c.worst]).into_iter().flatten());
            cells
        };
        [(saves.to_vec(), cells().map(saved).collect()), (costs, cells().map(paid).collect())]
    }

    /// For a terminal or a pipe.
    pub fn to_text(&self) -> String {
        let mut text = format!("{}\n\n", self.heading());
        for (header, rows) in self.tables() {
            let header: Vec<&str> = header.iter().map(String::as_str).collect();
            let mut table = crate::table(&header, 1..header.len());
            for row in rows {
                table.add_row(row);
            }
            let _ = write!(text, "{}\n\n", table.trim_fmt());
        }
        text + &self.meaning()
    }

    /// What examining gradients adds to [`Comparison::to_text`] of the same comparison before; none if nothing was measured.
    pub fn examined_text(&self) -> Option<String> {
        let rows = self.stores.iter().filter(|row| row.gradient_error.is_some());
        let mut table = crate::table(&["changes", "gradient error", "worst", "of"], 1..3);
        for row in rows {
            let cells = row.cells(self.measure);
            let of = row.gradient_error.as_ref().map_or(String::new(), |error| error.worst_parameter.clone());
            table.add_row(vec![cells.store, cells.gradient, cells.worst, of]);
        }
        self.examined().then(|| format!("{}\n\n{GRADIENTS}", table.trim_fmt()))
    }

    /// `table.md`.
    pub fn to_markdown(&self) -> String {
        let mut text = format!("{}\n", self.heading());
        for (header, rows) in self.tables() {
            let _ = write!(text, "\n| {} |\n|:--{}|\n", header.join(" | "), "|--:".repeat(header.len() - 1));
            for row in &rows {
                let _ = writeln!(text, "| {} |", row.join(" | "));
            }
        }
        let _ = write!(text, "\n{}\n", self.meaning());
        shown(&text).into_owned()
    }

    /// `table.csv`.
    pub fn to_csv(&self) -> String {
        let mut text = "store,test_accuracy,test_accuracy_deviation,test_loss,test_loss_deviation,train_loss,milliseconds_per_step,overhead,\
                        peak_bytes,peak_ratio,kept_bytes,kept_ratio,kept_ratio_convolutions,convolutions_with_masks,convolutions_without_images,\
                        convolution_inputs_rebuilt,budget,largest_batch,\
                        gradient_error,gradient_error_worst,worst_parameter,overflows,repeated_steps,diverged_runs,diverged_at_step\n"
            .to_owned();
        let number = |value: Option<f64>, digits: usize| value.map(|v| format!("{v:.digits$}")).unwrap_or_default();
        for row in &self.stores {
            let memory = &row.memory;
            let error = row.gradient_error.as_ref();
            let first = row.diverged.iter().map(|run| run.step).min();
            let cells = [
                quoted(&row.store),
                number(row.test_accuracy, 6),
                number(row.test_accuracy_deviation, 6),
                number(row.test_loss, 6),
                number(row.test_loss_deviation, 6),
                number(row.train_loss, 6),
                number(row.milliseconds_per_step, 4),
                number(row.overhead, 4),
                memory.peak_bytes.to_string(),
                number(Some(memory.peak_ratio), 4),
                memory.kept_bytes.to_string(),
                number(Some(memory.kept_ratio), 4),
                number(memory.kept_ratio_convolutions, 4),
                number(memory.convolutions.ratio_with_masks(), 4),
                number(memory.convolutions.ratio_without_images(), 4),
                memory.convolutions.recomputed.to_string(),
                self.budget.to_string(),
                memory.largest_batch.map(|batch| batch.to_string()).unwrap_or_default(),
                number(error.map(|error| error.mean), 6),
                number(error.map(|error| error.worst), 6),
                error.map(|error| quoted(&error.worst_parameter)).unwrap_or_default(),
                row.discarded.map(|discarded| discarded.overflows.to_string()).unwrap_or_default(),
                row.discarded.map(|discarded| discarded.steps.to_string()).unwrap_or_default(),
                row.diverged.len().to_string(),
                first.map(|step| step.to_string()).unwrap_or_default(),
            ];
            let _ = writeln!(text, "{}", cells.join(","));
        }
        text
    }
}

/// A label may have commas.
fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}
