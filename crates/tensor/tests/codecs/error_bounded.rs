//! Coding to an error bound: the promise, the layout against a reference on the CPU, overflow.

use super::{hostile, slices::slices};
use frugal_tensor::codec::error_bounded::{CONTROLLER_STATE_WORDS, ControllerState};
use frugal_tensor::codec::mask::EncodeMask;
use frugal_tensor::codec::{Codec, ErrorBounded, Site};
use frugal_tensor::ir::{AlongBatch, Element, Graph, Interval, KernelSet, Operator, Part, Shape, ValueId, verify};
use frugal_tensor::random::Stream;
use frugal_tensor::step::STOP_OVERFLOW;
use frugal_tensor::{Gpu, Plan, PlannedSession, Policy};
use frugal_testkit::{SETS, STEP, gpu, options};
use std::ops::Range;
use std::rc::Rc;

/// Encodes and decodes values of one shape, with room for `payload` words.
struct Trip {
    session: PlannedSession,
    record: String,
    words: ValueId,
    decoded: ValueId,
    /// The mask that was made on its own, and the encoder's.
    masks: Option<[ValueId; 2]>,
}

impl Trip {
    fn new(gpu: &Rc<Gpu>, set: KernelSet, shape: &Shape, masked: bool, payload: usize) -> Self {
        let mut graph = Graph::new();
        let x = graph.input("x", shape.clone(), Element::F32);
        let mask = masked.then(|| graph.apply_one(EncodeMask(Interval::POSITIVE), &[x]).unwrap());
        let attached = ErrorBounded::default().attach(&mut graph, &Site { source: x, mask }).unwrap();
        assert_eq!(attached.makes_mask, masked);
        let data_sized = attached.data_sized.clone();
        let [words, decoded] = attached.round_trip(&mut graph, x).unwrap();
        graph.mark_metric(words);
        graph.mark_metric(decoded);
        let encode = graph.nodes().iter().find(|node| node.outputs[0] == words).unwrap();
        let masks = mask.map(|mask| [mask, encode.outputs[1]]);
        masks.iter().flatten().for_each(|&mask| graph.mark_metric(mask));
        let record = graph.value(data_sized.unwrap().report()).name.clone();
        let plan = Plan::new(graph, &Policy::raw(), options(gpu, set)).unwrap();
        let plan = plan.resized(&[(words, ErrorBounded::head_words(shape) + payload)]).unwrap();
        Self { session: PlannedSession::new(gpu.clone(), vec![plan], 0).unwrap(), record, words, decoded, masks }
    }

    /// The words, the elements that come of them, and what the record says.
    fn run(&mut self, x: &[f32], bound: f32) -> (Vec<u32>, Vec<f32>, ControllerState) {
        let mut record = [0; CONTROLLER_STATE_WORDS];
        record[0] = bound.to_bits();
        self.session.write_words(&self.record, &record).unwrap();
        self.session.step(0, &[bytemuck::cast_slice(x), bytemuck::cast_slice(&STEP)]).unwrap();
        self.session.finished().unwrap();
        let id = self.session.plans()[0].graph.find(&self.record).unwrap();
        let record = ControllerState::read(&self.session.read_value(0, id).unwrap());
        if let Some(masks) = self.masks {
            let [alone, ours] = masks.map(|mask| self.session.read_value(0, mask).unwrap());
            let bit = |mask: &[u32], i: usize| mask[i / 32] >> (i % 32) & 1;
            assert!((0..x.len()).all(|i| bit(&alone, i) == bit(&ours, i)), "the encoder's mask is another");
        }
        let decoded = self.session.read_value(0, self.decoded).unwrap();
        let decoded = decoded.into_iter().map(f32::from_bits).collect();
        (self.session.read_value(0, self.words).unwrap(), decoded, record)
    }
}

fn shapes() -> Vec<Shape> {
    let vectors = [1, 31, 511, 2049].map(|n| Shape::from([n]));
    let images =
        [[2, 3, 14, 14], [1, 2, 28, 28], [3, 5, 7, 7], [1, 1, 2, 300], [1, 2, 64, 64], [2, 16, 8, 8], [3, 2, 28, 28]];
    // Two samples of a tile each, and a value whose samples are no whole words of a mask.
    let images = images.into_iter().chain([[2, 8, 10, 10], [2, 4, 14, 15]]).map(Shape::from);
    vectors.into_iter().chain(images).collect()
}

