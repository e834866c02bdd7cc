//! A run as TensorBoard shows it: scalars, histograms of the parameters, images of the first batch.

mod event;

use super::folder::{Folder, Log};
use super::inference::DataFacts;
use super::record::Record;
use crate::Error;
use event::{Event, Histogram, Image, Summary, Value};
use std::time::{SystemTime, UNIX_EPOCH};

/// The file; TensorBoard looks for `tfevents` in a name.
pub const EVENTS: &str = "events.out.tfevents.1.frugal";

/// Steps between two points of a curve.
const INTERVAL: u64 = 10;
/// Images of the first batch.
const IMAGES: usize = 8;

/// The event file of a run.
#[derive(Debug)]
pub(super) struct Board {
    log: Log,
}

impl Board {
    /// Goes on after the first `length` bytes of the file.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(folder: &Folder, length: u64) -> Result<Self, Error> {
        let log = folder.log(EVENTS, length)?;
        let mut board = Self { log };
        if board.log.is_empty() {
            let version = Some("brain.Event:2".to_owned());
            board.log.add(&Event { wall_time: now(), file_version: version, ..Event::default() }.record())?;
        }
        Ok(board)
    }

    /// Adds what a record says.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn add(&mut self, record: &Record) -> Result<(), Error> {
        match record {
            Record::Step(r) if r.step == 1 || r.step.is_multiple_of(INTERVAL) => {
                let values = [
                    scalar("train/loss", r.loss),
                    scalar("train/accuracy", r.accuracy),
                    scalar("train/learning_rate", r.learning_rate),
                    scalar("train/samples_per_second", r.samples_per_second as f32),
                ];
                self.event(r.step, values.to_vec())
            }
            Record::Epoch(r) | Record::Evaluation(r) => {
                let values = [
                    ("validation/loss", r.validation_loss),
                    ("validation/accuracy", r.validation_accuracy),
                    ("test/loss", r.test_loss),
                    ("test/accuracy", r.test_accuracy),
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
    pub fn images(&mut self, step: u64, images: &[f32], facts: &DataFacts) -> Result<(), Error> {
        let [channels, height, width] = facts.shape;
        let colour = match channels {
            1 => image::ColorType::L8,
            3 => image::ColorType::Rgb8,
            // No picture.
            _ => return Ok(()),
        };
        let mut values = Vec::new();
        for (index, planes) in images.chunks_exact(channels * height * width).take(IMAGES).enumerate() {
            let byte = |pixel: usize, channel: usize| {
                let value = planes[channel * height * width + pixel] * facts.std[channel] + facts.mean[channel];
                (255.0 * value).round().clamp(0.0, 255.0) as u8
            };
            let pixels = (0..height * width).flat_map(|pixel| (0..channels).map(move |channel| (pixel, channel)));
            let bytes: Vec<u8> = pixels.map(|(pixel, channel)| byte(pixel, channel)).collect();
            let mut encoded = std::io::Cursor::new(Vec::new());
            let (wide, high) = (width as u32, height as u32);
            image::write_buffer_with_format(&mut encoded, &bytes, wide, high, colour, image::ImageFormat::Png)
                .expect("PNG takes any picture");
            let (height, width) = (height as i32, width as i32);
            let image = Image { height, width, colorspace: channels as i32, encoded: encoded.into_inner() };
            values.push(Value { tag: format!("batch/{index}"), image: Some(image), ..Value::default() });
        }
        self.event(step, values)
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

fn scalar(tag: &str, value: f32) -> Value {
    Value { tag: tag.to_owned(), simple_value: Some(value), ..Value::default() }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
