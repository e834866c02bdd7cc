//! `frugal predict`: what a trained net answers to pictures, or to rows of a table.

use super::prediction::Source;
use crate::artifacts::picture::png;
use crate::evaluation::Inference;
use crate::evaluation::Trained;
use crate::{Error, terminal};
use clap::Args;
use frugal_data::{Batch, pictures_in};
use frugal_model::Task;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Say what a run's net makes of pictures, or of rows of a table.
///
/// Shows the five likeliest classes of each picture; a net that makes images writes what it makes of each as PNG into a folder.
/// Pictures are turned, cut and resized as in an evaluation of such pictures, and made grey if the net learned from grey ones.
/// Those that cannot be read are named, the others are answered, and the exit status is 1.
///
/// A net that learned from a table takes tables with the same columns, CSV or Parquet, and answers row by row.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    source: Source,
    /// The pictures, and folders of pictures; or tables
    #[arg(required = true, value_name = "IMAGE|DIR|TABLE")]
    images: Vec<PathBuf>,
    /// Where images that a net makes are written, as NAME-made.png
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
}

/// How many classes are named.
const TOP: usize = 5;

/// The likeliest classes of a picture.
#[derive(Serialize)]
struct Answer<'a> {
    image: Cow<'a, str>,
    classes: Vec<Likely<'a>>,
}

#[derive(Serialize)]
struct Likely<'a> {
    class: &'a str,
    probability: f64,
}

/// A picture, and what was made of it.
#[derive(Serialize)]
struct Made<'a> {
    image: Cow<'a, str>,
    made: Cow<'a, str>,
}

impl fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.image)?;
        let mut classes = self.classes.iter();
        classes.try_for_each(|likely| write!(f, "\n  {:6.2} %  {}", 100.0 * likely.probability, likely.class))
    }
}

impl fmt::Display for Made<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {}", self.image, self.made)
    }
}

/// A picture, and what it is called in the folder of what is made.
struct Input {
    file: PathBuf,
    name: PathBuf,
}

pub(super) fn run(options: &Options) -> Result<(), Error> {
    let trained = options.source.read()?;
    if trained.facts.columns.is_some() {
        return rows(options, &trained);
    }
    let inputs = inputs(&options.images)?;
    let makes_images = trained.config.task() != Task::Classes;
    let made = if makes_images { places(&options.out, &inputs)? } else { Vec::new() };
    let files: Vec<PathBuf> = inputs.into_iter().map(|input| input.file).collect();
    let pictures = trained.pictures(&files)?;
    let gpu = options.source.open()?;
    let mut net = trained.open(1, trained.facts.shape, &gpu)?;
    let mut answers = Answers { json: options.source.json, printed: 0 };
    let mut bad = 0;
    let answer_all = || -> Result<(), Error> {
        for (index, picture) in pictures.enumerate() {
            let image = files[index].as_path();
            let batch = match picture {
                Ok(batch) => batch,
                Err(error) => {
                    bad += 1;
                    terminal::say(error);
                    continue;
                }
            };
            if makes_images {
                let made = made[index].as_path();
                make(&trained, &mut net, image, &batch, made)?;
                answers.print(&Made { image: image.to_string_lossy(), made: made.to_string_lossy() })?;
            } else {
                answers.print(&answer(&trained, &mut net, image, &batch)?)?;
            }
        }
        Ok(())
    };
    let outcome = answer_all();
    answers.end()?;
    outcome?;
    if bad > 0 { Err(Error::BadImages { bad, all: files.len() }) } else { Ok(()) }
}

/// Rows that are predicted at a time.
const ROWS: usize = 256;

/// The number that a net predicts for a row.
#[derive(Serialize)]
struct Number {
    /// The file, and which of its rows.
    row: String,
    value: f64,
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}", self.row, self.value)
    }
}

