//! The stores of a comparison, examined where their runs ended.

use super::{POINTS, Study};
use crate::Error;
use crate::config::{CodecSpec, Config, SavePolicy};
use crate::state::weights::{self, Named};
use crate::terminal::interrupt;
use frugal_data::Dataset;
use frugal_report::records::GradientStudy;
use frugal_tensor::Gpu;
use std::path::PathBuf;
use std::rc::Rc;

/// A store of a comparison, and where its run was.
#[derive(Clone, Debug)]
pub struct StudiedRun {
    /// Its label.
    pub label: String,
    /// With all forms said, where it was chosen for a budget.
    pub store: SavePolicy,
    /// The folder of the run.
    pub folder: PathBuf,
}

/// Examines each store at the weights that the raw run ended with, or at its own run's if there is no raw run. What a
/// store's own run left beside the weights, such as a codec's bounds, comes along.
///
/// Results so far are worth more than a study of gradient errors: whatever keeps it from going on is said in the result. Ctrl-C ends it
/// before the next store.
pub fn study_runs(config: &Config, data: &Dataset, gpu: &Rc<Gpu>, runs: &[StudiedRun]) -> GradientStudy {
    let mut result = GradientStudy::default();
    let outcome = examine(config, data, gpu, runs, &mut result);
    result.skipped = outcome.err().map(|error| error.to_string());
    result
}

fn examine(
    config: &Config,
    data: &Dataset,
    gpu: &Rc<Gpu>,
    runs: &[StudiedRun],
    result: &mut GradientStudy,
) -> Result<(), Error> {
    let raw_label = CodecSpec::Raw.to_string();
    let Some(raw) = runs.iter().find(|run| run.label == raw_label) else {
        for StudiedRun { label, store, folder } in runs {
            let own = weights::read(folder)?;
            let bench = Study::new(config, data, gpu, &own)?;
            result.batches = bench.batches();
            result.stores.push(bench.examine(label, &store.policy(), &own)?);
        }
        return Ok(());
    };
    let weights = weights::read(&raw.folder)?;
    let bench = Study::new(config, data, gpu, &weights)?;
    (result.batches, result.weights) = (bench.batches(), Some(raw_label));
    for StudiedRun { label, store, folder } in runs {
        if interrupt::is_asked() {
            return Ok(());
        }
        // A run that stopped early left nothing; its store can be examined all the same.
        let own = weights::read(folder).unwrap_or_default();
        result.stores.push(bench.examine(label, &store.policy(), &own)?);
    }
    for form in POINTS.iter().filter_map(|point| CodecSpec::parse(point).ok()) {
        if interrupt::is_asked() {
            return Ok(());
        }
        result.points.push(bench.rate(form, &Named::new())?);
    }
    Ok(())
}
