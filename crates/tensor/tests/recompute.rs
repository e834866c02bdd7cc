//! Values that are recomputed: the same bits where they wait raw, the exact mask where they wait with an error, and fewer
//! bytes in any case.

use frugal_tensor::codec::{F16, FrequencySplit, Recompute, Uniform};
use frugal_tensor::ir::{Element, Graph, GraphError, Init, Role, ValueId};
use frugal_tensor::ops::batch_norm::{BatchNorm, BatchNormState};
use frugal_tensor::ops::optimizer::{Optimizer, Sgd};
use frugal_tensor::random::Stream;
use frugal_tensor::{Gpu, Plan, PlanOptions, PlannedSession, Policy};
use frugal_testkit::{SETS, gpu, options};
use std::rc::Rc;

const BATCH: usize = 4;
const STRENGTHS: [Recompute; 2] = [Recompute::Cheap, Recompute::Segments];

fn conv(g: &mut Graph, name: &str, x: ValueId, filters: usize, stride: usize) -> Result<ValueId, GraphError> {
    g.within(name, |g| {
        let channels = g.shape(x)[1];
        let w = g.parameter("weight", [filters, channels, 3, 3], Init::kaiming_uniform(9 * channels))?;
        g.conv2d(x, w, [stride, stride], [1, 1])
    })
}

fn norm(g: &mut Graph, name: &str, x: ValueId) -> Result<ValueId, GraphError> {
    g.within(name, |g| {
        let state = BatchNormState::new(g, g.shape(x)[1])?;
        g.apply_one(BatchNorm { epsilon: 1e-5, momentum: 0.1 }, &state.inputs(x))
    })
}

/// A net with everything that can be recomputed: norms, rectifiers, residual additions, biases, dropout, concatenations,
/// views, max pooling behind norms with windows that overlap and that do not; and with pooling between.
fn training_step() -> Result<Graph, GraphError> {
    training_step_with(false)
}

/// With a `wide` layer before all others, the peak is there, and pooling again does not raise it under any codec.
fn training_step_with(wide: bool) -> Result<Graph, GraphError> {
    let mut g = Graph::new();
    let g = &mut g;
    let images = g.input("images", [BATCH, 3, 16, 16], Element::F32);
    let labels = g.input("labels", [BATCH], Element::U32);
    let mask = g.input("mask", [BATCH], Element::F32);
    let mut x = images;
    if wide {
        x = conv(g, "wide", x, 24, 1)?;
        x = norm(g, "wide.bn", x)?;
        x = g.relu(x)?;
    }
    let x = conv(g, "stem", x, 8, 1)?;
    let x = norm(g, "stem.bn", x)?;
    let x = g.relu(x)?;
    let mut x = g.max_pool_padded(x, 3, 2, 1)?;
    for index in 0..4 {
        x = g.within(format!("block{index}"), |g| {
            let y = conv(g, "conv1", x, 8, 1)?;
            let y = norm(g, "bn1", y)?;
            let b = g.parameter("bias", [8], Init::Constant(0.125))?;
            let y = g.bias(y, b)?;
            let y = g.relu(y)?;
            let y = conv(g, "conv2", y, 8, 1)?;
            let y = norm(g, "bn2", y)?;
            let sum = g.add(y, x)?;
            g.relu(sum)
        })?;
    }
    let y = conv(g, "narrow", x, 8, 2)?;
    let y = g.relu(y)?;
    let z = conv(g, "beside", x, 8, 2)?;
    let z = norm(g, "beside.bn", z)?;
    let both = g.concat(&[y, z])?;
    let both = norm(g, "both.bn", both)?;
    let both = g.relu(both)?;
    let both = g.max_pool(both, 2)?;
    let both = g.dropout(both, 0.25)?;
    let last = conv(g, "last", both, 8, 1)?;
    let last = g.relu(last)?;
    let flat = g.flatten(last)?;
    let w = g.parameter("head", [4, g.shape(flat)[1]], Init::kaiming_uniform(32))?;
    let logits = g.linear(flat, w)?;
    let loss = g.cross_entropy(logits, labels, mask)?;
    let gradients = g.differentiate(&[(loss, None)])?;
    g.update(Optimizer::Sgd(Sgd { momentum: 0.9, nesterov: false, weight_decay: 1e-4 }), &gradients)?;
    Ok(g.clone())
}

