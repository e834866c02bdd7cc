//! Stores side by side: what each keeps, what it costs in accuracy and time.

use super::units::bytes;
use crate::run::Summary;
use crate::run::record::median;
use serde::Serialize;
use std::fmt::Write;

/// A comparison of stores.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Name of the config.
    pub name: String,
    /// The data set.
    pub set: String,
    /// The net.
    pub net: String,
    /// Samples per step.
    pub batch: usize,
    /// Epochs of each run.
    pub epochs: u64,
    /// Seeds of each store.
    pub seeds: Vec<u32>,
    /// The adapter.
    pub adapter: String,
    /// A row per store, in the order of the config.
    pub stores: Vec<Row>,
}

/// A store over all its seeds.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its label.
    pub store: String,
    /// Mean share of right answers on the test set, from 0 to 1.
    pub test_accuracy: f64,
    /// Sample standard deviation over the seeds; absent for one seed.
    pub test_accuracy_deviation: Option<f64>,
    /// Mean over the last epochs.
    pub train_loss: f64,
    /// Bytes that wait from the forward to the backward pass.
    pub kept_bytes: u64,
    /// Raw kept bytes over kept bytes.
    pub kept_ratio: f64,
    /// What a run allocates on the device.
    pub peak_bytes: u64,
    /// Median over the seeds of the median step.
    pub milliseconds_per_step: f64,
}

impl Row {
    /// From the summaries of one store's runs.
    pub fn new(runs: &[Summary]) -> Option<Self> {
        let first = runs.first()?;
        let mean = |f: &dyn Fn(&Summary) -> f64| runs.iter().map(f).sum::<f64>() / runs.len() as f64;
        let accuracy = mean(&|run| run.test_accuracy);
        let squares: f64 = runs.iter().map(|run| (run.test_accuracy - accuracy).powi(2)).sum();
        let mut milliseconds: Vec<f64> = runs.iter().map(|run| 1e3 * run.seconds_per_step).collect();
        let planned = &first.bytes.planned;
        Some(Self {
            store: first.store.clone(),
            test_accuracy: accuracy,
            test_accuracy_deviation: (runs.len() > 1).then(|| (squares / (runs.len() - 1) as f64).sqrt()),
            train_loss: mean(&|run| run.train_loss),
            kept_bytes: planned.kept,
            kept_ratio: planned.kept_raw as f64 / planned.kept.max(1) as f64,
            peak_bytes: planned.peak,
            milliseconds_per_step: median(&mut milliseconds),
        })
    }

    fn accuracy(&self) -> String {
        match self.test_accuracy_deviation {
            Some(deviation) => format!("{:.2} ± {:.2} %", 100.0 * self.test_accuracy, 100.0 * deviation),
            None => format!("{:.2} %", 100.0 * self.test_accuracy),
        }
    }

    fn cells(&self) -> [String; 7] {
        [
            self.store.clone(),
            self.accuracy(),
            format!("{:.4}", self.train_loss),
            bytes(self.kept_bytes),
            format!("{:.2}×", self.kept_ratio),
            bytes(self.peak_bytes),
            format!("{:.1}", self.milliseconds_per_step),
        ]
    }
}

const HEADER: [&str; 7] = ["store", "test accuracy", "train loss", "kept", "kept ratio", "peak", "ms/step"];

impl Comparison {
    /// One sentence about what was run.
    fn heading(&self) -> String {
        let Self { net, set, epochs, batch, adapter, .. } = self;
        let seeds: Vec<String> = self.seeds.iter().map(u32::to_string).collect();
        let s = |count: usize| if count == 1 { "" } else { "s" };
        format!(
            "{net} on {set}, {epochs} epoch{}, batch {batch}, seed{} {}, on {adapter}",
            s(*epochs as usize),
            s(seeds.len()),
            seeds.join(", ")
        )
    }

    /// For a terminal or a pipe.
    pub fn to_text(&self) -> String {
        let mut table = super::table(&HEADER, 1..HEADER.len());
        for row in &self.stores {
            table.add_row(row.cells());
        }
        format!("{}\n\n{}\n\n{}", self.heading(), table.trim_fmt(), self.meaning())
    }

    /// `table.md`.
    pub fn to_markdown(&self) -> String {
        let mut text = format!("{}\n\n| {} |\n|:--{}|\n", self.heading(), HEADER.join(" | "), "|--:".repeat(6));
        for row in &self.stores {
            let _ = writeln!(text, "| {} |", row.cells().join(" | "));
        }
        let _ = write!(text, "\n{}\n", self.meaning());
        text
    }

    /// `table.csv`.
    pub fn to_csv(&self) -> String {
        let mut text = "store,test_accuracy,test_accuracy_deviation,train_loss,kept_bytes,kept_ratio,peak_bytes,\
                        milliseconds_per_step\n"
            .to_owned();
        for row in &self.stores {
            let deviation = row.test_accuracy_deviation.map(|d| format!("{d:.6}")).unwrap_or_default();
            let _ = writeln!(
                text,
                "{},{:.6},{deviation},{:.6},{},{:.4},{},{:.4}",
                row.store,
                row.test_accuracy,
                row.train_loss,
                row.kept_bytes,
                row.kept_ratio,
                row.peak_bytes,
                row.milliseconds_per_step
            );
        }
        text
    }

    /// What the columns mean and what the table says, for someone who has never seen it.
    pub fn meaning(&self) -> String {
        let mut lines = vec![
            "- kept: what the forward pass leaves in memory for the backward pass".to_owned(),
            "- kept ratio: how many times less that is than if every value were left as it is (raw)".to_owned(),
            "- peak: all that a run takes on the device".to_owned(),
        ];
        if self.noise() > 0.0 {
            lines.push("- ±: deviation between seeds; smaller differences may be chance".to_owned());
        }
        if let Some(raw) = self.stores.iter().find(|row| row.store == "raw") {
            let others = self.stores.iter().filter(|row| row.store != "raw");
            lines.extend(others.flat_map(|row| [String::new(), self.against(row, raw)]));
        }
        lines.join("\n")
    }

    /// The largest deviation between seeds.
    fn noise(&self) -> f64 {
        self.stores.iter().filter_map(|row| row.test_accuracy_deviation).fold(0.0, f64::max)
    }

    /// A sentence about one store.
    fn against(&self, row: &Row, raw: &Row) -> String {
        let points = 100.0 * (row.test_accuracy - raw.test_accuracy);
        let chance = if points.abs() < 100.0 * self.noise() { " (less than ±)" } else { "" };
        let accuracy = match points {
            p if p.abs() < 0.005 => "the same test accuracy".to_owned(),
            p if p > 0.0 => format!("{p:.2} points more test accuracy{chance}"),
            p => format!("{:.2} points less test accuracy{chance}", -p),
        };
        let percent = 100.0 * (row.milliseconds_per_step / raw.milliseconds_per_step - 1.0);
        let time = match percent {
            p if p.abs() < 0.5 => "the same time per step".to_owned(),
            p if p > 0.0 => format!("{p:.0} % more time per step"),
            p => format!("{:.0} % less time per step", -p),
        };
        format!(
            "{} kept {} instead of {}, {:.1} times less than raw,\nat {accuracy} and {time}.",
            row.store,
            bytes(row.kept_bytes),
            bytes(raw.kept_bytes),
            raw.kept_bytes as f64 / row.kept_bytes.max(1) as f64,
        )
    }
}
