//! A run as TensorBoard shows it: scalars, histograms of the parameters, images of the first batch.

mod event;

use crate::Error;
use crate::artifacts::DataFacts;
use crate::artifacts::folder::{Folder, Log};
use event::{Event, Histogram, Image, Summary, Value};
use frugal_data::{Batch, TARGETS};
use frugal_report::records::Record;
use std::time::{SystemTime, UNIX_EPOCH};

/// The file; TensorBoard looks for `tfevents` in a name.
pub const EVENTS: &str = "events.out.tfevents.1.frugal";

/// Steps between two points of a curve.
const INTERVAL: u64 = 10;
/// Images of the first batch.
const IMAGES: usize = 8;

/// The event file of a run.
#[derive(Debug)]
pub(super) struct Tensorboard {
    log: Log,
}

impl Tensorboard {
    /// Goes on after the first `length` bytes of the file, and says how many of them are missing: see [`Folder::log`].
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(folder: &Folder, length: u64) -> Result<(Self, u64), Error> {
        let (log, missing) = folder.log(EVENTS, length, event::whole_records)?;
        let mut tensorboard = Self { log };
        if tensorboard.log.is_empty() {
            let version = Some("brain.Event:2".to_owned());
            tensorboard.log.add(&Event { wall_time: now(), file_version: version, ..Event::default() }.record())?;
        }
        Ok((tensorboard, missing))
    }

    /// Adds what a record says.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn add(&mut self, record: &Record) -> Result<(), Error> {
        match record {
            Record::Step(r) if r.step == 1 || r.step.is_multiple_of(INTERVAL) => {
                let values = [
                    ("train/loss", Some(r.loss)),
                    ("train/accuracy", r.accuracy),
                    ("train/learning_rate", Some(r.learning_rate)),
                    ("train/loss_scale", r.loss_scale),
                    ("train/samples_per_second", Some(r.samples_per_second as f32)),
                ];
                self.event(r.step, values.into_iter().filter_map(|(tag, value)| Some(scalar(tag, value?))).collect())
            }
            Record::Epoch(r) | Record::Evaluation(r) => {
                let values = [
                    ("validation/loss", r.validation_loss),
                    ("validation/accuracy", r.validation_accuracy),
                    ("validation/psnr", r.validation_psnr),
                    ("validation/auc", r.validation_auc),
                    ("validation/r_squared", r.validation_r_squared),
                    ("test/loss", r.test_loss),
                    ("test/accuracy", r.test_accuracy),
                    ("test/psnr", r.test_psnr),
                    ("test/auc", r.test_auc),
                    ("test/r_squared", r.test_r_squared),
                ];
                let values = values.into_iter().filter_map(|(tag, value)| Some(scalar(tag, value? as f32)));
                self.event(r.step, values.collect())
            }
            Record::Stores { step, values } => {
                let bytes = values.iter().map(|value| value.stored_bytes).sum::<u64>();
                let bounds = values.iter().filter_map(|v| Some(scalar(&format!("bounds/{}", v.name), v.bound? as f32)));
                self.event(*step, bounds.chain([scalar("stores/bytes", bytes as f32)]).collect())
            }
            Record::Step(_) | Record::Stopped { .. } => Ok(()),
        }
    }

    /// Adds the histogram of a parameter.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn parameter(&mut self, step: u64, name: &str, values: &[f32]) -> Result<(), Error> {
        let value = Value { tag: format!("parameters/{name}"), histogram: Histogram::of(values), ..Value::default() };
        if value.histogram.is_none() { Ok(()) } else { self.event(step, vec![value]) }
    }

    /// Adds a few images of a batch, as they were before they were normalised.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn images(&mut self, step: u64, batch: &Batch, facts: &DataFacts) -> Result<(), Error> {
        let images = facts.pictures(batch);
        let each = images.chunks_exact(facts.shape.iter().product());
        let values =
            each.take(IMAGES).enumerate().filter_map(|(index, x)| picture(&format!("batch/{index}"), x, facts.shape));
        self.event(step, values.collect())
    }

    /// Adds what a net makes of a few images of a batch: each image, what was made of it, and what it was to be, side by side.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn predictions(&mut self, step: u64, batch: &Batch, outputs: &[f32], facts: &DataFacts) -> Result<(), Error> {
        let [channels, height, width] = facts.shape;
        let len = channels * height * width;
        let (images, targets) = (facts.pictures(batch), batch.shares(TARGETS));
        let three = images.chunks_exact(len).zip(outputs.chunks_exact(len)).zip(targets.chunks_exact(len));
        let values = three.take(IMAGES.min(batch.samples)).enumerate().filter_map(|(index, ((x, y), target))| {
            let planes = crate::artifacts::picture::beside(&[x, y, target], width);
            picture(&format!("answers/{index}"), &planes, [channels, height, 3 * width])
        });
        self.event(step, values.collect())
    }

    /// As [`Log::flush`].
    pub fn flush(&mut self) -> Result<(), Error> {
        self.log.flush()
    }

    /// As [`Log::sync`].
    pub fn sync(&mut self) -> Result<u64, Error> {
        self.log.sync()
    }

    fn event(&mut self, step: u64, value: Vec<Value>) -> Result<(), Error> {
        let summary = Some(Summary { value });
        self.log.add(&Event { wall_time: now(), step: step as i64, summary, ..Event::default() }.record())
    }
}

/// None if it has neither one nor three channels.
fn picture(tag: &str, planes: &[f32], shape: [usize; 3]) -> Option<Value> {
    let [channels, height, width] = shape.map(|extent| extent as i32);
    let encoded = crate::artifacts::picture::png(planes, shape)?;
    let image = Some(Image { height, width, colorspace: channels, encoded });
    Some(Value { tag: tag.to_owned(), image, ..Value::default() })
}

fn scalar(tag: &str, value: f32) -> Value {
    Value { tag: tag.to_owned(), simple_value: Some(value), ..Value::default() }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
