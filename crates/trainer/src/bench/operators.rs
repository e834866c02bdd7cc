//! How long operators take, one by one, beside what the adapter can do at all.

use super::cases::{self, Case};
use super::products::Products;
use super::roofline;
use super::uploads::Uploads;
use crate::Error;
use crate::artifacts::environment::{adapter_facts, kernel_set_name};
use frugal_report::operator_times::{OperatorsReport, Row};
use frugal_report::records::{Roofline, Spread};
use frugal_tensor::codec::MARGIN;
use frugal_tensor::codec::Policy;
use frugal_tensor::ir::{Graph, GraphError, Node, Role, ValueId};
use frugal_tensor::{Gpu, GpuError, Plan, PlannedSession, Session};
use std::collections::BTreeSet;
use std::rc::Rc;

/// How operators are sampled.
#[derive(Clone, Copy, Debug)]
pub struct Sampling {
    /// Samples of each.
    pub samples: usize,
    /// An operator is repeated until a sample takes so many seconds.
    pub seconds: f64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { samples: 7, seconds: 0.02 }
    }
}

/// Most repetitions in a submit.
const MOST_TIMES: u32 = 1 << 14;
/// How much longer than planned the samples of an operator may take.
const PATIENCE: f64 = 5.0;

impl Sampling {
    /// Seconds of a node whose inputs are there.
    fn node(self, session: &Session, node: usize) -> Result<Spread, GpuError> {
        // The first time compiles, on some drivers.
        session.time_node(0, node, 1)?;
        let mut times = 1;
        let sample = loop {
            let seconds = session.time_node(0, node, times)?;
            if seconds * f64::from(times) >= self.seconds || times == MOST_TIMES {
                break seconds;
            }
            let wanted = (1.1 * self.seconds / seconds).ceil();
            times = (wanted as u32).clamp(times + 1, 16 * times).min(MOST_TIMES);
        };
        // What is very slow is known well enough after fewer samples.
        let most = PATIENCE * self.seconds * self.samples as f64 / (sample * f64::from(times));
        let more = (0..self.samples.min(most as usize)).map(|_| session.time_node(0, node, times));
        let samples = more.collect::<Result<Vec<f64>, GpuError>>()?;
        Ok(Spread::of(if samples.is_empty() { vec![sample] } else { samples }))
    }
}

/// Seconds of the one node of a graph.
pub(super) fn time(
    gpu: &Rc<Gpu>,
    sampling: Sampling,
    build: impl FnOnce(&mut Graph) -> Result<ValueId, GraphError>,
) -> Result<Spread, Error> {
    let mut graph = Graph::new();
    build(&mut graph).map_err(|error| Error::Model(error.into()))?;
    let plan = Plan::new(graph, &Policy::raw(), gpu.plan_options())?;
    let session = PlannedSession::new(gpu.clone(), vec![plan], 0)?;
    Ok(sampling.node(&session, 0)?)
}

/// Measures the roofline and every operator of which `filter`, or its layer, has the text in its name. `say` hears of each.
///
/// # Errors
/// A failure of the device; [`Error::Plan`] if the adapter cannot bind a layer; [`Error::Usage`] if nothing has that name.
pub fn measure(
    gpu: &Rc<Gpu>,
    sampling: Sampling,
    filter: Option<&str>,
    mut say: impl FnMut(&str),
) -> Result<OperatorsReport, Error> {
    let filter = filter.map(str::to_lowercase).unwrap_or_default();
    let mut cases = cases::all()?;
    let wanted = |case: &Case| {
        let nodes = case.graph.nodes().iter();
        // What codecs add is not yet there.
        case.policy.default.is_some() || nodes.into_iter().any(|node| case.names(node).contains(&filter))
    };
    cases.retain(wanted);
    say("the roofline");
    let roofline = roofline::measure(gpu, sampling)?;
    let mut rows = Vec::new();
    let mut seen = BTreeSet::new();
    let mut products = Products::new(gpu, sampling);
    for case in cases {
        say(&case.layer);
        rows.extend(rows_of(gpu, sampling, &filter, &roofline, case, &mut seen, &mut products)?);
    }
    if rows.is_empty() {
        return Err(Error::Usage(format!("no operator or layer has \"{filter}\" in its name")));
    }
    Ok(OperatorsReport {
        adapter: adapter_facts(gpu.adapter()),
        kernels: kernel_set_name(gpu.adapter().kernel_set()).to_owned(),
        samples: sampling.samples,
        tiles: gpu.tiles().map(|table| table.choices().len()),
        roofline,
        rows,
    })
}

