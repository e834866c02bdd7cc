//! Every form again, on the CPU, element by element as the documentation has it: kernels must give the same bits.
//!
//! Single precision is taken to round each operation to the nearest, as drivers do for sums and products. Quotients may be
//! off by 2.5 last places: those of means, steps and 1/s are rounded to bf16 or made of bf16, which hides it, but for parity
//! (2^Q − 1)/(max − min) goes into codes as it is, and next to a threshold a code may differ by one.

use super::float8::{nearest, scale, value};
use super::{Trip, hostile, shapes};
use frugal_tensor::codec::{Codec, F16, Float8, FrequencySplit, Site, Uniform, mask};
use frugal_tensor::ir::{Element, Graph, Interval, Shape};
use frugal_tensor::ops::pool::MaxPool;
use frugal_tensor::ops::pool::window_index;
use frugal_tensor::random::{Stream, hash, unit};
use frugal_tensor::{Plan, PlannedSession, Policy};
use frugal_testkit::{SETS, gpu, options};

/// What a kernel must give. Words that no decoding reads (codes of what is not finite) are `None`.
struct Expected {
    words: Vec<Option<u32>>,
    decoded: Vec<f32>,
}

/// The stream of an encoder of `x` at the root of a graph, whose output has this name.
fn stream(output: &str, step: u32) -> Stream {
    let purpose = format!("x.{output}").bytes().fold(0, |key, byte| hash(key ^ u32::from(byte)));
    Stream::of_step(purpose, 7, step)
}

fn bf16(half: u32) -> f32 {
    f32::from_bits(half << 16)
}

fn bf16_nearest(x: f32) -> u32 {
    (x.to_bits() + 0x7fff + (x.to_bits() >> 16 & 1)) >> 16
}

fn bf16_down(x: f32) -> u32 {
    (x.to_bits() + if x.is_sign_negative() { 0xffff } else { 0 }) >> 16
}

fn bf16_up(x: f32) -> u32 {
    (x.to_bits() + 0xffff) >> 16
}

/// How the rests of one group or plane are coded.
struct Coder {
    range: u32,
    m: f32,
    scale: f32,
    levels: f32,
    parity: bool,
}

impl Coder {
    /// None if something is not finite, or the range is too wide for a single.
    fn new(rests: &[f32], bits: usize, parity: bool) -> Option<Self> {
        let low = rests.iter().copied().fold(f32::INFINITY, f32::min);
        let high = rests.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let levels = ((1u32 << bits) - 1) as f32;
        if rests.iter().any(|x| !x.is_finite()) || !(high - low).is_finite() {
            return None;
        }
        if parity {
            let scale = levels / (high - low + 2e-6);
            let range = bf16_nearest(low) | bf16_nearest(scale) << 16;
            return Some(Self { range, m: low, scale, levels, parity });
        }
        let m = bf16(bf16_down(low));
        let width = (high - m) * (1.0 + 1e-6f64) as f32;
        let step = bf16_up(width / levels).max(0x80);
        let scale = if bf16(step).is_finite() { 1.0 / bf16(step) } else { return None };
        Some(Self { range: bf16_down(low) | step << 16, m, scale, levels, parity })
    }

    fn code(&self, rest: f32, u: f32) -> u32 {
        let exact = (rest - self.m) * self.scale + u;
        let q = if self.parity { (exact - 0.5).round_ties_even() } else { exact.floor() };
        q.clamp(0.0, self.levels) as u32
    }

    fn value(&self, code: u32) -> f32 {
        let [m, s] = [bf16(self.range & 0xffff), bf16(self.range >> 16)];
        if self.parity { code as f32 / s + m } else { m + code as f32 * s }
    }
}

/// Codes of `rests`, whose first is element `first` of the value, and what they decode to.
fn codes(rests: &[f32], bits: usize, coder: &Coder, stream: Stream, first: usize) -> (Vec<u32>, Vec<f32>) {
    let mut words = vec![0; (rests.len() * bits).div_ceil(32)];
    let mut values = Vec::new();
    for (i, rest) in rests.iter().enumerate() {
        let code = coder.code(*rest, unit(stream.word((first + i) as u32)));
        words[i * bits / 32] |= code << (i * bits % 32);
        values.push(coder.value(code));
    }
    (words, values)
}

