//! A plan as a report: every layer, every byte.

use super::convolutions::Convolutions;
use super::units::{bytes, count};
use crate::records::Chosen;
use frugal_tensor::plan::{Alive, Bytes, KeptValue, MemoryOverStep, PeakSnapshot};
use serde::Serialize;
use std::fmt;

/// How many of the values that live in them are shown, besides those that are saved.
const ALIVE: usize = 5;

/// A plan as a report. As JSON it has everything; as text it is for reading.
#[derive(Clone, Debug, Serialize)]
pub struct PlanReport {
    /// The net.
    pub net: &'static str,
    /// Channels, height and width of an image.
    pub shape: Vec<usize>,
    /// What the samples are, in words.
    #[serde(skip)]
    pub samples: String,
    /// Number of classes.
    pub classes: usize,
    /// Samples per step.
    pub batch: usize,
    /// The store, by its label.
    pub store: String,
    /// The family of kernels that was assumed: `gpu` or `cpu`.
    pub kernels: &'static str,
    /// Trained elements.
    pub parameters: u64,
    /// Multiply-adds of the forward pass.
    pub macs_per_sample: u64,
    /// Where the bytes go.
    pub bytes: Bytes,
    /// Kept bytes divided by the batch, rounded up.
    pub kept_per_sample: PerSample,
    /// What convolutions read.
    pub convolutions: Convolutions,
    /// Each layer of the forward pass.
    pub layers: Vec<LayerReport>,
    /// When most is alive besides what lives across steps.
    pub largest_moments: Vec<PeakSnapshot>,
    /// What is alive over the step, with as many places as a picture shows.
    pub memory_over_step: MemoryOverStep,
    /// What was chosen for a budget, if the store has one.
    pub chosen: Option<Chosen>,
    /// What may not be meant: rules that decide on nothing.
    pub warnings: Vec<String>,
}

/// Kept bytes of a sample.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PerSample {
    /// Everything raw.
    pub raw: u64,
    /// In the store.
    pub stored: u64,
}

/// A layer.
#[derive(Clone, Debug, Serialize)]
pub struct LayerReport {
    /// Dotted path.
    pub name: String,
    /// Operators of its forward pass.
    pub operators: Vec<&'static str>,
    /// Extents of what it makes.
    pub output: Vec<usize>,
    /// Trained elements.
    pub parameters: u64,
    /// Multiply-adds per sample.
    pub macs_per_sample: u64,
    /// Bytes that it saves if everything is kept raw.
    pub kept_raw_bytes: u64,
    /// Bytes that it saves.
    pub kept_bytes: u64,
    /// What it saves.
    pub kept: Vec<KeptValue>,
}

impl PlanReport {
    /// What the run would allocate if everything were kept raw, over what it allocates.
    pub fn peak_ratio(&self) -> f64 {
        self.bytes.peak_raw as f64 / self.bytes.peak.max(1) as f64
    }

    /// Kept raw bytes over kept bytes.
    pub fn ratio(&self) -> f64 {
        self.bytes.kept_raw as f64 / self.bytes.kept.max(1) as f64
    }
}

