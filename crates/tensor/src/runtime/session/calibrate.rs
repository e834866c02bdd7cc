//! What data-sized values ask of the host: calibration before the first step, and capacities that follow.

use super::Session;
use crate::codec::{DataSized, SizeReport};
use crate::plan::CapacityStatus;
use crate::runtime::GpuError;
use crate::step::{STATUS, STATUS_STOP, STOP_CALIBRATES};

/// Most calibrating steps.
const MOST_STEPS: usize = 12;

impl Session {
    /// Calibrates a plan's data-sized values and what controls them by steps over one batch that change nothing else, and gives
    /// them capacities `margin` times as large as what they used. The uploads have to say so ([`crate::step::FLAG_CALIBRATES`]).
    ///
    /// # Errors
    /// As [`Session::step`] and [`Session::replan`].
    pub fn calibrate(&mut self, plan: usize, uploads: &[&[u8]], margin: f64) -> Result<(), GpuError> {
        let mut before: Vec<SizeReport> = Vec::new();
        for _ in 0..MOST_STEPS {
            self.write_words(STATUS, &[STOP_CALIBRATES, 0, 0, 0])?;
            self.step(plan, uploads)?;
            let metrics = self.finished()?.pop().expect("a step that reports has metrics");
            let planned = &self.plans[plan];
            let reports = planned.size_reports(&metrics.words);
            let near = |((_, data_sized), (before, now)): ((_, &dyn DataSized), (&SizeReport, &SizeReport))| {
                data_sized.is_calibrated(&before.words, &now.words)
            };
            let calibrated = !before.is_empty() && planned.data_sized().zip(before.iter().zip(&reports)).all(near);
            let status = planned.capacity_status(&reports);
            // The first step knows nothing: what it would have used says nothing.
            if !before.is_empty() {
                self.replan(plan, &reports, margin)?;
            }
            if calibrated && status != CapacityStatus::Exceeded {
                break;
            }
            before = reports;
        }
        self.let_updates_happen()
    }

    /// Lets steps move parameters again after one that stopped all updates ([`crate::Graph::status`]).
    ///
    /// # Errors
    /// [`GpuError::NoSuchValue`] if nothing could stop them, or what befell the device.
    pub fn let_updates_happen(&self) -> Result<(), GpuError> {
        let mut words = self.read_value(0, self.named(STATUS)?)?;
        words[STATUS_STOP as usize] = 0;
        self.write_words(STATUS, &words)
    }

    /// Capacities `margin` times as large as what these reports say, for a plan's data-sized values. Metrics of steps in flight are lost;
    /// collect them first.
    ///
    /// # Errors
    /// [`GpuError::Refused`] if the plan cannot be had, [`GpuError::OutOfMemory`], or what befell the device.
    pub fn replan(&mut self, plan: usize, reports: &[SizeReport], margin: f64) -> Result<(), GpuError> {
        let replanned =
            self.plans[plan].with_capacity(reports, margin).map_err(|error| GpuError::Refused(error.to_string()))?;
        self.replace(plan, replanned)
    }
}