const NOT_FINITE: u32 = 0x7fc0_7fc0;

fn uniform(codec: &Uniform, x: &[f32], step: u32) -> Expected {
    // The last vector of four is filled up with its first element.
    let padding = vec![x[x.len() / 4 * 4 % x.len()]; x.len().next_multiple_of(4) - x.len()];
    let padded = [x, &padding].concat();
    let (mut ranges, mut all_codes, mut decoded) = (Vec::new(), Vec::new(), Vec::new());
    for (group, rests) in padded.chunks(codec.group).enumerate() {
        match Coder::new(rests, codec.bits, false) {
            None => {
                ranges.push(Some(NOT_FINITE));
                all_codes.extend(vec![None; (rests.len() * codec.bits).div_ceil(32)]);
                decoded.extend(vec![f32::NAN; rests.len()]);
            }
            Some(coder) => {
                let (words, values) = codes(rests, codec.bits, &coder, stream("uniform", step), group * codec.group);
                ranges.push(Some(coder.range));
                all_codes.extend(words.into_iter().map(Some));
                decoded.extend(values);
            }
        }
    }
    ranges.extend(all_codes);
    decoded.truncate(x.len());
    Expected { words: ranges, decoded }
}

/// Sums as the kernels do: lanes of four add up side by side where rows, blocks and cells are whole lanes.
fn sum(values: &[f32], vector: bool) -> f32 {
    let of_lane = |lane: usize| values.iter().skip(lane).step_by(4).fold(0.0, |sum, x| sum + x);
    if vector { (of_lane(0) + of_lane(1)) + (of_lane(2) + of_lane(3)) } else { values.iter().fold(0.0, |s, x| s + x) }
}

fn frequency_split(codec: &FrequencySplit, shape: &Shape, x: &[f32], step: u32) -> Expected {
    let [_, _, h, w] = shape.nchw().unwrap();
    let [down, across, block] = codec.means(h, w);
    let stretched = if codec.parity { w % (4 * across) == 0 } else { w % 4 == 0 };
    let vector = block % 4 == 0 && stretched;
    let (mut words, mut decoded) = (Vec::new(), Vec::new());
    for (number, plane) in x.chunks(h * w).enumerate() {
        let mean = |cell: usize| {
            let [y, x] = [cell / across * block, cell % across * block];
            let rows = (y..(y + block).min(h)).flat_map(|y| &plane[y * w + x..y * w + (x + block).min(w)]);
            let values: Vec<f32> = rows.copied().collect();
            bf16_nearest(sum(&values, vector) / values.len() as f32)
        };
        let finite = plane.iter().all(|x| x.is_finite());
        let means: Vec<u32> = if finite { (0..down * across).map(mean).collect() } else { vec![0; down * across] };
        let cell = |place: usize, cells: usize, extent: usize| {
            if codec.parity { place * cells / extent } else { place / block }
        };
        let mean_at = |i: usize| bf16(means[cell(i / w, down, h) * across + cell(i % w, across, w)]);
        let rests: Vec<f32> = plane.iter().enumerate().map(|(i, x)| x - mean_at(i)).collect();
        let coder = if finite { Coder::new(&rests, codec.bits, codec.parity) } else { None };
        let Some(coder) = coder else {
            words.push(Some(NOT_FINITE));
            words.resize(words.len() - 1 + codec.plane_words(h, w).iter().sum::<usize>(), None);
            decoded.extend(vec![f32::NAN; h * w]);
            continue;
        };
        let output = stream("frequency_split", step);
        let (packed, values) = codes(&rests, codec.bits, &coder, output, number * h * w);
        let mut halves = means.clone();
        let [.., whole] = codec.plane_words(h, w);
        // The last codes, beside the last mean.
        halves.extend(&packed[whole..]);
        words.push(Some(coder.range));
        words.extend(halves.chunks(2).map(|pair| Some(pair[0] | pair.get(1).map_or(0, |half| half << 16))));
        words.extend(packed[..whole].iter().copied().map(Some));
        decoded.extend(values.iter().enumerate().map(|(i, value)| mean_at(i) + value));
    }
    Expected { words, decoded }
}

