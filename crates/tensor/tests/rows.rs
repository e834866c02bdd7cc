//! Parameters that are larger than a binding, or whose gradient is large, are cut by rows; what comes out stays what it was.

use frugal_tensor::codec::{ErrorBounded, FrequencySplit};
use frugal_tensor::ir::{Element, Graph, Init, KernelSet, OperatorKind, Phase, Role, ValueId};
use frugal_tensor::ops::optimizer::{Adam, LossScale, Optimizer, RmsProp, Sgd, StateForm, UpdateConfig};
use frugal_tensor::random::Stream;
use frugal_tensor::runtime::Loopback;
use frugal_tensor::step::{CONTROL, Control, FLAG_FIRST, FLAG_HOLD, updates_before};
use frugal_tensor::{Plan, PlanError, PlanOptions, PlannedSession, Policy};
use frugal_testkit::{SETS, compare, f16_gpu, gpu, options};

const BATCH: usize = 6;
const INPUTS: usize = 64;
const CLASSES: usize = 5;

const SGD: Sgd = Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.01 };
const ADAM: Adam = Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01, decoupled: false };
const RMS: RmsProp = RmsProp { alpha: 0.99, epsilon: 1e-8, momentum: 0.9, weight_decay: 0.01 };
const OPTIMIZERS: [Optimizer; 5] = [
    Optimizer::Sgd(SGD),
    Optimizer::Sgd(Sgd { momentum: 0.9, nesterov: true, ..SGD }),
    Optimizer::Adam(ADAM),
    Optimizer::Adam(Adam { decoupled: true, ..ADAM }),
    Optimizer::RmsProp(RMS),
];

/// Dense layers with so many outputs each, rectifiers between them. `plain`: whether weights are inputs × outputs.
fn forward(widths: &[usize], plain: bool) -> (Graph, ValueId) {
    let mut g = Graph::new();
    let mut x = g.input("x", [BATCH, INPUTS], Element::F32);
    let labels = g.input("labels", [BATCH], Element::U32);
    let mask = g.input("mask", [BATCH], Element::F32);
    for (layer, &outputs) in widths.iter().chain([&CLASSES]).enumerate() {
        x = g.within(format!("layer{layer}"), |g| {
            let inputs = g.shape(x)[1];
            let shape = if plain { [inputs, outputs] } else { [outputs, inputs] };
            let w = g.parameter("weight", shape, Init::kaiming_uniform(inputs)).unwrap();
            let b = g.parameter("bias", [outputs], Init::Constant(0.1)).unwrap();
            let y = if plain { g.matmul(x, w).unwrap() } else { g.linear(x, w).unwrap() };
            let y = g.bias(y, b).unwrap();
            if outputs == CLASSES { y } else { g.relu(y).unwrap() }
        });
    }
    let loss = g.cross_entropy(x, labels, mask).unwrap();
    (g, loss)
}

fn training(widths: &[usize], plain: bool, update: UpdateConfig) -> Graph {
    let (mut g, loss) = forward(widths, plain);
    let seed = update.loss_scale.map(|setting| g.loss_scale(setting).unwrap());
    let gradients = g.differentiate(&[(loss, seed)]).unwrap();
    g.train(update, loss, &gradients).unwrap();
    g
}

/// One step; returns the loss.
fn step(session: &mut PlannedSession, executable: usize, number: u32, accumulate: bool) -> f32 {
    let x: Vec<f32> = Stream::new(3, number.into()).uniform().take(BATCH * INPUTS).map(|u| 2.0 * u - 1.0).collect();
    let labels: Vec<u32> = (0..BATCH as u32).map(|n| (n + number) % CLASSES as u32).collect();
    let mask = [1.0f32; BATCH];
    let flags = match (accumulate, number % 2) {
        (false, _) => 0,
        (true, 0) => FLAG_FIRST | FLAG_HOLD | updates_before(number / 2),
        (true, _) => updates_before(number / 2),
    };
    let control = Control::new(number, 1).learning_rate(0.05).flags(flags);
    let mut inputs = vec![("x", (&x).into()), ("labels", (&labels).into()), ("mask", (&mask[..]).into())];
    if session.executables()[executable].values.iter().any(|value| value.is_input && value.name == CONTROL) {
        inputs.push((CONTROL, (&control).into()));
    }
    session.step_with(executable, &inputs).unwrap();
    session.finished().unwrap().pop().unwrap().f32(0)
}

