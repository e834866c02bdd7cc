//! The search: plans of single stores, rounds that go on from the best of them, and single changes in the end.

use super::moments::{Moments, Outline};
use super::points::{PASS, Point, RECOMPUTE, SLICED, TAKES_ALL, points};
use super::sites::{Site, Sites};
use crate::Error;
use crate::config::{CodecSpec, SavePolicy, SaveRule};
use frugal_report::records::Share;
use frugal_tensor::codec::{Slices, Stored};
use frugal_tensor::ir::{Graph, ValueId};
use frugal_tensor::{Plan, PlanOptions};
use std::collections::{BTreeMap, BTreeSet};

/// Rounds from each of the beginnings.
const ROUNDS: usize = 8;
/// Single changes that are tried in the end.
const TRIES: usize = 40;

/// What is left of a plan that was made.
pub(super) struct Trial {
    pub chosen: Vec<usize>,
    /// The name of the one form that all values have.
    pub single: Option<String>,
    pub store: SavePolicy,
    pub outline: Outline,
    /// What a run allocates, or while values change one by one, at most allocates.
    pub peak: u64,
    pub variance: f64,
    pub cost: f64,
}

/// The cheapest that keeps to the budget.
pub(super) fn best(trials: &[Trial], budget: u64) -> Option<usize> {
    let within = trials.iter().enumerate().filter(|(_, trial)| trial.peak <= budget);
    within.min_by(|a, b| a.1.cost.total_cmp(&b.1.cost)).map(|(index, _)| index)
}

/// A search with one setting of what is recomputed.
pub(super) struct Search<'a> {
    step: &'a Graph,
    /// Beside every plan of the step: its bytes do not depend on what the step keeps.
    evaluation: Plan,
    options: PlanOptions,
    /// The rules that hold anyway, and raw for the rest.
    bare: SavePolicy,
    sites: Vec<Site>,
    points: Vec<Point>,
}

impl<'a> Search<'a> {
    /// Plans every form for all values that take it, and reads off what it makes of each. Where a run that keeps everything
    /// raw is within the budget and costs nothing, nothing is better, and only those forms are planned that show which values
    /// are open.
    pub fn new(
        step: &'a Graph,
        evaluation: &Graph,
        options: PlanOptions,
        bare: SavePolicy,
        budget: u64,
    ) -> Result<(Self, Vec<Trial>), Error> {
        let plan = |form: CodecSpec| {
            let store = SavePolicy { default: form, ..bare.clone() };
            let plan = Plan::new(step.clone(), &store.policy(), options.clone())?;
            Ok::<_, Error>((store, plan))
        };
        let mut points = points();
        let (store, raw) = plan(points[0].form)?;
        let evaluation = raw.evaluation(evaluation.clone())?;
        let nothing_better = |plan: &Plan| !plan.stored.iter().any(Stored::is_recomputed);
        if nothing_better(&raw) && Plan::allocated(&[&raw, &evaluation]) <= budget {
            points.truncate(TAKES_ALL + 1);
        }
        let mut collected = Sites::default();
        let mut plans = Vec::with_capacity(points.len());
        let mut look_at = |point: usize, store: SavePolicy, plan: &Plan| {
            collected.add(bare.rules.len(), point, plan);
            plans.push((store, Outline::of(plan), Plan::allocated(&[plan, &evaluation])));
        };
        look_at(0, store, &raw);
        for (index, point) in points.iter().enumerate().skip(1) {
            let (store, plan) = plan(point.form)?;
            look_at(index, store, &plan);
        }
        let sites = collected.finish(&points, &raw);
        let search = Self { step, evaluation, options, bare, sites, points };
        let trial = |(point, (store, outline, peak)): (usize, (SavePolicy, Outline, u64))| {
            let takes = |site: &Site| if site.options.iter().any(|option| option.point == point) { point } else { 0 };
            let chosen = search.sites.iter().map(takes).collect();
            let single = Some(match store.slices {
                Some(Slices::Count(count)) => format!("{store} in {count} slices"),
                _ => store.to_string(),
            });
            search.trial(chosen, single, store, outline, peak)
        };
        let trials = plans.into_iter().enumerate().map(trial).collect();
        Ok((search, trials))
    }

    fn trial(
        &self,
        chosen: Vec<usize>,
        single: Option<String>,
        store: SavePolicy,
        outline: Outline,
        peak: u64,
    ) -> Trial {
        let waits = outline.sources();
        let options = self.sites.iter().zip(&chosen).filter(|(site, _)| waits.contains(&site.source));
        let (variance, cost) = options.fold((0.0, 0.0), |(variance, cost), (site, &point)| {
            let option = site.option(point);
            (variance + option.variance, cost + option.cost)
        });
        let elements = |value: ValueId| self.step.shape(value).elements() as f64;
        let recomputed: f64 = outline.recomputed.iter().map(|&source| elements(source)).sum();
        let all: f64 = self.sites.iter().map(|site| elements(site.source)).sum::<f64>() + recomputed;
        let recompute = PASS * RECOMPUTE * recomputed / all.max(1.0);
        let cost = cost + recompute + if self.bare.slices == Some(Slices::Off) { 0.0 } else { PASS * SLICED };
        Trial { chosen, single, store, outline, peak, variance, cost }
    }

    /// The store that says a choice of forms.
    fn store(&self, chosen: &[usize]) -> SavePolicy {
        let mut store = self.bare.clone();
        let coded = self.sites.iter().zip(chosen).filter(|(_, point)| **point != 0);
        store.rules.extend(coded.map(|(site, &point)| SaveRule {
            layer: Some(site.layer.clone()),
            value: Some(site.name.clone()),
            made_by: None,
            read_by: None,
            min_elements: None,
            store: self.points[point].form,
        }));
        store
    }

