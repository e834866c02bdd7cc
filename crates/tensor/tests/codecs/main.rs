//! What codecs promise, on hostile input and on every kernel set.

mod concatenation;
mod error_bounded;
mod f16;
mod float8;
mod frequency_split;
mod large;
mod mask;
mod nonzero;
mod reference;
mod slices;
mod theory;
mod training;
mod uniform;

use frugal_tensor::codec::{Codec, F16, Float8, FrequencySplit, Site, Uniform};
use frugal_tensor::ir::{Element, Graph, KernelSet, Shape, ValueId};
use frugal_tensor::ops::activation::Activation;
use frugal_tensor::random::Stream;
use frugal_tensor::step::CONTROL;
use frugal_tensor::{Gpu, Plan, PlannedSession, Policy};
use frugal_testkit::{SETS, STEP, f16_gpu, gpu, options};
use std::rc::Rc;

/// Encodes and decodes values of one shape.
struct Trip {
    session: PlannedSession,
    words: ValueId,
    decoded: ValueId,
}

impl Trip {
    fn new(gpu: &Rc<Gpu>, set: KernelSet, codec: &dyn Codec, shape: &Shape) -> Self {
        let mut graph = Graph::new();
        let input = graph.input("x", shape.clone(), Element::F32);
        let control = graph.control();
        let attached = codec.attach(&mut graph, &Site { source: input, mask: None }).unwrap();
        assert_eq!(attached.encode_reads, [control]);
        let [words, decoded] = attached.round_trip(&mut graph, input).unwrap();
        graph.mark_metric(words);
        graph.mark_metric(decoded);
        let plan = Plan::new(graph, &Policy::raw(), options(gpu, set)).unwrap();
        Self { session: PlannedSession::new(gpu.clone(), vec![plan], 0).unwrap(), words, decoded }
    }

    /// The words and the elements that come of them.
    fn run(&mut self, x: &[f32], step: u32) -> (Vec<u32>, Vec<f32>) {
        let control = [step, 7, 0, 0];
        self.session.step(0, &[bytemuck::cast_slice(x), bytemuck::cast_slice(&control)]).unwrap();
        self.session.finished().unwrap();
        let decoded = self.session.read_value(0, self.decoded).unwrap();
        (self.session.read_value(0, self.words).unwrap(), decoded.into_iter().map(f32::from_bits).collect())
    }
}

