//! The largest batch that fits into some memory, by plans alone.

use crate::Error;
use crate::config::SavePolicy;
use crate::planning::{Plans, Request};
use frugal_model::ModelError;
use frugal_report::largest_batch::{LargestBatch, MOST_SAMPLES};
use frugal_tensor::plan::Executable;
use frugal_tensor::{GraphError, Plan, PlanError, PlanOptions};

/// Looks for the largest batch whose run allocates at most `limit` bytes, with few plans: the peak is taken to grow with the
/// batch (`Bracket`). A store with a budget has to be settled before ([`budget::choose_policy`](crate::planning::budget::choose_policy)): its
/// forms are chosen for one batch. That of the request does not matter.
///
/// # Errors
/// [`Error::Model`] if the net does not fit the images; [`Error::Plan`] if not even one sample can be planned.
pub fn largest_batch(
    request: &Request,
    store: &SavePolicy,
    options: PlanOptions,
    limit: u64,
) -> Result<LargestBatch, Error> {
    let plan = |batch: usize| {
        let mut request = Request { store: store.clone(), ..request.clone() };
        request.shape.batch = batch;
        let (train, evaluation) = Plans::without_raw(&request, options.clone())?;
        let peak = Plan::allocated(&[&train, &evaluation]);
        let host = Executable::host_bytes(&[&train.executable, &evaluation.executable]);
        let kept_per_sample = train.kept_bytes().div_ceil(batch as u64);
        Ok(LargestBatch { store: store.to_string(), batch: Some(batch), peak, host, kept_per_sample })
    };
    let look = |batch: usize| match plan(batch) {
        Ok(fit) => Ok(Some(fit)),
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
        return Ok(LargestBatch { batch: None, ..one });
    }
    let mut search = Bracket::new(one.peak, limit);
    let mut best = one;
    while let Some(batch) = search.next() {
        let fit = look(batch)?;
        search.add(batch, fit.as_ref().map(|fit| fit.peak));
        best = fit.filter(|fit| fit.peak <= limit).unwrap_or(best);
    }
    Ok(best)
}

/// By how much an end moves at least before it moves to the middle.
const MOST_STRIDE: usize = 8;

/// The largest batch within a limit, between one that is and one that is not. Bytes are nearly those of a line over the
/// batch, so that the next one to look at is where the line through two of them meets the limit. As long as it is the same end that
/// moves, it moves by at least twice as much as before, and then to the middle.
struct Bracket {
    limit: u64,
    /// The largest batch within the limit that was looked at, with its bytes.
    within: (usize, u64),
    /// The smallest one beyond it, with its bytes unless it is more than kernels can count.
    beyond: (usize, Option<u64>),
    /// Another one within the limit.
    before: Option<(usize, u64)>,
    /// Which end moved last, and by how much it moves at least.
    stride: (bool, usize),
}

impl Bracket {
    /// One sample is within.
    fn new(one: u64, limit: u64) -> Self {
        Self { limit, within: (1, one), beyond: (MOST_SAMPLES + 1, None), before: None, stride: (true, 1) }
    }

    fn add(&mut self, batch: usize, bytes: Option<u64>) {
        let is_within = bytes.is_some_and(|bytes| bytes <= self.limit);
        match bytes {
            Some(bytes) if is_within => {
                self.before = Some(self.within);
                self.within = (batch, bytes);
            }
            _ => self.beyond = (batch, bytes),
        }
        self.stride = (is_within, if self.stride.0 == is_within { 2 * self.stride.1 } else { 1 });
    }

    /// The next batch to look at; none where the two are neighbours.
    fn next(&self) -> Option<usize> {
        let (low, bytes) = self.within;
        let high = self.beyond.0;
        if low + 1 >= high {
            return None;
        }
        let other = self.beyond.1.map(|bytes| (high, bytes)).or(self.before);
        let line = |(batch, other): (usize, u64)| {
            let slope = (other as f64 - bytes as f64) / (batch as f64 - low as f64);
            low as f64 + (self.limit - bytes) as f64 / slope.max(1.0)
        };
        // One sample takes a share of its own and of what all share: as many times that are within, too.
        let guess = other.map_or(self.limit as f64 / bytes as f64, line) as usize;
        let (moves_up, stride) = self.stride;
        let middle = low + (high - low) / 2;
        let guess = match moves_up {
            _ if stride > MOST_STRIDE && high <= MOST_SAMPLES => middle,
            true => guess.max(low.saturating_add(stride)),
            false => guess.min(high.saturating_sub(stride)),
        };
        // Beyond what kernels can count there is no line.
        let most = if self.beyond.1.is_none() && high <= MOST_SAMPLES { middle } else { high - 1 };
        Some(guess.min(most).max(low + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest batch within the limit, and how many were looked at.
    fn search(bytes: &dyn Fn(usize) -> Option<u64>, limit: u64) -> (usize, usize) {
        let mut bracket = Bracket::new(bytes(1).unwrap(), limit);
        let mut looks = 1;
        while let Some(batch) = bracket.next() {
            bracket.add(batch, bytes(batch));
            looks += 1;
        }
        (bracket.within.0, looks)
    }

    /// A line, in steps; what gets steeper; a jump; all of which kernels count to some batch.
    #[test]
    fn the_bracket_finds_what_trying_every_batch_finds() {
        let line = |batch: usize| 1_000 + (37 * batch as u64).next_multiple_of(256);
        let steeper = |batch: usize| 5_000 + 3 * (batch as u64).pow(2);
        let jump = |batch: usize| 900 * batch as u64 + if batch > 1_000 { 40_000_000 } else { 0 };
        let shared = |batch: usize| 10_000_000 + 2 * batch as u64;
        for countable in [1, 2, 3_000, usize::MAX] {
            for (number, bytes) in [&line as &dyn Fn(usize) -> u64, &steeper, &jump, &shared].into_iter().enumerate() {
                let bytes = |batch: usize| (batch <= countable).then(|| bytes(batch));
                for limit in [10_000, 123_456, 999_999, 10_000_003, 10_123_456, 1 << 33] {
                    if bytes(1).unwrap() > limit {
                        continue;
                    }
                    let fits = |batch: &usize| bytes(*batch).is_some_and(|bytes| bytes <= limit);
                    let wanted = (1..=MOST_SAMPLES).take_while(fits).last().unwrap();
                    let (found, looks) = search(&bytes, limit);
                    assert_eq!(found, wanted, "{number}, {limit}, {countable}");
                    assert!(looks <= 45, "{number}, {limit}, {countable}: {looks} looks");
                    if number == 0 && countable == usize::MAX {
                        assert!(looks <= 12, "{limit}: {looks} looks");
                    }
                }
            }
        }
    }
}
