//! The stores of a comparison, examined where their runs ended.

use super::{Bench, Examinations, POINTS};
use crate::Error;
use crate::config::{Choice, Config, Form};
use crate::data::Dataset;
use crate::run::weights::{self, Named};
use crate::run::{self, budget};
use frugal_tensor::Gpu;
use std::path::PathBuf;
use std::rc::Rc;

/// Examines each store at the weights that the raw run ended with, or at its own run's if there is no raw run. What a
/// store's own run left beside the weights, such as a codec's bounds, comes along.
///
/// Results so far are worth more than an examination: whatever keeps it from going on is said in the result.
pub fn examine_runs(config: &Config, data: &Dataset, gpu: &Rc<Gpu>, runs: &[(Choice, PathBuf)]) -> Examinations {
    let mut result = Examinations::default();
    let outcome = examine(config, data, gpu, runs, &mut result);
    result.skipped = outcome.err().map(|error| error.to_string());
    result
}

fn examine(
    config: &Config,
    data: &Dataset,
    gpu: &Rc<Gpu>,
    runs: &[(Choice, PathBuf)],
    result: &mut Examinations,
) -> Result<(), Error> {
    let policy = |store: Choice| {
        let config = Config { store: config.store.with_default(store), ..config.clone() };
        let (store, _) = budget::settle(&run::request(&config, data.shape, data.classes)?, gpu.plan_options())?;
        Ok::<_, Error>(store.policy())
    };
    let Some((_, raw)) = runs.iter().find(|(store, _)| *store == Choice::from(Form::Raw)) else {
        for (store, folder) in runs {
            let own = weights::read(folder)?;
            let bench = Bench::new(config, data, gpu, &own)?;
            result.batches = bench.batches();
            result.stores.push(bench.examine(&store.to_string(), &policy(*store)?, &own)?);
        }
        return Ok(());
    };
    let weights = weights::read(raw)?;
    let bench = Bench::new(config, data, gpu, &weights)?;
    (result.batches, result.weights) = (bench.batches(), Some(Form::Raw.to_string()));
    for (store, folder) in runs {
        // A run that stopped early left nothing; its store can be examined all the same.
        let own = weights::read(folder).unwrap_or_default();
        result.stores.push(bench.examine(&store.to_string(), &policy(*store)?, &own)?);
    }
    for form in POINTS.iter().filter_map(|point| Form::parse(point).ok()) {
        result.points.push(bench.rate(form, &Named::new())?);
    }
    Ok(())
}
