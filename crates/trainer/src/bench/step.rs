//! How long a training step takes, and what of it.

use super::exchange;
use super::resident::peak_resident_bytes;
use super::start;
use super::uploads::Uploads;
use crate::Error;
use crate::artifacts::environment::{adapter_facts, kernel_set_name};
use crate::planning::Request;
use crate::planning::budget;
use frugal_model::training_step;
use frugal_report::records::Spread;
use frugal_report::step_times::{OperatorTime, Seconds, StepBytes, StepReport};
use frugal_tensor::codec::MARGIN;
use frugal_tensor::plan::{CapacityStatus, StepRole};
use frugal_tensor::runtime::Clock;
use frugal_tensor::{Gpu, Plan, PlannedSession};
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

/// Steps in which each node is timed.
const ROUNDS: usize = 5;

/// How to measure.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// Steps that do not count, the first included.
    pub warm_up: usize,
    /// Steps that count.
    pub steps: usize,
    /// Where to write what the steps start from.
    pub start: Option<&'a Path>,
    /// In how many buckets to exchange gradients with the host, if what that costs is to be measured as well.
    pub buckets: Option<usize>,
}

/// Measures a step. `began` is when the program did, `opened` how long opening the device took.
///
/// # Errors
/// As [`crate::planning::Plans::new`]; a failure of the device; [`Error::Io`] if the start cannot be written.
pub fn measure(
    request: &Request,
    gpu: &Rc<Gpu>,
    settings: Settings<'_>,
    began: Instant,
    opened: f64,
) -> Result<StepReport, Error> {
    let (net, shape) = (&request.net, request.shape);
    let clock = Instant::now();
    let (store, _) = budget::choose_policy(request, gpu.plan_options())?;
    let plan = Plan::new(training_step(net, shape, request.training)?, &store.policy(), gpu.plan_options())?;
    let planned = clock.elapsed().as_secs_f64();

    let clock = Instant::now();
    let mut session = PlannedSession::new(gpu.clone(), vec![plan], 0)?;
    let built = clock.elapsed().as_secs_f64();
    let uploads = Uploads::of(&session.plans()[0], shape.classes);
    if let Some(path) = settings.start {
        start::write(&session, &uploads, path)?;
    }

    let clock = Instant::now();
    let learns = session.plans()[0].has_data_sized();
    if learns {
        session.calibrate(0, &uploads.clone().looking().bytes(), MARGIN)?;
    }
    let learned = learns.then(|| clock.elapsed().as_secs_f64());
    let uploads = uploads.bytes();

    let mut run = Run::default();
    let first = run.step(&mut session, &uploads)?;
    let until_first = began.elapsed().as_secs_f64();
    for _ in 1..settings.warm_up {
        run.step(&mut session, &uploads)?;
    }
    let seconds = (0..settings.steps).map(|_| run.step(&mut session, &uploads)).collect::<Result<Vec<f64>, Error>>()?;
    let milliseconds_per_step = Spread::of(seconds).times(1e3);
    // What follows is no part of a step.
    let peak_resident = peak_resident_bytes();
    let nodes = Nodes::measure(&mut session, &uploads)?;

    let exchange = match settings.buckets {
        None => None,
        Some(buckets) => {
            let graph = training_step(net, shape, request.training)?;
            let counts = [settings.warm_up, settings.steps];
            Some(exchange::measure(gpu, graph, &store.policy(), shape.classes, buckets, counts)?)
        }
    };
    let plan = &session.plans()[0];
    Ok(StepReport {
        exchange,
        net: net.name.to_owned(),
        shape: shape.sample.extents(),
        samples: shape.sample.to_string(),
        classes: shape.classes,
        batch: shape.batch,
        store: store.to_string(),
        adapter: adapter_facts(gpu.adapter()),
        kernels: kernel_set_name(plan.options.set).to_owned(),
        precision: request.precision,
        tiles: gpu.tiles().map(|table| table.choices().len()),
        warm_up: settings.warm_up,
        steps: settings.steps,
        milliseconds_per_step,
        images_per_second: shape.batch as f64 / milliseconds_per_step.median * 1e3,
        clock: nodes.clock.to_owned(),
        milliseconds: nodes.parts(plan),
        operators: nodes.operators(plan),
        nodes: plan.graph.nodes().len(),
        dispatches: plan.executable.dispatches.len(),
        bytes: StepBytes { allocated: session.most_bytes(), kept: plan.kept_bytes(), peak_resident },
        seconds: Seconds {
            device: opened,
            plan: planned,
            session: built,
            bounds: learned,
            first_step: first,
            until_first_step: until_first,
        },
        losses: run.losses,
        without_room: run.without_room,
    })
}

