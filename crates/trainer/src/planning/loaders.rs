//! Who reads which samples: the one place that knows both the config and the set.

use crate::Error;
use crate::config::{Config, sample_of};
use crate::planning::step_shape;
use crate::planning::uploads::can_become;
use frugal_data::{ArraySpec, DataError, Dataset, Loader, LoaderOptions};
use frugal_model::{Sample, Task};

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
        let sample = sample_of(data);
        let augmented = LoaderOptions { augment: config.data.augment.clone(), ..plain.clone().shuffled(seed) };
        let loaders = Self {
            train: Loader::new(train, augmented)?,
            validation: validation.map(|split| Loader::new(split, plain.clone())).transpose()?,
            test: Loader::new(data.test.clone(), plain)?,
        };
        let mixed = config.data.augment.mixup.is_some();
        // Of nets that make images these are channels.
        let classes = step_shape(&config.model.net()?, config.data.batch, sample, data.classes).classes;
        check(&loaders.train, config.task(), sample, classes, mixed)?;
        for loader in loaders.validation.iter().chain([&loaders.test]) {
            check(loader, config.task(), sample, classes, false)?;
        }
        Ok(loaders)
    }
}

/// Whether batches have the arrays that the steps of a task upload.
fn check(loader: &Loader, task: Task, sample: Sample, classes: usize, mixed: bool) -> Result<(), Error> {
    let target = task.target(sample, classes, mixed);
    for wanted in sample.inputs().into_iter().chain([target]) {
        let found = loader.arrays().iter().find(|array| array.name == wanted.name);
        let becomes = |array: &&ArraySpec| can_become(array.element, wanted.element);
        if found.filter(becomes).is_none_or(|array| array.sample_len() != Some(wanted.extents.iter().product())) {
            let (name, extents) = (wanted.name, wanted.extents);
            let has =
                found.map_or("none".to_owned(), |array| format!("one of {:?}, {:?}", array.extents, array.element));
            let what =
                format!("the net's task takes an array `{name}` of {extents:?} for each sample, and the set has {has}");
            return Err(DataError::Invalid(what).into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// The data and the nets name arrays alike.
    #[test]
    fn each_task_finds_its_arrays_in_the_batches() {
        let loaders = |data: &str, net: &str| {
            let text = format!(
                "[data]\n{data}\nbatch = 8\n[model]\nnet = \"{net}\"\n[optimizer]\nlr = 0.1\n[train]\nepochs = 1\n"
            );
            let config = Config::parse("test.toml", &text, Path::new("."), &[]).unwrap();
            Loaders::new(&config, &config.data.open().unwrap()).map_err(|error| error.to_string())
        };
        let names = |loaders: &Loaders| loaders.train.arrays().iter().map(|array| array.name).collect::<Vec<_>>();
        assert_eq!(names(&loaders("set = \"digits\"", "lenet").unwrap()), ["images", "labels"]);
        assert_eq!(names(&loaders("set = \"digits\"", "unet").unwrap()), ["images", "labels", "targets"]);
        let mixed = "set = \"digits\"\naugment = { mixup = 0.2 }";
        assert_eq!(names(&loaders(mixed, "lenet").unwrap()), ["images", "labels", "targets"]);
        let rows = "set = \"flights\"";
        assert_eq!(names(&loaders(rows, "mlp").unwrap()), ["categories", "numbers", "labels"]);
        let number = "set = \"flights\"\ntarget = \"distance\"\ntask = \"regression\"\nnumbers = [\"humid\"]";
        assert_eq!(names(&loaders(number, "mlp").unwrap()), ["categories", "numbers", "targets"]);
        let error = loaders(rows, "unet").err().unwrap();
        assert!(error.contains("takes an array `targets`"), "{error}");
    }
}
