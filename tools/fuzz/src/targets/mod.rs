//! What is fuzzed: for each kind of file, how good ones and bad ones are made, and what Frugal does with them.

mod checkpoint;
mod classes;
mod config;
mod images;
mod layers;
mod npz;
mod numbers;
#[cfg(feature = "parquet")]
mod parquet;
mod table;
mod weights;

use crate::random::Random;
use frugal_data::{Dataset, Frame, Purpose};
use frugal_trainer::Error;
use frugal_trainer::config::Config;
use std::path::Path;

/// A kind of input.
pub struct Target {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What an input is called as a file: endings say what is in it.
    pub file: &'static str,
    /// Inputs that Frugal must accept.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Makes another input of one; the second gives pieces.
    pub mutate: fn(&[u8], &[u8], &mut Random) -> Vec<u8>,
    /// Does what the program does with such a file. A broken promise is a panic.
    pub attempt: fn(&Path) -> Result<(), Error>,
}

/// All of them.
pub const ALL: &[Target] = &[
    config::TARGET,
    layers::TARGET,
    npz::TARGET,
    weights::TARGET,
    checkpoint::TARGET,
    images::TARGET,
    numbers::IDX,
    numbers::CIFAR,
    classes::TARGET,
    table::TARGET,
    #[cfg(feature = "parquet")]
    parquet::TARGET,
];

/// Opens a set of the user's own, to train and to evaluate, and reads all its images, as one epoch does.
fn open_and_read(path: &Path, size: Option<[usize; 2]>) -> Result<(), Error> {
    for purpose in [Purpose::Train, Purpose::Evaluate] {
        read_all(&frugal_data::open_own(path, Frame { size, ..Frame::default() }, purpose)?)?;
    }
    Ok(())
}

fn read_all(set: &Dataset) -> Result<(), Error> {
    assert!(set.class_names.len() == set.classes, "as many names as classes");
    for split in [Some(&set.train), set.validation.as_ref(), Some(&set.test)].into_iter().flatten() {
        assert!(split.shape() == set.shape, "all parts have the shape of the set");
        for index in 0..split.len() {
            assert!(split.image(index)?.len() == split.sample_len(), "images have the set's shape");
        }
        assert!(split.labels().iter().all(|&label| (label as usize) < set.classes), "labels are those of classes");
    }
    Ok(())
}

/// A net of a few parameters, so that its files are small.
const SMALL: &str = r#"
name = "small"
[data]
set = "digits"
batch = 2
[model]
layers = [
  { conv = 2, kernel = 3, stride = 2 },
  "batch_norm",
  "relu",
  "global_avg_pool",
  { linear = "classes" },
]
[optimizer]
lr = 0.1
momentum = 0.9
[train]
epochs = 3
[store]
default = "error-bounded"
"#;

/// [`SMALL`], read.
fn small() -> Config {
    Config::parse("small.toml", SMALL, Path::new("/"), &[]).expect("a config that is right")
}

/// The shape of its images, and how many classes there are.
const SMALL_SHAPE: ([usize; 3], usize) = ([1, 8, 8], 10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_right_are_accepted() {
        for target in ALL {
            for (number, seed) in (target.seeds)().iter().enumerate() {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join(target.file);
                std::fs::write(&path, seed).unwrap();
                (target.attempt)(&path).unwrap_or_else(|error| panic!("{} {number}: {error}", target.name));
            }
        }
    }

    #[test]
    fn equal_seeds_give_equal_inputs() {
        for target in ALL {
            let seeds = (target.seeds)();
            let input = |number| (target.mutate)(&seeds[0], &seeds[0], &mut Random::new(3, target.name, number));
            assert!((0..20).all(|number| input(number) == input(number)), "{}", target.name);
            assert!((0..20).any(|number| input(number) != seeds[0]), "{}", target.name);
        }
    }
}