/// Everything that lives across steps.
fn state(session: &PlannedSession) -> Vec<(String, Vec<f32>)> {
    let names = session.store().values.iter().map(|value| value.name.clone());
    names.map(|name| (name.clone(), session.read(&name).unwrap())).collect()
}

fn restore(session: &PlannedSession, state: &[(String, Vec<f32>)]) {
    state.iter().for_each(|(name, elements)| session.write(name, elements).unwrap());
}

fn limited(options: PlanOptions, max_binding: u64) -> PlanOptions {
    PlanOptions { max_binding, ..options }
}

/// The state after some steps of the graph with bindings of so many bytes.
fn trained(graph: &Graph, options: PlanOptions, accumulate: bool) -> Vec<(String, Vec<f32>)> {
    trained_with(&Policy::raw(), graph, options, accumulate)
}

fn trained_with(policy: &Policy, graph: &Graph, options: PlanOptions, accumulate: bool) -> Vec<(String, Vec<f32>)> {
    let plan = Plan::new(graph.clone(), policy, options).unwrap();
    // Room enough for whatever the data are.
    let most = plan.data_sized().map(|(stored, size)| (stored.kept, size.fixed_words() + size.most_words()));
    let plan = plan.resized(&most.collect::<Vec<_>>()).unwrap();
    let mut session = PlannedSession::new(gpu(), vec![plan], 5).unwrap();
    (0..4).for_each(|number| {
        step(&mut session, 0, number, accumulate);
    });
    state(&session)
}

fn assert_alike(cut: &[(String, Vec<f32>)], whole: &[(String, Vec<f32>)], tolerance: f64, what: &str) {
    assert_eq!(cut.len(), whole.len(), "{what}");
    for ((name, cut), (other, whole)) in cut.iter().zip(whole) {
        assert_eq!(name, other);
        let [cut, whole] = [cut, whole].map(|x| x.iter().map(|&x| f64::from(x)).collect::<Vec<_>>());
        compare(&format!("{what}: {name}"), &cut, &whole, tolerance);
    }
}

/// Bytes of the largest value that a dispatch binds.
fn most_bound(plan: &Plan) -> u64 {
    let bound = plan.executable.dispatches.iter().flat_map(|dispatch| &dispatch.bindings);
    bound.map(|(_, bytes)| bytes.size).max().unwrap()
}

/// The gradients of parameters that have memory, with their bytes.
fn gradients(plan: &Plan) -> Vec<u64> {
    let gradients = plan.graph.ids().filter(|(_, value)| value.role == Role::ParameterGradient);
    gradients.filter(|(id, _)| plan.location(*id).is_some()).map(|(_, value)| value.bytes()).collect()
}

/// Forward products, gradients and updates are the same sums in the same order; a first layer has no gradient of its input.
#[test]
fn a_first_layer_that_is_cut_trains_to_the_same_bits() {
    for set in SETS {
        for optimizer in OPTIMIZERS {
            // 25 KiB, in blocks of at most 8.
            let graph = training(&[100], false, UpdateConfig { average: Some(0.9), ..optimizer.into() });
            let whole = options(&gpu(), set);
            let cut = limited(whole.clone(), 8 << 10);
            let plan = Plan::new(graph.clone(), &Policy::raw(), cut.clone()).unwrap();
            assert!(most_bound(&plan) <= 8 << 10);
            assert_eq!(trained(&graph, cut, false), trained(&graph, whole, false), "{set:?}, {optimizer:?}");
        }
    }
}