/// The bits of all parameters, running statistics and losses after some steps.
fn trained(gpu: &Rc<Gpu>, policy: &Policy, options: PlanOptions) -> Vec<(String, Vec<u32>)> {
    let plan = Plan::new(training_step().unwrap(), policy, options).unwrap();
    let lasting = |kind| [Role::Parameter, Role::Statistic].contains(&kind);
    let names: Vec<String> = plan.graph.values().iter().filter(|v| lasting(v.role)).map(|v| v.name.clone()).collect();
    let mut session = PlannedSession::new(gpu.clone(), vec![plan], 5).unwrap();
    let mut losses = Vec::new();
    for count in 0..4u32 {
        let images: Vec<f32> = Stream::new(2, u64::from(count)).uniform().take(BATCH * 768).collect();
        let labels: Vec<u32> = (0..BATCH as u32).map(|n| (n + count) % 4).collect();
        let control = [count, 1, 0.05f32.to_bits(), 0];
        let mask = [1.0f32; BATCH];
        let uploads: Vec<&[u8]> = session.plans()[0]
            .uploads()
            .iter()
            .map(|&id| match session.plans()[0].graph.value(id).name.as_str() {
                "images" => bytemuck::cast_slice(&images),
                "labels" => bytemuck::cast_slice(&labels),
                "mask" => bytemuck::cast_slice(&mask),
                _ => bytemuck::cast_slice(&control),
            })
            .collect();
        losses.extend(session.step(0, &uploads).unwrap().iter().map(|metrics| metrics.f32(0).to_bits()));
    }
    losses.extend(session.finished().unwrap().iter().map(|metrics| metrics.f32(0).to_bits()));
    let read = |name: &String| session.read(name).unwrap().iter().map(|x| x.to_bits()).collect();
    let mut all: Vec<(String, Vec<u32>)> = names.iter().map(|name| (name.clone(), read(name))).collect();
    all.push(("losses".into(), losses));
    all
}

/// Making again what waited raw changes nothing: the same kernels work on the same bits.
#[test]
fn training_is_the_same_bit_for_bit() {
    let gpu = gpu();
    for set in SETS {
        let raw = trained(&gpu, &Policy::raw(), options(&gpu, set));
        for strength in STRENGTHS {
            let again = trained(&gpu, &Policy::raw().recompute(strength), options(&gpu, set));
            for ((name, raw), (_, again)) in raw.iter().zip(&again) {
                assert_eq!(raw, again, "{name} with {strength:?} on {set:?}");
            }
        }
    }
}

/// All codecs train with all strengths, and making values again shrinks what waits and what is allocated.
#[test]
fn less_waits_under_every_codec() {
    let gpu = gpu();
    let policies = [
        Policy::raw(),
        Policy::with(F16),
        Policy::with(Uniform::default()),
        Policy::with(FrequencySplit { block: 4, bits: 2, parity: false }),
    ];
    for policy in policies {
        let plan = |strength| {
            let policy = policy.clone().recompute(strength);
            Plan::new(training_step_with(true).unwrap(), &policy, gpu.plan_options()).unwrap()
        };
        let whole = plan(Recompute::None);
        for strength in STRENGTHS {
            let plan = plan(strength);
            let recomputed = plan.stored.iter().filter(|stored| stored.is_recomputed()).count();
            let pools = plan.graph.nodes().iter().filter(|node| node.operator.name() == "max pooling again").count();
            assert_eq!(pools >= 2, strength == Recompute::Cheap, "{strength:?}: {pools} under {policy:?}");
            assert!(
                strength == Recompute::Segments || recomputed >= 8,
                "{strength:?}: {recomputed} values under {policy:?}"
            );
            assert!(plan.kept_bytes() < whole.kept_bytes() || recomputed == 0, "{strength:?} under {policy:?}");
            let values = trained(&gpu, &policy.clone().recompute(strength), gpu.plan_options());
            assert!(values.iter().flat_map(|(_, bits)| bits).all(|bits| f32::from_bits(*bits).is_finite()));
        }
    }
    let plan = |strength| {
        let policy = Policy::raw().recompute(strength);
        Plan::new(training_step().unwrap(), &policy, gpu.plan_options())
            .unwrap()
            .executable
            .transient_pages
            .iter()
            .sum::<u64>()
    };
    let [none, cheap, segments] = Recompute::ALL.map(plan);
    assert!(segments < cheap && cheap < none, "{none} {cheap} {segments}");
}