/// The steps so far.
#[derive(Default)]
struct Run {
    losses: Vec<f32>,
    without_room: usize,
}

impl Run {
    /// A step from the upload to its loss; returns its seconds.
    fn step(&mut self, session: &mut PlannedSession, uploads: &[&[u8]]) -> Result<f64, Error> {
        let start = Instant::now();
        session.step(0, uploads)?;
        let metrics = session.finished()?;
        let seconds = start.elapsed().as_secs_f64();
        let plan = &session.plans()[0];
        for metrics in metrics {
            self.losses.push(metrics.f32(0));
            self.without_room +=
                usize::from(plan.capacity_status(&plan.size_reports(&metrics.words)) == CapacityStatus::Exceeded);
        }
        Ok(seconds)
    }
}

/// How long each node takes: the median of some rounds.
struct Nodes {
    seconds: Vec<f64>,
    dispatches: Vec<usize>,
    clock: &'static str,
}

impl Nodes {
    fn measure(session: &mut PlannedSession, uploads: &[&[u8]]) -> Result<Self, Error> {
        let rounds = (0..ROUNDS).map(|_| session.time_nodes(0, uploads)).collect::<Result<Vec<_>, _>>()?;
        let mut dispatches = vec![0; rounds[0].seconds.len()];
        session.plans()[0].executable.dispatches.iter().for_each(|dispatch| dispatches[dispatch.node] += 1);
        let median = |node: usize| Spread::of(rounds.iter().map(|round| round.seconds[node]).collect()).median;
        // Between two time stamps something passes even where nothing is done.
        let seconds = (0..dispatches.len()).map(|node| if dispatches[node] > 0 { median(node) } else { 0.0 }).collect();
        let clock = match rounds[0].clock {
            Clock::Device => "device",
            Clock::Host => "host",
        };
        Ok(Self { seconds, dispatches, clock })
    }

    /// Milliseconds of each part of the step.
    fn parts(&self, plan: &Plan) -> BTreeMap<String, f64> {
        let mut parts: BTreeMap<String, f64> = StepRole::ALL.map(|part| (part.name().to_owned(), 0.0)).into();
        for (part, seconds) in plan.step_roles().into_iter().zip(&self.seconds) {
            *parts.entry(part.name().to_owned()).or_default() += seconds * 1e3;
        }
        parts
    }

    /// Operators by the time that their nodes take, the slowest first.
    fn operators(&self, plan: &Plan) -> Vec<OperatorTime> {
        let mut operators: BTreeMap<&str, OperatorTime> = BTreeMap::new();
        for ((node, seconds), dispatches) in plan.graph.nodes().iter().zip(&self.seconds).zip(&self.dispatches) {
            let name = node.operator.name();
            let entry = operators.entry(name).or_insert(OperatorTime {
                name: name.to_owned(),
                nodes: 0,
                dispatches: 0,
                milliseconds: 0.0,
            });
            entry.nodes += 1;
            entry.dispatches += dispatches;
            entry.milliseconds += seconds * 1e3;
        }
        let mut operators: Vec<OperatorTime> =
            operators.into_values().filter(|operator| operator.dispatches > 0).collect();
        operators.sort_by(|a, b| b.milliseconds.total_cmp(&a.milliseconds));
        operators
    }
}
