//! Who reads which samples: the one place that knows both the config and the set.

use crate::Error;
use crate::config::Config;
use frugal_data::{Dataset, Loader, LoaderOptions};

/// The loaders of a run.
pub(crate) struct Loaders {
    /// What is learned from, augmented.
    pub train: Loader,
    /// What is held out of it, evaluated after each epoch.
    pub validation: Option<Loader>,
    /// Evaluated in the end, and after each epoch where nothing is held out.
    pub test: Loader,
}

impl Loaders {
    /// Of a run with this config: its store changes nothing, so that the runs of a comparison learn from the same.
    ///
    /// # Errors
    /// [`Error::Data`] if the set is too small for what is to be held out, or its images for their augmentation.
    pub fn new(config: &Config, data: &Dataset) -> Result<Self, Error> {
        let seed = config.seed.into();
        let plain = LoaderOptions::evaluate(data, config.data.batch);
        let plain = LoaderOptions {
            workers: config.data.workers.unwrap_or(plain.workers),
            goal: config.goal(data.classes),
            noise: config.data.noise.unwrap_or(0.0),
            ..plain
        };
        let (train, validation) = data.parts(config.data.validation, seed)?;
        let augmented = LoaderOptions { augment: config.data.augment.clone(), ..plain.clone().shuffled(seed) };
        Ok(Self {
            train: Loader::new(train, augmented)?,
            validation: validation.map(|split| Loader::new(split, plain.clone())).transpose()?,
            test: Loader::new(data.test.clone(), plain)?,
        })
    }
}