/// Predicts for each row of tables.
fn rows(options: &Options, trained: &Trained) -> Result<(), Error> {
    let tables = options.images.iter().map(|table| trained.rows(table, ROWS)).collect::<Result<Vec<_>, _>>()?;
    let gpu = options.source.open()?;
    let mut net = trained.open(ROWS, trained.facts.shape, &gpu)?;
    let mut answers = Answers { json: options.source.json, printed: 0 };
    let answer_all = || -> Result<(), Error> {
        for (table, batches) in options.images.iter().zip(tables) {
            for (index, batch) in batches.enumerate() {
                let batch = batch?;
                let name = |row: usize| format!("{}, row {}", table.display(), index * ROWS + row + 1);
                let predictions = net.predictions(&batch, name)?;
                let each = predictions.chunks_exact(predictions.len() / batch.rows).take(batch.samples);
                for (row, values) in each.enumerate() {
                    match trained.number(values[0]) {
                        Some(value) => answers.print(&Number { row: name(row), value })?,
                        None => answers.print(&likely(trained, name(row).into(), trained.probabilities(values)))?,
                    }
                }
            }
        }
        Ok(())
    };
    let outcome = answer_all();
    answers.end()?;
    outcome
}

/// Files as they are named, and all pictures in folders.
fn inputs(named: &[PathBuf]) -> Result<Vec<Input>, Error> {
    let mut all = Vec::new();
    for path in named {
        if path.is_dir() {
            let name = |file: &Path| file.strip_prefix(path).unwrap_or(file).to_path_buf();
            all.extend(pictures_in(path)?.into_iter().map(|file| Input { name: name(&file), file }));
        } else {
            all.push(Input { file: path.clone(), name: path.file_name().unwrap_or_default().into() });
        }
    }
    Ok(all)
}

/// Where what is made of each picture is written. Nothing is written over, which is known before the first is written.
fn places(out: &Path, inputs: &[Input]) -> Result<Vec<PathBuf>, Error> {
    let (mut places, mut taken) = (Vec::with_capacity(inputs.len()), HashMap::new());
    for Input { file, name } in inputs {
        let stem = name.file_stem().unwrap_or_default().to_string_lossy();
        let made = out.join(name.with_file_name(format!("{stem}-made.png")));
        if made.symlink_metadata().is_ok() {
            return Err(Error::Usage(format!(
                "{} is there already, and nothing is written over; choose another --out",
                made.display()
            )));
        }
        if let Some(other) = taken.insert(made.clone(), file) {
            return Err(Error::Usage(format!(
                "what is made of {} and of {} would both be written to {}; predict them one by one, each with another --out",
                other.display(),
                file.display(),
                made.display()
            )));
        }
        places.push(made);
    }
    Ok(places)
}

fn answer<'a>(
    trained: &'a Trained,
    net: &mut Inference,
    image: &'a Path,
    picture: &Batch,
) -> Result<Answer<'a>, Error> {
    let logits = net.predictions(picture, |_| image.display().to_string())?;
    Ok(likely(trained, image.to_string_lossy(), trained.probabilities(&logits)))
}

/// The likeliest classes of a sample.
fn likely<'a>(trained: &'a Trained, image: Cow<'a, str>, probabilities: Vec<f64>) -> Answer<'a> {
    let likely = |(class, probability): (&'a String, f64)| Likely { class, probability };
    let mut classes: Vec<Likely<'a>> = trained.facts.class_names.iter().zip(probabilities).map(likely).collect();
    classes.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    classes.truncate(TOP);
    Answer { image, classes }
}

/// Writes what a net makes of a picture.
fn make(trained: &Trained, net: &mut Inference, image: &Path, picture: &Batch, made: &Path) -> Result<(), Error> {
    // Pictures have one or three channels, and what is made of them has as many.
    let planes = net.predictions(picture, |_| image.display().to_string())?;
    let bytes = png(&planes, trained.facts.shape).unwrap_or_default();
    if let Some(folder) = made.parent() {
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    }
    let written = File::create_new(made).and_then(|mut file| file.write_all(&bytes));
    written.map_err(Error::io("write", made))
}

/// Answers that are printed one by one, for people or as an array of JSON with a line each.
struct Answers {
    json: bool,
    printed: usize,
}

impl Answers {
    fn print(&mut self, answer: &(impl fmt::Display + Serialize)) -> Result<(), Error> {
        self.printed += 1;
        if !self.json {
            return terminal::print(answer);
        }
        let mark = if self.printed == 1 { '[' } else { ',' };
        let answer = serde_json::to_string(answer).expect("answers have text keys only");
        terminal::print(format_args!("{mark}{answer}"))
    }

    /// Closes the array, whatever happened.
    fn end(&self) -> Result<(), Error> {
        match (self.json, self.printed) {
            (false, _) => Ok(()),
            (true, 0) => terminal::print("[]"),
            (true, _) => terminal::print("]"),
        }
    }
}
