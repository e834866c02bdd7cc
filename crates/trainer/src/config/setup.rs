//! What a trained net is used with: the part of a config that does not say how the net is trained.

use super::{Config, ConfigError, Data, Loss, Model, sections, source};
use frugal_data::Goal;
use frugal_model::Task;
use std::path::Path;

/// Data, model and loss: all that evaluations and predictions need of a config. The other sections may be missing.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    /// What is evaluated, and how images are seen.
    pub data: Data,
    /// What answers.
    pub model: Model,
    /// What was minimised, which says what outputs mean.
    pub loss: Loss,
}

impl Setup {
    /// Reads a config. Relative paths start at its folder.
    ///
    /// # Errors
    /// [`ConfigError`], with the place in the file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let content = frugal_data::input::read_short_text(path, super::MOST_BYTES)
            .map_err(|error| ConfigError::unreadable(path, &error))?;
        let root = source::Node::parse(&path.display().to_string(), &content)?;
        sections::setup(&root, path.parent().unwrap_or(Path::new("")))
    }

    /// What the net makes of images.
    pub fn task(&self) -> Task {
        self.model.task()
    }

    /// What the net is to make of images of a set with so many classes.
    pub fn goal(&self, classes: usize) -> Goal {
        self.model.goal(classes)
    }
}

impl From<Config> for Setup {
    fn from(Config { data, model, loss, .. }: Config) -> Self {
        Self { data, model, loss }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_training_may_be_missing_but_not_misspelt() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("net.toml");
        let load = |text: &str| {
            std::fs::write(&path, text).unwrap();
            Setup::load(&path).map_err(|error| error.to_string())
        };
        let short = "[data]\nset = \"digits\"\n[model]\nnet = \"lenet\"\nweights = \"net.safetensors\"\n";
        let setup = load(short).unwrap();
        assert_eq!((setup.goal(10), setup.loss), (Goal::Classes(10), Loss::usual(Task::Classes)));
        assert_eq!(setup.model.weights.as_deref(), Some(root.path().join("net.safetensors").as_path()));
        let whole = format!("{short}[optimizer]\nlr = 0.1\n[train]\nepochs = 1\n");
        assert_eq!(load(&whole).unwrap(), Setup::from(Config::load(&path, &[]).unwrap().0));
        assert!(load(&format!("{short}[optimiser]\n")).unwrap_err().contains("no setting `optimiser`"));
        assert!(load("[data]\nset = \"digits\"\n").unwrap_err().contains("`model.net` is missing"));
    }
}