    /// Plans a choice of forms, with so many rounds of placing.
    fn mixed(&self, chosen: Vec<usize>, rounds: usize) -> Result<Trial, Error> {
        let store = self.store(&chosen);
        let options = PlanOptions { rounds, ..self.options.clone() };
        let plan = Plan::new(self.step.clone(), &store.policy(), options)?;
        let peak = Plan::allocated(&[&plan, &self.evaluation]);
        Ok(self.trial(chosen, None, store, Outline::of(&plan), peak))
    }

    /// A choice of forms if it keeps to the budget. Its places are sought with care only if the budget is between what a first
    /// try takes and what is alive at once, below which no places can be found.
    fn within(&self, chosen: Vec<usize>, budget: u64) -> Result<Option<Trial>, Error> {
        let trial = self.mixed(chosen, 0)?;
        if trial.peak <= budget {
            return Ok(Some(trial));
        }
        if self.options.rounds == 0 || trial.peak - trial.outline.gaps > budget {
            return Ok(None);
        }
        Ok(Some(self.mixed(trial.chosen, self.options.rounds)?).filter(|trial| trial.peak <= budget))
    }

    /// A trial's store without the rules of the search that decide on no value, and what a run allocates with it.
    pub fn settled(&self, trial: &Trial) -> Result<(SavePolicy, u64), Error> {
        let plan = Plan::new(self.step.clone(), &trial.store.policy(), self.options.clone())?;
        let used = |index: usize| index < self.bare.rules.len() || plan.stored.iter().any(|s| s.rule == Some(index));
        let rules = trial.store.rules.iter().enumerate().filter(|(index, _)| used(*index));
        let rules = rules.map(|(_, rule)| rule.clone()).collect();
        Ok((SavePolicy { rules, ..trial.store.clone() }, Plan::allocated(&[&plan, &self.evaluation])))
    }

    /// Goes on from single stores. If nothing keeps to the budget, the least is sought.
    pub fn improve(&self, trials: &mut Vec<Trial>, budget: u64) -> Result<(), Error> {
        if best(trials, budget).is_some_and(|best| trials[best].cost == 0.0) {
            return Ok(());
        }
        let least = trials.iter().enumerate().min_by_key(|(_, trial)| trial.peak).map_or(0, |(index, _)| index);
        for begin in BTreeSet::from([best(trials, budget).unwrap_or(least), least, 0]) {
            self.rounds(trials, begin, budget)?;
        }
        match best(trials, budget) {
            Some(best) => self.polish(trials, best, budget)?,
            None => self.rounds(trials, least, 0)?,
        }
        Ok(())
    }

    fn rounds(&self, trials: &mut Vec<Trial>, begin: usize, budget: u64) -> Result<(), Error> {
        let first = trials.len();
        let mut last = begin;
        // What the moments promised too much in the rounds before.
        let mut slack = 0;
        for _ in 0..ROUNDS {
            let moments = Moments::of(&trials[last].outline, trials[last].peak, &self.sites);
            let limit = budget.saturating_sub(moments.overhead + slack);
            let chosen = moments.choose(&self.sites, &trials[last].chosen, limit);
            if trials[first..].iter().any(|trial| trial.chosen == chosen) {
                break;
            }
            let trial = self.mixed(chosen, self.options.rounds)?;
            slack = if trial.peak > budget { slack + (trial.peak - budget) / 2 } else { slack / 2 };
            last = trials.len();
            trials.push(trial);
        }
        Ok(())
    }

    /// Gives values of the best choice cheaper forms, one after the other, as long as plans keep to the budget.
    fn polish(&self, trials: &mut Vec<Trial>, best: usize, budget: u64) -> Result<(), Error> {
        let mut changes: Vec<(usize, usize, f64)> = Vec::new();
        for (index, (site, &point)) in self.sites.iter().zip(&trials[best].chosen).enumerate() {
            let now = site.option(point);
            let cheaper = site.options.iter().filter(|option| option.cost < now.cost);
            changes.extend(cheaper.map(|option| {
                let more = option.bytes.saturating_sub(now.bytes).max(1);
                (index, option.point, (now.cost - option.cost) / more as f64)
            }));
        }
        changes.sort_by(|a, b| b.2.total_cmp(&a.2));
        let mut last = best;
        for (index, point, _) in changes.into_iter().take(TRIES) {
            let now = self.sites[index].option(trials[last].chosen[index]);
            if self.sites[index].option(point).cost >= now.cost {
                continue;
            }
            let mut chosen = trials[last].chosen.clone();
            chosen[index] = point;
            if let Some(trial) = self.within(chosen, budget)?.filter(|trial| trial.cost < trials[last].cost) {
                last = trials.len();
                trials.push(trial);
            }
        }
        Ok(())
    }

    /// The saved tensors, by their forms.
    pub fn shares(&self, trial: &Trial) -> Vec<Share> {
        let waits = trial.outline.sources();
        let mut shares: BTreeMap<usize, Share> = BTreeMap::new();
        for (site, &point) in self.sites.iter().zip(&trial.chosen) {
            if waits.contains(&site.source) {
                let form = self.points[point].form.to_string();
                let share = shares.entry(point).or_insert(Share { form, values: 0, raw_bytes: 0, stored_bytes: 0 });
                share.values += 1;
                share.raw_bytes += site.raw_bytes;
                share.stored_bytes += site.option(point).bytes;
            }
        }
        shares.into_values().collect()
    }
}
