//! `frugal eval` and `frugal predict`: what a trained net answers.

use super::device::Device;
use super::parts;

use crate::data::{self, Batch, Dataset, Frame, Purpose};
use crate::report::evaluation::EvaluationReport;
use crate::run::picture::png;
use crate::run::{Inference, Trained, Which, tiles};
use crate::{Error, terminal};
use clap::Args;
use frugal_model::Task;
use frugal_tensor::Gpu;
use frugal_tensor::ops::Precision;
use serde::Serialize;
use std::path::PathBuf;
use std::rc::Rc;

/// The net that answers.
#[derive(Debug, Args)]
struct Source {
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
    json: bool,
}

impl Source {
    fn read(&self) -> Result<Trained, Error> {
        let which = match &self.checkpoint {
            Some(file) => Which::File(file.clone()),
            None if self.best => Which::Best,
            None => Which::Last,
        };
        Trained::read(&self.run, &which)
    }

    /// The device, with the tiles that a run had.
    fn open(&self) -> Result<Rc<Gpu>, Error> {
        let gpu = self.device.open(Precision::F32)?;
        if self.run.is_dir() {
            tiles::of_run(&self.run, &gpu)?;
        }
        Ok(gpu)
    }
}

/// Evaluate a run's net on a test set.
///
/// Shows accuracy, loss, each class, and which classes it takes for which; of a net that makes images, how far they are off.
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
        let mut settings = trained.config.data.clone();
        let Some(set) = &self.data else { return Ok(settings.open()?) };
        if self.source.run.is_dir() && is_same_set(set, &settings.set) {
            terminal::say("the net was trained on this set: it is evaluated on the part that was held out for tests");
            return Ok(settings.open()?);
        }
        settings.set = set.clone();
        // Images of the user's own are brought to what the net learned from.
        let [channels, height, width] = trained.facts.shape;
        settings.frame = Frame { size: Some([height, width]), grey: channels == 1, ..settings.frame };
        Ok(settings.open_for(Purpose::Evaluate)?)
    }
}

/// Whether two settings name the same file or folder, or the same set of the catalogue.
fn is_same_set(one: &str, other: &str) -> bool {
    let place = |set: &str| std::fs::canonicalize(set).ok().filter(|_| data::is_path(set));
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

/// Say what a run's net makes of pictures.
///
/// Shows the five likeliest classes of each picture (PNG, JPEG); a net that makes images writes what it makes of each beside the
/// others in a folder, as PNG. Pictures are cut and resized as in an evaluation of such pictures, and turned grey if the net
/// learned from grey ones.
#[derive(Debug, Args)]
pub(super) struct Predict {
    #[command(flatten)]
    source: Source,
    /// The pictures
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// Where images that a net makes are written, as NAME-made.png
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
}

/// How many classes are named.
const TOP: usize = 5;

#[derive(Serialize)]
struct Answer {
    image: PathBuf,
    classes: Vec<Likely>,
}

/// A picture, and what was made of it.
#[derive(Serialize)]
struct Made {
    image: PathBuf,
    made: PathBuf,
}

#[derive(Serialize)]
struct Likely {
    class: String,
    probability: f64,
}

pub(super) fn predict(options: &Predict) -> Result<(), Error> {
    let trained = options.source.read()?;
    // All of them before the device is opened: one may not be a picture.
    let pictures = trained.pictures(&options.images)?;
    let gpu = options.source.open()?;
    let mut net = trained.open(1, trained.facts.shape, &gpu)?;
    if trained.config.task() != Task::Classes {
        return make(options, &trained, &mut net, &pictures);
    }
    let mut answers = Vec::new();
    for (image, picture) in options.images.iter().zip(&pictures) {
        let probabilities = net.probabilities(&picture.images)?.pop().unwrap_or_default();
        let likely = |(class, &probability): (&String, &f64)| Likely { class: class.clone(), probability };
        let mut classes: Vec<Likely> = trained.facts.class_names.iter().zip(&probabilities).map(likely).collect();
        classes.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        classes.truncate(TOP);
        answers.push(Answer { image: image.clone(), classes });
    }
    if options.source.json {
        terminal::print_json(&answers)?;
        return Ok(());
    }
    for Answer { image, classes } in &answers {
        terminal::print(image.display())?;
        for Likely { class, probability } in classes {
            terminal::print(format_args!("  {:6.2} %  {class}", 100.0 * probability))?;
        }
    }
    Ok(())
}

/// Writes what a net makes of each picture.
fn make(options: &Predict, trained: &Trained, net: &mut Inference, pictures: &[Batch]) -> Result<(), Error> {
    let mut all: Vec<Made> = Vec::new();
    for image in &options.images {
        let stem = image.file_stem().unwrap_or_default().to_string_lossy();
        let made = options.out.join(format!("{stem}-made.png"));
        if made.exists() || all.iter().any(|other| other.made == made) {
            let message =
                format!("{} is there already, and nothing is written over; choose another --out", made.display());
            return Err(Error::Usage(message));
        }
        all.push(Made { image: image.clone(), made });
    }
    std::fs::create_dir_all(&options.out).map_err(Error::io("create", &options.out))?;
    for (Made { made, .. }, picture) in all.iter().zip(pictures) {
        // Pictures have one or three channels, and what is made of them has as many.
        let bytes = png(&net.images(&picture.images)?, trained.facts.shape).unwrap_or_default();
        std::fs::write(made, bytes).map_err(Error::io("write", made))?;
    }
    if options.source.json {
        terminal::print_json(&all)?;
        return Ok(());
    }
    for Made { image, made } in &all {
        terminal::print(format_args!("{} → {}", image.display(), made.display()))?;
    }
    Ok(())
}
