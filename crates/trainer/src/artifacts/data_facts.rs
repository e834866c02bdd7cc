//! What answers need of the data that a net learned from.

use frugal_data::table::Schema;
use frugal_data::{Batch, Composition, Dataset, Fingerprint, IMAGES};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What answers need of the data that the net learned from.
pub const DATA: &str = "data.json";

/// The most bytes of it: a million classes have names, twice.
pub(crate) const MOST_FACTS: u64 = 256 << 20;

/// What answers need of the data that a net learned from: `data.json` of a run folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataFacts {
    /// The name of the set.
    pub set: String,
    /// Channels, height, width of an image; of a table 1, 1 and its columns.
    pub shape: [usize; 3],
    /// What the classes are called, in the order of the labels.
    pub class_names: Vec<String>,
    /// Whether those are no more than numbers.
    #[serde(default)]
    pub numbered: bool,
    /// What is subtracted from `x / 255`, per channel.
    pub mean: Vec<f32>,
    /// What the difference is divided by, per channel.
    pub std: Vec<f32>,
    /// What the columns mean, if it is a table. Then there are no images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Schema>,
    /// The content of the set. Older runs do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Fingerprint>,
    /// What the run reads of the set; none of runs of before this was written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<Composition>,
}

impl DataFacts {
    /// Of a data set.
    pub fn of(data: &Dataset) -> Self {
        Self {
            set: data.name.clone(),
            shape: data.shape,
            class_names: data.class_names.clone(),
            numbered: data.numbered,
            mean: data.mean.clone(),
            std: data.std.clone(),
            columns: data.schema.as_deref().cloned(),
            content: None,
            parts: None,
        }
    }

    /// How images are normalised, in words.
    pub(crate) fn normalisation(&self) -> String {
        if self.columns.is_some() {
            return "numbers are standardised, and categories numbered, by the training rows".to_owned();
        }
        format!("images are normalised by the mean {:?} and the deviation {:?}", self.mean, self.std)
    }

    /// What cannot be true of any data, if anything: files may say what they like.
    pub(crate) fn check(&self) -> Result<(), String> {
        const MOST: usize = 1 << 15;
        let Self { shape, class_names, mean, std, .. } = self;
        if shape.iter().any(|&extent| !(1..=MOST).contains(&extent)) {
            return Err(format!("images of {shape:?}"));
        }
        if class_names.is_empty() {
            return Err("no classes".to_owned());
        }
        if let Some(columns) = &self.columns {
            columns.check()?;
        }
        let positive = |&x: &f32| x.is_normal() && x > 0.0;
        if [mean.len(), std.len()] != [shape[0]; 2] || !mean.iter().all(|x| x.is_finite()) || !std.iter().all(positive)
        {
            return Err(format!("mean {mean:?} and deviation {std:?} of {} channels", shape[0]));
        }
        Ok(())
    }

    /// The images of a batch from 0 to 1, as they were before they were normalised.
    pub(crate) fn pictures<'a>(&self, batch: &'a Batch) -> Cow<'a, [f32]> {
        let images = batch.f32s(IMAGES);
        if images.is_empty() {
            return batch.shares(IMAGES);
        }
        let [_, height, width] = self.shape;
        let planes = images.chunks_exact(height * width).zip(self.std.iter().zip(&self.mean).cycle());
        planes.flat_map(|(plane, (std, mean))| plane.iter().map(move |x| x * std + mean)).collect()
    }
}