/// The elements of each tile: of each sample, where that is at least a tile and whole words of a mask, as many as divide it evenly,
/// rounded up to such a word.
fn tiles(shape: &Shape) -> Vec<Range<usize>> {
    let sample: usize = shape.extents()[1..].iter().product();
    let (run, tile) = match sample {
        512.. if sample.is_multiple_of(32) => (sample, sample.div_ceil(sample / 512).next_multiple_of(32)),
        _ => (shape.elements(), 512),
    };
    let of_run = |first: usize| (0..run).step_by(tile).map(move |i| first + i..first + run.min(i + tile));
    (0..shape.elements()).step_by(run).flat_map(of_run).collect()
}

#[test]
fn no_element_is_off_by_more_than_the_bound() {
    let gpu = gpu();
    for shape in shapes() {
        for (set, masked) in SETS.into_iter().flat_map(|set| [(set, false), (set, true)]) {
            let mut trip = Trip::new(&gpu, set, &shape, masked, shape.elements().next_multiple_of(4));
            for (name, x) in hostile(&shape) {
                // A mask stands for values that are not below zero.
                let x: Vec<f32> = x.into_iter().map(|x| if masked && x < 0.0 { 0.0 } else { x }).collect();
                for bound in [0.0, 1e-30, 1e-6, 0.01, 0.3, 1e4, 1e30] {
                    let (words, decoded, record) = trip.run(&x, bound);
                    let what = format!("{name} {shape}, bound {bound}, masked {masked}, on {set:?}");
                    let mut worst = 0.0f32;
                    for (i, (x, y)) in x.iter().zip(&decoded).enumerate() {
                        let same = x.to_bits() == y.to_bits();
                        assert!(
                            same || (x - y).abs() <= bound + f32::MIN_POSITIVE,
                            "{what}: element {i}: {x} became {y}"
                        );
                        assert!(*x != 0.0 || *y == 0.0, "{what}: element {i}: zero became {y}");
                        if x.is_finite() {
                            worst = worst.max((x - y).abs());
                        }
                    }
                    assert!(worst <= record.worst.max(1e-37), "{what}: {worst}, the record says {}", record.worst);
                    assert!(record.worst <= bound, "{what}: {record:?}");
                    let nonzero = x.iter().filter(|x| if masked { **x > 0.0 } else { x.to_bits() << 1 != 0 }).count();
                    let denormal = x.iter().filter(|x| x.is_subnormal()).count();
                    assert!((nonzero - denormal..=nonzero).contains(&(record.nonzero as usize)), "{what}");
                    assert!(record.used <= shape.elements().next_multiple_of(4) as u32, "{what}: {record:?}");
                    let heads = words[4..ErrorBounded::head_words(&shape)].iter().step_by(2);
                    assert_eq!(heads.filter(|head| **head >> 30 == 3).count(), record.raw_tiles as usize, "{what}");
                    let unfit =
                        tiles(&shape).into_iter().filter(|tile| x[tile.clone()].iter().any(|x| !x.is_finite())).count();
                    assert!((unfit..=ErrorBounded::tiles(&shape)).contains(&(record.raw_tiles as usize)), "{what}");
                }
            }
        }
    }
}

/// Bits of a payload, from the lowest of the first word up.
struct Bits<'w> {
    words: &'w [u32],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: u32) -> u32 {
        let mut bits = 0;
        for i in 0..count {
            bits |= (self.words[self.at / 32] >> (self.at % 32) & 1) << i;
            self.at += 1;
        }
        bits
    }

    /// A symbol: zeros up to a one, then k bits.
    fn symbol(&mut self, k: u32) -> u32 {
        let zeros = (0..).take_while(|_| self.take(1) == 0).count() as u32;
        zeros << k | self.take(k)
    }
}

/// A hash of the element's number, counted from a start that is the step's.
fn dither(start: u32, element: usize) -> f32 {
    let number = start.wrapping_add(element as u32);
    let turned = (number ^ number >> 15).wrapping_mul(739_982_445);
    let mixed = (turned ^ turned >> 12).wrapping_mul(695_872_825);
    (mixed >> 8) as f32 / 16_777_216.0
}

