//! What codecs promise, on hostile input and on every kernel set.

mod common;

use common::{SETS, gpu, options};
use frugal_tensor::codec::mask::EncodeMask;
use frugal_tensor::codec::{Codec, FrequencySplit};
use frugal_tensor::graph::{Element, Graph, Shape, Value};
use frugal_tensor::ops::KernelSet;
use frugal_tensor::random::Stream;
use frugal_tensor::{Gpu, Plan, Policy, Session};
use std::rc::Rc;

/// Encodes and decodes; returns the words and the elements.
fn round_trip(
    gpu: &Rc<Gpu>,
    set: KernelSet,
    codec: &dyn Codec,
    shape: &Shape,
    x: &[f32],
    step: u32,
) -> (Vec<u32>, Vec<f32>) {
    let mut graph = Graph::new();
    let input = graph.input("x", shape.clone(), Element::F32);
    let control = graph.control();
    let value: Value = graph.value(input).clone();
    let words = graph.apply_shared(codec.encode(&value), &[input, control]).unwrap()[0];
    let decoded = graph.apply_shared(codec.decode(&value), &[words]).unwrap()[0];
    graph.mark_metric(words);
    graph.mark_metric(decoded);
    let plan = Plan::new(graph, &Policy::raw(), options(gpu, set)).unwrap();
    let mut session = Session::new(gpu.clone(), vec![plan], 0).unwrap();
    let control = [step, 7, 0, 0];
    session.step(0, &[bytemuck::cast_slice(x), bytemuck::cast_slice(&control)]).unwrap();
    session.finished().unwrap();
    let decoded = session.read_value(0, decoded).unwrap();
    (session.read_value(0, words).unwrap(), decoded.into_iter().map(f32::from_bits).collect())
}

/// The mean of each element's block, in f64.
fn block_means(codec: &FrequencySplit, [h, w]: [usize; 2], plane: &[f32]) -> Vec<f64> {
    let b = codec.block;
    (0..h * w)
        .map(|i| {
            let (y, x) = (i / w / b * b, i % w / b * b);
            let cells = (y..(y + b).min(h)).flat_map(|y| (x..(x + b).min(w)).map(move |x| y * w + x));
            let values: Vec<f64> = cells.map(|j| f64::from(plane[j])).collect();
            values.iter().sum::<f64>() / values.len() as f64
        })
        .collect()
}

/// |x̂ − x| ≤ step, with the step at most what the module's documentation allows.
fn keeps_promise(what: &str, codec: &FrequencySplit, shape: &Shape, x: &[f32], decoded: &[f32]) {
    let [_, _, h, w] = shape.nchw().unwrap();
    let levels = f64::from((1u32 << codec.bits) - 1);
    for (plane, (x, y)) in x.chunks(h * w).zip(decoded.chunks(h * w)).enumerate() {
        if x.iter().any(|x| !x.is_finite()) {
            assert!(y.iter().all(|y| y.is_nan()), "{what}: plane {plane} is not finite, its decoding is");
            continue;
        }
        let means = block_means(codec, [h, w], x);
        let bf16 = 1.0 / 128.0;
        // The block mean itself is rounded to bf16, which moves every rest of the block.
        let shift = means.iter().fold(0.0, |m: f64, c| m.max(c.abs())) * bf16;
        let rests: Vec<f64> = x.iter().zip(&means).map(|(x, m)| f64::from(*x) - m).collect();
        let low = rests.iter().copied().fold(f64::INFINITY, f64::min) - shift;
        let high = rests.iter().copied().fold(f64::NEG_INFINITY, f64::max) + shift;
        let step = (high - low + low.abs() * bf16) / levels * (1.0 + bf16);
        let largest = x.iter().fold(0.0, |m: f64, x| m.max(f64::from(x.abs())));
        for (i, (x, y)) in x.iter().zip(y).enumerate() {
            let off = (f64::from(*x) - f64::from(*y)).abs();
            assert!(
                off <= step + 1e-6 * largest + 1e-37,
                "{what}: plane {plane} element {i}: {x} became {y}, off by {off}, step {step}"
            );
        }
    }
}