impl fmt::Display for PlanReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { net, samples, classes, batch, store, kernels, .. } = self;
        writeln!(f, "{net} on {samples}, {classes} classes, batch {batch}")?;
        writeln!(f, "kept for the backward pass: {store}; kernels: {kernels}\n")?;

        let header = ["layer", "output", "parameters", "MACs", "kept raw", "kept", "kept as"];
        let mut table = super::table(&header, 2..6);
        let dash = |number: u64, text: String| if number == 0 { "–".to_owned() } else { text };
        for layer in &self.layers {
            let mut forms: Vec<&str> = layer.kept.iter().map(|value| value.form).collect();
            forms.sort_unstable();
            forms.dedup();
            table.add_row([
                layer.name.clone(),
                extents(layer.output.get(1..).unwrap_or_default()),
                dash(layer.parameters, count(layer.parameters)),
                dash(layer.macs_per_sample, count(layer.macs_per_sample)),
                dash(layer.kept_raw_bytes, bytes(layer.kept_raw_bytes)),
                dash(layer.kept_bytes, bytes(layer.kept_bytes)),
                forms.join(", "),
            ]);
        }
        let [raw, kept] = [self.bytes.kept_raw, self.bytes.kept];
        let (parameters, macs) = (count(self.parameters), count(self.macs_per_sample));
        table.add_row(["all", "", &parameters, &macs, &bytes(raw), &bytes(kept)]);
        writeln!(f, "{}", table.trim_fmt())?;
        writeln!(f, "output and multiply-adds (MACs) are those of one sample, bytes those of a batch\n")?;

        writeln!(f, "memory of a run: the peak, where it lies, and what it is for")?;
        for (name, number, what) in self.headings() {
            writeln!(f, "  {name:10} {:>9}  {:>15}  {what}", bytes(number), count(number))?;
        }

        writeln!(f, "\nlargest peaks, besides parameters and optimizer")?;
        for moment in &self.largest_moments {
            writeln!(f, "  {:>9}  {}, {}", bytes(moment.bytes), moment.layer, moment.operator)?;
            let (kept, flying): (Vec<&Alive>, Vec<&Alive>) = moment.alive.iter().partition(|alive| alive.kept);
            let (shown, rest) = flying.split_at(flying.len().min(ALIVE));
            for alive in shown {
                write!(f, "{:>15}  {}, {}", bytes(alive.bytes), alive.name, alive.form)?;
                if alive.pieces > 1 {
                    write!(f, ", in {} pieces", alive.pieces)?;
                }
                writeln!(f)?;
            }
            for (group, what) in [(&kept[..], "saved for the backward pass"), (rest, "smaller ones")] {
                let sum = group.iter().map(|alive| alive.bytes).sum();
                writeln!(f, "{:>15}  {} {what}", bytes(sum), group.len())?;
            }
        }
        write!(
            f,
            "\nkept per sample: {} B raw, {} B stored: {:.2} times less",
            count(self.kept_per_sample.raw),
            count(self.kept_per_sample.stored),
            self.ratio()
        )?;
        if let Some(ratio) = self.convolutions.ratio() {
            write!(f, "; for what convolutions read alone: {ratio:.2}")?;
        }
        if let Some(values) = self.convolutions.recomputed() {
            write!(f, "\n{values} are recomputed instead of saved")?;
        }
        if self.layers.iter().flat_map(|layer| &layer.kept).any(|kept| kept.follows_data) {
            write!(f, "\nsome sizes follow the data: these are estimates, which a run replaces before its first step")?;
        }
        if let Some(chosen) = &self.chosen {
            write!(f, "\n\n{chosen}")?;
        }
        self.warnings.iter().try_for_each(|warning| write!(f, "\n\nwarning: {warning}"))
    }
}

/// The forms, what they cost, and how near the budget is.
impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "chosen for a budget of {}, recomputed: {}", bytes(self.budget), self.recompute)?;
        for share in &self.forms {
            let values = if share.values == 1 { "value" } else { "values" };
            let (raw, stored) = (bytes(share.raw_bytes), bytes(share.stored_bytes));
            writeln!(f, "  {:20} {:>4} {values:6}  {stored:>9}, raw {raw}", share.form, share.values)?;
        }
        let left = bytes(self.budget.saturating_sub(self.peak));
        writeln!(f, "peak {}, {left} below the budget", bytes(self.peak))?;
        write!(f, "estimated error over noise: {:.4}", self.error_over_noise)?;
        match self.best_single() {
            Some(single) => {
                write!(f, "; the best single store, {}: {:.4}", single.store, single.error_over_noise)?;
                // Next to no error either way, so that time decided.
                let slower = single.error_over_noise < self.error_over_noise;
                if slower { write!(f, ", but more time") } else { Ok(()) }
            }
            None => write!(f, "; no single store fits"),
        }
    }
}

impl PlanReport {
    fn headings(&self) -> [(&'static str, u64, String); 9] {
        let b = &self.bytes;
        let against = |raw: u64, ratio: f64| format!("raw: {}, {ratio:.2} times less", bytes(raw));
        [
            ("peak", b.peak, format!("all that the run allocates; {}", against(b.peak_raw, self.peak_ratio()))),
            ("  device", b.peak.saturating_sub(b.host), "memory of the device".into()),
            ("  host", b.host, "host-visible memory: upload and read-back buffers".into()),
            ("kept", b.kept, format!("for the backward pass; {}", against(b.kept_raw, self.ratio()))),
            ("parameters", b.parameters, "with running statistics".into()),
            ("gradients", b.gradients, "most that are alive at once".into()),
            ("optimizer", b.optimizer, "its state".into()),
            ("scratch", b.scratch, "values in flight, padding".into()),
            ("inputs", b.inputs, "batches on their way to the device, upload buffers included".into()),
        ]
    }
}

fn extents(extents: &[usize]) -> String {
    match extents {
        [] => "–".to_owned(),
        extents => extents.iter().map(usize::to_string).collect::<Vec<_>>().join("×"),
    }
}