/// What the words say, read as the module's documentation describes them. `open` are the elements that are coded.
fn decode(words: &[u32], shape: &Shape, open: &dyn Fn(usize) -> bool, masked: bool) -> Vec<f32> {
    let (step, start) = (f32::from_bits(words[0]), words[1]);
    let (tiles, block) = (tiles(shape), (ErrorBounded::tile(shape) / 8).next_multiple_of(32));
    let head = 4 + 2 * tiles.len();
    assert_eq!(head, ErrorBounded::head_words(shape));
    let mut decoded = Vec::new();
    for (tile, range) in tiles.into_iter().enumerate() {
        let first_element = range.start;
        let [first, parameters] = [words[4 + 2 * tile], words[5 + 2 * tile]];
        let payload = &words[head + (first & 0x3fff_ffff) as usize..];
        if first >> 30 == 3 {
            decoded.extend(range.map(|i| f32::from_bits(payload[i - first_element])));
            continue;
        }
        let (mut bits, mut left) = (Bits { words: payload, at: 0 }, 0);
        for i in range {
            let k = parameters >> (4 * ((i - first_element) / block)) & 15;
            if !open(i) {
                decoded.push(0.0);
                continue;
            }
            let u = if k == 0 { 0 } else { bits.symbol(k - 1) };
            let signed = if masked { u as i32 } else { (u >> 1) as i32 ^ -((u & 1) as i32) };
            let q = if first >> 30 == 1 { signed + left } else { signed };
            left = q;
            let d = if first >> 30 == 2 { 0.5 } else { dither(start, i) };
            decoded.push(((q as f32 - d) + 0.5) * step);
        }
    }
    decoded
}

#[test]
fn words_say_what_the_documentation_says() {
    let gpu = gpu();
    for shape in shapes() {
        let n = shape.elements();
        let smooth = |i: usize| (i as f32 / 9.0).sin() * 3.0 + (i as f32 / 1.7).cos();
        let noise: Vec<f32> = Stream::new(8, 0).uniform().take(n).map(|u| 2.0 * u - 1.0).collect();
        let inputs: [Vec<f32>; 4] = [
            noise.clone(),
            (0..n).map(smooth).collect(),
            noise.iter().map(|x| x.max(0.0)).collect(),
            noise.iter().enumerate().map(|(i, x)| if i % 700 == 3 { 1e20 } else { x * x * x }).collect(),
        ];
        for (set, masked) in SETS.into_iter().flat_map(|set| [(set, false), (set, true)]) {
            let mut trip = Trip::new(&gpu, set, &shape, masked, n.next_multiple_of(4));
            for (number, x) in inputs.iter().enumerate() {
                let x: Vec<f32> = x.iter().map(|x| if masked { x.max(0.0) } else { *x }).collect();
                for bound in [1e-4, 0.02, 0.4, 5.0] {
                    let (words, decoded, _) = trip.run(&x, bound);
                    let expected = decode(&words, &shape, &|i| !masked || x[i] > 0.0, masked);
                    let what = format!("input {number} {shape}, bound {bound}, masked {masked}, on {set:?}");
                    // Drivers may work out (q − d + ½) · step in another order: the last bit.
                    let near = |a: f32, b: f32| (a - b).abs() <= 3e-7 * (a.abs() + 2.0 * bound);
                    let wrong = (0..n).find(|&i| !near(expected[i], decoded[i]));
                    let wrong = wrong.map(|i| (i, x[i], expected[i], decoded[i]));
                    assert!(wrong.is_none(), "{what}: {wrong:?}");
                }
            }
        }
    }
}

/// What finds no room is lost, says so, and harms nothing beside it.
#[test]
fn a_tile_without_room_is_lost_and_says_so() {
    let gpu = gpu();
    let shape = Shape::from([4096]);
    let x: Vec<f32> = Stream::new(2, 0).uniform().take(4096).map(|u| u - 0.5).collect();
    for set in SETS {
        let demand = Trip::new(&gpu, set, &shape, false, 4096).run(&x, 0.01).2.used;
        for room in [1, demand as usize / 2, demand as usize - 1, demand as usize] {
            let mut trip = Trip::new(&gpu, set, &shape, false, room);
            let (words, decoded, record) = trip.run(&x, 0.01);
            assert_eq!(record.used, demand, "the count goes on");
            let exceeded = demand as usize > room;
            let status = trip.session.read("status").unwrap()[0].to_bits();
            assert_eq!(status, if exceeded { STOP_OVERFLOW } else { 0 }, "{room} of {demand}");
            let lost: Vec<bool> = (0..8).map(|tile| words[4 + 2 * tile] == u32::MAX).collect();
            assert_eq!(lost.contains(&true), exceeded);
            for (i, (x, y)) in x.iter().zip(&decoded).enumerate() {
                assert!(
                    if lost[i / 512] { *y == 0.0 } else { (x - y).abs() <= 0.01 },
                    "{room} of {demand}: {i}: {x} {y}"
                );
            }
        }
    }
}

