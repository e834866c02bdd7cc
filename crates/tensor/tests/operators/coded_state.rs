//! Optimisers whose state is in 8 bits, against f64: each step moves what was decoded exactly, and encodes it between the levels around.

use super::optimizers::{Reference, gradients_of, norm};
use frugal_tensor::ir::{Element, Graph, Init, KernelSet};
use frugal_tensor::ops::optimizer::{Adam, BLOCK, LossScale, Optimizer, RmsProp, Sgd, StateForm, UpdateConfig};
use frugal_tensor::step::{CONTROL, FLAG_FIRST, STATUS};
use frugal_tensor::{Plan, PlannedSession, Policy};
use frugal_testkit::{MomentMap, SETS, compare, gpu, options};
use std::collections::HashMap;

const SGD: Sgd = Sgd { momentum: 0.9, nesterov: false, weight_decay: 0.01 };
const ADAM: Adam = Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01, decoupled: false };
const RMS: RmsProp = RmsProp { alpha: 0.99, epsilon: 1e-8, momentum: 0.9, weight_decay: 0.01 };

const ALL: [Optimizer; 6] = [
    Optimizer::Sgd(SGD),
    Optimizer::Sgd(Sgd { nesterov: true, ..SGD }),
    Optimizer::Adam(ADAM),
    Optimizer::Adam(Adam { decoupled: true, ..ADAM }),
    Optimizer::RmsProp(RMS),
    Optimizer::RmsProp(RmsProp { momentum: 0.0, ..RMS }),
];

/// Not whole blocks, whole ones, and what stays in f32.
const SIZES: [usize; 3] = [5003, 8192, StateForm::LARGEST_IN_F32];
const START: f32 = 0.5;
const CODED: std::ops::Range<usize> = 0..2;

fn session(update: UpdateConfig, set: KernelSet) -> PlannedSession {
    let gpu = gpu();
    let mut g = Graph::new();
    let mut gradients = HashMap::new();
    for (index, size) in SIZES.into_iter().enumerate() {
        let p = g.parameter(&format!("p{index}"), [size], Init::Constant(START)).unwrap();
        gradients.insert(p, g.input(&format!("g{index}"), [size], Element::F32));
    }
    let loss = g.input("loss", [4], Element::F32);
    g.train(UpdateConfig { state: StateForm::EightBit, ..update }, loss, &gradients).unwrap();
    let options = options(&gpu, set);
    let plan = Plan::new(g, &Policy::raw(), options).unwrap();
    PlannedSession::new(gpu, vec![plan], 0).unwrap()
}

