//! The learning rate of each step, in closed form.

use crate::config::{self, Course, Warmup};

/// A schedule over a run of known length.
#[derive(Clone, Debug)]
pub struct Schedule {
    full: f64,
    course: Course,
    warmup: u64,
    steps_per_epoch: u64,
    steps: u64,
}

impl Schedule {
    /// For a run of `epochs` with so many steps each; `full` is the rate that is scaled.
    pub fn new(config: &config::Schedule, full: f64, steps_per_epoch: u64, epochs: u64) -> Self {
        let warmup = match config.warmup {
            Warmup::Steps(steps) => steps,
            Warmup::Epochs(epochs) => (epochs * steps_per_epoch as f64).round() as u64,
        };
        Self { full, course: config.course.clone(), warmup, steps_per_epoch, steps: epochs * steps_per_epoch }
    }

    /// The rate of a step, counted from 0.
    ///
    /// * warm-up: times (step + 1) / warm-up, until that is 1; the course goes on underneath, except for
    /// * cosine: (1 + cos π·t) / 2, with t from 0 at the end of the warm-up to 1 at the end of the run;
    /// * one cycle: from 1 / `div_factor` up to 1 over the share `pct_start` of the steps and down to 1 / (`div_factor` ·
    ///   `final_div_factor`), both along half a cosine;
    /// * step: times the factor for each milestone reached.
    pub fn at(&self, step: u64) -> f32 {
        let rise = if step < self.warmup { (step + 1) as f64 / self.warmup as f64 } else { 1.0 };
        let course = match &self.course {
            Course::Constant => 1.0,
            Course::Step { milestones, factor } => {
                let epochs = step as f64 / self.steps_per_epoch.max(1) as f64;
                factor.powi(milestones.iter().filter(|&&milestone| epochs >= milestone).count() as i32)
            }
            Course::OneCycle { pct_start, div_factor, final_div_factor } => {
                // Between steps, as PyTorch has it.
                let last = self.steps.saturating_sub(1) as f64;
                let top = (pct_start * self.steps as f64 - 1.0).clamp(0.0, last);
                let (step, low) = (step.min(self.steps.saturating_sub(1)) as f64, 1.0 / div_factor);
                let (from, to, t) = match step <= top {
                    true => (low, 1.0, step / top.max(1e-9)),
                    false => (1.0, low / final_div_factor, (step - top) / (last - top)),
                };
                to + (from - to) * 0.5 * (1.0 + (std::f64::consts::PI * t).cos())
            }
            Course::Cosine => {
                let left = self.steps.saturating_sub(self.warmup).max(1);
                let t = step.saturating_sub(self.warmup) as f64 / left as f64;
                0.5 * (1.0 + (std::f64::consts::PI * t.min(1.0)).cos())
            }
        };
        (self.full * rise * course) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(course: Course, warmup: Warmup) -> Schedule {
        Schedule::new(&config::Schedule { course, warmup }, 0.2, 10, 5)
    }

    fn close(a: f32, b: f64) -> bool {
        (f64::from(a) - b).abs() < 1e-7
    }

    /// What PyTorch 2.15's OneCycleLR gives for 50 steps, at its defaults.
    const ONE_CYCLE: [(u64, f64); 9] = [
        (0, 0.008),
        (1, 0.010406920430544947),
        (7, 0.104),
        (13, 0.19759307956945507),
        (14, 0.2),
        (15, 0.19959743100980634),
        (30, 0.11342367288845923),
        (48, 0.0004033689901936913),
        (49, 8e-07),
    ];

    #[test]
    fn one_cycle_rises_and_falls() {
        let course = Course::OneCycle { pct_start: 0.3, div_factor: 25.0, final_div_factor: 1e4 };
        let rates = schedule(course, Warmup::Steps(0));
        for (step, expected) in ONE_CYCLE {
            assert!(close(rates.at(step), expected), "step {step}: {}", rates.at(step));
        }
    }

    #[test]
    fn constant_stays() {
        let rates = schedule(Course::Constant, Warmup::Steps(0));
        assert!((0..50).all(|step| rates.at(step) == 0.2));
    }

    #[test]
    fn warm_up_rises_in_a_line_to_the_full_rate() {
        let rates = schedule(Course::Constant, Warmup::Epochs(0.4));
        for (step, expected) in [0.05, 0.1, 0.15, 0.2, 0.2].into_iter().enumerate() {
            assert!(close(rates.at(step as u64), expected), "step {step}");
        }
    }

    #[test]
    fn cosine_falls_from_full_over_half_to_nothing() {
        let rates = schedule(Course::Cosine, Warmup::Steps(10));
        assert!(close(rates.at(9), 0.2));
        assert!(close(rates.at(10), 0.2));
        assert!(close(rates.at(30), 0.1));
        assert!(close(rates.at(40), 0.1 * (1.0 - 0.5f64.sqrt())));
        assert!(close(rates.at(50), 0.0));
        // The last step still moves.
        assert!(rates.at(49) > 0.0);
    }

    #[test]
    fn steps_multiply_at_each_milestone() {
        let rates = schedule(Course::Step { milestones: vec![2.0, 3.5], factor: 0.1 }, Warmup::Steps(0));
        for (step, expected) in [(0, 0.2), (19, 0.2), (20, 0.02), (34, 0.02), (35, 0.002), (49, 0.002)] {
            assert!(close(rates.at(step), expected), "step {step}: {}", rates.at(step));
        }
    }

    #[test]
    fn a_warm_up_longer_than_the_run_only_rises() {
        let rates = schedule(Course::Cosine, Warmup::Steps(100));
        assert!((0..49).all(|step| rates.at(step) < rates.at(step + 1)));
        assert!(close(rates.at(49), 0.1));
    }
}
