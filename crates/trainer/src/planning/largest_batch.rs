//! The largest batch that fits into some memory, by plans alone.

use crate::Error;
use crate::config::Store;
use crate::planning::Plans;
use crate::planning::Request;
use frugal_model::ModelError;
use frugal_report::fit::{Fit, MOST_SAMPLES};
use frugal_tensor::{GraphError, PlanError, PlanOptions};

/// Looks for the largest batch whose run allocates at most `limit` bytes, by halving: the peak is taken to grow with the
/// batch. A store with a budget has to be settled before ([`budget::settle`](crate::planning::budget::settle)): its forms are chosen for
/// one batch. That of the request does not matter.
///
/// # Errors
/// [`Error::Model`] if the net does not fit the images; [`Error::Plan`] if not even one sample can be planned.
pub fn largest_batch(request: &Request, store: &Store, options: PlanOptions, limit: u64) -> Result<Fit, Error> {
    let plan = |batch: usize| {
        let mut request = Request { store: store.clone(), ..request.clone() };
        request.shape.batch = batch;
        let (train, evaluation) = Plans::without_raw(&request, options.clone())?;
        let peak = frugal_tensor::Plan::allocated(&[&train, &evaluation]);
        let kept_per_sample = train.kept_bytes().div_ceil(batch as u64);
        Ok(Fit { store: store.to_string(), batch: Some(batch), peak, kept_per_sample })
    };
    let fits = |batch: usize| match plan(batch) {
        Ok(fit) => Ok(Some(fit).filter(|fit| fit.peak <= limit)),
        // More than kernels can count.
        Err(
            Error::Plan(
                PlanError::TooLarge { .. }
                | PlanError::TooMuchScratch { .. }
                | PlanError::TooManyWorkgroups { .. }
                | PlanError::TooManyRounds { .. }
                | PlanError::Graph(GraphError::TooLarge { .. }),
            )
            | Error::Model(ModelError::Graph(GraphError::TooLarge { .. })),
        ) => Ok(None),
        Err(error) => Err(error),
    };
    let one = plan(1)?;
    if one.peak > limit {
        return Ok(Fit { batch: None, ..one });
    }
    // `best` fits, `beyond` does not.
    let (mut best, mut beyond) = (one, MOST_SAMPLES + 1);
    let mut next = 2;
    while let Some(batch) = best.batch.filter(|batch| batch + 1 < beyond) {
        match fits(next)? {
            Some(fit) => best = fit,
            None => beyond = next,
        }
        let low = best.batch.unwrap_or(batch);
        // Doubles until something does not fit, and halves from there.
        next = if beyond > MOST_SAMPLES { (2 * low).min(MOST_SAMPLES) } else { low + (beyond - low) / 2 };
    }
    Ok(best)
}
