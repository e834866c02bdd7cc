//! Forms for a budget: `store.budget = "2GiB"`, or the store `auto:2GiB`.
//!
//! Of all forms that each kept value can have, and of what can be recomputed, those are sought with which the run
//! allocates at most the budget, at the least cost. Cost is the variance that forms add to the gradients of weights beside
//! the noise that these have anyway, as [`crate::studies::gradient_error`] measures it: (error / noise)², a mean over weights. A small
//! price for time is added.
//!
//! What forms take of each value, plans of single stores say. From there on it goes in rounds: the bytes alive at each
//! moment of the last plan suggest which forms would do (`moments.rs`); a plan with them says what is true. Nothing but
//! plans that were made decides, so the result keeps to the budget to the byte, and is no worse than any single store
//! that does. It is a store with one rule for each value, as a user could write it.

mod moments;
mod points;
mod search;
mod sites;

use crate::Error;
use crate::config::{CodecSpec, SavePolicy};
use crate::planning::Request;
use frugal_model::{evaluation_step, training_step};
use frugal_report::records::{Chosen, Single};
use frugal_tensor::PlanOptions;
use frugal_tensor::codec::{Recompute, Slices};
use search::{Search, Trial, best};

/// Slices along the batch that are tried where the config does not say how many.
const SLICES: usize = 8;

/// The request's store, or where that has a budget, one that says all forms.
///
/// # Errors
/// As [`choose`].
pub fn choose_policy(request: &Request, options: PlanOptions) -> Result<(SavePolicy, Option<Chosen>), Error> {
    match request.store.budget() {
        Some(budget) => choose(request, budget, options).map(|(store, chosen)| (store, Some(chosen))),
        None => Ok((request.store.clone(), None)),
    }
}

/// Chooses forms for the values that no rule of the request's store fits, so that the run allocates at most `budget` bytes.
///
/// # Errors
/// [`Error::OverBudget`] if no choice does; as [`super::Plans::new`].
pub fn choose(request: &Request, budget: u64, options: PlanOptions) -> Result<(SavePolicy, Chosen), Error> {
    let Request { ref net, shape, training, ref store, .. } = *request;
    let step = training_step(net, shape, training)?;
    let evaluation = evaluation_step(net, shape, training)?;
    let settings: &[Recompute] = match &store.recompute {
        Recompute::None => &[Recompute::None, Recompute::Cheap],
        asked => std::slice::from_ref(asked),
    };
    let mut found = Vec::new();
    let mut singles = Vec::new();
    let mut least = u64::MAX;
    // Slices come last: they take time, and what they buy is worth most where values are recomputed.
    let whole = store.slices.unwrap_or(Slices::Off);
    let mut settings: Vec<(Recompute, Slices)> = settings.iter().map(|&recompute| (recompute, whole)).collect();
    if let (None, Some(&(recompute, _))) = (store.slices, settings.last()) {
        settings.push((recompute, Slices::Count(SLICES)));
    }
    for (recompute, slices) in settings {
        let rules = store.rules.clone();
        let bare = SavePolicy { default: CodecSpec::Raw, recompute, slices: Some(slices), rules };
        let (search, mut trials) = Search::new(&step, &evaluation, options.clone(), bare, budget)?;
        singles.extend(trials.iter().filter_map(|trial| {
            let (store, error_over_noise) = (trial.single.clone()?, trial.variance.sqrt());
            Some(Single { store, peak: trial.peak, error_over_noise, cost: trial.cost })
        }));
        search.improve(&mut trials, budget)?;
        least = trials.iter().map(|trial| trial.peak).fold(least, u64::min);
        if let Some(best) = best(&trials, budget) {
            let best = trials.swap_remove(best);
            let (store, peak) = search.settled(&best)?;
            found.push((search.shares(&best), peak, Trial { store, ..best }));
        }
        // Nothing costs less than nothing.
        if found.iter().any(|(.., best)| best.cost == 0.0) {
            break;
        }
    }
    let Some((forms, peak, best)) = found.into_iter().min_by(|a, b| a.2.cost.total_cmp(&b.2.cost)) else {
        return Err(Error::OverBudget { budget, least, batch: shape.batch });
    };
    let chosen = Chosen {
        budget,
        peak,
        recompute: best.store.recompute.name(),
        error_over_noise: best.variance.sqrt(),
        cost: best.cost,
        singles,
        forms,
    };
    Ok((best.store, chosen))
}