/// As much as WebGPU's default limits let a kernel bind, 128 MiB, or a little more where the adapter takes it.
#[test]
fn the_bound_holds_beyond_128_mib() {
    let gpu = gpu();
    let most = gpu.plan_options().max_binding / 4;
    let part = Shape::from([16, 1, 64, 64]);
    let hostile: Vec<f32> = hostile(&part).into_iter().flat_map(|(_, x)| x).collect();
    // Words, too, have to be bound: twenty bits for each element of hostile parts are more than enough.
    let n = ((34 << 20).min(most as usize) / 65_536 - 1) * 65_536;
    let payload = (n * 20 / 32).min(most as usize - ErrorBounded::head_words(&Shape::from([n])));
    let shape = Shape::from([n / 4096, 1, 64, 64]);
    // Whole parts of noise between hostile ones: raw tiles are few.
    let noise: Vec<f32> = Stream::new(3, 1).uniform().take(hostile.len()).collect();
    let x: Vec<f32> = hostile.iter().chain(&noise).chain(&noise).chain(&noise).copied().cycle().take(n).collect();
    let (_, decoded, record) = Trip::new(&gpu, gpu.adapter().kernel_set(), &shape, false, payload).run(&x, 0.05);
    assert!(record.used as usize <= payload, "{} of {payload} words", record.used);
    for (i, (x, y)) in x.iter().zip(&decoded).enumerate() {
        let holds = x.to_bits() == y.to_bits() || (x - y).abs() <= 0.05 + f32::MIN_POSITIVE;
        assert!(holds, "element {i}: {x} became {y}");
    }
}

/// A value that is coded slice by slice into the same words, and decoded in other slices.
struct Sliced {
    session: PlannedSession,
    record: String,
    words: ValueId,
    decoded: Vec<ValueId>,
    masks: Vec<ValueId>,
}

impl Sliced {
    /// With so many samples in a slice, in either direction.
    fn new(
        gpu: &Rc<Gpu>,
        set: KernelSet,
        shape: &Shape,
        masked: bool,
        payload: usize,
        [encoded, decoded]: [usize; 2],
    ) -> Self {
        let mut graph = Graph::new();
        let x = graph.input("x", shape.clone(), Element::F32);
        let mask = masked.then(|| graph.apply_one(EncodeMask(Interval::POSITIVE), &[x]).unwrap());
        let attached = ErrorBounded::default().attach(&mut graph, &Site { source: x, mask }).unwrap();
        let inputs = [vec![x], attached.encode_reads].concat();
        let along = |operator: &dyn Operator, inputs: &[ValueId], graph: &Graph| {
            operator.along_batch(&inputs.iter().map(|&input| graph.value(input)).collect::<Vec<_>>())
        };
        let mapped = Vec::from_iter(masked.then_some(1));
        assert_eq!(along(&*attached.encode, &inputs, &graph), AlongBatch::Sum { whole: vec![1, 2, 3], mapped });
        let mut words = Vec::new();
        let mut masks = Vec::new();
        for slice in slices(shape[0], encoded) {
            let first = slice.before(shape.elements());
            let part = graph.add_part(Part { of: x, first, offset: Some(4 * first as u64) }, slice.shape(shape));
            let inputs = [vec![part], inputs[1..].to_vec(), words.clone()].concat();
            let encode = attached.encode.for_slice(slice).unwrap();
            let encode = if words.is_empty() { encode } else { encode.adding().unwrap() };
            let mut made = graph.apply_shared(encode, &inputs).unwrap();
            if words.is_empty() {
                words.push(made.remove(0));
            }
            assert_eq!(made.len(), usize::from(masked));
            masks.extend(made);
        }
        let words = words[0];
        assert_eq!(along(&*attached.decode, &[words], &graph), AlongBatch::map([0]));
        let decode = |(index, slice)| {
            let decode = attached.decode.for_slice(slice).unwrap();
            // The mask is cut as it was made.
            let inputs = [vec![words], masks.get(index).copied().into_iter().collect()].concat();
            graph.apply_shared(decode, &inputs).unwrap()[0]
        };
        let decoded: Vec<ValueId> = slices(shape[0], decoded).enumerate().map(decode).collect();
        verify(&graph).unwrap();
        decoded.iter().chain(&masks).for_each(|&value| graph.mark_metric(value));
        let record = graph.value(attached.data_sized.unwrap().report()).name.clone();
        let plan = Plan::new(graph, &Policy::raw(), options(gpu, set)).unwrap();
        let plan = plan.resized(&[(words, ErrorBounded::head_words(shape) + payload)]).unwrap();
        Self { session: PlannedSession::new(gpu.clone(), vec![plan], 0).unwrap(), record, words, decoded, masks }
    }

