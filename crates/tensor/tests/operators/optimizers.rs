//! Optimisers, clipping, averages and summed gradients against f64 references, and that a step that does not count changes
//! nothing.

use frugal_tensor::ir::{Element, Graph, Init, Role};
use frugal_tensor::ops::optimizer::{Adam, LossScale, Optimizer, RmsProp, Sgd, UpdateConfig};
use frugal_tensor::random::Stream;
use frugal_tensor::step::{CONTROL, FLAG_FIRST, FLAG_HOLD, STATUS, updates_before};
use frugal_tensor::{Plan, PlannedSession, Policy};
use frugal_testkit::{compare, gpu};
use std::collections::HashMap;

const ADAM: Adam = Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01, decoupled: false };
const RMS: RmsProp = RmsProp { alpha: 0.99, epsilon: 1e-8, momentum: 0.0, weight_decay: 0.01 };
const SGD: Sgd = Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.01 };

const ALL: [Optimizer; 7] = [
    Optimizer::Sgd(SGD),
    Optimizer::Sgd(Sgd { momentum: 0.9, ..SGD }),
    Optimizer::Sgd(Sgd { momentum: 0.9, nesterov: true, ..SGD }),
    Optimizer::Adam(ADAM),
    Optimizer::Adam(Adam { decoupled: true, ..ADAM }),
    Optimizer::RmsProp(RMS),
    Optimizer::RmsProp(RmsProp { momentum: 0.9, ..RMS }),
];

/// One element of a parameter, as PyTorch's documentation has the rules.
#[derive(Clone, Copy)]
pub(super) struct Reference {
    pub p: f64,
    pub m: f64,
    pub v: f64,
    pub average: f64,
    pub steps: i32,
}

impl Reference {
    fn new(p: f64) -> Self {
        Self { p, m: 0.0, v: 0.0, average: 0.0, steps: 0 }
    }

    pub fn step(&mut self, optimizer: Optimizer, rate: f64, gradient: f64, ema: f64) {
        self.steps += 1;
        match optimizer {
            Optimizer::Sgd(Sgd { momentum, nesterov, weight_decay }) => {
                let (momentum, g) = (f64::from(momentum), gradient + f64::from(weight_decay) * self.p);
                self.m = momentum * self.m + g;
                self.p -= rate * if nesterov { g + momentum * self.m } else { self.m };
            }
            Optimizer::Adam(Adam { beta1, beta2, epsilon, weight_decay, decoupled }) => {
                let decay = f64::from(weight_decay);
                let g = gradient + if decoupled { 0.0 } else { decay * self.p };
                if decoupled {
                    self.p *= 1.0 - rate * decay;
                }
                self.m = beta1 * self.m + (1.0 - beta1) * g;
                self.v = beta2 * self.v + (1.0 - beta2) * g * g;
                let (m, v) = (self.m / (1.0 - beta1.powi(self.steps)), self.v / (1.0 - beta2.powi(self.steps)));
                self.p -= rate * m / (v.sqrt() + f64::from(epsilon));
            }
            Optimizer::RmsProp(RmsProp { alpha, epsilon, momentum, weight_decay }) => {
                let g = gradient + f64::from(weight_decay) * self.p;
                self.v = alpha * self.v + (1.0 - alpha) * g * g;
                self.m = f64::from(momentum) * self.m + g / (self.v.sqrt() + f64::from(epsilon));
                self.p -= rate * self.m;
            }
            other => panic!("{other:?} needs a reference"),
        }
        self.average = if self.steps == 1 { self.p } else { ema * self.average + (1.0 - ema) * self.p };
    }
}

/// The extents of the parameters: less than a vector, a few, more than one sum of squares.
const SIZES: [usize; 3] = [3, 130, 1000];
const START: [f32; 3] = [0.5, -0.25, 1.0];

/// A session over parameters whose gradients are uploaded.
fn session(update: UpdateConfig) -> PlannedSession {
    let gpu = gpu();
    let mut g = Graph::new();
    let mut gradients = HashMap::new();
    for (index, size) in SIZES.into_iter().enumerate() {
        let p = g.parameter(&format!("p{index}"), [size], Init::Constant(START[index])).unwrap();
        let d = g.input(&format!("g{index}"), [size], Element::F32);
        gradients.insert(p, d);
    }
    let loss = g.input("loss", [4], Element::F32);
    g.train(update, loss, &gradients).unwrap();
    let plan = Plan::new(g, &Policy::raw(), gpu.plan_options()).unwrap();
    PlannedSession::new(gpu, vec![plan], 0).unwrap()
}

