//! Forms for a budget: `store.budget = "2GiB"`, or the store `auto:2GiB`.
//!
//! Of all forms that each kept value can have, and of what can be made again, those are sought with which the run
//! allocates at most the budget, at the least cost. Cost is the variance that forms add to the gradients of weights beside
//! the noise that these have anyway, as [`super::examine`] measures it: (error / noise)², a mean over weights. A small
//! price for time is added.
//!
//! What forms take of each value, plans of single stores say. From there on it goes in rounds: the bytes alive at each
//! moment of the last plan suggest which forms would do ([`moments`]); a plan with them says what is true. Nothing but
//! plans that were made decides, so the result keeps to the budget to the byte, and is no worse than any single store
//! that does. It is a store with one rule for each value, as a user could write it.

mod moments;
mod points;

use super::Request;
use crate::Error;
use crate::config::{Form, Store, StoreRule};
use frugal_model::{evaluation_step, training_step};
use frugal_tensor::codec::error_bounded::gradients_reached;
use frugal_tensor::codec::{Recompute, Stored};
use frugal_tensor::graph::{Element, Graph, ValueId};
use frugal_tensor::{Plan, PlanOptions};
use moments::Moments;
use points::{PASS, Point, REBUILD, points};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Rounds from each of the beginnings.
const ROUNDS: usize = 8;
/// Single changes that are tried in the end.
const TRIES: usize = 40;

/// What was chosen for a budget, and what it is worth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Chosen {
    /// What was asked for, in bytes.
    pub budget: u64,
    /// What the run allocates, in bytes.
    pub peak: u64,
    /// What is made again.
    pub recompute: &'static str,
    /// Estimated error over noise, rms over the weights that read the values.
    pub error_over_noise: f64,
    /// The best single store within the budget, with its estimate; none if none is.
    pub best_single: Option<(String, f64)>,
    /// The values whose forms were open, by their forms.
    pub forms: Vec<Share>,
}

/// The values in one form.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Share {
    /// The form with its settings.
    pub form: String,
    /// How many.
    pub values: usize,
    /// Their own bytes.
    pub raw_bytes: u64,
    /// What waits of them, in bytes, with masks beside them.
    pub stored_bytes: u64,
}

/// A kept value whose form is open.
struct Site {
    source: ValueId,
    layer: String,
    name: String,
    raw_bytes: u64,
    /// Raw is the first.
    options: Vec<FormOption>,
}

/// A form that the value can have.
#[derive(Clone, Copy)]
struct FormOption {
    /// Its index among the points.
    point: usize,
    /// What waits.
    bytes: u64,
    /// The variance that it adds.
    variance: f64,
    /// That, and its time.
    cost: f64,
}

impl Site {
    fn option(&self, point: usize) -> FormOption {
        let known = self.options.iter().find(|option| option.point == point);
        *known.unwrap_or(&self.options[0])
    }
}

/// A plan that was made.
struct Trial {
    chosen: Vec<usize>,
    /// The name of the one form that all values have.
    single: Option<String>,
    store: Store,
    plan: Plan,
    peak: u64,
    variance: f64,
    cost: f64,
}

/// The request's store, or where that has a budget, one that says all forms.
///
/// # Errors
/// As [`choose`].
pub fn settle(request: &Request, options: PlanOptions) -> Result<(Store, Option<Chosen>), Error> {
    match request.store.budget() {
        Some(budget) => choose(request, budget, options).map(|(store, chosen)| (store, Some(chosen))),
        None => Ok((request.store.clone(), None)),
    }
}

/// Chooses forms for the values that no rule of the request's store fits, so that the run allocates at most `budget` bytes.
///
/// # Errors
/// [`Error::OverBudget`] if no choice does; as [`super::Plans::new`].
pub fn choose(request: &Request, budget: u64, options: PlanOptions) -> Result<(Store, Chosen), Error> {
    let Request { net, shape, optimizer, ref store } = *request;
    let step = training_step(net, shape, optimizer)?;
    let evaluation = evaluation_step(net, shape)?;
    let settings: &[Recompute] = match &store.recompute {
        Recompute::None => &[Recompute::None, Recompute::Cheap],
        asked => std::slice::from_ref(asked),
    };
    let mut trials = Vec::new();
    let mut searches = Vec::new();
    for &recompute in settings {
        let bare = Store { default: Form::Raw, recompute, rules: store.rules.clone() };
        let mut search =
            Search { step: &step, evaluation: &evaluation, options, bare, sites: Vec::new(), points: points() };
        let singles = search.singles()?;
        trials.extend(search.improve(singles, budget)?.into_iter().map(|trial| (searches.len(), trial)));
        searches.push(search);
    }
    let least = trials.iter().map(|(_, trial)| trial.peak).min().unwrap_or(0);
    let within = || trials.iter().filter(|(_, trial)| trial.peak <= budget);
    let Some((search, best)) = within().min_by(|a, b| a.1.cost.total_cmp(&b.1.cost)) else {
        return Err(Error::OverBudget { budget, least, batch: shape.batch });
    };
    let single = within().filter(|(_, trial)| trial.single.is_some()).min_by(|a, b| a.1.cost.total_cmp(&b.1.cost));
    let chosen = Chosen {
        budget,
        peak: best.peak,
        recompute: best.store.recompute.name(),
        error_over_noise: best.variance.sqrt(),
        best_single: single.and_then(|(_, trial)| Some((trial.single.clone()?, trial.variance.sqrt()))),
        forms: searches[*search].shares(best),
    };
    Ok((best.store.clone(), chosen))
}