fn f16(x: &[f32]) -> Expected {
    let halves: Vec<half::f16> = x.iter().map(|&x| half::f16::from_f32(x)).collect();
    let word =
        |pair: &[half::f16]| u32::from(pair[0].to_bits()) | pair.get(1).map_or(0, |h| u32::from(h.to_bits()) << 16);
    let words = halves.chunks(2).map(|pair| Some(word(pair))).collect();
    Expected { words, decoded: halves.iter().map(|half| half.to_f32()).collect() }
}

fn float8(codec: &Float8, x: &[f32]) -> Expected {
    let (mut scales, mut codes, mut decoded) = (Vec::new(), Vec::new(), Vec::new());
    for x in x.chunks(codec.group) {
        let top = x.iter().filter(|x| x.is_finite()).fold(0f32, |top, x| top.max(x.abs()));
        let s = scale(top);
        scales.push(Some((s as f32).to_bits()));
        for &x in x {
            let code = nearest(x, s);
            codes.push(code);
            decoded.push((value(code) * s) as f32);
        }
    }
    codes.resize(codes.len().next_multiple_of(4), 0);
    let words = codes.chunks(4).map(|codes| Some(u32::from_le_bytes(codes.try_into().unwrap())));
    Expected { words: scales.into_iter().chain(words).collect(), decoded }
}

/// Compares on all kernel sets and all hostile inputs.
///
/// Of a thousand words `most_others` may differ; what they decode to is then not compared.
fn same_bits(codec: &dyn Codec, most_others: usize, expected: &dyn Fn(&Shape, &[f32], u32) -> Expected) {
    let gpu = gpu();
    // The last is more than one invocation can walk over on every driver.
    for shape in shapes().into_iter().chain([Shape::from([2, 1, 256, 256])]) {
        let mut graph = Graph::new();
        let input = graph.input("x", shape.clone(), Element::F32);
        let value = graph.value(input).clone();
        let attached = codec.attach(&mut graph, &Site { source: input, mask: None }).unwrap();
        if attached.encode.outputs(&[&value]).is_err() {
            continue;
        }
        for set in SETS {
            let mut trip = Trip::new(&gpu, set, codec, &shape);
            for (step, (name, x)) in hostile(&shape).into_iter().enumerate() {
                let what = format!("{name} {shape}, {codec:?} on {set:?}");
                let (words, decoded) = trip.run(&x, step as u32);
                let wanted = expected(&shape, &x, step as u32);
                assert_eq!(words.len(), wanted.words.len(), "{what}");
                let differ = |(got, wanted): &(&u32, &Option<u32>)| wanted.is_some_and(|wanted| wanted != **got);
                let others: Vec<_> = words.iter().zip(&wanted.words).filter(differ).collect();
                assert!(
                    others.len() <= most_others * words.len() / 1000,
                    "{what}: {:08x?}",
                    &others[..others.len().min(5)]
                );
                if !others.is_empty() {
                    continue;
                }
                for (i, (got, wanted)) in decoded.iter().zip(&wanted.decoded).enumerate() {
                    let same = got.to_bits() == wanted.to_bits() || (got.is_nan() && wanted.is_nan());
                    assert!(same, "{what}: element {i}, {:e}, became {got:e}, not {wanted:e}", x[i]);
                }
            }
        }
    }
}

#[test]
fn f16_is_as_documented_to_the_bit() {
    same_bits(&F16, 0, &|_, x, _| f16(x));
}