/// Codes and scales are cut where both begin with whole aligned stretches, and blocks draw the numbers that the whole would.
#[test]
fn states_in_8_bits_are_cut_to_the_same_bits() {
    for set in SETS {
        for optimizer in &OPTIMIZERS[1..] {
            let update = UpdateConfig { state: StateForm::EightBit, average: Some(0.9), ..(*optimizer).into() };
            // 150 KiB, in blocks of at most 64 KiB: 256 rows of 64 elements have 64 scales.
            let graph = training(&[600], false, update);
            let whole = options(&gpu(), set);
            let cut = limited(whole.clone(), 64 << 10);
            let plan = Plan::new(graph.clone(), &Policy::raw(), cut.clone()).unwrap();
            assert!(most_bound(&plan) <= 64 << 10);
            let scales = plan.graph.values().iter().filter(|value| value.name == "layer0.weight.scales");
            assert!(scales.filter(|value| value.part.is_some()).count() > 1);
            let bits = |options: PlanOptions| {
                let plan = Plan::new(graph.clone(), &Policy::raw(), options).unwrap();
                let mut session = PlannedSession::new(gpu(), vec![plan], 5).unwrap();
                (0..4).for_each(|number| {
                    step(&mut session, 0, number, false);
                });
                let values = &session.store().values;
                values
                    .iter()
                    .map(|value| (value.name.clone(), session.read_words(&value.name).unwrap()))
                    .collect::<Vec<_>>()
            };
            assert!(bits(cut) == bits(whole), "{set:?}, {optimizer:?}");
        }
    }
}

/// A gradient of a layer's input adds up block by block. Widths that no vector or block divides.
#[test]
fn layers_that_are_cut_train_as_whole_ones_do() {
    for set in [KernelSet::Tiles, KernelSet::Registers] {
        for plain in [false, true] {
            for widths in [[96, 80], [130, 72], [192, 128]] {
                let update = UpdateConfig::from(OPTIMIZERS[1]);
                let graph = training(&widths, plain, update);
                let whole = options(&gpu(), set);
                let cut = trained(&graph, limited(whole.clone(), 20 << 10), false);
                assert_alike(&cut, &trained(&graph, whole, false), 1e-5, &format!("{set:?}, {plain}, {widths:?}"));
            }
        }
    }
}

/// Sums over micro-batches are taken block by block; clipping and a loss scale need the gradient as a whole, in memory, but bind it
/// in blocks.
#[test]
fn whatever_comes_before_an_update_can_be_cut() {
    let plain = UpdateConfig::from(OPTIMIZERS[2]);
    for (update, pieces) in [
        (UpdateConfig { accumulate: true, ..plain }, true),
        (UpdateConfig { clip_norm: Some(0.1), ..plain }, false),
        (UpdateConfig { accumulate: true, clip_norm: Some(0.1), average: Some(0.5), ..plain }, true),
        (UpdateConfig { loss_scale: Some(LossScale { start: 1024.0, grow_after: 2 }), ..plain }, false),
    ] {
        let graph = training(&[130, 96], false, update);
        let whole = gpu().plan_options();
        let cut = limited(whole.clone(), 20 << 10);
        let plan = Plan::new(graph.clone(), &Policy::raw(), cut.clone()).unwrap();
        assert!(most_bound(&plan) <= 20 << 10, "{update:?}");
        assert_eq!(gradients(&plan).iter().all(|&bytes| bytes <= 20 << 10), pieces, "{update:?}");
        let accumulate = update.accumulate;
        assert_alike(
            &trained(&graph, cut, accumulate),
            &trained(&graph, whole, accumulate),
            1e-5,
            &format!("{update:?}"),
        );
    }
}

/// Within roundings of f16: a whole product adds its bias before it is rounded. What blocks add to a gradient is not rounded on the way.
#[test]
fn cut_layers_train_in_f16() {
    let Some(gpu) = f16_gpu() else { return };
    for widths in [&[100][..], &[130, 96]] {
        let graph = training(widths, false, OPTIMIZERS[1].into());
        let trained = |options: PlanOptions| {
            let plan = Plan::new(graph.clone(), &Policy::raw(), options).unwrap();
            let mut session = PlannedSession::new(gpu.clone(), vec![plan], 5).unwrap();
            (0..4).for_each(|number| {
                step(&mut session, 0, number, false);
            });
            state(&session)
        };
        let [cut, whole] = [limited(gpu.plan_options(), 20 << 10), gpu.plan_options()].map(trained);
        assert_alike(&cut, &whole, 2e-3, &format!("{widths:?}"));
    }
}

