//! Loss scaling and products with f16 operands, in whole training steps.

#[expect(dead_code, reason = "only its batches are of use here")]
mod recipe;

use frugal_model::{IMAGES, LABELS, MASK, Net, StepShape, training_step};
use frugal_tensor::codec::MARGIN;
use frugal_tensor::codec::{Codec, ErrorBounded, F16, Float8, FrequencySplit, Recompute, Uniform};
use frugal_tensor::ir::Precision;
use frugal_tensor::ops::optimizer::{Adam, LossScale, Optimizer, Sgd, UpdateConfig};
use frugal_tensor::runtime::GpuOptions;
use frugal_tensor::step::{FLAG_CALIBRATES, FLAG_FIRST, FLAG_HOLD, STATUS, updates_before};
use frugal_tensor::{Gpu, GpuError, Plan, PlannedSession, Policy};
use std::collections::BTreeMap;
use std::rc::Rc;

const SGD: Sgd = Sgd { momentum: 0.9, nesterov: false, weight_decay: 0.0 };
const ADAM: Adam = Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0, decoupled: false };
const IMAGE: [usize; 3] = [1, 28, 28];
const SAMPLES: usize = 8;

/// A net in training.
struct Training {
    session: PlannedSession,
    accumulates: bool,
    rate: f32,
    done: u32,
}

/// What a step says.
struct Said {
    loss: f64,
    /// The loss scale, and whether the step was skipped.
    scale: Option<(f32, bool)>,
}

impl Training {
    fn new(gpu: &Rc<Gpu>, net: &str, update: UpdateConfig, policy: &Policy) -> Self {
        let shape = StepShape { batch: SAMPLES, sample: IMAGE.into(), classes: 10 };
        let graph = training_step(&Net::find(net).unwrap(), shape, update).unwrap();
        let session =
            PlannedSession::new(gpu.clone(), vec![Plan::new(graph, policy, gpu.plan_options()).unwrap()], 1).unwrap();
        let mut training = Self { session, accumulates: update.accumulate, rate: 0.02, done: 0 };
        if training.session.plans()[0].has_data_sized() {
            training.with_uploads(0, FLAG_CALIBRATES, |session, uploads| {
                session.calibrate(0, uploads, 2.0 * MARGIN).unwrap()
            });
        }
        training
    }

    fn with_uploads<T>(&mut self, number: u32, flags: u32, with: impl FnOnce(&mut PlannedSession, &[&[u8]]) -> T) -> T {
        let batch = recipe::batch(number, SAMPLES, IMAGE);
        let mask = [1.0f32; SAMPLES];
        let control = [number, 0, self.rate.to_bits(), flags];
        let plan = &self.session.plans()[0];
        let names: Vec<String> = plan.uploads().iter().map(|&id| plan.graph.value(id).name.clone()).collect();
        let of = |name: &String| match name.as_str() {
            IMAGES => bytemuck::cast_slice(&batch.images),
            LABELS => bytemuck::cast_slice(&batch.labels),
            MASK => bytemuck::cast_slice(&mask),
            _ => bytemuck::cast_slice(&control),
        };
        with(&mut self.session, &names.iter().map(of).collect::<Vec<&[u8]>>())
    }

    fn step(&mut self) -> Said {
        let number = self.done;
        self.done += 1;
        let flags = match (self.accumulates, number % 2) {
            (false, _) => 0,
            (true, 0) => FLAG_FIRST | FLAG_HOLD | updates_before(number / 2),
            (true, _) => updates_before(number / 2),
        };
        let done = self.with_uploads(number, flags, |session, uploads| {
            session.step(0, uploads).unwrap();
            session.finished().unwrap().pop().unwrap()
        });
        let scale = self.session.plans()[0].metric(LossScale::USED);
        Said { loss: done.f32(0).into(), scale: scale.map(|word| (done.f32(word), done.f32(word + 1) == 1.0)) }
    }

    /// The bits of all that lives across steps, but for the scale's own.
    fn state(&self) -> BTreeMap<String, Vec<u32>> {
        let graph = &self.session.plans()[0].graph;
        let lasting = graph.values().iter().filter(|value| value.is_persistent() && value.name != STATUS);
        let lasting = lasting.filter(|value| !value.name.starts_with(LossScale::NAME));
        let bits = |name: &str| self.session.read(name).unwrap().into_iter().map(f32::to_bits).collect();
        lasting.map(|value| (value.name.clone(), bits(&value.name))).collect()
    }
}

