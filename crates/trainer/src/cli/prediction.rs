//! `frugal eval`: how well a trained net does.

use super::device::Device;
use super::parts;

use crate::artifacts::tiles;
use crate::evaluation::Trained;
use crate::evaluation::Which;
use crate::{Error, terminal};
use clap::Args;
use frugal_data::{Dataset, Frame, Purpose, table};
use frugal_report::evaluation::EvaluationReport;
use frugal_tensor::Gpu;
use frugal_tensor::ir::Precision;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The net that answers.
#[derive(Debug, Args)]
pub(super) struct Source {
    /// The run's folder, or a config with `model.weights`
    #[arg(value_name = "RUN|CONFIG")]
    run: PathBuf,
    /// Take the checkpoint after the best evaluation, not the last weights
    #[arg(long, conflicts_with = "checkpoint")]
    best: bool,
    /// Take the values in this file: a checkpoint or weights of the run's net
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    #[command(flatten)]
    device: Device,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl Source {
    pub fn read(&self) -> Result<Trained, Error> {
        let which = match &self.checkpoint {
            Some(file) => Which::File(file.clone()),
            None if self.best => Which::Best,
            None => Which::Last,
        };
        let trained = Trained::read(&self.run, &which)?;
        if let Some(note) = &trained.note {
            terminal::say(note);
        }
        Ok(trained)
    }

    /// The device, with the tiles that a run had.
    pub fn open(&self) -> Result<Rc<Gpu>, Error> {
        let gpu = self.device.open(Precision::F32)?;
        if self.run.is_dir() {
            tiles::of_run(&self.run, &gpu)?;
        }
        Ok(gpu)
    }
}

/// Evaluate a run's net on a test set.
///
/// Shows accuracy, loss, each class, and which classes it takes for which; of a net that makes images or numbers, how far they
/// are off.
#[derive(Debug, Args)]
pub(super) struct Evaluate {
    #[command(flatten)]
    source: Source,
    /// Another data set, with all or some of the net's classes [default: the run's or the config's]
    #[arg(long, value_name = "SET")]
    data: Option<String>,
    /// Match classes by their numbers, whatever their names are
    #[arg(long)]
    classes_by_number: bool,
}

impl Evaluate {
    /// The samples that the net is evaluated on. Of a set that it learned from these are never those that it was trained on.
    fn open(&self, trained: &Trained) -> Result<Dataset, Error> {
        const LEARNED: &str =
            "the net was trained on this set: it is evaluated on the part that was held out for tests";
        let mut settings = trained.config.data.clone();
        match &self.data {
            None if self.source.run.is_dir() => return Ok(settings.open()?),
            None => {}
            Some(set) if self.source.run.is_dir() && is_same_set(set, &settings.set) => {
                terminal::say(LEARNED);
                return Ok(settings.open()?);
            }
            Some(set) => {
                settings.set = set.clone();
                // Images of the user's own are brought to what the net learned from.
                let [channels, height, width] = trained.facts.shape;
                settings.frame = Frame { size: Some([height, width]), grey: channels == 1, ..settings.frame };
                settings.normalisation = None;
            }
        }
        if let (Some(schema), Some(table)) = (&trained.facts.columns, &self.data) {
            // Its columns mean what they meant where the net learned.
            return Ok(table::open_as(Path::new(table), schema, None)?);
        }
        // The same content may be in another place, or the weights without their run.
        if let Some(content) = trained.facts.content.as_ref().filter(|_| frugal_data::is_path(&settings.set))
            && let Some(set) = settings.open().ok().filter(|set| set.fingerprint() == *content)
        {
            terminal::say(LEARNED);
            return Ok(set);
        }
        Ok(settings.open_for(Purpose::Evaluate)?)
    }
}

/// Whether two settings name the same file or folder, or the same set of the catalogue.
fn is_same_set(one: &str, other: &str) -> bool {
    let place = |set: &str| std::fs::canonicalize(set).ok().filter(|_| frugal_data::is_path(set));
    one == other || place(one).is_some_and(|one| place(other) == Some(one))
}

pub(super) fn evaluate(options: &Evaluate) -> Result<(), Error> {
    let trained = options.source.read()?;
    let data = options.open(&trained)?;
    parts::say_of_evaluation(&data);
    let classes = trained.class_map(&data, options.classes_by_number)?;
    if let Some(note) = &classes.note {
        terminal::say(note);
    }
    let gpu = options.source.open()?;
    let evaluation = trained.evaluate(&data, &classes, trained.config.data.batch, &gpu)?;
    let report = EvaluationReport {
        net: trained.config.model.name().to_owned(),
        set: data.name,
        file: trained.weights.path,
        evaluation,
    };
    terminal::report(&report, options.source.json)
}
