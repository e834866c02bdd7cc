//! What a session promises: bytes as planned, equal bits, and errors instead of panics.

use frugal_tensor::codec::{F16, Float8, FrequencySplit, Rule, Uniform};
use frugal_tensor::ir::{Element, Graph, Init, ValueId};
use frugal_tensor::ops::optimizer::{Optimizer, Sgd};
use frugal_tensor::random::Stream;
use frugal_tensor::runtime::Adapter;
use frugal_tensor::{Codec, Gpu, GpuError, Plan, PlannedSession, Policy};
use frugal_testkit::{f16_gpu, gpu};
use std::rc::Rc;

const BATCH: usize = 6;

fn small_net() -> (Graph, ValueId) {
    let mut g = Graph::new();
    let images = g.input("images", [BATCH, 2, 16, 16], Element::F32);
    let labels = g.input("labels", [BATCH], Element::U32);
    let mask = g.input("mask", [BATCH], Element::F32);
    let mut x = images;
    for name in ["a", "b"] {
        x = g.within(name, |g| {
            let channels = g.shape(x)[1];
            let w = g.parameter("weight", [8, channels, 3, 3], Init::kaiming_uniform(9 * channels)).unwrap();
            let y = g.conv2d(x, w, [1, 1], [1, 1]).unwrap();
            let y = g.relu(y).unwrap();
            g.max_pool(y, 2).unwrap()
        });
    }
    let flat = g.flatten(x).unwrap();
    let w = g.parameter("head", [4, g.shape(flat)[1]], Init::kaiming_uniform(128)).unwrap();
    let logits = g.linear(flat, w).unwrap();
    let loss = g.cross_entropy(logits, labels, mask).unwrap();
    (g, loss)
}

fn training_step() -> Graph {
    let (mut g, loss) = small_net();
    let gradients = g.differentiate(&[(loss, None)]).unwrap();
    g.update(Optimizer::Sgd(Sgd { momentum: 0.9, nesterov: false, weight_decay: 1e-4 }), &gradients).unwrap();
    g
}

/// Every codec, and a mixture. A new one has to be added here.
fn policies() -> Vec<Policy> {
    let rule =
        |layer: &str, codec: Rc<dyn Codec>| Rule { layer: Some(layer.into()), codec: Some(codec), ..Rule::default() };
    let mixture = Policy::with(F16)
        .rule(rule("images", Rc::new(Uniform { bits: 8, group: 256 })))
        .rule(rule("a", Rc::new(FrequencySplit { block: 4, bits: 4, parity: false })));
    let uniform = [1, 2, 4, 8].map(|bits| Policy::with(Uniform { bits, group: 256 }));
    let split = [2, 8].map(|bits| Policy::with(FrequencySplit { block: 8, bits, parity: false }));
    let others = [Policy::raw(), Policy::with(F16), Policy::with(Float8::default()), mixture];
    others.into_iter().chain(uniform).chain(split).collect()
}

struct Batch {
    images: Vec<f32>,
    labels: Vec<u32>,
}

fn batch(step: u32) -> Batch {
    Batch {
        images: Stream::new(2, u64::from(step)).uniform().take(BATCH * 512).collect(),
        labels: (0..BATCH as u32).map(|n| (n + step) % 4).collect(),
    }
}

fn step(session: &mut PlannedSession, count: u32, rate: f32, batch: &Batch) -> Vec<f32> {
    let mask = [1.0f32; BATCH];
    let control = [count, 1, rate.to_bits(), 0];
    let uploads: [&[u8]; 4] = [
        bytemuck::cast_slice(&batch.images),
        bytemuck::cast_slice(&batch.labels),
        bytemuck::cast_slice(&mask),
        bytemuck::cast_slice(&control),
    ];
    let done = session.step(0, &uploads).unwrap();
    done.iter().map(|metrics| metrics.f32(0)).collect()
}

