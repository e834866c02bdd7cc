//! Which tiles serve the products and convolutions of a net best on an adapter.
//!
//! All candidates of a product run over one memory, in turns with the usual tile, so that whatever else the machine does hits all of
//! them; the best then meets the usual one in pairs. What is not clearly faster stays as it is.

use crate::Error;
use crate::planning::Request;
use crate::planning::budget;
use frugal_model::training_step;
use frugal_report::tuning::{Row, Tuning};
use frugal_tensor::codec::Policy;
use frugal_tensor::ir::{Graph, Init, TileTable, ValueId, tiles::Choice, tiles::Tunable, tiles::Work};
use frugal_tensor::runtime::shader::Variant;
use frugal_tensor::{Gpu, Plan, PlanOptions, PlannedSession};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Samples of each candidate that is not out of the race after the first.
const SAMPLES: usize = 15;
/// How long a sample takes at least, in seconds: short, so that some meet a quiet moment of a busy machine.
const SAMPLE: f64 = 0.002;
/// Who takes so many times the least after the first sample is out of the race.
const HOPELESS: f64 = 1.25;
/// The best of the race meets the usual tile in so many pairs of samples, one after the other. It is chosen if it wins enough of
/// them, which chance does in one of 200 duels, and if its least is a little below that of the usual one.
const PAIRS: usize = 61;
const WINS: usize = 41;
const CLEARLY: f64 = 0.97;
/// Most repetitions in a submit.
const MOST_TIMES: u32 = 1 << 12;

/// Measures the tiles of all products and convolutions of a step, the longest first, until they are done or the time is over.
/// `say` hears of each.
///
/// # Errors
/// As [`crate::planning::Plans::new`]; a failure of the device.
pub fn tune(request: &Request, gpu: &Rc<Gpu>, most: Duration, mut say: impl FnMut(&str)) -> Result<Tuning, Error> {
    let clock = Instant::now();
    let usual = PlanOptions { tiles: None, ..gpu.plan_options() };
    let (store, _) = budget::choose_policy(request, usual.clone())?;
    let plan = Plan::new(training_step(&request.net, request.shape, request.training)?, &store.policy(), usual)?;
    let mut works: BTreeMap<Work, (usize, Tunable, usize)> = BTreeMap::new();
    for (node, tunable) in plan.tunables() {
        works.entry(tunable.work.clone()).or_insert((node, tunable, 0)).2 += 1;
    }
    // Where most of a step's arithmetic is, most of its time is.
    let mut works: Vec<(usize, Tunable, usize)> = works.into_values().collect();
    let arithmetic = |node: usize| plan.graph.node_multiply_adds(&plan.graph.nodes()[node]);
    works.sort_by_key(|&(node, _, nodes)| std::cmp::Reverse(arithmetic(node) * nodes as u64));
    let mut tuning = Tuning { rows: Vec::new(), left: 0, seconds: 0.0 };
    let all = works.len();
    for (done, (node, tunable, nodes)) in works.into_iter().enumerate() {
        if clock.elapsed() > most {
            tuning.left = all - done;
            break;
        }
        say(&format!("{} of {all}: {}", done + 1, tunable.work));
        tuning.rows.push(race(&plan, node, tunable, nodes, gpu)?);
    }
    let time = |row: &Row| row.usual_ms * row.nodes as f64;
    tuning.rows.sort_by(|a, b| time(b).total_cmp(&time(a)));
    tuning.seconds = clock.elapsed().as_secs_f64();
    Ok(tuning)
}

/// Measures the ways to do one node.
fn race(plan: &Plan, node: usize, tunable: Tunable, nodes: usize, gpu: &Rc<Gpu>) -> Result<Row, Error> {
    let Tunable { work, candidates } = tunable;
    let (choices, plans) = ways(plan, node, &work, &candidates)?;
    let session = PlannedSession::new(gpu.clone(), plans, 0)?;
    // The first time compiles, on some drivers.
    for way in 0..choices.len() {
        session.time_node(way, 0, 1)?;
    }
    let once = session.time_node(0, 0, 1)?;
    let times = ((SAMPLE / once).ceil() as u32).clamp(1, MOST_TIMES);
    let mut least = vec![f64::INFINITY; choices.len()];
    let mut racing: Vec<usize> = (0..choices.len()).collect();
    for sample in 0..SAMPLES {
        for &way in &racing {
            least[way] = least[way].min(session.time_node(way, 0, times)?);
        }
        if sample == 0 {
            let best = least.iter().copied().fold(f64::INFINITY, f64::min);
            racing.retain(|&way| way == 0 || least[way] <= HOPELESS * best);
        }
    }
    let best = racing.into_iter().min_by(|&a, &b| least[a].total_cmp(&least[b])).unwrap_or(0);
    let mut wins = 0;
    if least[best] < CLEARLY * least[0] {
        for _ in 0..PAIRS {
            let [usual, tuned] = [session.time_node(0, 0, times)?, session.time_node(best, 0, times)?];
            wins += usize::from(tuned < usual);
            (least[0], least[best]) = (least[0].min(usual), least[best].min(tuned));
        }
    }
    let clearly = wins >= WINS && least[best] < CLEARLY * least[0];
    Ok(Row {
        work,
        nodes,
        candidates: choices.len(),
        usual_ms: 1e3 * least[0],
        best: choices[best].filter(|_| clearly).map(|choice| (choice, 1e3 * least[best])),
    })
}

/// A plan of the node alone for each way to do it that differs from those before, over one memory; the first is the usual one.
fn ways(
    plan: &Plan,
    node: usize,
    work: &Work,
    candidates: &[Choice],
) -> Result<(Vec<Option<Choice>>, Vec<Plan>), Error> {
    let node = &plan.graph.nodes()[node];
    let mut graph = Graph::new();
    let leaf = |(number, &input): (usize, &ValueId)| {
        let shape = plan.graph.shape(input).clone();
        graph.parameter(&format!("input{number}"), shape, Init::Constant(1.0))
    };
    let model = |error: frugal_tensor::GraphError| Error::Model(error.into());
    let inputs = node.inputs.iter().enumerate().map(leaf).collect::<Result<Vec<ValueId>, _>>().map_err(model)?;
    graph.apply_shared(node.operator.clone(), &inputs).map_err(model)?;
    let usual = Plan::new(graph.clone(), &Policy::raw(), plan.options.clone())?;
    let (mut choices, mut plans) = (vec![None], vec![usual]);
    for &candidate in candidates {
        let table = TileTable::new(plan.options.set, [(work.clone(), candidate)]).expect("candidates are possible");
        let mut other = plans[0].clone();
        other.options.tiles = Some(Rc::new(table));
        let other = other.evaluation(graph.clone())?;
        if plans.iter().all(|plan| launched(plan) != launched(&other)) {
            choices.push(Some(candidate));
            plans.push(other);
        }
    }
    Ok((choices, plans))
}

/// All that a device sees of a plan's kernels.
fn launched(plan: &Plan) -> (Vec<(Variant, [u32; 2])>, &[u32]) {
    let dispatches = plan.executable.dispatches.iter();
    let dispatches = dispatches.map(|dispatch| (plan.executable.shaders[dispatch.shader].clone(), dispatch.grid));
    (dispatches.collect(), &plan.executable.uniforms)
}