/// A power of two changes only exponents, so where all is f32 and all that reads gradients accounts for the scale, nothing else
/// changes: clipping, sums over batches, averages, and the bounds of stored values.
#[test]
fn in_f32_a_scaled_loss_changes_no_bit() {
    let gpu = Gpu::open(None).expect("the tests need an adapter");
    let plain = UpdateConfig::from(Optimizer::Sgd(SGD));
    let updates = [
        plain,
        UpdateConfig { clip_norm: Some(0.5), average: Some(0.9), ..Optimizer::Adam(ADAM).into() },
        UpdateConfig { accumulate: true, clip_norm: Some(0.5), ..plain },
    ];
    for net in ["lenet", "resnet8"] {
        for policy in [Policy::raw(), Policy::with(ErrorBounded::default())] {
            for update in updates {
                let loss_scale = Some(LossScale { start: 1024.0, grow_after: 3 });
                let mut one = Training::new(&gpu, net, update, &policy);
                let mut other = Training::new(&gpu, net, UpdateConfig { loss_scale, ..update }, &policy);
                for step in 0..6 {
                    let (one, other) = (one.step(), other.step());
                    assert_eq!(one.loss, other.loss, "{net}, {update:?}: step {step}");
                    assert_eq!(one.scale, None);
                }
                // Sums over batches are of scaled gradients.
                let without_sums = |training: &Training| {
                    training.state().into_iter().filter(|(name, _)| !name.ends_with(".sum")).collect::<BTreeMap<_, _>>()
                };
                let (one, two) = (without_sums(&one), without_sums(&other));
                let differ: Vec<&String> = one.keys().filter(|name| one[*name] != two[*name]).collect();
                assert!(differ.is_empty() && one.len() == two.len(), "{net}, {update:?}: {differ:?}");
                // Doubled after every three good updates.
                let updates = if update.accumulate { 3 } else { 6 };
                let scale = other.session.read(LossScale::NAME).unwrap();
                assert_eq!(
                    scale,
                    [1024.0 * 2f32.powi(updates / 3)],
                    "{net}, {update:?}, {} forms",
                    other.session.plans()[0].stored.len()
                );
            }
        }
    }
}

fn f16_gpu() -> Option<Rc<Gpu>> {
    match Gpu::open_with(None, GpuOptions { precision: Precision::F16, ..GpuOptions::default() }) {
        Err(GpuError::NoF16 { adapter }) => {
            println!("skipped: {adapter} has no f16");
            None
        }
        gpu => Some(gpu.expect("the tests need an adapter")),
    }
}

#[test]
fn f16_learns_as_f32_does() {
    let Some(gpu) = f16_gpu() else { return };
    let update = UpdateConfig::from(Optimizer::Sgd(SGD));
    let scaled = UpdateConfig { loss_scale: Some(LossScale::default()), ..update };
    let f32_gpu = Gpu::open(None).unwrap();
    for (net, rate, steps, falls_to) in [("lenet", 0.004, 40, 0.6), ("resnet8", 0.02, 24, 0.95)] {
        let mut single = Training::new(&f32_gpu, net, update, &Policy::raw());
        let mut half = Training::new(&gpu, net, scaled, &Policy::raw());
        (single.rate, half.rate) = (rate, rate);
        let mut losses = Vec::new();
        for step in 0..steps {
            let (one, other) = (single.step(), half.step());
            assert_eq!(other.scale, Some((65_536.0, false)), "step {step}");
            losses.push([one.loss, other.loss]);
        }
        let mean = |which: usize, steps: std::ops::Range<usize>| {
            let count = steps.len() as f64;
            losses[steps].iter().map(|pair| pair[which]).sum::<f64>() / count
        };
        let [off_at_first, off_in_the_mean] =
            [0..1, steps / 2..steps].map(|steps| (mean(1, steps.clone()) / mean(0, steps) - 1.0).abs());
        println!(
            "{net}: the loss in f16 is off by {off_at_first:.1e} in the first step, {off_in_the_mean:.1e} in the second half"
        );
        // Later on, what differs in the last places has grown from step to step.
        assert!(off_at_first < 1e-3, "{losses:?}");
        assert!(off_in_the_mean < 0.05, "{losses:?}");
        assert!(mean(1, steps - 10..steps) < falls_to * mean(1, 0..5), "{losses:?}");
    }
}