/// The cheapest that keeps to the budget.
fn best(trials: &[Trial], budget: u64) -> Option<usize> {
    let within = trials.iter().enumerate().filter(|(_, trial)| trial.peak <= budget);
    within.min_by(|a, b| a.1.cost.total_cmp(&b.1.cost)).map(|(index, _)| index)
}

/// A search with one setting of what is made again.
struct Search<'a> {
    step: &'a Graph,
    evaluation: &'a Graph,
    options: PlanOptions,
    /// The rules that hold anyway, and raw for the rest.
    bare: Store,
    sites: Vec<Site>,
    points: Vec<Point>,
}

impl Search<'_> {
    fn plan(&self, store: &Store) -> Result<(Plan, u64), Error> {
        let plan = Plan::new(self.step.clone(), &store.policy(), self.options)?;
        let evaluation = plan.beside(self.evaluation.clone())?;
        let peak = Plan::allocated(&[&plan, &evaluation]);
        Ok((plan, peak))
    }

    /// Plans every form for all values that take it, and reads off what it makes of each.
    fn singles(&mut self) -> Result<Vec<Trial>, Error> {
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
        let waits: BTreeSet<ValueId> = plan.stored.iter().filter(|s| !s.is_rebuilt()).map(|s| s.source).collect();
        let options = self.sites.iter().zip(&chosen).filter(|(site, _)| waits.contains(&site.source));
        let (variance, cost) = options.fold((0.0, 0.0), |(variance, cost), (site, &point)| {
            let option = site.option(point);
            (variance + option.variance, cost + option.cost)
        });
        let elements = |value: ValueId| self.step.shape(value).elements() as f64;
        let rebuilt: f64 = plan.stored.iter().filter(|s| s.is_rebuilt()).map(|s| elements(s.source)).sum();
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
    fn improve(&self, mut trials: Vec<Trial>, budget: u64) -> Result<Vec<Trial>, Error> {
        let least = trials.iter().enumerate().min_by_key(|(_, trial)| trial.peak).map_or(0, |(index, _)| index);
        for begin in BTreeSet::from([best(&trials, budget).unwrap_or(least), least, 0]) {
            self.rounds(&mut trials, begin, budget)?;
        }
        match best(&trials, budget) {
            Some(best) => self.polish(&mut trials, best, budget)?,
            None => self.rounds(&mut trials, least, 0)?,
        }
        Ok(trials)
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
    fn shares(&self, trial: &Trial) -> Vec<Share> {
        let mut shares: BTreeMap<usize, Share> = BTreeMap::new();
        for (site, &point) in self.sites.iter().zip(&trial.chosen) {
            let waits = |stored: &Stored| stored.source == site.source && !stored.is_rebuilt();
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

/// The values whose forms are open, from the plans of every form for all of them. Rules before `rules` are the user's.
fn sites(rules: usize, points: &[Point], plans: &[&Plan]) -> Vec<Site> {
    let mut bytes: BTreeMap<ValueId, BTreeMap<usize, u64>> = BTreeMap::new();
    let mut reached: BTreeMap<ValueId, BTreeSet<ValueId>> = BTreeMap::new();
    for (point, plan) in plans.iter().enumerate() {
        let graph = &plan.graph;
        let open = |s: &&Stored| {
            let fixed = s.rule.is_some_and(|rule| rule < rules);
            graph.value(s.source).element == Element::F32 && !s.is_rebuilt() && !fixed && s.form != "mask"
        };
        for stored in plan.stored.iter().filter(open) {
            if (stored.source == stored.waiting) != (point == 0) {
                continue;
            }
            let beside = plan.stored.iter().filter(|s| s.source == stored.source && !s.is_rebuilt());
            let all = beside.map(|s| graph.value(s.waiting).bytes()).sum();
            bytes.entry(stored.source).or_default().insert(point, all);
            let views = stored.views.iter().copied().chain((point == 0).then_some(stored.source));
            reached.entry(stored.source).or_default().extend(views.flat_map(|view| gradients_reached(graph, view)));
        }
    }
    // What no form but raw takes is not open. What is raw nowhere but made again without a form is.
    bytes.retain(|_, options| options.keys().any(|&point| point != 0));
    let all: BTreeSet<ValueId> = bytes.keys().flat_map(|source| reached[source].iter().copied()).collect();
    let graph = &plans[0].graph;
    let elements = |value: ValueId| graph.shape(value).elements() as f64;
    let rebuilt = plans[0].stored.iter().filter(|s| s.is_rebuilt()).map(|s| s.source);
    let sum: f64 = bytes.keys().copied().chain(rebuilt).map(elements).sum();
    let site = |(source, mut options): (ValueId, BTreeMap<usize, u64>)| {
        options.entry(0).or_insert(graph.value(source).bytes());
        // An error that reaches the weights in another way counts as one of them.
        let weights = reached[&source].len().max(1) as f64;
        let option = |(point, bytes): (usize, u64)| {
            let Point { error, passes, .. } = points[point];
            let variance = weights * error * error / all.len().max(1) as f64;
            FormOption { point, bytes, variance, cost: variance + PASS * passes * elements(source) / sum }
        };
        let made = plans[0].graph.nodes().iter().find(|node| node.outputs.contains(&source));
        Site {
            source,
            layer: made.map_or(graph.value(source).name.clone(), |node| node.layer.clone()),
            name: graph.value(source).name.clone(),
            raw_bytes: graph.value(source).bytes(),
            options: options.into_iter().map(option).collect(),
        }
    };
    bytes.into_iter().map(site).collect()
}
