//! The data of a run: which set, how it is opened, and what it is normalised by. [`section`] reads it from a config.

mod section;

pub(super) use section::{absolute, data};
pub(crate) use section::{sample_of, sample_with};

use frugal_data::table::{self, TableOptions};
use frugal_data::{Augment, DataError, Dataset, Frame, Pixels, Purpose, Share};
use frugal_model::Sample;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What is learned from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Data {
    /// A set of the catalogue (`frugal data list`), or the path of a file or folder of the user's own.
    pub set: String,
    /// What the columns of a table mean.
    #[serde(flatten)]
    pub table: Table,
    /// What images of the user's own are brought to.
    #[serde(flatten, serialize_with = "section::frame")]
    pub frame: Frame,
    /// What images are normalised by, in the place of their own mean and deviation.
    #[serde(flatten)]
    pub normalisation: Option<Normalisation>,
    /// Samples per step.
    pub batch: usize,
    /// Where downloaded sets are.
    pub root: PathBuf,
    /// What of the training samples is held out, to be evaluated after each epoch in the place of the test set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<Share>,
    /// Threads that fill batches; none to let the loader choose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<usize>,
    /// The deviation of normal noise on all images, those of evaluations too, as a share of white; what a net is to make of them
    /// has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise: Option<f64>,
    /// What chance does to training images.
    #[serde(skip_serializing_if = "Augment::is_none")]
    pub augment: Augment,
}

/// What the columns of a table mean; of images nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Table {
    /// The column that is predicted.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// Whether that is a number, and not a class.
    #[serde(rename = "task", serialize_with = "section::task", skip_serializing_if = "std::ops::Not::not")]
    pub regression: bool,
    /// Columns of categories, whatever their cells look like.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// Columns of numbers, whatever their cells look like.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub numbers: Vec<String>,
    /// Columns that are left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<String>,
    /// Categories with fewer training rows count as unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rare: Option<usize>,
    /// Bytes of rows that may be in memory; of a table with more, all are in a temporary file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
}

impl Table {
    /// As the reader of tables takes them.
    pub fn options(&self) -> TableOptions {
        let Self { target, regression, categories, numbers, ignore, rare, memory } = self.clone();
        let rare = rare.unwrap_or(1);
        let most_in_memory = memory.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        TableOptions { target, regression, categories, numbers, ignore, rare, most_in_memory }
    }
}

/// What is subtracted from `x / 255`, and what the difference is divided by, for each channel: those that a net with weights
/// learned with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Normalisation {
    /// Subtracted.
    pub mean: Vec<f32>,
    /// Divided by.
    pub std: Vec<f32>,
}

impl Normalisation {
    /// Whether it is for images of so many channels.
    ///
    /// # Errors
    /// [`DataError::Invalid`].
    pub fn check(&self, channels: usize) -> Result<(), DataError> {
        let here = self.mean.len();
        if here == channels {
            return Ok(());
        }
        let message = format!("`data.mean` and `data.std` have {here} channels, the images {channels}");
        Err(DataError::Invalid(message))
    }
}

impl Data {
    /// What images are uploaded as. Noise is added by the host, to floats; images that are mixed are floats whatever this says.
    pub(crate) fn pixels(&self) -> Pixels {
        if self.noise.is_some() { Pixels::Normalised } else { Pixels::Bytes }
    }

    /// Opens the set to train on it.
    ///
    /// # Errors
    /// [`DataError`] says what is missing or broken.
    pub fn open(&self) -> Result<Dataset, DataError> {
        self.open_for(Purpose::Train)
    }

    /// Opens the set. The purpose decides what is evaluated of a set that has no test part.
    ///
    /// # Errors
    /// As [`Data::open`].
    pub fn open_for(&self, purpose: Purpose) -> Result<Dataset, DataError> {
        if self.set == table::EMBEDDED {
            return table::open_embedded(&table::embedded_options(self.table.options()));
        }
        if self.is_table() {
            return table::open(Path::new(&self.set), &self.table.options(), purpose);
        }
        let mut set = if frugal_data::is_path(&self.set) {
            frugal_data::open_own(Path::new(&self.set), self.frame, purpose)?
        } else {
            frugal_data::open(&self.set, &self.root)?
        };
        if let Some(normalisation) = &self.normalisation {
            normalisation.check(set.shape[0])?;
            (set.mean, set.std) = (normalisation.mean.clone(), normalisation.std.clone());
        }
        Ok(set)
    }

    /// What a sample is, and the number of classes. A set of the catalogue need not be there for it.
    ///
    /// # Errors
    /// As [`Data::open`].
    pub fn shape(&self) -> Result<(Sample, usize), DataError> {
        let known = frugal_data::catalogue(&self.root).into_iter().find(|set| set.name == self.set && !self.is_table());
        match known {
            Some(set) => Ok((set.shape.into(), set.classes)),
            None => self.open().map(|set| (sample_of(&set), set.classes)),
        }
    }

    /// Whether the set is a table: one of the user's own with a target column, or the embedded one.
    pub fn is_table(&self) -> bool {
        section::is_table(&self.set, &self.table)
    }
}