fn trained(gpu: &Rc<Gpu>, policy: &Policy) -> (Vec<Vec<f32>>, Vec<f32>) {
    let plan = Plan::new(training_step(), policy, gpu.plan_options()).unwrap();
    let mut session = PlannedSession::new(gpu.clone(), vec![plan], 5).unwrap();
    let mut losses: Vec<f32> = (0..6).flat_map(|s| step(&mut session, s, 0.05, &batch(s))).collect();
    losses.extend(session.finished().unwrap().iter().map(|m| m.f32(0)));
    (["a.weight", "b.weight", "head"].map(|name| session.read(name).unwrap()).to_vec(), losses)
}

/// Six steps under every codec: the loss stays near that of raw, by as much as the codec's precision lets one expect, and
/// nothing is left out of what it keeps.
#[test]
fn every_codec_trains() {
    let gpu = gpu();
    let (_, raw) = trained(&gpu, &Policy::raw());
    for policy in policies() {
        let (weights, losses) = trained(&gpu, &policy);
        assert!(weights.iter().flatten().all(|w| w.is_finite()), "{policy:?}");
        let fine = match policy.default.as_ref().map(|codec| codec.name()) {
            None => 0.0,
            Some("f16") if policy.rules.is_empty() => 0.001,
            _ => 0.25,
        };
        assert_eq!(losses.len(), raw.len());
        assert_eq!(losses[0], raw[0], "{policy:?}: the first forward pass knows no codec");
        for (loss, raw) in losses.iter().zip(&raw) {
            assert!((loss - raw).abs() <= fine, "{policy:?}: {losses:?}, raw {raw:?}");
        }
    }
}

#[test]
fn one_seed_gives_the_same_bits_twice() {
    let gpu = gpu();
    for policy in policies() {
        let (one, losses) = trained(&gpu, &policy);
        let (two, again) = trained(&gpu, &policy);
        assert_eq!(losses.len(), 6);
        let bits = |runs: &[Vec<f32>]| -> Vec<u32> { runs.iter().flatten().map(|x| x.to_bits()).collect() };
        assert_eq!(bits(&one), bits(&two), "{policy:?}");
        assert_eq!(bits(&[losses]), bits(&[again]), "{policy:?}");
    }
}

/// The planned peak is what wgpu itself counts, from the first step to the last.
#[test]
fn memory_is_as_planned_and_flat() {
    let gpus = [Some(gpu()), f16_gpu()].into_iter().flatten();
    for (gpu, policy) in gpus.flat_map(|gpu| policies().into_iter().map(move |policy| (gpu.clone(), policy))) {
        let before = gpu.buffer_bytes();
        let training = Plan::new(training_step(), &policy, gpu.plan_options()).unwrap();
        let evaluation = training.evaluation(small_net().0).unwrap();
        let raw = Plan::new(training_step(), &Policy::raw(), gpu.plan_options()).unwrap();
        let planned = training.bytes(&[&evaluation], &[&raw]);
        let parts = planned.parameters
            + planned.gradients
            + planned.optimizer
            + planned.kept
            + planned.inputs
            + planned.scratch;
        assert_eq!(parts, planned.peak);
        let mut session = PlannedSession::new(gpu.clone(), vec![training, evaluation], 0).unwrap();
        assert_eq!(session.bytes(), planned.peak);
        let mut counted = Vec::new();
        for epoch in 0..3 {
            for s in 0..5 {
                step(&mut session, epoch * 5 + s, 0.01, &batch(s));
            }
            let b = batch(0);
            let mask = [1.0f32; BATCH];
            let uploads: [&[u8]; 3] =
                [bytemuck::cast_slice(&b.images), bytemuck::cast_slice(&b.labels), bytemuck::cast_slice(&mask)];
            session.step(1, &uploads).unwrap();
            session.finished().unwrap();
            counted.push(gpu.buffer_bytes() - before);
        }
        assert_eq!(counted, [planned.peak; 3], "{policy:?}");
    }
}

