//! What a comparison looks like: pictures as SVG and PNG, drawn by one function each.

pub mod axis;
mod bars;
mod chart;
mod curves;
mod over_step;
mod palette;
mod sheet;

use super::comparison::Comparison;
use super::plan::PlanReport;
use super::trace::Trace;
use crate::records::RatePoint;
pub use over_step::{COLUMNS, memory_over_step};
use palette::Palette;
use sheet::Drawing;
pub use sheet::encode_png;

/// A picture.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Of its files, without the ending.
    pub name: String,
    /// What it shows, in a sentence or two.
    pub caption: String,
    /// As text: `<svg …>…</svg>`.
    pub svg: String,
    /// As a file.
    pub png: Vec<u8>,
}

impl Picture {
    fn new(name: impl Into<String>, caption: impl Into<String>, drawing: &impl Drawing) -> Self {
        let (name, caption) = (name.into(), caption.into());
        Self { name, svg: sheet::svg(drawing, &caption), png: sheet::png(drawing), caption }
    }
}

/// All pictures for which there is something to show; `plans` are those of the stores.
pub fn pictures(comparison: &Comparison, plans: &[PlanReport], traces: &[Trace], rates: &[RatePoint]) -> Vec<Picture> {
    let palette = Palette::of(comparison);
    let mut pictures = Vec::new();
    pictures.extend(curves::judged(traces, &palette).map(|chart| {
        let set = if curves::validated(traces) { "on what is held out for validation" } else { "on the test set" };
        let (name, what) = match curves::by_accuracy(traces) {
            true => ("accuracy", "Right answers"),
            false => ("error", "Loss"),
        };
        let caption = format!("{what} {set} after each epoch: the mean of each store's runs, and thin, each run.");
        Picture::new(name, caption, &chart)
    }));
    pictures.extend(curves::loss(traces, &palette).map(|chart| {
        let caption = "Loss of each training step: faint as it was, in the mean over seeds, and smoothed over steps.";
        Picture::new("loss", caption, &chart)
    }));
    let caption = "Memory of each store: all that a run allocates (outlined) and what of it is saved for the backward pass (full).";
    pictures.push(Picture::new("memory", caption, &bars::Memory { comparison, palette: &palette }));
    pictures.extend(plans.iter().map(memory_over_step));
    for trace in curves::adaptive(traces) {
        let (store, file) = (&trace.store, plain(&trace.store));
        pictures.extend(curves::bounds(trace).map(|chart| {
            let caption = format!(
                "How large an error {store} allows an element of each layer's values, as training goes on; from the first \
                 layer (dark) to the last (light)."
            );
            Picture::new(format!("bounds-{file}"), caption, &chart)
        }));
        pictures.extend(curves::ratios(trace).map(|chart| {
            let caption = format!(
                "How many times smaller {store} makes each layer's values, as training goes on; without the masks that are \
                 saved as well."
            );
            Picture::new(format!("ratios-{file}"), caption, &chart)
        }));
    }
    pictures.extend(curves::rates(rates, &palette).map(|chart| {
        let caption = "What a bit buys: the error that each form brings into weights' gradients, as a multiple of how \
                       much they differ between minibatches; faint, for the weight that suffers most. Below 1, chance moves \
                       the net more than the form does.";
        Picture::new("rates", caption, &chart)
    }));
    pictures.extend(curves::theory(rates).map(|chart| {
        let caption = "What the theory of the error bound says of each convolution's weights, and what came out: on the line, \
                       both are the same. Both are multiples of how much gradients differ between minibatches.";
        Picture::new("theory", caption, &chart)
    }));
    pictures
}

/// A store's label as part of a file's name.
fn plain(store: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    store.chars().take(60).map(plain).collect()
}