/// The host exchanges whole gradients; whoever is alone changes no bit.
#[test]
fn gradients_in_blocks_are_exchanged_as_wholes() {
    let graph = training(&[130, 96], false, OPTIMIZERS[2].into());
    let options = limited(gpu().plan_options(), 20 << 10);
    let trained = |buckets: usize| {
        let plan = Plan::new(graph.clone(), &Policy::raw(), PlanOptions { buckets, ..options.clone() }).unwrap();
        assert!(most_bound(&plan) <= 20 << 10);
        let mut session = PlannedSession::new(gpu(), vec![plan], 5).unwrap();
        for number in 0..4 {
            let x: Vec<f32> = Stream::new(3, number.into()).uniform().take(BATCH * INPUTS).collect();
            let labels: Vec<u32> = (0..BATCH as u32).map(|n| (n + number) % CLASSES as u32).collect();
            let control = Control::new(number, 1).learning_rate(0.05);
            let control = session.executables()[0].control.encode(&control).unwrap();
            let uploads: [&[u8]; 4] = [
                bytemuck::cast_slice(&x),
                bytemuck::cast_slice(&labels),
                bytemuck::cast_slice(&[1.0f32; BATCH]),
                bytemuck::cast_slice(&control),
            ];
            match buckets {
                0 => session.step(0, &uploads).unwrap(),
                _ => session.step_exchanging(0, &uploads, &mut Loopback).unwrap(),
            };
            session.finished().unwrap();
        }
        state(&session)
    };
    assert_eq!(trained(2), trained(0));
}

/// No other value has the bytes of a gradient of 32 MiB; whoever marks it as a metric, clips or exchanges it has it whole, as before.
#[test]
fn a_large_gradient_exists_only_if_something_needs_it_whole() {
    let wide = |update: UpdateConfig, buckets: usize| {
        let graph = training(&[131_072], false, update);
        let options = PlanOptions { buckets, ..PlanOptions::unlimited(KernelSet::Tiles) };
        Plan::new(graph, &Policy::raw(), options).unwrap()
    };
    let plain = UpdateConfig::from(OPTIMIZERS[1]);
    let whole = 4 * (131_072 * INPUTS) as u64;
    let cut = wide(plain, 0);
    assert!(gradients(&cut).iter().all(|&bytes| bytes <= whole / 4), "{:?}", gradients(&cut));
    // The parameter is read as before.
    let products = cut.graph.nodes().iter().filter(|node| {
        node.phase == Phase::Forward && matches!(node.operator.kind(), OperatorKind::MatrixProduct { .. })
    });
    assert!(products.count() <= 2);
    for needed in [wide(UpdateConfig { clip_norm: Some(1.0), ..plain }, 0), wide(plain, 1)] {
        assert!(gradients(&needed).contains(&whole));
        let transient = |plan: &Plan| plan.executable.transient_pages.iter().sum::<u64>();
        assert!(transient(&needed) >= transient(&cut) + whole / 2);
    }
}

/// The noise that error bounds follow is summed block by block, before each block is used up by its update.
#[test]
fn a_gradient_that_steers_an_error_bound_dies_by_rows() {
    let policy = Policy::with(ErrorBounded::default());
    for optimizer in [OPTIMIZERS[0], OPTIMIZERS[1], OPTIMIZERS[2]] {
        let graph = training(&[600, 16_384], false, optimizer.into());
        let plan = Plan::new(graph, &policy, PlanOptions::unlimited(KernelSet::Tiles)).unwrap();
        assert!(plan.stored.iter().any(|stored| stored.form == "error-bounded"));
        let count = |name| plan.graph.nodes().iter().filter(|node| node.operator.name() == name).count();
        assert!(count("gradient noise") > count("new bound"));
        assert!(gradients(&plan).iter().all(|&bytes| bytes <= 8 << 20), "{:?}", gradients(&plan));
        let transient: u64 = plan.executable.transient_pages.iter().sum();
        assert!(transient < 4 * (600 * 16_384) / 2, "{transient}");
        for set in [KernelSet::Tiles, KernelSet::Registers] {
            let graph = training(&[130, 96], false, optimizer.into());
            let whole = options(&gpu(), set);
            let cut = trained_with(&policy, &graph, limited(whole.clone(), 20 << 10), false);
            let whole = trained_with(&policy, &graph, whole, false);
            let bounds = |state: &[(String, Vec<f32>)]| -> Vec<(String, Vec<f32>)> {
                let records = state.iter().filter(|(name, _)| name.ends_with(".record"));
                // The bound and what it was made of.
                records.map(|(name, words)| (name.clone(), [0, 6, 7, 8].map(|word| words[word]).to_vec())).collect()
            };
            let [cut, whole] = [cut, whole].map(|state| bounds(&state));
            assert!(!whole.is_empty() && whole.iter().all(|(_, words)| words.iter().all(|&word| word > 0.0)));
            assert_alike(&cut, &whole, 1e-4, &format!("{optimizer:?} on {set:?}"));
        }
    }
}

