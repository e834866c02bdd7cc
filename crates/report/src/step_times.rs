//! How long a training step takes, as a report.

use super::tuning::tuned;
use super::units::{bytes, count};
use crate::records::AdapterFacts;
use crate::records::Spread;
use frugal_tensor::ir::Precision;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// How many operators are shown.
const OPERATORS: usize = 12;

/// How long a training step takes. As JSON it has everything; as text it is for reading.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StepReport {
    /// The net.
    pub net: String,
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
    /// The adapter.
    pub adapter: AdapterFacts,
    /// The family of kernels: `gpu` or `cpu`.
    pub kernels: String,
    /// In what products multiply.
    pub precision: Precision,
    /// How many choices of tiles were measured on the adapter, if `frugal tune` was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tiles: Option<usize>,
    /// Steps before those that count.
    pub warm_up: usize,
    /// Steps that count.
    pub steps: usize,
    /// From the upload of a batch to its loss on the host, nothing else in flight.
    pub milliseconds_per_step: Spread,
    /// At the median.
    pub images_per_second: f64,
    /// What `milliseconds` and `operators` were read from: the `device`, between the nodes of a step, or the `host`, which
    /// waited after each node and so saw more than a step takes.
    pub clock: String,
    /// Of all nodes that are there for the same.
    pub milliseconds: BTreeMap<String, f64>,
    /// The slowest first.
    pub operators: Vec<OperatorTime>,
    /// Nodes of the step.
    pub nodes: usize,
    /// Dispatches of the step.
    pub dispatches: usize,
    /// Memory.
    pub bytes: StepBytes,
    /// From the start of the program to the end of the first step.
    pub seconds: Seconds,
    /// What an exchange of gradients costs, if one was requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<ExchangeReport>,
    /// Of all steps over the one batch, those of the warm-up included.
    pub losses: Vec<f32>,
    /// Steps in which a stored value overflowed, so that nothing moved.
    pub without_room: usize,
}

/// What it costs that the host reads and writes gradients in the middle of a step, against the same step in one piece.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExchangeReport {
    /// Buckets of gradients.
    pub buckets: usize,
    /// Segments into which the step is divided.
    pub segments: usize,
    /// Bytes of the gradients, which go to the host and back.
    pub bytes: u64,
    /// Bytes of the buffers that this takes.
    pub staging_bytes: u64,
    /// What the step allocates in one piece, and divided.
    pub peak_bytes: [u64; 2],
    /// Of the step in one piece, measured in turns with the other.
    pub milliseconds_undivided: Spread,
    /// Of the divided step.
    pub milliseconds_divided: Spread,
    /// The median of the ratios of two steps, one after the other.
    pub ratio: f64,
    /// The share of a step in which the device waits between segments, copies of buckets included, where its clock can be read.
    pub device_idle: Option<f64>,
}

impl fmt::Display for ExchangeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { buckets, segments, bytes: gradients, staging_bytes, ratio, .. } = self;
        let [undivided, divided] =
            [&self.milliseconds_undivided, &self.milliseconds_divided].map(|spread| spread.median);
        writeln!(
            f,
            "exchange    {divided:9.2} ms   loopback of {} in {buckets} buckets, {segments} segments: {ratio:.3} times the \
             {undivided:.2} ms in one piece",
            bytes(*gradients)
        )?;
        let [one_piece, with_exchange] = self.peak_bytes.map(bytes);
        write!(
            f,
            "            {} of staging; {with_exchange} allocated, {one_piece} in one piece",
            bytes(*staging_bytes)
        )?;
        match self.device_idle {
            Some(idle) => writeln!(f, "; between segments {:.1} % of the device's time", 100.0 * idle),
            None => writeln!(f),
        }
    }
}

/// The time of an operator's nodes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OperatorTime {
    /// The operator.
    pub name: String,
    /// How many nodes do it.
    pub nodes: usize,
    /// How many dispatches these have.
    pub dispatches: usize,
    /// Of all of them.
    pub milliseconds: f64,
}

/// Memory of a step.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct StepBytes {
    /// What the step allocates on the device, as planned.
    pub allocated: u64,
    /// What is saved for the backward pass.
    pub kept: u64,
    /// The most that the process had in memory, on systems that say so. A driver that runs on the CPU has the device's
    /// memory in it.
    pub peak_resident: Option<u64>,
}

