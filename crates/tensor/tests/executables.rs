//! What runs is plain data, and any number of executables run over one store.

use frugal_tensor::codec::{ErrorBounded, FrequencySplit, MARGIN};
use frugal_tensor::ir::{Element, Init};
use frugal_tensor::ops::optimizer::{Optimizer, Sgd};
use frugal_tensor::plan::{Executable, StoreLayout};
use frugal_tensor::random::Stream;
use frugal_tensor::step::{CONTROL, Control, FLAG_CALIBRATES};
use frugal_tensor::{Graph, Plan, PlanError, PlannedSession, Policy, Session, ValueId};
use frugal_testkit::gpu;
use std::rc::Rc;

const BATCH: usize = 8;

fn forward() -> (Graph, ValueId) {
    let mut g = Graph::new();
    let images = g.input("images", [BATCH, 2, 16, 16], Element::F32);
    let labels = g.input("labels", [BATCH], Element::U32);
    let mask = g.input("mask", [BATCH], Element::F32);
    let mut x = images;
    for name in ["first", "second", "third"] {
        let channels = g.shape(x)[1];
        let w =
            g.parameter(&format!("{name}.weight"), [8, channels, 3, 3], Init::kaiming_uniform(9 * channels)).unwrap();
        let y = g.within(name, |g| g.conv2d(x, w, [1, 1], [1, 1])).unwrap();
        x = g.relu(y).unwrap();
    }
    let pooled = g.global_average_pool(x).unwrap();
    let w = g.parameter("head", [4, 8], Init::kaiming_uniform(8)).unwrap();
    let logits = g.linear(pooled, w).unwrap();
    let loss = g.cross_entropy(logits, labels, mask).unwrap();
    (g, loss)
}

fn training() -> Graph {
    let (mut g, loss) = forward();
    let gradients = g.differentiate(&[(loss, None)]).unwrap();
    g.update(Optimizer::Sgd(Sgd { momentum: 0.9, nesterov: false, weight_decay: 1e-4 }), &gradients).unwrap();
    g
}

/// Runs a step of an executable over one batch and returns the loss.
fn step(session: &mut Session, executable: usize, number: u32, flags: u32) -> f32 {
    let images: Vec<f32> = Stream::new(3, number.into()).uniform().take(BATCH * 512).collect();
    let labels: Vec<u32> = (0..BATCH as u32).map(|n| (n + number) % 4).collect();
    let mask = vec![1.0; BATCH];
    let control = Control::new(number, 1).learning_rate(0.05).flags(flags);
    let mut inputs = vec![("images", (&images).into()), ("labels", (&labels).into()), ("mask", (&mask).into())];
    if session.executables()[executable].values.iter().any(|value| value.is_input && value.name == CONTROL) {
        inputs.push((CONTROL, (&control).into()));
    }
    session.step_with(executable, &inputs).unwrap();
    session.finished().unwrap().pop().unwrap().f32(0)
}

/// Everything that lives across steps, as bits.
fn state(session: &Session) -> Vec<(String, Vec<u32>)> {
    let names = session.store().values.iter().map(|value| value.name.clone());
    names.map(|name| (name.clone(), session.read_words(&name).unwrap())).collect()
}

#[test]
fn an_executable_that_was_written_down_and_read_gives_the_same_bits() {
    let gpu = gpu();
    for policy in [Policy::raw(), Policy::with(FrequencySplit::default())] {
        let plan = Plan::new(training(), &policy, gpu.plan_options()).unwrap();
        let store = StoreLayout::of(&[&plan.executable], plan.options.max_buffer).unwrap();
        let written = serde_json::to_string(&(&store, plan.executable.as_ref())).unwrap();
        let (store_read, read): (StoreLayout, Executable) = serde_json::from_str(&written).unwrap();
        assert_eq!((&store_read, &read), (&store, plan.executable.as_ref()));
        let mut planned = PlannedSession::new(gpu.clone(), vec![plan], 5).unwrap();
        let mut alone = Session::new(gpu.clone(), store_read, vec![Rc::new(read)], 5).unwrap();
        for number in 0..4 {
            assert_eq!(step(&mut planned, 0, number, 0), step(&mut alone, 0, number, 0), "{policy:?}, step {number}");
        }
        assert_eq!(state(&planned), state(&alone), "{policy:?}");
    }
}