/// relu(norm(x)) waits as a coarse x. The gradient that arrives at the product y·wᵀ is the identity, so the gradient of w
/// is y itself as the backward pass has it: zero wherever y was zero, whatever the error of x, near y elsewhere, and y on
/// average over the steps.
#[test]
fn behind_a_rectifier_zeros_stay_and_averages_are_right() {
    const STEPS: u32 = 100;
    let gpu = gpu();
    let (rows, columns) = (16, 128);
    let unit = |n: usize| (0..n * n).map(|i| f32::from(u8::from(i / n == i % n))).collect::<Vec<f32>>();
    let values: Vec<f32> = Stream::new(7, 1).uniform().take(rows * columns).map(|u| 4.0 * (u - 0.5)).collect();
    for set in SETS {
        let found = |policy: Policy, steps: u32| {
            let mut g = Graph::new();
            let x = g.input("x", [rows, columns], Element::F32);
            let w = g.parameter("first", [columns, columns], Init::Constant(0.0)).unwrap();
            let x = g.linear(x, w).unwrap();
            let x = norm(&mut g, "bn", x).unwrap();
            let y = g.relu(x).unwrap();
            let w = g.parameter("w", [rows, columns], Init::Constant(0.5)).unwrap();
            let product = g.linear(y, w).unwrap();
            let identity = g.input("identity", [rows, rows], Element::F32);
            let gradient = g.differentiate(&[(product, Some(identity))]).unwrap()[&w];
            g.mark_metric(gradient);
            let plan = Plan::new(g, &policy, options(&gpu, set)).unwrap();
            let coded = plan.uploads().len() == 3;
            let mut session = PlannedSession::new(gpu.clone(), vec![plan], 0).unwrap();
            session.write("first", &unit(columns)).unwrap();
            let identity = unit(rows);
            let step = |step: u32| -> Vec<f32> {
                let control = [step, 1, 0, 0];
                let mut uploads: Vec<&[u8]> = vec![bytemuck::cast_slice(&values), bytemuck::cast_slice(&identity)];
                if coded {
                    uploads.push(bytemuck::cast_slice(&control));
                }
                session.step(0, &uploads).unwrap();
                session.finished().unwrap();
                session.read_value(0, gradient).unwrap().into_iter().map(f32::from_bits).collect()
            };
            (0..steps).map(step).collect::<Vec<Vec<f32>>>()
        };
        let exact = found(Policy::raw(), 1).remove(0);
        let zeros = exact.iter().filter(|y| **y == 0.0).count();
        assert!((rows * columns / 3..rows * columns).contains(&zeros), "{zeros}");
        let coarse = Policy::with(Uniform { bits: 2, group: 256 }).recompute(Recompute::Cheap);
        let steps = found(coarse, STEPS);
        for (index, exact) in exact.iter().enumerate() {
            let again = || steps.iter().map(|y| y[index]);
            assert!(*exact > 0.0 || again().all(|y| y == 0.0), "[{index}] {exact} on {set:?}");
            // A step of the codec is about a third of the range of 4 over the deviation of a channel; a mean of so many has
            // at most the deviation 0.5 · step / √100.
            let largest = again().map(|y| (y - exact).abs()).fold(0.0, f32::max);
            let mean = again().sum::<f32>() / STEPS as f32 - exact;
            assert!(largest < 3.0 && mean.abs() < 0.4, "[{index}] {exact}: {largest}, {mean} on {set:?}");
        }
        let sum = |y: &Vec<f32>| y.iter().map(|y| f64::from(*y)).sum::<f64>();
        let mean = steps.iter().map(sum).sum::<f64>() / f64::from(STEPS);
        let error = (mean - sum(&exact)) / (exact.len() - zeros) as f64;
        assert!(error.abs() < 0.01, "{error} on {set:?}");
        let moved = steps[0].iter().zip(&exact).filter(|(y, exact)| (*y - *exact).abs() > 0.01).count();
        assert!(moved > zeros / 4, "the codec is in the way: {moved}");
    }
}
