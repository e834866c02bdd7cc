//! The values whose forms are open, and what each form makes of them.

use super::points::{PASS, Point};
use frugal_tensor::Plan;
use frugal_tensor::codec::GradientReaders;
use frugal_tensor::codec::Stored;
use frugal_tensor::ir::{Element, ValueId};
use std::collections::{BTreeMap, BTreeSet};

/// A kept value whose form is open.
pub(super) struct Site {
    pub source: ValueId,
    pub layer: String,
    pub name: String,
    pub raw_bytes: u64,
    /// Raw is the first.
    pub options: Vec<FormOption>,
}

/// A form that the value can have.
#[derive(Clone, Copy)]
pub(super) struct FormOption {
    /// Its index among the points.
    pub point: usize,
    /// What waits.
    pub bytes: u64,
    /// The variance that it adds.
    pub variance: f64,
    /// That, and its time.
    pub cost: f64,
}

impl Site {
    pub fn option(&self, point: usize) -> FormOption {
        let known = self.options.iter().find(|option| option.point == point);
        *known.unwrap_or(&self.options[0])
    }
}

/// The values whose forms are open, from the plans of every form for all of them. Rules before `rules` are the user's.
pub(super) fn sites(rules: usize, points: &[Point], plans: &[&Plan]) -> Vec<Site> {
    let mut bytes: BTreeMap<ValueId, BTreeMap<usize, u64>> = BTreeMap::new();
    let mut reached: BTreeMap<ValueId, BTreeSet<ValueId>> = BTreeMap::new();
    for (point, plan) in plans.iter().enumerate() {
        let graph = &plan.graph;
        let readers = GradientReaders::of(graph);
        let open = |s: &&Stored| {
            let fixed = s.rule.is_some_and(|rule| rule < rules);
            graph.value(s.source).element == Element::F32 && !s.is_recomputed() && !fixed && s.form != "mask"
        };
        for stored in plan.stored.iter().filter(open) {
            if (stored.source == stored.waiting) != (point == 0) {
                continue;
            }
            let beside = plan.stored.iter().filter(|s| s.source == stored.source && !s.is_recomputed());
            let all = beside.map(|s| graph.value(s.waiting).bytes()).sum();
            bytes.entry(stored.source).or_default().insert(point, all);
            let decoded = stored.decoded.iter().copied().chain((point == 0).then_some(stored.source));
            reached.entry(stored.source).or_default().extend(decoded.flat_map(|view| readers.gradients(graph, view)));
        }
    }
    // What no form but raw takes is not open. What is raw nowhere but made again without a form is.
    bytes.retain(|_, options| options.keys().any(|&point| point != 0));
    let all: BTreeSet<ValueId> = bytes.keys().flat_map(|source| reached[source].iter().copied()).collect();
    let graph = &plans[0].graph;
    let elements = |value: ValueId| graph.shape(value).elements() as f64;
    let rebuilt = plans[0].stored.iter().filter(|s| s.is_recomputed()).map(|s| s.source);
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
