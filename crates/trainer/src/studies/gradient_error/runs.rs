//! The stores of a comparison, examined where their runs ended.

use super::{Bench, POINTS};
use crate::Error;
use crate::config::{Config, Form, Store};
use crate::state::weights::{self, Named};
use crate::terminal::interrupt;
use frugal_data::Dataset;
use frugal_report::records::Examinations;
use frugal_tensor::Gpu;
use std::path::PathBuf;
use std::rc::Rc;

/// A store of a comparison, and where its run was.
#[derive(Clone, Debug)]
pub struct Examinee {
    /// Its label.
    pub label: String,
    /// With all forms said, where it was chosen for a budget.
    pub store: Store,
    /// The folder of the run.
    pub folder: PathBuf,
}

/// Examines each store at the weights that the raw run ended with, or at its own run's if there is no raw run. What a
/// store's own run left beside the weights, such as a codec's bounds, comes along.
///
/// Results so far are worth more than an examination: whatever keeps it from going on is said in the result. Ctrl-C ends it
/// before the next store.
pub fn examine_runs(config: &Config, data: &Dataset, gpu: &Rc<Gpu>, runs: &[Examinee]) -> Examinations {
    let mut result = Examinations::default();
    let outcome = examine(config, data, gpu, runs, &mut result);
    result.skipped = outcome.err().map(|error| error.to_string());
    result
}

fn examine(
    config: &Config,
    data: &Dataset,
    gpu: &Rc<Gpu>,
    runs: &[Examinee],
    result: &mut Examinations,
) -> Result<(), Error> {
    let raw_label = Form::Raw.to_string();
    let Some(raw) = runs.iter().find(|run| run.label == raw_label) else {
        for Examinee { label, store, folder } in runs {
            let own = weights::read(folder)?;
            let bench = Bench::new(config, data, gpu, &own)?;
            result.batches = bench.batches();
            result.stores.push(bench.examine(label, &store.policy(), &own)?);
        }
        return Ok(());
    };
    let weights = weights::read(&raw.folder)?;
    let bench = Bench::new(config, data, gpu, &weights)?;
    (result.batches, result.weights) = (bench.batches(), Some(raw_label));
    for Examinee { label, store, folder } in runs {
        if interrupt::is_asked() {
            return Ok(());
        }
        // A run that stopped early left nothing; its store can be examined all the same.
        let own = weights::read(folder).unwrap_or_default();
        result.stores.push(bench.examine(label, &store.policy(), &own)?);
    }
    for form in POINTS.iter().filter_map(|point| Form::parse(point).ok()) {
        if interrupt::is_asked() {
            return Ok(());
        }
        result.points.push(bench.rate(form, &Named::new())?);
    }
    Ok(())
}