impl Case {
    /// The texts in which the filter may be.
    fn names(&self, node: &Node) -> String {
        format!("{} {}", self.layer, node.operator.name()).to_lowercase()
    }
}

fn rows_of(
    gpu: &Rc<Gpu>,
    sampling: Sampling,
    filter: &str,
    roofline: &Roofline,
    case: Case,
    seen: &mut BTreeSet<String>,
    products: &mut Products,
) -> Result<Vec<Row>, Error> {
    let plan = Plan::new(case.graph.clone(), &case.policy, gpu.plan_options())?;
    let mut dispatches = vec![0; plan.graph.nodes().len()];
    plan.executable.dispatches.iter().for_each(|dispatch| dispatches[dispatch.node] += 1);
    let mut measured: Vec<bool> = Vec::new();
    for (index, (node, part)) in plan.graph.nodes().iter().zip(plan.step_roles()).enumerate() {
        let wanted = dispatches[index] > 0
            && (case.measures)(&plan, index, part)
            && case.names(node).contains(filter)
            && seen.insert(identity(&plan, node));
        measured.push(wanted);
    }
    let Some(last) = measured.iter().rposition(|&measured| measured) else { return Ok(Vec::new()) };

    let mut session = PlannedSession::new(gpu.clone(), vec![plan], 0)?;
    let uploads = Uploads::of(&session.plans()[0], case.classes);
    if session.plans()[0].has_data_sized() {
        session.calibrate(0, &uploads.clone().looking().bytes(), MARGIN)?;
    }
    let mut rows = Vec::new();
    let (plans, running) = session.split();
    running.step_by_node(0, &uploads.bytes(), |session, index| {
        if measured[index] {
            let milliseconds = sampling.node(session, index)?.times(1e3);
            let plan = &plans[0];
            let product = plan.graph.node_as_product(&plan.graph.nodes()[index]);
            rows.push((row(plan, index, dispatches[index], &case.layer, milliseconds, roofline), product));
        }
        Ok(index < last)
    })?;
    // Its memory is wanted for the products.
    drop(session);
    let beside_product = |(row, product): (Row, Option<[usize; 3]>)| {
        let milliseconds = product.map(|extents| products.milliseconds(extents)).transpose()?.flatten();
        let share_of_same_product = milliseconds.map(|milliseconds| milliseconds / row.milliseconds.least);
        Ok(Row { share_of_same_product, ..row })
    };
    rows.into_iter().map(beside_product).collect()
}

/// Two nodes with the same are the same to measure.
fn identity(plan: &Plan, node: &Node) -> String {
    let shapes: Vec<_> = node.inputs.iter().chain(&node.outputs).map(|&value| plan.graph.shape(value)).collect();
    format!("{:?} {shapes:?}", node.operator)
}

fn row(plan: &Plan, index: usize, dispatches: usize, layer: &str, milliseconds: Spread, roofline: &Roofline) -> Row {
    let node = &plan.graph.nodes()[index];
    let bytes_of = |value: &ValueId| plan.graph.value(*value).bytes();
    // What is changed in place is read and written.
    let changed = node.operator.mutates().iter().filter_map(|&input| node.inputs.get(input));
    let bytes = node.inputs.iter().chain(&node.outputs).chain(changed).map(bytes_of).sum();
    let multiply_adds = plan.graph.node_multiply_adds(node);
    let (least, bound) = roofline.of(bytes, multiply_adds);
    let largest = node.outputs.iter().chain(&node.inputs).map(|&value| plan.graph.value(value));
    // Packed words say little; the values that they stand for do.
    let values = largest.filter(|value| value.element == frugal_tensor::ir::Element::F32 && value.role != Role::Report);
    let shape = values.max_by_key(|value| value.bytes()).map_or_else(Vec::new, |value| value.shape.extents().to_vec());
    Row {
        layer: layer.to_owned(),
        operator: node.operator.name().to_owned(),
        shape,
        dispatches,
        milliseconds,
        bytes,
        multiply_adds,
        bound,
        floor_milliseconds: least,
        share_of_floor: least / milliseconds.least,
        share_of_product: (multiply_adds > 0)
            .then(|| 2e-6 * multiply_adds as f64 / milliseconds.least / roofline.product.gflops),
        share_of_same_product: None,
    }
}
