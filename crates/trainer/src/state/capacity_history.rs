//! How much room values need whose sizes follow the data.
//!
//! A bound is renewed from one step's gradients, so sizes go up and down from renewal to renewal: by up to a third for a single
//! value, while the sum of all hardly moves. What the last step took therefore says little; the most that each value took
//! in many steps says how far it goes. Those are the steps since the last mark and between the two marks before, marks being at
//! steps 20, 40, 80, 160 …: as training settles, what was in the beginning is forgotten.

use frugal_tensor::codec::SizeReport;

/// Until this step gradients change so fast that nothing before says how far sizes go.
const EARLY: u64 = 40;
/// From this step on bounds are renewed seldom, and what counts is the most of many renewals.
const SETTLED: u64 = 100;

/// Planned over measured size ([`frugal_tensor::Plan::with_capacity`]).
pub(crate) fn margin(step: u64) -> f64 {
    match step {
        ..EARLY => 1.45,
        EARLY..SETTLED => 1.25,
        _ => 1.14,
    }
}

/// The most that each value took of late.
#[derive(Debug)]
pub(crate) struct CapacityHistory {
    /// Between the last two marks.
    before: Vec<SizeReport>,
    /// Since the last mark.
    since: Vec<SizeReport>,
    next_mark: u64,
}

impl CapacityHistory {
    /// For a run of which so many steps have been done; what values took in them is not known.
    pub fn after(steps: u64) -> Self {
        let mut next_mark = EARLY / 2;
        while next_mark <= steps {
            next_mark *= 2;
        }
        Self { before: Vec::new(), since: Vec::new(), next_mark }
    }

    /// Books what a step's coding took, or would have taken. Whether it is time to plan anew, because less may do.
    pub fn add(&mut self, step: u64, records: &[SizeReport]) -> bool {
        self.since = larger(&self.since, records);
        let marked = step == self.next_mark;
        if marked {
            self.before = std::mem::take(&mut self.since);
            self.next_mark *= 2;
        }
        marked
    }

    /// What to plan for.
    pub fn most(&self) -> Vec<SizeReport> {
        larger(&self.before, &self.since)
    }
}

/// Of each value the record that asks for more capacity. One of the two may not know of any.
pub(crate) fn larger(a: &[SizeReport], b: &[SizeReport]) -> Vec<SizeReport> {
    if a.is_empty() || b.is_empty() {
        return [a, b].concat();
    }
    a.iter().zip(b).map(|(a, b)| if a.used > b.used { a.clone() } else { b.clone() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(used: [u32; 2]) -> Vec<SizeReport> {
        used.map(|used| SizeReport { used, ..SizeReport::default() }).to_vec()
    }

    fn used(capacity_history: &CapacityHistory) -> Vec<u32> {
        capacity_history.most().iter().map(|record| record.used).collect()
    }

    #[test]
    fn less_is_spared_as_training_settles() {
        assert_eq!([0, 1, 39, 40, 99, 100, 10_000].map(margin), [1.45, 1.45, 1.45, 1.25, 1.25, 1.14, 1.14]);
    }

    #[test]
    fn each_value_is_planned_for_the_most_that_it_took() {
        let mut capacity_history = CapacityHistory::after(0);
        assert!(capacity_history.most().is_empty());
        assert!(!capacity_history.add(1, &records([100, 900])) && !capacity_history.add(2, &records([300, 200])));
        assert_eq!(used(&capacity_history), [300, 900]);
    }

    #[test]
    fn what_was_long_ago_is_forgotten_at_marks() {
        let mut capacity_history = CapacityHistory::after(0);
        let mut marks = Vec::new();
        for step in 1..=200 {
            if capacity_history.add(step, &records([1000 / step as u32, step as u32])) {
                marks.push(step);
            }
            // One value shrinks, so the oldest step that counts says what it took; the other grows.
            let oldest = if step < 20 { 1 } else { marks.iter().rev().nth(1).map_or(1, |mark| mark + 1) };
            assert_eq!(used(&capacity_history), [1000 / oldest as u32, step as u32], "step {step}");
        }
        assert_eq!(marks, [20, 40, 80, 160]);
    }

    #[test]
    fn a_run_that_goes_on_keeps_to_its_marks() {
        for steps in [0, 19, 20, 39, 40, 100] {
            let mut capacity_history = CapacityHistory::after(steps);
            let marks: Vec<u32> =
                (steps as u32 + 1..=200).filter(|&step| capacity_history.add(step.into(), &records([1, 1]))).collect();
            let later: Vec<u32> = [20, 40, 80, 160].into_iter().filter(|&mark| u64::from(mark) > steps).collect();
            assert_eq!(marks, later, "from step {steps}");
        }
    }
}
