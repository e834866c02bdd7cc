//! What stores whose sizes depend on the data take, over a run.

use frugal_report::records::Discarded;
use frugal_report::records::{Coded, CodedValue, StoreRecord};
use frugal_tensor::Plan;
use frugal_tensor::codec::SizeReport;
use serde::{Deserialize, Serialize};

/// Steps between two records in `metrics.jsonl`, after the first.
const INTERVAL: u64 = 10;

/// Sums over the steps of a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct StoreLog {
    steps: u64,
    /// For each data-sized value.
    bytes: Vec<u64>,
    most: u64,
}

impl StoreLog {
    /// Books a step.
    pub(crate) fn add(&mut self, plan: &Plan, records: &[SizeReport]) {
        let used = plan.used_bytes(records);
        self.bytes.resize(used.len(), 0);
        self.bytes.iter_mut().zip(&used).for_each(|(sum, used)| *sum += used);
        self.most = self.most.max(used.iter().sum());
        self.steps += 1;
    }

    /// Steps, the sum of bytes of each value over them, and the most of all in one.
    pub(crate) fn parts(&self) -> (u64, &[u64], u64) {
        (self.steps, &self.bytes, self.most)
    }

    /// Whether a step is written down.
    pub(crate) fn is_logged(step: u64) -> bool {
        step == 1 || step.is_multiple_of(INTERVAL)
    }

    /// The record of a step, from the first layer to the last.
    pub(crate) fn now(plan: &Plan, records: &[SizeReport]) -> Vec<StoreRecord> {
        let sizes = plan.used_bytes(records).into_iter().zip(plan.coding_facts(records));
        let mut values: Vec<StoreRecord> = plan
            .data_sized()
            .zip(sizes)
            .map(|((stored, _), (stored_bytes, facts))| {
                let source = plan.graph.value(stored.source);
                StoreRecord {
                    name: source.name.clone(),
                    form: stored.form.to_owned(),
                    raw_bytes: source.bytes(),
                    stored_bytes,
                    bound: facts.bound,
                    density: facts.density,
                    raw_share: facts.raw_share,
                }
            })
            .collect();
        // Plans have them in the order of the backward pass.
        values.reverse();
        values
    }

    /// Means over the run, from the first layer to the last; none if no size depends on the data.
    pub(crate) fn summary(&self, plan: &Plan, discarded: Discarded) -> Option<Coded> {
        let mut values: Vec<CodedValue> = plan
            .data_sized()
            .zip(&self.bytes)
            .map(|((stored, _), sum)| CodedValue {
                name: plan.graph.value(stored.source).name.clone(),
                raw_bytes: plan.graph.value(stored.source).bytes(),
                mean_bytes: sum / self.steps.max(1),
                planned_bytes: plan.graph.value(stored.kept).bytes(),
            })
            .collect();
        values.reverse();
        (!values.is_empty()).then_some(Coded { values, most_bytes: self.most, discarded })
    }
}
