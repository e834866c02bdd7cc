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
    /// What is saved.
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

/// What plans of every form for all values say of the values whose forms are open.
#[derive(Default)]
pub(super) struct Sites {
    /// What is saved of each value, by the index of the form's point.
    bytes: BTreeMap<ValueId, BTreeMap<usize, u64>>,
    /// The gradients of weights that its errors enter.
    reached: BTreeMap<ValueId, BTreeSet<ValueId>>,
}

impl Sites {
    /// Adds the plan of a form. Rules before `rules` are the user's.
    pub fn add(&mut self, rules: usize, point: usize, plan: &Plan) {
        let graph = &plan.graph;
        let readers = GradientReaders::of(graph);
        let mut kept: BTreeMap<ValueId, u64> = BTreeMap::new();
        for stored in plan.stored.iter().filter(|s| !s.is_recomputed()) {
            *kept.entry(stored.source).or_default() += graph.value(stored.kept).bytes();
        }
        let open = |s: &&Stored| {
            let fixed = s.rule.is_some_and(|rule| rule < rules);
            graph.value(s.source).element == Element::F32 && !s.is_recomputed() && !fixed && s.form != "mask"
        };
        for stored in plan.stored.iter().filter(open) {
            if (stored.source == stored.kept) != (point == 0) {
                continue;
            }
            self.bytes.entry(stored.source).or_default().insert(point, kept[&stored.source]);
            let decoded = stored.decoded.iter().copied().chain((point == 0).then_some(stored.source));
            let gradients = decoded.flat_map(|view| readers.gradients(graph, view));
            self.reached.entry(stored.source).or_default().extend(gradients);
        }
    }

    /// The values, beside the plan of everything raw.
    pub fn finish(mut self, points: &[Point], raw: &Plan) -> Vec<Site> {
        // What no form but raw takes is not open. What is raw nowhere but recomputed without a form is.
        self.bytes.retain(|_, options| options.keys().any(|&point| point != 0));
        let all: BTreeSet<ValueId> =
            self.bytes.keys().flat_map(|source| self.reached[source].iter().copied()).collect();
        let graph = &raw.graph;
        let elements = |value: ValueId| graph.shape(value).elements() as f64;
        let recomputed = raw.stored.iter().filter(|s| s.is_recomputed()).map(|s| s.source);
        let sum: f64 = self.bytes.keys().copied().chain(recomputed).map(elements).sum();
        let made = graph.nodes().iter().flat_map(|node| node.outputs.iter().map(move |&output| (output, &node.layer)));
        let layers: BTreeMap<ValueId, &String> = made.collect();
        let site = |(source, mut options): (ValueId, BTreeMap<usize, u64>)| {
            options.entry(0).or_insert(graph.value(source).bytes());
            // An error that reaches the weights in another way counts as one of them.
            let weights = self.reached[&source].len().max(1) as f64;
            let option = |(point, bytes): (usize, u64)| {
                let Point { error, passes, .. } = points[point];
                let variance = weights * error * error / all.len().max(1) as f64;
                FormOption { point, bytes, variance, cost: variance + PASS * passes * elements(source) / sum }
            };
            let value = graph.value(source);
            Site {
                source,
                layer: layers.get(&source).map_or(&value.name, |layer| *layer).clone(),
                name: value.name.clone(),
                raw_bytes: value.bytes(),
                options: options.into_iter().map(option).collect(),
            }
        };
        self.bytes.into_iter().map(site).collect()
    }
}
