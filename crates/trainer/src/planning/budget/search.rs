//! The search: plans of single stores, rounds that go on from the best of them, and single changes in the end.

use super::moments::Moments;
use super::points::{PASS, Point, REBUILD};
use super::sites::{Site, sites};
use crate::Error;
use crate::config::{Store, StoreRule};
use frugal_report::records::Share;
use frugal_tensor::codec::Stored;
use frugal_tensor::ir::{Graph, ValueId};
use frugal_tensor::{Plan, PlanOptions};
use std::collections::{BTreeMap, BTreeSet};

/// Rounds from each of the beginnings.
const ROUNDS: usize = 8;
/// Single changes that are tried in the end.
const TRIES: usize = 40;

/// A plan that was made.
pub(super) struct Trial {
    pub chosen: Vec<usize>,
    /// The name of the one form that all values have.
    pub single: Option<String>,
    pub store: Store,
    pub plan: Plan,
    pub peak: u64,
    pub variance: f64,
    pub cost: f64,
}

/// The cheapest that keeps to the budget.
pub(super) fn best(trials: &[Trial], budget: u64) -> Option<usize> {
    let within = trials.iter().enumerate().filter(|(_, trial)| trial.peak <= budget);
    within.min_by(|a, b| a.1.cost.total_cmp(&b.1.cost)).map(|(index, _)| index)
}

/// A search with one setting of what is made again.
pub(super) struct Search<'a> {
    pub step: &'a Graph,
    pub evaluation: &'a Graph,
    pub options: PlanOptions,
    /// The rules that hold anyway, and raw for the rest.
    pub bare: Store,
    pub sites: Vec<Site>,
    pub points: Vec<Point>,
}

impl Search<'_> {
    fn plan(&self, store: &Store) -> Result<(Plan, u64), Error> {
        let plan = Plan::new(self.step.clone(), &store.policy(), self.options.clone())?;
        let evaluation = plan.sharing_store(self.evaluation.clone())?;
        let peak = Plan::allocated(&[&plan, &evaluation]);
        Ok((plan, peak))
    }

    /// Plans every form for all values that take it, and reads off what it makes of each.
    pub fn singles(&mut self) -> Result<Vec<Trial>, Error> {
        let mut plans = Vec::new();
        for point in &self.points {
            let store = Store { default: point.form, ..self.bare.clone() };
            let (plan, peak) = self.plan(&store)?;
            plans.push((store, plan, peak));
        }
        self.sites =
            sites(self.bare.rules.len(), &self.points, &plans.iter().map(|(_, plan, _)| plan).collect::<Vec<_>>());
        let trial = |(point, (store, plan, peak)): (usize, (Store, Plan, u64))| {
            let takes = |site: &Site| if site.options.iter().any(|option| option.point == point) { point } else { 0 };
            let chosen = self.sites.iter().map(takes).collect();
            let single = Some(store.to_string());
            self.trial(chosen, single, store, plan, peak)
        };
        Ok(plans.into_iter().enumerate().map(trial).collect())
    }

    fn trial(&self, chosen: Vec<usize>, single: Option<String>, store: Store, plan: Plan, peak: u64) -> Trial {
        let waits: BTreeSet<ValueId> = plan.stored.iter().filter(|s| !s.is_recomputed()).map(|s| s.source).collect();
        let options = self.sites.iter().zip(&chosen).filter(|(site, _)| waits.contains(&site.source));
        let (variance, cost) = options.fold((0.0, 0.0), |(variance, cost), (site, &point)| {
            let option = site.option(point);
            (variance + option.variance, cost + option.cost)
        });
        let elements = |value: ValueId| self.step.shape(value).elements() as f64;
        let rebuilt: f64 = plan.stored.iter().filter(|s| s.is_recomputed()).map(|s| elements(s.source)).sum();
        let all: f64 = self.sites.iter().map(|site| elements(site.source)).sum::<f64>() + rebuilt;
        let cost = cost + PASS * REBUILD * rebuilt / all.max(1.0);
        Trial { chosen, single, store, plan, peak, variance, cost }
    }

    /// Plans a choice of forms.
    fn mixed(&self, chosen: Vec<usize>) -> Result<Trial, Error> {
        let mut store = self.bare.clone();
        let coded = self.sites.iter().zip(&chosen).filter(|(_, point)| **point != 0);
        store.rules.extend(coded.map(|(site, &point)| StoreRule {
            layer: Some(site.layer.clone()),
            value: Some(site.name.clone()),
            made_by: None,
            read_by: None,
            min_elements: None,
            store: self.points[point].form,
        }));
        let (plan, peak) = self.plan(&store)?;
        Ok(self.trial(chosen, None, store, plan, peak))
    }

    /// Goes on from single stores. If nothing keeps to the budget, the least is sought.
    pub fn improve(&self, trials: &mut Vec<Trial>, budget: u64) -> Result<(), Error> {
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
            let moments = Moments::of(&trials[last].plan, trials[last].peak, &self.sites);
            let limit = budget.saturating_sub(moments.overhead + slack);
            let chosen = moments.choose(&self.sites, &trials[last].chosen, limit);
            if trials[first..].iter().any(|trial| trial.chosen == chosen) {
                break;
            }
            let trial = self.mixed(chosen)?;
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
            let trial = self.mixed(chosen)?;
            if trial.peak <= budget && trial.cost < trials[last].cost {
                last = trials.len();
                trials.push(trial);
            }
        }
        Ok(())
    }

    /// The values that wait, by their forms.
    pub fn shares(&self, trial: &Trial) -> Vec<Share> {
        let mut shares: BTreeMap<usize, Share> = BTreeMap::new();
        for (site, &point) in self.sites.iter().zip(&trial.chosen) {
            let waits = |stored: &Stored| stored.source == site.source && !stored.is_recomputed();
            if trial.plan.stored.iter().any(waits) {
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
