//! What it costs that the host reads and writes gradients in the middle of a step.

use super::uploads::Uploads;
use crate::Error;
use frugal_report::records::Spread;
use frugal_report::step_times::ExchangeReport;
use frugal_tensor::codec::{MARGIN, Policy};
use frugal_tensor::runtime::Loopback;
use frugal_tensor::{Gpu, Graph, Plan, PlanOptions, PlannedSession};
use std::rc::Rc;
use std::time::Instant;

/// Steps that are traced.
const TRACED: usize = 5;

/// Runs a step in one piece and the same step with a loopback of its gradients in turns, over one store.
///
/// # Errors
/// [`Error::Plan`] if the step cannot be divided; a failure of the device.
pub fn measure(
    gpu: &Rc<Gpu>,
    graph: Graph,
    policy: &Policy,
    classes: usize,
    buckets: usize,
    [warm_up, steps]: [usize; 2],
) -> Result<ExchangeReport, Error> {
    let undivided = Plan::new(graph.clone(), policy, gpu.plan_options())?;
    let divided = undivided.sharing_store(graph, policy, PlanOptions { buckets, ..gpu.plan_options() })?;
    let mut session = PlannedSession::new(gpu.clone(), vec![undivided, divided], 0)?;
    let uploads = Uploads::of(&session.plans()[0], classes);
    if session.plans()[0].has_data_sized() {
        for plan in [0, 1] {
            session.calibrate(plan, &uploads.clone().looking().bytes(), MARGIN)?;
        }
    }
    let uploads = uploads.bytes();
    let mut seconds = [Vec::new(), Vec::new()];
    for round in 0..warm_up + steps {
        for (divided, seconds) in seconds.iter_mut().enumerate() {
            let start = Instant::now();
            match divided {
                0 => session.step(0, &uploads)?,
                _ => session.step_exchanging(1, &uploads, &mut Loopback)?,
            };
            session.finished()?;
            if round >= warm_up {
                seconds.push(start.elapsed().as_secs_f64());
            }
        }
    }
    let traces = (0..TRACED).map(|_| session.trace_exchange(1, &uploads, &mut Loopback));
    let traces = traces.collect::<Result<Vec<_>, _>>()?;
    let idle = |trace: &frugal_tensor::runtime::StepTrace| {
        (trace.device_seconds() > 0.0).then(|| trace.idle() / trace.device_seconds())
    };
    let idle: Option<Vec<f64>> = traces.iter().map(idle).collect();
    let ratios = seconds[1].iter().zip(&seconds[0]).map(|(divided, undivided)| divided / undivided);
    let ratio = Spread::of(ratios.collect()).median;
    let [undivided, divided] = seconds.map(|seconds| Spread::of(seconds).times(1e3));
    let plan = &session.plans()[1];
    Ok(ExchangeReport {
        buckets: plan.executable.buckets.len(),
        segments: plan.executable.segments.len(),
        bytes: plan.executable.exchange_bytes() / 2,
        staging_bytes: plan.executable.exchange_bytes(),
        peak_bytes: [&session.plans()[0], plan].map(|plan| Plan::allocated(&[plan])),
        milliseconds_undivided: undivided,
        milliseconds_divided: divided,
        ratio,
        device_idle: idle.map(|idle| Spread::of(idle).median),
    })
}