/// One trip.
fn round_trip(
    gpu: &Rc<Gpu>,
    set: KernelSet,
    codec: &dyn Codec,
    shape: &Shape,
    x: &[f32],
    step: u32,
) -> (Vec<u32>, Vec<f32>) {
    Trip::new(gpu, set, codec, shape).run(x, step)
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

/// Panics where a value and its decoding break a promise; begins with what to call them.
type Check = dyn Fn(&str, &Shape, &[f32], &[f32]);

/// A codec, and what it promises.
struct Promise {
    codec: Rc<dyn Codec>,
    check: Box<Check>,
}

impl Promise {
    fn f16() -> Self {
        Self { codec: Rc::new(F16), check: Box::new(f16::keeps_promise) }
    }

    fn float8(group: usize) -> Self {
        let codec = Float8 { group };
        let check = move |what: &str, _: &Shape, x: &[f32], y: &[f32]| float8::keeps_promise(what, &codec, x, y);
        Self { codec: Rc::new(codec), check: Box::new(check) }
    }

    fn frequency_split(block: usize, bits: usize, parity: bool) -> Self {
        let codec = FrequencySplit { block, bits, parity };
        let check = move |what: &str, shape: &Shape, x: &[f32], y: &[f32]| {
            frequency_split::keeps_promise(what, &codec, shape, x, y);
        };
        Self { codec: Rc::new(codec), check: Box::new(check) }
    }

    fn uniform(bits: usize, group: usize) -> Self {
        let codec = Uniform { bits, group };
        let check = move |what: &str, _: &Shape, x: &[f32], y: &[f32]| uniform::keeps_promise(what, &codec, x, y);
        Self { codec: Rc::new(codec), check: Box::new(check) }
    }
}

/// Every codec in all its variants. A new one has to be added here.
fn promises() -> Vec<Promise> {
    let split = |bits| [false, true].map(|parity| Promise::frequency_split(8, bits, parity));
    let of_bits = |bits| split(bits).into_iter().chain([32, 256].map(|group| Promise::uniform(bits, group)));
    [1, 2, 4, 8]
        .into_iter()
        .flat_map(of_bits)
        .chain([Promise::f16(), Promise::float8(32), Promise::float8(256)])
        .collect()
}

fn shapes() -> Vec<Shape> {
    let vectors = [1, 31, 2049].map(|n| Shape::from([n]));
    let matrices = [[1, 1], [64, 10], [7, 33], [3, 257]].map(Shape::from);
    let images =
        [[1, 1, 8, 8], [2, 3, 14, 14], [1, 2, 28, 28], [3, 5, 7, 7], [1, 3, 9, 17], [1, 1, 2, 300], [2, 3, 5, 8]];
    let large = [[1, 2, 64, 64]];
    let images = images.into_iter().chain(large).map(Shape::from);
    vectors.into_iter().chain(matrices).chain(images).collect()
}

#[test]
fn every_codec_keeps_its_promise() {
    let gpu = gpu();
    for Promise { codec, check } in promises() {
        for shape in shapes() {
            let mut graph = Graph::new();
            let input = graph.input("x", shape.clone(), Element::F32);
            let value = graph.value(input).clone();
            let attached = codec.attach(&mut graph, &Site { source: input, mask: None }).unwrap();
            let Ok(outputs) = attached.encode.outputs(&[&value]) else {
                assert!(!codec.takes(&value), "{codec:?} takes {shape} and refuses it");
                continue;
            };
            let words = outputs[0].shape.elements();
            assert!(!codec.takes(&value) || words < shape.elements(), "{codec:?} gains nothing on {shape}");
            for set in SETS {
                let mut trip = Trip::new(&gpu, set, codec.as_ref(), &shape);
                for (name, x) in hostile(&shape) {
                    let what = format!("{name} {shape}, {codec:?} on {set:?}");
                    let (coded, decoded) = trip.run(&x, 1);
                    assert_eq!(coded.len(), words, "{what}");
                    check(&what, &shape, &x, &decoded);
                }
            }
        }
    }
}

/// What memory holds in f16 is coded as the same numbers held in f32.
#[test]
fn codes_are_those_of_the_numbers_however_memory_holds_them() {
    let Some(half) = f16_gpu() else { return };
    let single = gpu();
    for Promise { codec, .. } in promises() {
        for shape in [Shape::from([7, 33]), Shape::from([3, 5, 7, 7]), Shape::from([1, 2, 28, 28])] {
            let numbers = Stream::new(4, 1).uniform().map(|u| half::f16::from_f32((2.0 * u - 1.0).max(-0.3)).to_f32());
            let x: Vec<f32> = numbers.take(shape.elements()).collect();
            for set in SETS {
                let code = |gpu: &Rc<Gpu>| {
                    let mut graph = Graph::new();
                    let input = graph.input("x", shape.clone(), Element::F32);
                    let source = graph.activate(input, Activation::LeakyRelu { slope: 1.0 }).unwrap();
                    let control = graph.control();
                    let value = graph.value(source).clone();
                    let takes = codec.takes(&value);
                    let attached = codec.attach(&mut graph, &Site { source, mask: None }).unwrap();
                    let words = takes.then(|| graph.apply_shared(attached.encode, &[source, control]).unwrap()[0])?;
                    graph.mark_metric(words);
                    let plan = Plan::new(graph, &Policy::raw(), options(gpu, set)).unwrap();
                    assert_eq!(plan.graph.value(source).precision, plan.options.operands.precision());
                    let mut session = PlannedSession::new(gpu.clone(), vec![plan], 0).unwrap();
                    session.step_with(0, &[("x", (&x).into()), (CONTROL, (&STEP).into())]).unwrap();
                    Some(session.finished().unwrap().pop().unwrap().words)
                };
                // This one leaves to the plan what memory holds in f16.
                if codec.name() != F16.name() {
                    assert!(code(&single) == code(&half), "{codec:?} of {shape} on {set:?}");
                }
            }
        }
    }
}

#[test]
fn every_codec_serves_more_than_one_dimension_of_workgroups() {
    let gpu = gpu();
    let shape = Shape::from([70_001, 1, 8, 8]);
    let x: Vec<f32> = Stream::new(5, 0).uniform().take(shape.elements()).collect();
    for Promise { codec, check } in
        [Promise::f16(), Promise::float8(64), Promise::frequency_split(8, 2, false), Promise::uniform(2, 32)]
    {
        for set in [KernelSet::Tiles, KernelSet::Registers] {
            let (_, decoded) = round_trip(&gpu, set, codec.as_ref(), &shape, &x, 0);
            check("many workgroups", &shape, &x, &decoded);
        }
    }
}

/// Values coded many times with other random numbers: the mean of what comes back is what went in. The step of each
/// group of `x` is that of the first.
fn is_unbiased(codec: &dyn Codec, part: &[f32], shape: &Shape) {
    let gpu = gpu();
    let copies = shape.elements() / part.len();
    let x = part.repeat(copies);
    let (words, decoded) = round_trip(&gpu, gpu.adapter().kernel_set(), codec, shape, &x, 3);
    let step = f64::from(f32::from_bits(words[0] & 0xffff_0000));
    for (i, x) in part.iter().enumerate() {
        let mean = (0..copies).map(|k| f64::from(decoded[part.len() * k + i])).sum::<f64>() / copies as f64;
        // A rounding between two levels has a deviation of at most half a step.
        let deviation = 0.5 * step / (copies as f64).sqrt();
        assert!(
            (mean - f64::from(*x)).abs() < 5.0 * deviation,
            "{codec:?}, element {i}: {x} on average {mean}, deviation {deviation}"
        );
    }
}

/// The same for a step and another for the next.
fn draws_by_step(codec: &dyn Codec) {
    let gpu = gpu();
    let shape = Shape::from([4, 1, 8, 8]);
    let x: Vec<f32> = Stream::new(9, 1).uniform().take(shape.elements()).collect();
    let mut trip = Trip::new(&gpu, gpu.adapter().kernel_set(), codec, &shape);
    let mut code = |step| trip.run(&x, step).0;
    let (five, again, six) = (code(5), code(5), code(6));
    assert_eq!(five, again);
    assert_ne!(five, six);
}