    fn run(&mut self, x: &[f32], bound: f32) -> (Vec<f32>, ControllerState) {
        let mut record = [0; CONTROLLER_STATE_WORDS];
        record[0] = bound.to_bits();
        self.session.write_words(&self.record, &record).unwrap();
        self.session.step(0, &[bytemuck::cast_slice(x), bytemuck::cast_slice(&STEP)]).unwrap();
        self.session.finished().unwrap();
        let id = self.session.plans()[0].graph.find(&self.record).unwrap();
        let record = ControllerState::read(&self.session.read_value(0, id).unwrap());
        let read = |&value: &ValueId| self.session.read_value(0, value).unwrap();
        let decoded = self.decoded.iter().flat_map(read).map(f32::from_bits).collect();
        let bits: Vec<u32> = self.masks.iter().flat_map(read).collect();
        if !bits.is_empty() {
            // Samples are whole words of the mask.
            assert!(x.iter().enumerate().all(|(i, x)| (bits[i / 32] >> (i % 32) & 1 == 1) == (*x > 0.0)));
        }
        (decoded, record)
    }
}

/// Whole tiles of 512, and such as divide a sample evenly; the last slice is shorter. Both directions may have slices of their own.
#[test]
fn slices_are_coded_as_in_the_whole_and_report_the_same() {
    let gpu = gpu();
    for shape in [[3, 2, 16, 16], [5, 2, 28, 28], [3, 16, 10, 10]].map(Shape::from) {
        for (set, masked) in SETS.into_iter().flat_map(|set| [(set, false), (set, true)]) {
            let payload = shape.elements();
            let mut whole = Trip::new(&gpu, set, &shape, masked, payload);
            let other = if masked { 2 } else { 1 };
            let mut sliced = Sliced::new(&gpu, set, &shape, masked, payload, [2, other]);
            for (name, x) in hostile(&shape) {
                let x: Vec<f32> = x.into_iter().map(|x| if masked && x <= 0.0 { 0.0 } else { x }).collect();
                for bound in [0.0, 0.01, 0.3] {
                    let what = format!("{name} {shape}, bound {bound}, masked {masked}, on {set:?}");
                    let (_, expected, record) = whole.run(&x, bound);
                    let (decoded, found) = sliced.run(&x, bound);
                    assert_eq!(found, record, "{what}");
                    let same = decoded.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits());
                    assert!(same && decoded.len() == expected.len(), "{what}");
                }
            }
        }
    }
}

/// Whichever slice finds no room, the count goes on and the step stops.
#[test]
fn slices_without_room_say_what_the_whole_would_need() {
    let gpu = gpu();
    let shape = Shape::from([4, 2, 28, 28]);
    let x: Vec<f32> = Stream::new(2, 0).uniform().take(shape.elements()).map(|u| u - 0.5).collect();
    for set in SETS {
        let demand = Trip::new(&gpu, set, &shape, false, shape.elements()).run(&x, 0.01).2.used;
        for room in [1, demand as usize - 1, demand as usize] {
            let mut sliced = Sliced::new(&gpu, set, &shape, false, room, [2, 2]);
            assert_eq!(sliced.run(&x, 0.01).1.used, demand, "the count goes on");
            let status = sliced.session.read("status").unwrap()[0].to_bits();
            assert_eq!(status, if demand as usize > room { STOP_OVERFLOW } else { 0 }, "{room} of {demand}");
            assert_eq!(sliced.session.plans()[0].graph.shape(sliced.words).elements(), 4 + 2 * 12 + room);
        }
    }
}
