//! Who reads which samples: the one place that knows both the config and the set.

use crate::Error;
use crate::config::Config;
use crate::planning::uploads::can_become;
use crate::planning::{Request, request_for};
use frugal_data::{ArraySpec, DataError, Dataset, Loader, LoaderOptions};
use frugal_model::{Net, StepShape};

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
            pixels: config.data.pixels(),
            ..plain
        };
        let (train, validation) = data.parts(config.data.validation, seed)?;
        let augmented = LoaderOptions { augment: config.data.augment.clone(), ..plain.clone().shuffled(seed) };
        let loaders = Self {
            train: Loader::new(train, augmented)?,
            validation: validation.map(|split| Loader::new(split, plain.clone())).transpose()?,
            test: Loader::new(data.test.clone(), plain)?,
        };
        let mixed = config.data.augment.mixup.is_some();
        let Request { net, shape, .. } = request_for(config, data)?;
        check(&loaders.train, &net, shape, mixed)?;
        for loader in loaders.validation.iter().chain([&loaders.test]) {
            check(loader, &net, shape, false)?;
        }
        Ok(loaders)
    }
}

/// Whether batches have the arrays that the steps of a net upload.
fn check(loader: &Loader, net: &Net, shape: StepShape, mixed: bool) -> Result<(), Error> {
    let target = net.target(shape.sample, shape.classes, mixed);
    for wanted in net.inputs(shape.sample, mixed).into_iter().chain([target]) {
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
        // Images are bytes, and what is to be made of them, unless the host has changed them.
        let elements = |loader: &Loader| loader.arrays().iter().map(|array| array.element).collect::<Vec<_>>();
        use frugal_data::ElementType::{F32, U8, U32};
        let unet = |data: &str| loaders(data, "unet").unwrap();
        assert_eq!(elements(&unet("set = \"digits\"").train), [U8, U32, U8]);
        assert_eq!(elements(&unet("set = \"digits\"\nnoise = 0.1").train), [F32, U32, F32]);
        let mixed = loaders(mixed, "lenet").unwrap();
        assert_eq!([elements(&mixed.train), elements(&mixed.test)], [vec![F32, U32, F32], vec![U8, U32]]);
        let error = loaders(rows, "unet").err().unwrap();
        assert!(error.contains("takes an array `targets`"), "{error}");
    }
}