fn hostile(shape: &Shape) -> Vec<(&'static str, Vec<f32>)> {
    let n = shape.elements();
    let random = |scale: f32, stream: u64| -> Vec<f32> {
        Stream::new(3, stream).uniform().take(n).map(|u| (2.0 * u - 1.0) * scale).collect()
    };
    let spikes = |a: f32, b: f32| (0..n).map(|i| if i % 2 == 0 { a } else { b }).collect();
    let with = |at: usize, value: f32| {
        let mut x = random(1.0, 4);
        x[at % n] = value;
        x
    };
    vec![
        ("uniform", random(1.0, 1)),
        ("rectified", random(1.0, 2).into_iter().map(|x| x.max(0.0)).collect()),
        ("zeros", vec![0.0; n]),
        ("minus zeros", vec![-0.0; n]),
        ("all equal", vec![3.140_625; n]),
        ("all equal, no bf16", vec![0.1; n]),
        ("huge", random(1e30, 3)),
        ("tiny", random(1e-30, 5)),
        ("denormal", random(1e-40, 6)),
        ("spikes", spikes(1.0, -1e6)),
        ("one spike", with(n / 2, 1e20)),
        ("far from zero", random(1e-3, 7).into_iter().map(|x| 1000.0 + x).collect()),
        ("NaN", with(0, f32::NAN)),
        ("infinity", with(n - 1, f32::INFINITY)),
        ("minus infinity", with(n / 3, f32::NEG_INFINITY)),
        ("range beyond singles", spikes(3e38, -3e38)),
    ]
}

#[test]
fn frequency_split_keeps_its_promise() {
    let gpu = gpu();
    for [n, c, h, w] in
        [[1, 1, 8, 8], [2, 3, 14, 14], [1, 2, 28, 28], [3, 5, 7, 7], [1, 3, 9, 17], [1, 1, 2, 300], [1, 2, 64, 64]]
    {
        let shape = Shape::from([n, c, h, w]);
        for bits in [1, 2, 4, 8] {
            let codec = FrequencySplit { block: 8, bits };
            for (name, x) in hostile(&shape) {
                for set in SETS {
                    let what = format!("{name} {shape} {bits} bits on {set:?}");
                    let (words, decoded) = round_trip(&gpu, set, &codec, &shape, &x, 1);
                    assert_eq!(Some(words.len()), codec.words(&shape), "{what}");
                    // Ranges too wide for a single may decode to NaN, never to something small.
                    if name != "range beyond singles" {
                        keeps_promise(&what, &codec, &shape, &x, &decoded);
                    } else {
                        assert!(decoded.iter().all(|y| y.is_nan() || y.abs() > 1e37), "{what}");
                    }
                }
            }
        }
    }
}

#[test]
fn frequency_split_serves_more_planes_than_one_dimension_of_workgroups() {
    let gpu = gpu();
    let shape = Shape::from([70_001, 1, 8, 8]);
    let x: Vec<f32> = Stream::new(5, 0).uniform().take(shape.elements()).collect();
    let codec = FrequencySplit::default();
    for set in [KernelSet::Tiles, KernelSet::Registers] {
        let (_, decoded) = round_trip(&gpu, set, &codec, &shape, &x, 0);
        keeps_promise("many planes", &codec, &shape, &x, &decoded);
    }
}

/// One plane, coded 4,096 times with other random numbers: the mean of what comes back is what went in.
#[test]
fn frequency_split_is_unbiased() {
    let gpu = gpu();
    let copies = 4096;
    let shape = Shape::from([copies, 1, 8, 8]);
    let plane: Vec<f32> = Stream::new(9, 0).uniform().take(64).map(|u| u * u).collect();
    let x: Vec<f32> = (0..copies).flat_map(|_| plane.clone()).collect();
    let (words, decoded) = round_trip(&gpu, gpu.adapter().kernel_set(), &FrequencySplit::default(), &shape, &x, 3);
    let step = f64::from(f32::from_bits(words[0] & 0xffff_0000));
    for (i, x) in plane.iter().enumerate() {
        let mean = (0..copies).map(|k| f64::from(decoded[64 * k + i])).sum::<f64>() / copies as f64;
        // A rounding between two levels has a deviation of at most half a step.
        let deviation = 0.5 * step / (copies as f64).sqrt();
        assert!(
            (mean - f64::from(*x)).abs() < 5.0 * deviation,
            "element {i}: {x} on average {mean}, deviation {deviation}"
        );
    }
}

#[test]
fn random_numbers_differ_from_step_to_step_and_repeat_for_a_step() {
    let gpu = gpu();
    let shape = Shape::from([4, 1, 8, 8]);
    let x: Vec<f32> = Stream::new(9, 1).uniform().take(shape.elements()).collect();
    let code = |step| round_trip(&gpu, gpu.adapter().kernel_set(), &FrequencySplit::default(), &shape, &x, step).0;
    assert_eq!(code(5), code(5));
    assert_ne!(code(5), code(6));
}