/// What lives across steps knows nothing of cuts: it starts the same, and either plan goes on from where the other stopped.
#[test]
fn cut_and_whole_plans_exchange_checkpoints_and_resume_to_the_same_bits() {
    let graph = training(&[100], false, OPTIMIZERS[2].into());
    let gpu = gpu();
    let session = |options: PlanOptions| {
        let plan = Plan::new(graph.clone(), &Policy::with(FrequencySplit::default()), options).unwrap();
        PlannedSession::new(gpu.clone(), vec![plan], 5).unwrap()
    };
    let [whole, cut] = [gpu.plan_options(), limited(gpu.plan_options(), 8 << 10)];
    let mut straight = session(cut.clone());
    assert_eq!(state(&straight), state(&session(whole.clone())));
    (0..4).for_each(|number| {
        step(&mut straight, 0, number, false);
    });
    for (first, then) in [(&cut, &cut), (&whole, &cut), (&cut, &whole)] {
        let [mut stopped, mut resumed] = [session(first.clone()), session(then.clone())];
        (0..2).for_each(|number| {
            step(&mut stopped, 0, number, false);
        });
        restore(&resumed, &state(&stopped));
        (2..4).for_each(|number| {
            step(&mut resumed, 0, number, false);
        });
        assert_eq!(state(&resumed), state(&straight));
    }
}

/// An evaluation reads the parameters in blocks, too; bytes planned, allocated and counted by wgpu are the same.
#[test]
fn an_evaluation_beside_a_cut_plan_is_cut_as_well() {
    let gpu = gpu();
    let before = gpu.buffer_bytes();
    let options = limited(gpu.plan_options(), 8 << 10);
    let training = Plan::new(training(&[100], false, OPTIMIZERS[0].into()), &Policy::raw(), options).unwrap();
    let evaluation = training.evaluation(forward(&[100], false).0).unwrap();
    assert!(most_bound(&evaluation) <= 8 << 10);
    let planned = Plan::allocated(&[&training, &evaluation]);
    let mut session = PlannedSession::new(gpu.clone(), vec![training, evaluation], 5).unwrap();
    assert_eq!((session.bytes(), gpu.buffer_bytes() - before), (planned, planned));
    let losses = [0, 1].map(|executable| step(&mut session, 1 - executable, 0, false));
    assert_eq!(losses[0], losses[1], "the evaluation of the parameters as they start has the loss of the first step");
}

#[test]
fn a_parameter_that_something_needs_whole_is_refused_by_its_name() {
    let mut g = Graph::new();
    let x = g.input("x", [BATCH, INPUTS], Element::F32);
    let w = g.parameter("w", [100, INPUTS], Init::Constant(0.0)).unwrap();
    let activated = g.relu(w).unwrap();
    g.linear(x, activated).unwrap();
    let options = limited(PlanOptions::unlimited(KernelSet::Tiles), 8 << 10);
    let error = Plan::new(g, &Policy::raw(), options).unwrap_err();
    assert!(matches!(error, PlanError::TooLarge { largest_batch: None, .. }), "{error}");
}

#[test]
fn a_parameter_larger_than_a_buffer_is_refused_by_its_name() {
    let options = PlanOptions { max_buffer: 16 << 10, ..limited(PlanOptions::unlimited(KernelSet::Tiles), 8 << 10) };
    let error = Plan::new(training(&[100], false, OPTIMIZERS[0].into()), &Policy::raw(), options).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`layer0.weight`, 100×64, takes 25600 bytes, but a buffer holds at most 16384 on this adapter"
    );
}