fn step(session: &mut PlannedSession, gradients: &[Vec<f32>], control: [u32; 4]) {
    let plan = &session.plans()[0];
    let bytes = |name: &str| -> Vec<u8> {
        match name {
            CONTROL => bytemuck::cast_slice(&control).to_vec(),
            "loss" => bytemuck::cast_slice(&[0.0f32, 0.0, 4.0, 0.0]).to_vec(),
            name => bytemuck::cast_slice(&gradients[name[1..].parse::<usize>().unwrap()]).to_vec(),
        }
    };
    let uploads: Vec<Vec<u8>> = plan.uploads().iter().map(|&id| bytes(&plan.graph.value(id).name)).collect();
    session.step(0, &uploads.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
    session.finished().unwrap();
}

/// Gradients over many magnitudes.
fn gradients(number: u64) -> Vec<Vec<f32>> {
    let spread = |(i, g): (usize, f32)| g * 10f32.powi(-((i % 11) as i32) / 2);
    gradients_of(&SIZES, number, 1.0).into_iter().map(|all| all.into_iter().enumerate().map(spread).collect()).collect()
}

/// The names of the moments that an optimiser keeps, and how they are coded.
fn moments(optimizer: Optimizer) -> Vec<(&'static str, MomentMap)> {
    let momentum = ("momentum", MomentMap::Signed);
    let square = ("square", MomentMap::Square);
    match optimizer {
        Optimizer::Sgd(_) => vec![momentum],
        Optimizer::RmsProp(RmsProp { momentum: 0.0, .. }) => vec![square],
        Optimizer::RmsProp(_) => vec![square, momentum],
        _ => vec![("mean", MomentMap::Signed), square],
    }
}

/// The scales of each moment of a parameter.
fn scales(session: &PlannedSession, parameter: usize, moments: usize) -> Vec<Vec<f64>> {
    let scales = session.read(&format!("p{parameter}.scales")).unwrap();
    let of = |moment: usize| scales.iter().skip(moment).step_by(moments).map(|&x| f64::from(x)).collect();
    (0..moments).map(of).collect()
}

/// The moments of a parameter as they decode, by their names.
fn decoded(session: &PlannedSession, optimizer: Optimizer, parameter: usize) -> Vec<(MomentMap, Vec<f64>)> {
    let moments = moments(optimizer);
    let scales = scales(session, parameter, moments.len());
    let of = |((name, map), scales): (&(&str, MomentMap), &Vec<f64>)| {
        let codes = session.read_words(&format!("p{parameter}.{name}")).unwrap();
        let mut elements = map.decode(&codes, scales, BLOCK);
        elements.truncate(SIZES[parameter]);
        (*map, elements)
    };
    moments.iter().zip(&scales).map(of).collect()
}

fn read(session: &PlannedSession, name: &str) -> Vec<f64> {
    session.read(name).unwrap().into_iter().map(f64::from).collect()
}

/// What a step should make of a parameter: the parameter, then its moments.
fn moved(
    session: &PlannedSession,
    optimizer: Optimizer,
    parameter: usize,
    steps: i32,
    gradients: &[f64],
) -> (Vec<f64>, Vec<Vec<f64>>) {
    let before = decoded(session, optimizer, parameter);
    let of = |map: MomentMap, i: usize| before.iter().find(|(m, _)| *m == map).map_or(0.0, |(_, all)| all[i]);
    let after = |(i, p): (usize, f64)| {
        let (m, v) = (of(MomentMap::Signed, i), of(MomentMap::Square, i));
        let mut reference = Reference { p, m, v, average: 0.0, steps };
        reference.step(optimizer, 0.01f32.into(), gradients[i], 0.0);
        reference
    };
    let after: Vec<Reference> = read(session, &format!("p{parameter}")).into_iter().enumerate().map(after).collect();
    let moment = |(map, _): &(MomentMap, Vec<f64>)| {
        after.iter().map(|r| if *map == MomentMap::Signed { r.m } else { r.v }).collect()
    };
    (after.iter().map(|r| r.p).collect(), before.iter().map(moment).collect())
}

/// Panics unless each block has the largest magnitude as its scale, and each element one of the two levels around it.
fn assert_between_levels(what: &str, map: MomentMap, got: &[f64], wanted: &[f64], scales: &[f64]) {
    for (block, (got, wanted)) in got.chunks(BLOCK).zip(wanted.chunks(BLOCK)).enumerate() {
        let largest = wanted.iter().fold(0.0f64, |most, x| most.max(x.abs()));
        let scale = scales[block];
        assert!((scale / largest - 1.0).abs() < 1e-5, "{what}: block {block} has the scale {scale} for {largest}");
        for (i, (got, wanted)) in got.iter().zip(wanted).enumerate() {
            let [below, above] = map.around((wanted / scale).clamp(-1.0, 1.0)).map(|level| level * scale);
            let slack = 1e-5 * wanted.abs() + 1e-9 * scale;
            let [below, above] = [below - slack, above + slack];
            // A number within rounding errors of a level may go either way.
            let near = map.around((got / scale).clamp(-1.0, 1.0)).map(|level| level * scale);
            let is_level = near.iter().any(|level| (level - got).abs() <= 1e-12 * scale);
            assert!(is_level && (below..=above).contains(got), "{what}: [{block}, {i}] {got} is not beside {wanted}");
        }
    }
}

fn check(
    what: &str,
    update: UpdateConfig,
    set: KernelSet,
    effective: impl Fn(&[Vec<f32>]) -> Vec<Vec<f64>>,
    factor: f32,
    flags: u32,
) {
    let optimizer = update.optimizer;
    let mut session = session(update, set);
    for number in 0..4u32 {
        let gradients = gradients(number.into());
        let seen = effective(&gradients);
        let wanted: Vec<_> = CODED.map(|p| moved(&session, optimizer, p, number as i32, &seen[p])).collect();
        let scaled: Vec<Vec<f32>> = gradients.iter().map(|all| all.iter().map(|g| factor * g).collect()).collect();
        let flags = if flags == 0 { 0 } else { flags | frugal_tensor::step::updates_before(number) };
        step(&mut session, &scaled, [number, 7, 0.01f32.to_bits(), flags]);
        for (p, (parameter, states)) in CODED.zip(&wanted) {
            let what = format!("{what} {optimizer:?} on {set:?}, step {number}, p{p}");
            compare(&what, &read(&session, &format!("p{p}")), parameter, 1e-5);
            let scales = scales(&session, p, states.len());
            for (((map, got), wanted), scales) in decoded(&session, optimizer, p).iter().zip(states).zip(&scales) {
                assert_between_levels(&format!("{what}, {map:?}"), *map, got, wanted, scales);
            }
        }
    }
}

fn as_they_are(gradients: &[Vec<f32>]) -> Vec<Vec<f64>> {
    gradients.iter().map(|all| all.iter().map(|&g| f64::from(g)).collect()).collect()
}

#[test]
fn a_step_moves_what_is_decoded_and_rounds_it_to_a_level_beside_it() {
    for set in SETS {
        for optimizer in ALL {
            check("plain", optimizer.into(), set, as_they_are, 1.0, 0);
        }
    }
}

/// All that can happen to gradients before: summed over micro-batches, multiplied by a loss scale, clipped.
#[test]
fn summed_scaled_and_clipped_gradients_move_coded_states() {
    for set in SETS {
        for optimizer in [ALL[1], ALL[3], ALL[4]] {
            let limit = 2.0f32;
            let loss_scale = Some(LossScale { start: 64.0, grow_after: 100 });
            let update = UpdateConfig { clip_norm: Some(limit), accumulate: true, loss_scale, ..optimizer.into() };
            let clipped = |gradients: &[Vec<f32>]| {
                let factor = (f64::from(limit) / (norm(gradients) + 1e-6)).min(1.0);
                assert!(factor < 1.0);
                let of = |all: Vec<f64>| all.into_iter().map(|g| factor * g).collect();
                as_they_are(gradients).into_iter().map(of).collect()
            };
            check("summed, scaled and clipped", update, set, clipped, 64.0, FLAG_FIRST);
        }
    }
}

/// Over many seeds the mean of what is decoded is what was encoded.
#[test]
fn rounding_is_right_in_the_mean() {
    // Nothing is left of what was before: the mean is the gradient, and the square its square.
    let optimizer = Optimizer::Adam(Adam { beta1: 0.0, beta2: 0.0, weight_decay: 0.0, ..ADAM });
    let gradients = gradients(3);
    for set in SETS {
        let mut session = session(optimizer.into(), set);
        let seeds = 64;
        let mut sums = [vec![0.0; SIZES[0]], vec![0.0; SIZES[0]]];
        for seed in 0..seeds {
            step(&mut session, &gradients, [seed, 11 * seed, 0, 0]);
            for (sum, (_, decoded)) in sums.iter_mut().zip(decoded(&session, optimizer, 0)) {
                sum.iter_mut().zip(decoded).for_each(|(sum, x)| *sum += x / f64::from(seeds));
            }
        }
        let scales = scales(&session, 0, 2);
        for (moment, (map, sum)) in [MomentMap::Signed, MomentMap::Square].into_iter().zip(&sums).enumerate() {
            let (mut squares, mut bias) = (0.0, 0.0);
            for (i, mean) in sum.iter().enumerate() {
                let g = f64::from(gradients[0][i]);
                let (wanted, scale) = (if moment == 0 { g } else { g * g }, scales[moment][i / BLOCK]);
                let [below, above] = map.around(wanted / scale).map(|level| level * scale);
                // Squares below all levels become the smallest.
                let wanted = if below == above { above } else { wanted };
                // The largest deviation of a mean of two levels.
                let deviation = 0.5 * (above - below) / f64::from(seeds).sqrt() + 1e-6 * wanted.abs();
                assert!((mean - wanted).abs() < 6.0 * deviation, "{set:?} {map:?}: [{i}] {mean} is not {wanted}");
                squares += ((mean - wanted) / deviation).powi(2);
                bias += (mean - wanted) / deviation;
            }
            let count = sum.len() as f64;
            assert!(squares / count < 1.2 && bias.abs() < 4.0 * count.sqrt(), "{set:?} {map:?}: {squares} {bias}");
        }
    }
}

/// Every square is above zero where a gradient was, and what is not finite stays within its block.
#[test]
fn hostile_gradients_meet_the_promise() {
    let optimizer = Optimizer::Adam(ADAM);
    for set in SETS {
        let mut session = session(optimizer.into(), set);
        let mut hostile: Vec<Vec<f32>> = SIZES.iter().map(|&size| vec![0.0; size]).collect();
        // A large one beside tiny ones; all tiny; nothing; infinity; NaN; so large that its square is infinite.
        (0..BLOCK).for_each(|i| hostile[0][i] = if i == 7 { -1e3 } else { 1e-12 });
        (BLOCK..2 * BLOCK).for_each(|i| hostile[0][i] = 1e-15);
        hostile[0][3 * BLOCK] = f32::INFINITY;
        hostile[0][4 * BLOCK + 255] = f32::NAN;
        hostile[0][5 * BLOCK + 1] = -1e30;
        hostile[0][6 * BLOCK + 9] = 1e-3;
        for number in 0..3 {
            // Without a pull, which would be a gradient.
            session.write("p0", &vec![0.0; SIZES[0]]).unwrap();
            step(&mut session, &hostile, [number, 7, 0.01f32.to_bits(), 0]);
        }
        let [mean, square]: [Vec<f64>; 2] =
            decoded(&session, optimizer, 0).into_iter().map(|(_, all)| all).collect::<Vec<_>>().try_into().unwrap();
        assert!(square[..2 * BLOCK].iter().all(|v| *v > 0.0), "{set:?}");
        assert!(mean[7] < -100.0 && mean[..BLOCK].iter().all(|m| m.is_finite()), "{set:?}");
        let nothing = 2 * BLOCK..3 * BLOCK;
        assert!(mean[nothing.clone()].iter().chain(&square[nothing]).all(|x| *x == 0.0), "{set:?}");
        for block in [3, 4] {
            assert!(mean[block * BLOCK..(block + 1) * BLOCK].iter().all(|m| m.is_nan()), "{set:?} {block}");
        }
        assert!(square[5 * BLOCK..6 * BLOCK].iter().all(|v| v.is_nan()), "{set:?}");
        assert!(mean[6 * BLOCK + 9] > 0.0 && mean[6 * BLOCK..].iter().all(|m| m.is_finite()), "{set:?}");
        let w = session.read("p0").unwrap();
        assert!(w[..2 * BLOCK].iter().all(|w| w.abs() < 0.1), "{set:?}: a step is no longer than a few rates");
    }
}

/// Codes, scales and parameters stay to the bit where a step does not count, and the same steps give the same codes.
#[test]
fn a_step_that_does_not_count_leaves_codes_as_they_are() {
    for set in SETS {
        for optimizer in ALL {
            let all = |session: &PlannedSession| -> Vec<Vec<u32>> {
                let graph = &session.plans()[0].graph;
                let lasting = graph.values().iter().filter(|v| v.is_persistent() && v.name != STATUS);
                lasting.map(|v| session.read_words(&v.name).unwrap()).collect()
            };
            let mut one = session(optimizer.into(), set);
            let mut other = session(optimizer.into(), set);
            step(&mut one, &gradients(1), [0, 1, 0.1f32.to_bits(), 0]);
            step(&mut other, &gradients(1), [0, 1, 0.1f32.to_bits(), 0]);
            let before = all(&one);
            other.write_words(STATUS, &[1, 0, 0, 0]).unwrap();
            step(&mut other, &gradients(2), [1, 1, 0.1f32.to_bits(), 0]);
            assert!(before == all(&other), "{set:?} {optimizer:?}");
            other.write_words(STATUS, &[0; 4]).unwrap();
            step(&mut one, &gradients(3), [1, 1, 0.1f32.to_bits(), 0]);
            step(&mut other, &gradients(3), [1, 1, 0.1f32.to_bits(), 0]);
            assert!(before != all(&other) && all(&one) == all(&other), "{set:?} {optimizer:?}");
        }
    }
}

/// Large parameters take a byte and a share of a scale for each moment; small ones four bytes.
#[test]
fn states_in_8_bits_take_a_quarter() {
    for optimizer in ALL {
        let session = session(optimizer.into(), KernelSet::Registers);
        let plan = &session.plans()[0];
        let moments = moments(optimizer).len() as u64;
        let coded: u64 = CODED.map(|p| SIZES[p].div_ceil(4) as u64 * 4 + 4 * SIZES[p].div_ceil(BLOCK) as u64).sum();
        assert_eq!(plan.bytes(&[], &[plan]).optimizer, moments * (coded + 4 * SIZES[2] as u64));
    }
}