/// Activations are in f16 anyway. Only the images are not, and products round them in any case: to store them in f16 changes no
/// bit. Nor does it to make activations again, but that a second run rounds between a norm and an addition.
#[test]
fn in_f16_the_f16_store_and_a_second_forward_pass_change_no_bit() {
    let Some(gpu) = f16_gpu() else { return };
    let update = UpdateConfig { loss_scale: Some(LossScale::default()), ..Optimizer::Sgd(SGD).into() };
    for net in ["lenet", "resnet8"] {
        let policies = [Policy::raw(), Policy::with(F16), Policy::raw().recompute(Recompute::Segments)];
        let [mut raw, mut stored, mut again] = policies.map(|policy| Training::new(&gpu, net, update, &policy));
        let plan = &stored.session.plans()[0];
        let coded = plan.stored.iter().filter(|stored| stored.form == F16.name());
        let coded: Vec<&str> = coded.map(|stored| plan.graph.value(stored.source).name.as_str()).collect();
        assert_eq!(coded, [IMAGES], "{net}");
        assert!(again.session.plans()[0].kept_bytes() < raw.session.plans()[0].kept_bytes());
        for step in 0..3 {
            let loss = raw.step().loss;
            assert_eq!(stored.step().loss, loss, "{net}, step {step}");
            let again = again.step().loss;
            let near = (again / loss - 1.0).abs() < 1e-3;
            assert!(if net == "lenet" { again == loss } else { near }, "{net}, step {step}: {again} for {loss}");
        }
        assert!(raw.state() == stored.state(), "{net}: f16");
        assert!(net != "lenet" || raw.state() == again.state(), "{net}: recomputed");
    }
}

/// Codecs that lose something read activations in f16 and decode to it: the loss is nearly that of what is kept as it is.
#[test]
fn every_store_trains_in_f16() {
    let Some(gpu) = f16_gpu() else { return };
    let update = UpdateConfig { loss_scale: Some(LossScale::default()), ..Optimizer::Sgd(SGD).into() };
    let split = || Policy::with(FrequencySplit { bits: 4, ..FrequencySplit::default() });
    let lossy = [
        Policy::with(Float8 { group: 32 }),
        Policy::with(Uniform { bits: 8, group: 32 }),
        split(),
        split().recompute(Recompute::Cheap),
        Policy::with(ErrorBounded::default()),
    ];
    for net in ["lenet", "resnet8"] {
        let mut raw = Training::new(&gpu, net, update, &Policy::raw());
        let losses: Vec<f64> = (0..4).map(|_| raw.step().loss).collect();
        for policy in &lossy {
            let mut coded = Training::new(&gpu, net, update, policy);
            let [kept, kept_raw] = [&coded, &raw].map(|training| training.session.plans()[0].kept_bytes());
            assert!(kept < kept_raw * 3 / 4, "{net}, {policy:?}: {kept} of {kept_raw} bytes");
            for (step, loss) in losses.iter().enumerate() {
                let said = coded.step();
                assert_eq!(said.scale, Some((65_536.0, false)), "{net}, {policy:?}: step {step}");
                assert!(
                    (said.loss / loss - 1.0).abs() < 0.02,
                    "{net}, {policy:?}: step {step}: {} for {loss}",
                    said.loss
                );
            }
        }
    }
}

/// With norms, whose running statistics stay as well.
#[test]
fn a_scale_too_large_is_halved_until_gradients_are_finite_and_nothing_else_moves() {
    let Some(gpu) = f16_gpu() else { return };
    let start = 2f32.powi(36);
    let loss_scale = Some(LossScale { start, grow_after: 2000 });
    let update = UpdateConfig { loss_scale, average: Some(0.9), ..Optimizer::Adam(ADAM).into() };
    let mut training = Training::new(&gpu, "resnet8", update, &Policy::raw());
    let before = training.state();
    let mut skipped = 0;
    loop {
        let said = training.step();
        assert_eq!(said.scale.unwrap().0, start / 2f32.powi(skipped));
        if !said.scale.unwrap().1 {
            break;
        }
        assert!(before == training.state(), "step {skipped} moved something");
        skipped += 1;
    }
    println!("{skipped} steps skipped");
    assert!(skipped > 3, "{skipped}");
    assert!(before.iter().all(|(name, bits)| name.contains("running") || training.state()[name] != *bits));
    let status = training.session.read(STATUS).unwrap();
    assert_eq!(status.iter().map(|word| word.to_bits()).collect::<Vec<_>>(), [0, skipped as u32, 0, 0]);
    // The first update that counts is the first of the average, too.
    let parameter = training.session.read("conv1.weight").unwrap();
    assert_eq!(parameter, training.session.read(&format!("conv1.weight{}", UpdateConfig::AVERAGE)).unwrap());
}
