//! A session with the plans that its executables come from: what planning data-sized values anew takes.

use super::{Gpu, GpuError, Session};
use crate::codec::{DataSized, SizeReport};
use crate::ir::step::STOP_CALIBRATES;
use crate::plan::{CapacityStatus, Plan, PlanError, StoreLayout};
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

/// Most calibrating steps.
const MOST_STEPS: usize = 12;

/// Plans, and the session that runs them. What a session does, it does as well.
pub struct PlannedSession {
    session: Session,
    plans: Vec<Plan>,
}

impl Deref for PlannedSession {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl DerefMut for PlannedSession {
    fn deref_mut(&mut self) -> &mut Session {
        &mut self.session
    }
}

impl PlannedSession {
    /// Allocates everything and compiles all shaders, for plans over one set of parameters. What lives across steps starts as its
    /// [`crate::ir::Init`] says, from `seed`.
    ///
    /// # Errors
    /// [`GpuError::Plan`] if the plans cannot share a store, [`GpuError::OutOfMemory`], [`GpuError::Shader`].
    pub fn new(gpu: Rc<Gpu>, plans: Vec<Plan>, seed: u64) -> Result<Self, GpuError> {
        let store = store_of(&plans)?;
        let executables = plans.iter().map(|plan| plan.executable.clone()).collect();
        Ok(Self { session: Session::new(gpu, store, executables, seed)?, plans })
    }

    /// The plans.
    pub fn plans(&self) -> &[Plan] {
        &self.plans
    }

    /// The plans, and the session to run them.
    pub fn split(&mut self) -> (&[Plan], &mut Session) {
        (&self.plans, &mut self.session)
    }

    /// Puts a plan with other sizes ([`Plan::resized`]) in the place of one. What lives across steps stays as it is.
    ///
    /// # Errors
    /// As [`Session::replace`].
    pub fn replace(&mut self, plan: usize, with: Plan) -> Result<(), GpuError> {
        self.session.replace(plan, with.executable.clone())?;
        self.plans[plan] = with;
        Ok(())
    }

    /// Calibrates a plan's data-sized values and what controls them by steps over one batch that change nothing else, and gives
    /// them capacities `margin` times as large as what they used. The uploads have to say so ([`crate::step::FLAG_CALIBRATES`]).
    ///
    /// # Errors
    /// As [`Session::step`] and [`PlannedSession::replan`].
    pub fn calibrate(&mut self, plan: usize, uploads: &[&[u8]], margin: f64) -> Result<(), GpuError> {
        let mut before: Vec<SizeReport> = Vec::new();
        for _ in 0..MOST_STEPS {
            self.set_stop(STOP_CALIBRATES)?;
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
        self.resume_updates()
    }

    /// Capacities `margin` times as large as what these reports say, for a plan's data-sized values. Metrics of steps in flight are
    /// lost; collect them first.
    ///
    /// # Errors
    /// [`GpuError::Refused`] if the plan cannot be had, [`GpuError::OutOfMemory`], or a failure of the device.
    pub fn replan(&mut self, plan: usize, reports: &[SizeReport], margin: f64) -> Result<(), GpuError> {
        let replanned =
            self.plans[plan].with_capacity(reports, margin).map_err(|error| GpuError::Refused(error.to_string()))?;
        self.replace(plan, replanned)
    }
}

/// The store of some plans, in pages as the first allows.
fn store_of(plans: &[Plan]) -> Result<StoreLayout, PlanError> {
    let executables: Vec<&_> = plans.iter().map(|plan| plan.executable.as_ref()).collect();
    StoreLayout::of(&executables, plans.first().map_or(u64::MAX, |plan| plan.options.max_buffer))
}
