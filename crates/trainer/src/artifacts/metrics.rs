//! The growing files of a run: the same records as JSON lines, as a table, and for TensorBoard.

use crate::Error;
use crate::artifacts::DataFacts;
use crate::artifacts::folder::{Folder, Log, whole_lines};
use crate::artifacts::tensorboard::{EVENTS, Tensorboard};
use crate::terminal;
use frugal_data::Batch;
use frugal_report::records::Record;
use frugal_report::trace::Trace;
use frugal_report::units::count;
use frugal_tensor::PlannedSession;
use std::collections::BTreeMap;
use std::path::Path;

/// A JSON line per record.
pub const LINES: &str = "metrics.jsonl";
/// A row per step and evaluation.
pub const TABLE: &str = "metrics.csv";

const COLUMNS: &str = "kind,step,epoch,loss,accuracy,validation_loss,validation_accuracy,test_loss,test_accuracy,\
                       learning_rate,samples_per_second,data_wait_ms\n";

/// The files.
#[derive(Debug)]
pub(crate) struct Metrics {
    lines: Log,
    table: Log,
    tensorboard: Option<Tensorboard>,
}

impl Metrics {
    /// Opens the files, TensorBoard's only if it is wanted, and goes on after the lengths that they had at a checkpoint;
    /// after none, they begin anew. `warn` hears of each that lacks some of these bytes.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(
        folder: &Folder,
        lengths: &BTreeMap<String, u64>,
        tensorboard: bool,
        warn: impl Fn(&str),
    ) -> Result<Self, Error> {
        let length = |name: &str| lengths.get(name).copied().unwrap_or(0);
        let log = |name: &str| folder.log(name, length(name), whole_lines);
        let ((lines, lines_missing), (mut table, table_missing)) = (log(LINES)?, log(TABLE)?);
        let (tensorboard, events_missing) =
            tensorboard.then(|| Tensorboard::open(folder, length(EVENTS))).transpose()?.unzip();
        let missing = [(LINES, lines_missing), (TABLE, table_missing), (EVENTS, events_missing.unwrap_or(0))];
        for (name, missing) in missing.into_iter().filter(|(_, missing)| *missing > 0) {
            warn(&format!(
                "{name} lacks {} of the {} bytes that it had at the checkpoint: records of steps before it are lost; it \
                 goes on after the last whole record",
                count(missing),
                count(length(name))
            ));
        }
        if table.is_empty() {
            table.add(COLUMNS.as_bytes())?;
        }
        Ok(Self { lines, table, tensorboard })
    }

    /// Bytes of the records so far.
    pub fn lines(&self) -> u64 {
        self.lines.length()
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
        self.tensorboard.as_mut().map_or(Ok(()), |tensorboard| tensorboard.add(record))
    }

    /// Shows some images of a batch, where TensorBoard is wanted.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn images(&mut self, step: u64, batch: &Batch, facts: &DataFacts) -> Result<(), Error> {
        self.tensorboard.as_mut().map_or(Ok(()), |tensorboard| tensorboard.images(step, batch, facts))
    }

    /// Whether TensorBoard is wanted.
    pub fn has_tensorboard(&self) -> bool {
        self.tensorboard.is_some()
    }

    /// Shows what the net makes of some images of a batch, where TensorBoard is wanted.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn predictions(&mut self, step: u64, batch: &Batch, outputs: &[f32], facts: &DataFacts) -> Result<(), Error> {
        self.tensorboard.as_mut().map_or(Ok(()), |tensorboard| tensorboard.predictions(step, batch, outputs, facts))
    }

    /// Shows how the parameters are distributed, where TensorBoard is wanted.
    ///
    /// # Errors
    /// [`Error::Io`], or a failure of the device.
    pub fn parameters(&mut self, step: u64, session: &PlannedSession) -> Result<(), Error> {
        let Some(tensorboard) = &mut self.tensorboard else { return Ok(()) };
        for (_, value) in session.plans()[0].graph.parameters() {
            tensorboard.parameter(step, &value.name, &session.read(&value.name)?)?;
        }
        Ok(())
    }

    /// Hands everything to the system.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn flush(&mut self) -> Result<(), Error> {
        self.lines.flush()?;
        self.table.flush()?;
        self.tensorboard.as_mut().map_or(Ok(()), Tensorboard::flush)
    }

    /// Brings everything to the disk and returns the length of each file.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn sync(&mut self) -> Result<BTreeMap<String, u64>, Error> {
        let mut lengths =
            BTreeMap::from([(LINES.to_owned(), self.lines.sync()?), (TABLE.to_owned(), self.table.sync()?)]);
        if let Some(tensorboard) = &mut self.tensorboard {
            lengths.insert(EVENTS.to_owned(), tensorboard.sync()?);
        }
        Ok(lengths)
    }
}

fn row(record: &Record) -> Option<String> {
    Some(match record {
        Record::Step(r) => {
            let (step, epoch, loss) = (r.step, r.epoch, r.loss);
            let accuracy = r.accuracy.map_or(String::new(), |accuracy| accuracy.to_string());
            let (rate, pace, wait) = (r.learning_rate, r.samples_per_second, r.data_wait_ms);
            format!("step,{step},{epoch},{loss},{accuracy},,,,,{rate},{pace:.1},{wait:.3}\n")
        }
        Record::Epoch(r) | Record::Evaluation(r) => {
            let kind = if matches!(record, Record::Epoch(_)) { "epoch" } else { "evaluation" };
            let (step, epoch, loss) = (r.step, r.epoch, r.train_loss);
            let accuracy = r.train_accuracy.map_or(String::new(), |accuracy| accuracy.to_string());
            let cells = [r.validation_loss, r.validation_accuracy, r.test_loss, r.test_accuracy]
                .map(|value| value.map_or(String::new(), |value| value.to_string()))
                .join(",");
            format!("{kind},{step},{epoch},{loss},{accuracy},{cells},,,\n")
        }
        Record::Stores { .. } | Record::Stopped { .. } => return None,
    })
}

/// The course of a run, from its `metrics.jsonl`. What cannot be read costs points of a curve, and a warning; it must not cost the tables.
pub fn trace(store: &str, path: &Path) -> Trace {
    let bytes = frugal_data::input::read(path, u64::MAX).unwrap_or_else(|error| {
        terminal::warn(format_args!("cannot read {}: {error}; its curve is missing", path.display()));
        Vec::new()
    });
    let lines = bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let records: Vec<Option<Record>> = lines.map(|line| serde_json::from_slice(line).ok()).collect();
    let unreadable = records.iter().filter(|record| record.is_none()).count();
    if unreadable > 0 {
        terminal::warn(format_args!(
            "{unreadable} lines of {} cannot be read; their points are missing",
            path.display()
        ));
    }
    Trace::new(store, records.into_iter().flatten())
}