#[test]
fn float8_is_as_documented_to_the_bit() {
    for group in [16, 64, 256, 1024] {
        let codec = Float8 { group };
        same_bits(&codec, 0, &|_, x, _| float8(&codec, x));
    }
}

#[test]
fn uniform_is_as_documented_to_the_bit() {
    for (bits, group) in [(1, 32), (2, 256), (4, 64), (8, 1024)] {
        let codec = Uniform { bits, group };
        same_bits(&codec, 0, &|_, x, step| uniform(&codec, x, step));
    }
}

#[test]
fn frequency_split_is_as_documented_to_the_bit() {
    for parity in [false, true] {
        for (block, bits) in [(8, 1), (8, 2), (4, 4), (5, 8)] {
            let codec = FrequencySplit { block, bits, parity };
            // The quotient that codes are made with is of full precision only here: llvmpipe multiplies by a reciprocal.
            same_bits(&codec, usize::from(parity), &|shape, x, step| frequency_split(&codec, shape, x, step));
        }
    }
}

/// The bits of the mask, and the places in windows that max pooling notes.
#[test]
fn masks_and_window_indices_are_as_documented_to_the_bit() {
    let gpu = gpu();
    for (shape, kernel, stride, padding) in
        [([2, 3, 8, 8], 2, 2, 0), ([1, 2, 9, 17], 3, 2, 1), ([3, 1, 7, 7], 5, 1, 2), ([1, 1, 64, 64], 4, 4, 0)]
    {
        let pool = MaxPool { kernel: [kernel; 2], stride: [stride; 2], padding: [padding; 2] };
        for set in SETS {
            let mut graph = Graph::new();
            let x = graph.input("x", shape, Element::F32);
            let mask = graph.apply_one(mask::EncodeMask(Interval::POSITIVE), &[x]).unwrap();
            let [pooled, index] = graph.apply(pool, &[x]).unwrap()[..] else { unreachable!() };
            [mask, pooled, index].iter().for_each(|&id| graph.mark_metric(id));
            let [_, _, out_h, out_w] = graph.shape(pooled).nchw().unwrap();
            let plan = Plan::new(graph, &Policy::raw(), options(&gpu, set)).unwrap();
            let mut session = PlannedSession::new(gpu.clone(), vec![plan], 0).unwrap();
            for (name, x) in hostile(&Shape::from(shape)) {
                session.step(0, &[bytemuck::cast_slice(&x)]).unwrap();
                session.finished().unwrap();
                let read = |id| session.read_value(0, id).unwrap();
                let mut wanted = vec![0u32; x.len().div_ceil(32)];
                x.iter().enumerate().for_each(|(i, x)| wanted[i / 32] |= u32::from(*x > 0.0) << (i % 32));
                assert_eq!(read(mask), wanted, "mask of {name} {shape:?} on {set:?}");

                let [_, _, h, w] = shape;
                let places = kernel * kernel;
                let per_word = window_index::per_word(places);
                let outputs = shape[0] * shape[1] * out_h * out_w;
                let mut wanted = vec![0u32; window_index::words(outputs, places)];
                for output in 0..outputs {
                    let [plane, oy, ox] = [output / (out_h * out_w), output / out_w % out_h, output % out_w];
                    let mut best: Option<(f32, usize)> = None;
                    for place in 0..kernel * kernel {
                        let y = (oy * stride + place / kernel).wrapping_sub(padding);
                        let x_ = (ox * stride + place % kernel).wrapping_sub(padding);
                        let Some(&value) = (y < h && x_ < w).then(|| &x[(plane * h + y) * w + x_]) else { continue };
                        // The first of equals, but a NaN wins over all.
                        let wins = best.is_none_or(|(so_far, _)| value > so_far || value.is_nan());
                        if wins {
                            best = Some((value, place));
                        }
                    }
                    let unit = (places as u32).pow((output % per_word) as u32);
                    wanted[output / per_word] += best.unwrap().1 as u32 * unit;
                }
                assert_eq!(read(index), wanted, "window index of {name} {shape:?} on {set:?}");
            }
        }
    }
}