/// Seconds of what comes before a step can be repeated.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Seconds {
    /// Finding the adapter and opening the device.
    pub device: f64,
    /// Planning the step.
    pub plan: f64,
    /// Allocating, compiling, and first values.
    pub session: f64,
    /// Learning error bounds, where a store has them; compiling happens there, then.
    pub bounds: Option<f64>,
    /// The first step; many drivers compile in it.
    pub first_step: f64,
    /// All of it, from the start of the program.
    pub until_first_step: f64,
}

impl fmt::Display for StepReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            net, samples, classes, batch, store, kernels, precision, tiles, milliseconds_per_step: step, ..
        } = self;
        writeln!(f, "{net} on {samples}, {classes} classes, batch {batch}, on {}", self.adapter.name)?;
        let products = match precision {
            Precision::F32 => "",
            Precision::F16 => "; in f16",
        };
        writeln!(f, "kept for the backward pass: {store}; kernels: {kernels}{}{products}\n", tuned(*tiles))?;
        writeln!(
            f,
            "step        {:9.2} ms   half of {} steps within {:.2}–{:.2}, least {:.2}, most {:.2}",
            step.median, self.steps, step.lower, step.upper, step.least, step.most
        )?;
        writeln!(f, "            {:9.0} images per second\n", self.images_per_second)?;
        if let Some(exchange) = &self.exchange {
            writeln!(f, "{exchange}")?;
        }

        let all: f64 = self.milliseconds.values().sum();
        let of = |milliseconds: f64| format!("{:.1} %", 100.0 * milliseconds / all.max(f64::MIN_POSITIVE));
        let mut parts = super::table(&["part", "ms", "share"], 1..3);
        for part in frugal_tensor::plan::StepRole::ALL {
            let milliseconds = self.milliseconds[part.name()];
            if milliseconds > 0.0 {
                parts.add_row([part.name().to_owned(), format!("{milliseconds:.2}"), of(milliseconds)]);
            }
        }
        parts.add_row(["all".to_owned(), format!("{all:.2}"), String::new()]);
        writeln!(f, "{}\n", parts.trim_fmt())?;

        let mut table = super::table(&["operator", "ms", "share", "nodes", "dispatches"], 1..5);
        let (shown, rest) = self.operators.split_at(self.operators.len().min(OPERATORS));
        let row = |name: String, milliseconds: f64, nodes: usize, dispatches: usize| {
            [name, format!("{milliseconds:.2}"), of(milliseconds), nodes.to_string(), dispatches.to_string()]
        };
        for OperatorTime { name, nodes, dispatches, milliseconds } in shown {
            table.add_row(row(name.clone(), *milliseconds, *nodes, *dispatches));
        }
        if !rest.is_empty() {
            let sum = |what: fn(&OperatorTime) -> usize| rest.iter().map(what).sum();
            let milliseconds = rest.iter().map(|operator| operator.milliseconds).sum();
            let name = if rest.len() == 1 { "1 other".to_owned() } else { format!("{} others", rest.len()) };
            table.add_row(row(name, milliseconds, sum(|o| o.nodes), sum(|o| o.dispatches)));
        }
        writeln!(f, "{}", table.trim_fmt())?;
        match self.clock.as_str() {
            "device" => writeln!(f, "by the device's clock, between the nodes of a step\n")?,
            _ => writeln!(f, "by the host's clock, which waits after each node: more than the step takes\n")?,
        }

        let Seconds { device, plan, session, bounds, first_step, until_first_step } = self.seconds;
        writeln!(f, "{} nodes, {} dispatches in one submit", self.nodes, count(self.dispatches as u64))?;
        write!(
            f,
            "first step done after {until_first_step:.2} s: device {device:.2}, plan {plan:.2}, session {session:.2}"
        )?;
        if let Some(bounds) = bounds {
            write!(f, ", error bounds {bounds:.2}")?;
        }
        writeln!(f, ", first step {first_step:.2}")?;
        let StepBytes { allocated, kept, peak_resident } = self.bytes;
        write!(f, "memory: {} allocated, {} of it kept for the backward pass", bytes(allocated), bytes(kept))?;
        if let Some(peak) = peak_resident {
            write!(f, "; peak of the process {}", bytes(peak))?;
        }
        if self.without_room > 0 {
            write!(f, "\n\nwarning: in {} steps a value of variable size overflowed", self.without_room)?;
        }
        Ok(())
    }
}
