//! A checkpoint as a report.

use super::{About, Checkpoint, PARAMETER, Tensor};
use frugal_report::units::{bytes, count};
use frugal_tensor::ir::Element;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// A checkpoint as a report, or another file of tensors.
#[derive(Clone, Debug, Serialize)]
pub struct CheckpointReport {
    /// The file.
    pub file: PathBuf,
    /// Bytes of all tensors.
    pub bytes: u64,
    /// How many numbers the net has learned; none if the file does not say which they are.
    pub parameters: Option<u64>,
    /// What it was made by, if it is a checkpoint.
    pub about: Option<About>,
    /// The tensors, by name.
    pub tensors: Vec<TensorReport>,
}

/// A tensor.
#[derive(Clone, Debug, Serialize)]
pub struct TensorReport {
    /// Its name.
    pub name: String,
    /// What it is for, if the file says so.
    pub kind: Option<String>,
    /// `F32`, `U32` or `U8`.
    pub element: &'static str,
    /// Extents.
    pub shape: Vec<usize>,
    /// Bytes.
    pub bytes: u64,
}

impl CheckpointReport {
    /// Of a checkpoint.
    pub fn new(file: &Path, checkpoint: Checkpoint) -> Self {
        let Checkpoint { about, tensors } = checkpoint;
        let mut report = Self::of_tensors(file, tensors);
        for tensor in &mut report.tensors {
            tensor.kind = about.kinds.get(&tensor.name).cloned();
        }
        let parameters = report.tensors.iter().filter(|tensor| tensor.kind.as_deref() == Some(PARAMETER));
        report.parameters = Some(parameters.map(|tensor| tensor.bytes / 4).sum());
        report.about = Some(about);
        report
    }

    /// Of a file that says nothing of its tensors.
    pub fn of_tensors(file: &Path, tensors: BTreeMap<String, Tensor>) -> Self {
        let report = |(name, Tensor { shape, element, words }): (String, Tensor)| {
            let element = match element {
                Element::F32 => "F32",
                Element::U32 => "U32",
                Element::U8 => "U8",
                _ => "other",
            };
            TensorReport { name, kind: None, element, shape, bytes: 4 * words.len() as u64 }
        };
        let tensors: Vec<TensorReport> = tensors.into_iter().map(report).collect();
        let bytes = tensors.iter().map(|tensor| tensor.bytes).sum();
        Self { file: file.to_path_buf(), bytes, parameters: None, about: None, tensors }
    }
}

impl fmt::Display for CheckpointReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.file.display())?;
        if let Some(about) = &self.about {
            let (position, state) = (&about.position, &about.state);
            let [channels, height, width] = about.image;
            let (net, set, store) = (&about.net, &about.set, &about.store);
            writeln!(
                f,
                "  run         {}, seed {}, by Frugal {} on {}",
                about.name, about.seed, about.frugal, about.adapter
            )?;
            writeln!(
                f,
                "  net         {net} on {set}: {channels}×{height}×{width}, {} classes; store {store}",
                about.classes
            )?;
            let (step, steps) = (count(state.step), count(position.steps));
            writeln!(
                f,
                "  position    step {step} of {steps}; next is batch {} of epoch {}",
                position.batch, position.epoch
            )?;
            writeln!(f, "  rate        {:.3e} for the next step", position.learning_rate)?;
            if let Some((best, accuracy)) = state.best.and_then(|best| Some((best, best.watched_accuracy()?))) {
                writeln!(f, "  best        {:.2} % after step {}", 100.0 * accuracy, count(best.step))?;
            } else if let Some((best, loss)) = state.best.and_then(|best| Some((best, best.watched()?))) {
                writeln!(f, "  best        loss {loss:.5} after step {}", count(best.step))?;
            }
        }
        if let Some(parameters) = self.parameters {
            writeln!(f, "  parameters  {}", count(parameters))?;
        }
        writeln!(f, "  tensors     {}, {}\n", self.tensors.len(), bytes(self.bytes))?;
        let mut table = frugal_report::table(&["tensor", "shape", "element", "bytes", "what"], 3..4);
        for tensor in &self.tensors {
            let shape = tensor.shape.iter().map(usize::to_string).collect::<Vec<_>>().join("×");
            let kind = tensor.kind.as_deref().unwrap_or("");
            table.add_row([&tensor.name, &shape, tensor.element, &bytes(tensor.bytes), kind]);
        }
        write!(f, "{}", table.trim_fmt())
    }
}