#[test]
fn an_executable_prints_what_it_does() {
    let options = frugal_tensor::PlanOptions::unlimited(frugal_tensor::ir::KernelSet::Tiles);
    let plan = Plan::new(training(), &Policy::raw(), options).unwrap();
    let text = plan.executable.to_string();
    for part in
        ["uploads: images 8×2×16×16", "scalars: learning_rate", "first.weight", "SGD (update)", "ops/optimizer/sgd"]
    {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
    assert_eq!(text.lines().filter(|line| line.starts_with("    ")).count(), plan.executable.dispatches.len());
}

/// Two training steps with different stores and an evaluation step in turns over one set of parameters, as if each had a session of
/// its own and handed everything that lives across steps to the next.
#[test]
fn executables_with_stores_of_their_own_share_their_parameters() {
    let gpu = gpu();
    let before = gpu.buffer_bytes();
    let raw = Plan::new(training(), &Policy::raw(), gpu.plan_options()).unwrap();
    let split = Policy::with(FrequencySplit::default());
    let split = raw.sharing_store(training(), &split, gpu.plan_options()).unwrap();
    let evaluation = raw.evaluation(forward().0).unwrap();
    let planned = Plan::allocated(&[&raw, &split, &evaluation]);
    assert!(planned < Plan::allocated(&[&raw]) + Plan::allocated(&[&split]), "memory is shared");
    let plans = [raw, split, evaluation];
    let mut together = PlannedSession::new(gpu.clone(), plans.to_vec(), 7).unwrap();
    assert_eq!((together.bytes(), gpu.buffer_bytes() - before), (planned, planned));
    let mut alone = plans.map(|plan| PlannedSession::new(gpu.clone(), vec![plan], 7).unwrap());
    let with_all = gpu.buffer_bytes();
    let mut latest: Vec<(String, Vec<u32>)> = state(&together);
    for number in 0..9 {
        let executable = number as usize % 3;
        let session = &mut alone[executable];
        for (name, words) in &latest {
            if session.store().find(name).is_some() {
                session.write_words(name, words).unwrap();
            }
        }
        let loss = step(session, 0, number, 0);
        assert_eq!(step(&mut together, executable, number, 0), loss, "step {number}");
        let now = state(&together);
        for (name, words) in state(session) {
            assert!(now.contains(&(name.clone(), words)), "step {number}: `{name}` differs");
        }
        assert_eq!(now != latest, executable < 2, "step {number}");
        latest = now;
    }
    assert_eq!(gpu.buffer_bytes(), with_all, "nothing is allocated once steps run");
}

/// Capacities of one executable are planned anew while another runs over the same store.
#[test]
fn a_plan_that_shares_a_store_can_be_planned_anew() {
    let gpu = gpu();
    let before = gpu.buffer_bytes();
    let raw = Plan::new(training(), &Policy::raw(), gpu.plan_options()).unwrap();
    let bounded = Policy::with(ErrorBounded::default());
    let bounded = raw.sharing_store(training(), &bounded, gpu.plan_options()).unwrap();
    assert!(bounded.has_data_sized());
    let mut session = PlannedSession::new(gpu.clone(), vec![raw, bounded], 7).unwrap();
    step(&mut session, 0, 0, 0);
    let parameters = session.read_words("first.weight").unwrap();
    let images: Vec<f32> = Stream::new(3, 0).uniform().take(BATCH * 512).collect();
    let labels: Vec<u32> = (0..BATCH as u32).collect::<Vec<_>>().iter().map(|n| n % 4).collect();
    let mask = [1.0f32; BATCH];
    let control = Control::new(1, 1).learning_rate(0.05).flags(FLAG_CALIBRATES);
    let control = session.executables()[1].control.encode(&control).unwrap();
    let uploads: [&[u8]; 4] = [
        bytemuck::cast_slice(&images),
        bytemuck::cast_slice(&labels),
        bytemuck::cast_slice(&mask),
        bytemuck::cast_slice(&control),
    ];
    session.calibrate(1, &uploads, MARGIN).unwrap();
    assert_eq!(session.read_words("first.weight").unwrap(), parameters, "calibration moves nothing");
    let planned = Plan::allocated(&session.plans().iter().collect::<Vec<_>>());
    assert_eq!((session.bytes(), gpu.buffer_bytes() - before), (planned, planned));
    let losses: Vec<f32> = (1..5).map(|number| step(&mut session, number as usize % 2, number, 0)).collect();
    assert!(losses.iter().all(|loss| loss.is_finite()), "{losses:?}");
    assert!(session.read_words("first.weight").unwrap() != parameters);
}

#[test]
fn executables_that_do_not_fit_one_store_are_refused() {
    let options = frugal_tensor::PlanOptions::unlimited(frugal_tensor::ir::KernelSet::Tiles);
    let plan = Plan::new(training(), &Policy::raw(), options.clone()).unwrap();
    let other = |name: &str, extents: [usize; 2]| {
        let mut g = Graph::new();
        let w = g.parameter(name, extents, Init::Constant(0.0)).unwrap();
        let y = g.relu(w).unwrap();
        g.mark_metric(y);
        g
    };
    let refused = |graph: Graph| plan.evaluation(graph).unwrap_err();
    assert!(matches!(refused(other("head", [8, 4])), PlanError::NotShared(name) if name == "head"));
    assert!(matches!(refused(other("heads", [4, 8])), PlanError::NotShared(name) if name == "heads"));
    plan.evaluation(other("head", [4, 8])).unwrap();
    let other = Plan::new(other("head", [8, 4]), &Policy::raw(), options).unwrap();
    let layout = StoreLayout::of(&[&plan.executable, &other.executable], u64::MAX);
    assert!(matches!(layout.unwrap_err(), PlanError::ShapesDiffer { name, .. } if name == "head"));
}

/// A product of two parameters in one executable has the name of a parameter of the other.
#[test]
fn what_lives_within_a_step_keeps_nothing_of_its_name_out_of_the_store() {
    let options = frugal_tensor::PlanOptions::unlimited(frugal_tensor::ir::KernelSet::Tiles);
    let graph = |makes: bool| {
        let mut g = Graph::new();
        let x = g.input("x", [4, 8], Element::F32);
        let w = if makes {
            let u = g.parameter("u", [8, 8], Init::Constant(0.5)).unwrap();
            g.within("head", |g| g.multiply(u, u)).unwrap()
        } else {
            g.parameter("head.product", [8, 8], Init::Constant(0.25)).unwrap()
        };
        assert_eq!(g.value(w).name, "head.product");
        let y = g.linear(x, w).unwrap();
        g.mark_metric(y);
        Plan::new(g, &Policy::raw(), options.clone()).unwrap()
    };
    let (makes, reads) = (graph(true), graph(false));
    let store = StoreLayout::of(&[&makes.executable, &reads.executable], u64::MAX).unwrap();
    let names: Vec<&str> = store.values.iter().map(|value| value.name.as_str()).collect();
    assert_eq!(names, ["u", "head.product"]);
}

#[test]
fn two_constants_of_one_name_are_refused() {
    let options = frugal_tensor::PlanOptions::unlimited(frugal_tensor::ir::KernelSet::Tiles);
    let plan = |factor: f32| {
        let mut g = Graph::new();
        let x = g.input("x", [2], Element::F32);
        let scale = g.constant("scale", [2], Element::F32, vec![factor.to_bits(); 2]).unwrap();
        let y = g.multiply(x, scale).unwrap();
        g.mark_metric(y);
        Plan::new(g, &Policy::raw(), options.clone()).unwrap()
    };
    let (one, same, other) = (plan(2.0), plan(2.0), plan(3.0));
    assert!(StoreLayout::of(&[&one.executable, &same.executable], u64::MAX).is_ok());
    let refused = StoreLayout::of(&[&one.executable, &other.executable], u64::MAX);
    assert!(matches!(refused, Err(PlanError::ConstantsDiffer(name)) if name == "scale"));
}