#[test]
fn a_loss_that_is_not_finite_leaves_the_parameters_alone() {
    let gpu = gpu();
    let plan = Plan::new(training_step(), &Policy::raw(), gpu.plan_options()).unwrap();
    let mut session = PlannedSession::new(gpu, vec![plan], 5).unwrap();
    step(&mut session, 0, 0.05, &batch(0));
    session.finished().unwrap();
    let before = session.read("a.weight").unwrap();
    let mut bad = batch(1);
    bad.images[700] = f32::NAN;
    step(&mut session, 1, 0.05, &bad);
    step(&mut session, 2, 0.05, &batch(2));
    let losses: Vec<f32> = session.finished().unwrap().iter().map(|m| m.f32(0)).collect();
    assert!(losses[0].is_nan() && losses[1].is_finite(), "{losses:?}");
    assert_eq!(session.read("a.weight").unwrap(), before);
    let mask = [1.0f32; BATCH];
    let control = [3u32, 1, 0, 0];
    let uploads: [&[u8]; 4] = [
        bytemuck::cast_slice(&bad.images),
        bytemuck::cast_slice(&bad.labels),
        bytemuck::cast_slice(&mask),
        bytemuck::cast_slice(&control),
    ];
    let mut culprit = String::new();
    session
        .step_through(0, &uploads, |name, values| {
            let fine = values.iter().all(|x| x.is_finite());
            if !fine {
                culprit = name.to_string();
            }
            fine
        })
        .unwrap();
    assert_eq!(culprit, "a.convolved");
}

#[test]
fn samples_under_a_zero_mask_do_not_count() {
    let gpu = gpu();
    let run = |fill: f32| {
        let plan = Plan::new(training_step(), &Policy::raw(), gpu.plan_options()).unwrap();
        let mut session = PlannedSession::new(gpu.clone(), vec![plan], 5).unwrap();
        let mut b = batch(0);
        b.images[512 * 4..].fill(fill);
        let mask = [1.0f32, 1.0, 1.0, 1.0, 0.0, 0.0];
        let control = [0u32, 1, 0.05f32.to_bits(), 0];
        let uploads: [&[u8]; 4] = [
            bytemuck::cast_slice(&b.images),
            bytemuck::cast_slice(&b.labels),
            bytemuck::cast_slice(&mask),
            bytemuck::cast_slice(&control),
        ];
        session.step(0, &uploads).unwrap();
        let done = session.finished().unwrap().pop().unwrap();
        (done.words, session.read("head").unwrap())
    };
    let (words, head) = run(0.25);
    assert_eq!(f32::from_bits(words[2]), 4.0);
    assert_eq!((words, head), run(-0.75));
}

#[test]
fn wrong_uploads_and_names_are_errors() {
    let gpu = gpu();
    let plan = Plan::new(training_step(), &Policy::raw(), gpu.plan_options()).unwrap();
    let mut session = PlannedSession::new(gpu, vec![plan], 0).unwrap();
    assert!(matches!(session.step(0, &[&[0; 12]]), Err(GpuError::WrongSize { name, .. }) if name == "images"));
    assert!(matches!(session.step(0, &[]), Err(GpuError::WrongSize { .. })));
    assert!(matches!(session.write("a.weight", &[1.0]), Err(GpuError::WrongSize { .. })));
    assert!(matches!(session.read("c.weight"), Err(GpuError::NoSuchValue(name)) if name == "c.weight"));
    // And it still works.
    step(&mut session, 0, 0.1, &batch(0));
    assert_eq!(session.finished().unwrap().len(), 1);
}

#[test]
fn adapters_are_chosen_by_index_and_by_part_of_their_name() {
    let all = Adapter::all();
    assert!(!all.is_empty(), "the tests need an adapter");
    assert!(all.iter().all(|a| a.info.backend != wgpu::Backend::Gl));
    assert_eq!(Adapter::choose(Some("0")).unwrap().info.name, all[0].info.name);
    let part: String = all[0].info.name.chars().take(4).collect::<String>().to_uppercase();
    assert_eq!(Adapter::choose(Some(&part)).unwrap().info.name, all[0].info.name);
    let error = Gpu::open(Some("no such adapter")).err().expect("there is none");
    let text = error.to_string();
    assert!(text.contains("no such adapter") && text.contains(&all[0].info.name), "{text}");
}
