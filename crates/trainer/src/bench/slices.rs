//! What slices along the batch buy and cost: peaks beside milliseconds.

use super::uploads::Uploads;
use crate::Error;
use crate::artifacts::environment::{adapter_facts, kernel_set_name};
use crate::config::slices_name;
use crate::planning::{Request, budget};
use frugal_model::{evaluation_step, training_step};
use frugal_report::records::Spread;
use frugal_report::slices::{SlicesReport, SlicesRow};
use frugal_tensor::codec::{MARGIN, Policy, Slices};
use frugal_tensor::{Gpu, Plan, PlannedSession};
use std::rc::Rc;
use std::time::Instant;

/// Runs one step in several slicings in turns, over one store; ratios are medians over the turns, beside the first.
///
/// # Errors
/// As [`crate::planning::Plans::new`]; a failure of the device.
pub fn measure(
    request: &Request,
    gpu: &Rc<Gpu>,
    settings: &[Slices],
    [warm_up, steps]: [usize; 2],
) -> Result<SlicesReport, Error> {
    let (net, shape) = (&request.net, request.shape);
    let (store, _) = budget::choose_policy(request, gpu.plan_options())?;
    let graph = || training_step(net, shape, request.training);
    let policy = |slices: Slices| Policy { slices, ..store.policy() };
    let first = Plan::new(graph()?, &policy(settings[0]), gpu.plan_options())?;
    let mut plans = Vec::with_capacity(settings.len());
    for &slices in &settings[1..] {
        plans.push(first.sharing_store(graph()?, &policy(slices), gpu.plan_options())?);
    }
    plans.insert(0, first);
    let mut peaks = Vec::with_capacity(plans.len());
    for plan in &plans {
        let evaluation = plan.evaluation(evaluation_step(net, shape, request.training)?)?;
        peaks.push(Plan::allocated(&[plan, &evaluation]));
    }
    let mut session = PlannedSession::new(gpu.clone(), plans, 0)?;
    let uploads = Uploads::of(&session.plans()[0], shape.classes);
    if session.plans()[0].has_data_sized() {
        for plan in 0..settings.len() {
            session.calibrate(plan, &uploads.clone().looking().bytes(), MARGIN)?;
        }
    }
    let uploads = uploads.bytes();
    let mut seconds = vec![Vec::new(); settings.len()];
    for round in 0..warm_up + steps {
        for (plan, seconds) in seconds.iter_mut().enumerate() {
            let start = Instant::now();
            session.step(plan, &uploads)?;
            session.finished()?;
            if round >= warm_up {
                seconds.push(start.elapsed().as_secs_f64());
            }
        }
    }
    let row = |(index, slices): (usize, &Slices)| {
        let plan = &session.plans()[index];
        let ratios = seconds[index].iter().zip(&seconds[0]).map(|(here, first)| here / first);
        SlicesRow {
            slices: slices_name(*slices),
            peak: peaks[index],
            dispatches: plan.executable.dispatches.len(),
            milliseconds: Spread::of(seconds[index].clone()).times(1e3),
            ratio: Spread::of(ratios.collect()).median,
        }
    };
    Ok(SlicesReport {
        net: net.name.to_owned(),
        batch: shape.batch,
        store: store.to_string(),
        adapter: adapter_facts(gpu.adapter()),
        kernels: kernel_set_name(gpu.plan_options().set).to_owned(),
        steps,
        rows: settings.iter().enumerate().map(row).collect(),
    })
}