/// The paper's sizes: 2.25 bits an element on large planes, 2.98 at 7×7 before packing into words.
#[test]
fn frequency_split_takes_what_the_paper_says() {
    let bits = |h: usize| {
        let words: usize = FrequencySplit::default().plane_words(h, h).iter().sum();
        32.0 * words as f64 / (h * h) as f64
    };
    assert!(bits(56) < 2.27, "{}", bits(56));
    assert!(bits(32) < 2.30, "{}", bits(32));
    assert!(bits(8) <= 3.0, "{}", bits(8));
    assert!(bits(7) < 4.0, "{}", bits(7));
}

#[test]
fn mask_is_exact() {
    let gpu = gpu();
    for n in [1, 2, 31, 32, 33, 127, 2049, 100_003] {
        let specials = [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MIN_POSITIVE, -f32::MIN_POSITIVE];
        let x: Vec<f32> = Stream::new(1, n as u64)
            .uniform()
            .take(n)
            .enumerate()
            .map(|(i, u)| if i % 5 == 0 { specials[i / 5 % specials.len()] } else { u - 0.5 })
            .collect();
        for set in SETS {
            let mut graph = Graph::new();
            let input = graph.input("x", [n], Element::F32);
            let words = graph.apply_one(EncodeMask, &[input]).unwrap();
            graph.mark_metric(words);
            let plan = Plan::new(graph, &Policy::raw(), options(&gpu, set)).unwrap();
            let mut session = Session::new(gpu.clone(), vec![plan], 0).unwrap();
            session.step(0, &[bytemuck::cast_slice(&x)]).unwrap();
            let words = session.finished().unwrap().pop().unwrap().words;
            for (i, x) in x.iter().enumerate() {
                let bit = words[i / 32] >> (i % 32) & 1;
                assert_eq!(bit == 1, *x > 0.0, "element {i} of {n}: {x}");
            }
        }
    }
}

/// Two convolutions read concatenations of the same parts: each part is coded once, and what is put together again from
/// decoded parts gives the gradient that the parts themselves give.
#[test]
fn parts_of_concatenations_are_coded_once() {
    use frugal_tensor::graph::Init;
    let gpu = gpu();
    let shape = [3, 4, 12, 12];
    for set in SETS {
        let mut gradients: Vec<Vec<f64>> = Vec::new();
        for policy in [Policy::raw(), Policy::with(FrequencySplit { block: 4, bits: 8 })] {
            let coded = policy.codec.is_some();
            let mut g = Graph::new();
            let images = g.input("images", shape, Element::F32);
            let scale = g.parameter("scale", [4], Init::Constant(0.25)).unwrap();
            let a = g.bias(images, scale).unwrap();
            let b = g.relu(a).unwrap();
            let w = ["w0", "w1"].map(|name| g.parameter(name, [2, 8, 3, 3], Init::Constant(0.5)).unwrap());
            let first = g.concat(&[a, b]).unwrap();
            let first = g.conv2d(first, w[0], [1, 1], [1, 1]).unwrap();
            let second = g.concat(&[b, a]).unwrap();
            let second = g.conv2d(second, w[1], [1, 1], [1, 1]).unwrap();
            let sum = g.add(first, second).unwrap();
            let arriving = g.input("arriving", [3, 2, 12, 12], Element::F32);
            let of = g.differentiate(&[(sum, Some(arriving))]).unwrap();
            let wanted = [of[&w[0]], of[&w[1]], of[&scale]];
            wanted.iter().for_each(|&id| g.mark_metric(id));
            let plan = Plan::new(g, &policy, options(&gpu, set)).unwrap();
            let forms: Vec<&str> = plan.stored.iter().map(|stored| stored.form).collect();
            let values = forms.iter().filter(|form| **form != "mask").count();
            assert_eq!(values, 2, "{forms:?}");
            assert!(forms.contains(&"frequency-split") == coded, "{forms:?}");
            let mut session = Session::new(gpu.clone(), vec![plan], 0).unwrap();
            let mut numbers = Stream::new(3, 0).uniform().map(|u| 2.0 * u - 1.0);
            let images: Vec<f32> = numbers.by_ref().take(shape.iter().product()).collect();
            let arriving: Vec<f32> = numbers.take(3 * 2 * 144).collect();
            let control = [0u32; 4];
            let mut uploads: Vec<&[u8]> = vec![bytemuck::cast_slice(&images), bytemuck::cast_slice(&arriving)];
            if coded {
                uploads.push(bytemuck::cast_slice(&control));
            }
            session.step(0, &uploads).unwrap();
            session.finished().unwrap();
            let read = |id| session.read_value(0, id).unwrap().into_iter().map(|w| f64::from(f32::from_bits(w)));
            gradients.push(wanted.into_iter().flat_map(read).collect());
        }
        common::compare(&format!("gradients on {set:?}"), &gradients[1], &gradients[0], 0.005);
    }
}
