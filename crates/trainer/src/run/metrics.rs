//! The growing files of a run: the same records as JSON lines and as a table.

use super::folder::{Folder, Log};
use super::record::Record;
use crate::Error;
use std::collections::BTreeMap;

/// A JSON line per record.
pub const LINES: &str = "metrics.jsonl";
/// A row per step and evaluation.
pub const TABLE: &str = "metrics.csv";

const COLUMNS: &str = "kind,step,epoch,loss,accuracy,test_loss,test_accuracy,learning_rate,samples_per_second\n";

/// The files.
#[derive(Debug)]
pub(super) struct Metrics {
    lines: Log,
    table: Log,
}

impl Metrics {
    /// Opens the files and goes on after the lengths that they had at a checkpoint; after none, they begin anew.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(folder: &Folder, lengths: &BTreeMap<String, u64>) -> Result<Self, Error> {
        let log = |name: &str| folder.log(name, lengths.get(name).copied().unwrap_or(0));
        let (lines, mut table) = (log(LINES)?, log(TABLE)?);
        if table.is_empty() {
            table.add(COLUMNS.as_bytes())?;
        }
        Ok(Self { lines, table })
    }

    /// Adds a record.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn add(&mut self, record: &Record) -> Result<(), Error> {
        let mut line = serde_json::to_string(record).expect("records have text keys only");
        line.push('\n');
        self.lines.add(line.as_bytes())?;
        if let Some(row) = row(record) {
            self.table.add(row.as_bytes())?;
        }
        Ok(())
    }

    /// Hands everything to the system.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn flush(&mut self) -> Result<(), Error> {
        self.lines.flush()?;
        self.table.flush()
    }

    /// Brings everything to the disk and returns the length of each file.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn sync(&mut self) -> Result<BTreeMap<String, u64>, Error> {
        Ok(BTreeMap::from([(LINES.to_owned(), self.lines.sync()?), (TABLE.to_owned(), self.table.sync()?)]))
    }
}

fn row(record: &Record) -> Option<String> {
    Some(match record {
        Record::Step(r) => {
            let (step, epoch, loss, accuracy) = (r.step, r.epoch, r.loss, r.accuracy);
            format!("step,{step},{epoch},{loss},{accuracy},,,{},{:.1}\n", r.learning_rate, r.samples_per_second)
        }
        Record::Epoch(r) | Record::Evaluation(r) => {
            let kind = if matches!(record, Record::Epoch(_)) { "epoch" } else { "evaluation" };
            let (step, epoch, loss, accuracy) = (r.step, r.epoch, r.train_loss, r.train_accuracy);
            format!("{kind},{step},{epoch},{loss},{accuracy},{},{},,\n", r.test_loss, r.test_accuracy)
        }
        Record::Stores { .. } | Record::Stopped { .. } => return None,
    })
}
