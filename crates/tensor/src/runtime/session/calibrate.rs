//! What codecs that learn from step to step ask of the host: bounds before the first step, and room.

use super::Session;
use crate::codec::error_bounded::ControllerState;
use crate::plan::CapacityStatus;
use crate::runtime::GpuError;
use crate::step::{STATUS, STATUS_STOP, STOP_CALIBRATES};

/// Most steps without effect before the first.
const PROBES: usize = 12;
/// By how much a bound may still change in the last of them.
const SETTLED: f32 = 0.2;

impl Session {
    /// Learns the bounds and sizes of a plan's stored values from steps over one batch that change nothing else, and gives
    /// them `margin` times as much room as they took. The uploads have to say so
    /// ([`crate::step::FLAG_CALIBRATES`]).
    ///
    /// # Errors
    /// As [`Session::step`] and [`Session::replan`].
    pub fn calibrate(&mut self, plan: usize, uploads: &[&[u8]], margin: f64) -> Result<(), GpuError> {
        let mut before: Vec<ControllerState> = Vec::new();
        for _ in 0..PROBES {
            self.write_words(STATUS, &[STOP_CALIBRATES, 0, 0, 0])?;
            self.step(plan, uploads)?;
            let metrics = self.finished()?.pop().expect("a step with states has metrics");
            let states = self.plans[plan].controller_states(&metrics.words);
            let near = |(now, before): (&ControllerState, &ControllerState)| {
                (now.bound - before.bound).abs() <= SETTLED * before.bound
            };
            let settled = !before.is_empty() && states.iter().zip(&before).all(near);
            let status = self.plans[plan].capacity_status(&states);
            // The first probe knows no bounds: what it would have taken says nothing.
            if !before.is_empty() {
                self.replan(plan, &states, margin)?;
            }
            if settled && status != CapacityStatus::Exceeded {
                break;
            }
            before = states;
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

    /// `margin` times as much room for a plan's stored values as these states ask for. Metrics of steps in flight are lost;
    /// collect them first.
    ///
    /// # Errors
    /// [`GpuError::Refused`] if the plan cannot be had, [`GpuError::OutOfMemory`], or what befell the device.
    pub fn replan(&mut self, plan: usize, states: &[ControllerState], margin: f64) -> Result<(), GpuError> {
        let replanned =
            self.plans[plan].with_capacity(states, margin).map_err(|error| GpuError::Refused(error.to_string()))?;
        self.replace(plan, replanned)
    }
}