fn step(session: &mut PlannedSession, gradients: &[Vec<f32>], control: [u32; 4], samples: f32) {
    let plan = &session.plans()[0];
    let loss = [0.0, 0.0, samples, 0.0];
    let bytes = |name: &str| -> Vec<u8> {
        match name {
            CONTROL => bytemuck::cast_slice(&control).to_vec(),
            "loss" => bytemuck::cast_slice(&loss).to_vec(),
            name => bytemuck::cast_slice(&gradients[name[1..].parse::<usize>().unwrap()]).to_vec(),
        }
    };
    let uploads: Vec<Vec<u8>> = plan.uploads().iter().map(|&id| bytes(&plan.graph.value(id).name)).collect();
    session.step(0, &uploads.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
    session.finished().unwrap();
}

fn gradients(number: u64, scale: f32) -> Vec<Vec<f32>> {
    gradients_of(&SIZES, number, scale)
}

/// Gradients of a step; each has a mean of its own, so that directions build up.
pub(super) fn gradients_of(sizes: &[usize], number: u64, scale: f32) -> Vec<Vec<f32>> {
    let of = |(index, &size): (usize, &usize)| {
        let numbers = Stream::new(number, index as u64).uniform().take(size);
        numbers.enumerate().map(|(i, u)| scale * (u - 0.5 + 0.1 * (i % 7) as f32)).collect()
    };
    sizes.iter().enumerate().map(of).collect()
}

fn references() -> Vec<Vec<Reference>> {
    SIZES.iter().zip(START).map(|(&size, start)| vec![Reference::new(start.into()); size]).collect()
}

fn assert_near(what: &str, session: &PlannedSession, references: &[Vec<Reference>], averages: bool) {
    for (index, wanted) in references.iter().enumerate() {
        let read = |name: &str| session.read(name).unwrap().into_iter().map(f64::from).collect::<Vec<_>>();
        let p: Vec<f64> = wanted.iter().map(|r| r.p).collect();
        compare(&format!("{what}: p{index}"), &read(&format!("p{index}")), &p, 1e-5);
        if averages {
            let a: Vec<f64> = wanted.iter().map(|r| r.average).collect();
            compare(
                &format!("{what}: average of p{index}"),
                &read(&format!("p{index}{}", UpdateConfig::AVERAGE)),
                &a,
                1e-5,
            );
        }
    }
}

#[test]
fn optimizers_and_averages() {
    for optimizer in ALL {
        let mut session = session(UpdateConfig { average: Some(0.9), ..optimizer.into() });
        let mut wanted = references();
        for number in 0..12 {
            let gradients = gradients(number.into(), 1.0);
            let rate = 0.01 + 0.001 * number as f32;
            step(&mut session, &gradients, [number, 1, rate.to_bits(), 0], 1.0);
            for (wanted, gradients) in wanted.iter_mut().zip(&gradients) {
                let pairs = wanted.iter_mut().zip(gradients);
                pairs.for_each(|(w, &g)| w.step(optimizer, rate.into(), g.into(), 0.9));
            }
        }
        assert_near(&format!("{optimizer:?}"), &session, &wanted, true);
    }
}

pub(super) fn norm(gradients: &[Vec<f32>]) -> f64 {
    gradients.iter().flatten().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt()
}

/// The norm is that of all gradients together; below the limit they stay what they are.
#[test]
fn clipping() {
    let limit = 2.0;
    for optimizer in [ALL[1], ALL[3]] {
        let mut session = session(UpdateConfig { clip_norm: Some(limit), ..optimizer.into() });
        let mut wanted = references();
        for number in 0..6 {
            let gradients = gradients(number.into(), if number % 2 == 0 { 1.0 } else { 0.01 });
            let factor = (f64::from(limit) / (norm(&gradients) + 1e-6)).min(1.0);
            assert_eq!(factor < 1.0, number % 2 == 0);
            step(&mut session, &gradients, [number, 1, 0.1f32.to_bits(), 0], 1.0);
            for (wanted, gradients) in wanted.iter_mut().zip(&gradients) {
                let pairs = wanted.iter_mut().zip(gradients);
                pairs.for_each(|(w, &g)| w.step(optimizer, 0.1f32.into(), factor * f64::from(g), 0.0));
            }
        }
        assert_near(&format!("{optimizer:?}"), &session, &wanted, false);
    }
}

/// Three batches to a step, of different sizes; the mean counts samples, and all else happens once a step.
#[test]
fn summed_gradients() {
    let counts = [8.0f32, 8.0, 3.0];
    for optimizer in ALL {
        for clip_norm in [None, Some(1.0)] {
            let update = UpdateConfig { accumulate: true, clip_norm, average: Some(0.5), ..optimizer.into() };
            let mut session = session(update);
            let mut wanted = references();
            for number in 0..4u32 {
                let batches: Vec<Vec<Vec<f32>>> =
                    (0..3u64).map(|batch| gradients(100 * u64::from(number) + batch, 1.0)).collect();
                for (batch, gradients) in batches.iter().enumerate() {
                    let first = if batch == 0 { FLAG_FIRST } else { 0 };
                    let hold = if batch < 2 { FLAG_HOLD } else { 0 };
                    let flags = first | hold | updates_before(number);
                    let done = 3 * number + batch as u32;
                    step(&mut session, gradients, [done, 1, 0.02f32.to_bits(), flags], counts[batch]);
                }
                let mean = |p: usize, i: usize| {
                    let sum: f64 = (0..3).map(|b| f64::from(counts[b]) * f64::from(batches[b][p][i])).sum();
                    sum / f64::from(counts.iter().sum::<f32>())
                };
                let squares = |p: usize| (0..SIZES[p]).map(move |i| mean(p, i).powi(2)).sum::<f64>();
                let norm = (0..3).map(squares).sum::<f64>().sqrt();
                let factor = clip_norm.map_or(1.0, |limit| (f64::from(limit) / (norm + 1e-6)).min(1.0));
                for (p, wanted) in wanted.iter_mut().enumerate() {
                    for (i, wanted) in wanted.iter_mut().enumerate() {
                        wanted.step(optimizer, 0.02f32.into(), factor * mean(p, i), 0.5);
                    }
                }
            }
            assert_near(&format!("{optimizer:?} clipped at {clip_norm:?}"), &session, &wanted, true);
        }
    }
}

/// Everything that lives across steps stays to the bit, sums and averages included.
#[test]
fn a_step_that_does_not_count_changes_nothing() {
    for optimizer in ALL {
        let update = UpdateConfig { accumulate: true, clip_norm: Some(1.0), average: Some(0.9), ..optimizer.into() };
        let mut session = session(update);
        let control = |done: u32, flags: u32| [done, 1, 0.1f32.to_bits(), flags];
        step(&mut session, &gradients(1, 1.0), control(0, FLAG_FIRST), 4.0);
        step(&mut session, &gradients(2, 1.0), control(1, FLAG_FIRST | FLAG_HOLD | updates_before(1)), 4.0);
        let state = |session: &PlannedSession| -> Vec<Vec<u32>> {
            let graph = &session.plans()[0].graph;
            let lasting = graph.values().iter().filter(|v| matches!(v.role, Role::Parameter | Role::OptimizerState));
            lasting.map(|v| session.read(&v.name).unwrap().iter().map(|x| x.to_bits()).collect()).collect()
        };
        let before = state(&session);
        session.write_words(STATUS, &[1, 0, 0, 0]).unwrap();
        for flags in [0, FLAG_FIRST, FLAG_HOLD] {
            step(&mut session, &gradients(3, 1.0), control(2, flags | updates_before(1)), 4.0);
        }
        assert!(before == state(&session), "{optimizer:?}");
        session.write_words(STATUS, &[0; 4]).unwrap();
        step(&mut session, &gradients(3, 1.0), control(2, updates_before(1)), 4.0);
        assert!(before != state(&session), "{optimizer:?}");
    }
}

/// The bits of parameters, averages and what optimisers keep, but for the loss scale and sums over batches.
fn moved(session: &PlannedSession) -> Vec<Vec<u32>> {
    let graph = &session.plans()[0].graph;
    let lasting = graph.values().iter().filter(|v| matches!(v.role, Role::Parameter | Role::OptimizerState));
    let lasting = lasting.filter(|v| !v.name.starts_with(LossScale::NAME) && !v.name.ends_with(".sum"));
    lasting.map(|v| session.read(&v.name).unwrap().iter().map(|x| x.to_bits()).collect()).collect()
}

/// Gradients that are not finite halve the scale, and their step is as if it had not been: for the rule, the corrections of its
/// averages, the average of parameters. Three good steps double it.
#[test]
fn loss_scales() {
    for optimizer in ALL {
        for clip_norm in [None, Some(2.0f32)] {
            let loss_scale = Some(LossScale { start: 64.0, grow_after: 3 });
            let mut session = session(UpdateConfig { clip_norm, average: Some(0.9), loss_scale, ..optimizer.into() });
            let mut wanted = references();
            let (mut scale, mut good) = (64.0f32, 0);
            for number in 0..12u32 {
                let gradients = gradients(number.into(), 1.0);
                let mut scaled: Vec<Vec<f32>> =
                    gradients.iter().map(|all| all.iter().map(|g| scale * g).collect()).collect();
                let before = moved(&session);
                match number {
                    0 => scaled[0][2] = f32::INFINITY,
                    1 | 9 => scaled[2][999] = f32::NAN,
                    8 => scaled[1][0] = f32::NEG_INFINITY,
                    _ => {}
                }
                step(&mut session, &scaled, [number, 1, 0.02f32.to_bits(), 0], 1.0);
                let what = format!("{optimizer:?} clipped at {clip_norm:?}, step {number}");
                if [0, 1, 8, 9].contains(&number) {
                    assert!(before == moved(&session), "{what}");
                    (scale, good) = (scale / 2.0, 0);
                } else {
                    let factor = clip_norm.map_or(1.0, |limit| (f64::from(limit) / (norm(&gradients) + 1e-6)).min(1.0));
                    for (wanted, gradients) in wanted.iter_mut().zip(&gradients) {
                        let pairs = wanted.iter_mut().zip(gradients);
                        pairs.for_each(|(w, &g)| w.step(optimizer, 0.02f32.into(), factor * f64::from(g), 0.9));
                    }
                    good += 1;
                    if good == 3 {
                        (scale, good) = (2.0 * scale, 0);
                    }
                }
                assert_eq!(session.read(LossScale::NAME).unwrap(), [scale], "{what}");
            }
            assert_near(&format!("{optimizer:?} scaled"), &session, &wanted, true);
        }
    }
}

/// Of three batches to a step the second overflows: the sum tells it, and the next step begins anew. The scale stays within a step.
#[test]
fn loss_scales_of_summed_gradients() {
    let update =
        UpdateConfig { accumulate: true, loss_scale: Some(LossScale { start: 64.0, grow_after: 1 }), ..ALL[3].into() };
    let mut session = session(update);
    let mut wanted = references();
    let scales = [64.0f32, 32.0, 64.0];
    for (number, scale) in scales.into_iter().enumerate() {
        let before = moved(&session);
        let batches: Vec<Vec<Vec<f32>>> = (0..3u64).map(|batch| gradients(100 * number as u64 + batch, 1.0)).collect();
        for (batch, gradients) in batches.iter().enumerate() {
            assert_eq!(session.read(LossScale::NAME).unwrap(), [scale]);
            let mut scaled: Vec<Vec<f32>> =
                gradients.iter().map(|all| all.iter().map(|g| scale * g).collect()).collect();
            if (number, batch) == (0, 1) {
                scaled[1][7] = f32::INFINITY;
            }
            let (first, hold) = ([FLAG_FIRST, 0, 0][batch], [FLAG_HOLD, FLAG_HOLD, 0][batch]);
            let flags = first | hold | updates_before(number as u32);
            step(&mut session, &scaled, [(3 * number + batch) as u32, 1, 0.02f32.to_bits(), flags], 4.0);
        }
        if number == 0 {
            assert!(before == moved(&session));
            continue;
        }
        for (p, wanted) in wanted.iter_mut().enumerate() {
            for (i, wanted) in wanted.iter_mut().enumerate() {
                let mean = (0..3).map(|b| f64::from(batches[b][p][i])).sum::<f64>() / 3.0;
                wanted.step(ALL[3], 0.02f32.into(), mean, 0.0);
            }
        }
    }
    assert_eq!(session.read(LossScale::NAME).unwrap(), [128.0]);
    assert_near("summed and scaled", &session, &wanted, false);
}

/// It does not fall below 1, nor rise above its most.
#[test]
fn loss_scales_have_ends() {
    for (start, gradient, end) in [(2.0, f32::NAN, LossScale::LEAST), (LossScale::MOST, 0.0, LossScale::MOST)] {
        let mut session =
            session(UpdateConfig { loss_scale: Some(LossScale { start, grow_after: 1 }), ..ALL[0].into() });
        for number in 0..3 {
            let gradients: Vec<Vec<f32>> = SIZES.iter().map(|&size| vec![gradient; size]).collect();
            step(&mut session, &gradients, [number, 1, 0, 0], 1.0);
        }
        assert_eq!(session.read(LossScale::NAME).unwrap(), [end]);
    }
}
