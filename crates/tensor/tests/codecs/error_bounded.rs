//! Coding to an error bound: the promise, the layout against a reference on the CPU, overflow.

use super::common::{SETS, STEP, gpu, options};
use super::hostile;
use frugal_tensor::codec::error_bounded::{OVERFLOW, RECORD_WORDS, Record};
use frugal_tensor::codec::mask::EncodeMask;
use frugal_tensor::codec::{Attached, Codec, ErrorBounded, Site};
use frugal_tensor::graph::{Element, Graph, Shape, ValueId};
use frugal_tensor::ops::KernelSet;
use frugal_tensor::random::Stream;
use frugal_tensor::{Gpu, Plan, Policy, Session};
use std::rc::Rc;

/// Encodes and decodes values of one shape, with room for `payload` words.
struct Trip {
    session: Session,
    record: String,
    words: ValueId,
    decoded: ValueId,
}

impl Trip {
    fn new(gpu: &Rc<Gpu>, set: KernelSet, shape: &Shape, masked: bool, payload: usize) -> Self {
        let mut graph = Graph::new();
        let x = graph.input("x", shape.clone(), Element::F32);
        let mask = masked.then(|| graph.apply_one(EncodeMask, &[x]).unwrap());
        let Attached { encode, encode_reads, decode, decode_reads, steering } =
            ErrorBounded::default().attach(&mut graph, &Site { source: x, mask }).unwrap();
        let words = graph.apply_shared(encode, &[&[x], &encode_reads[..]].concat()).unwrap()[0];
        let decoded = graph.apply_shared(decode, &[&[words], &decode_reads[..]].concat()).unwrap()[0];
        graph.mark_metric(words);
        graph.mark_metric(decoded);
        let record = graph.value(steering.unwrap().record).name.clone();
        let plan = Plan::new(graph, &Policy::raw(), options(gpu, set)).unwrap();
        let plan = plan.resized(&[(words, ErrorBounded::head_words(shape) + payload)]).unwrap();
        Self { session: Session::new(gpu.clone(), vec![plan], 0).unwrap(), record, words, decoded }
    }

    /// The words, the elements that come of them, and what the record says.
    fn run(&mut self, x: &[f32], bound: f32) -> (Vec<u32>, Vec<f32>, Record) {
        let mut record = [0; RECORD_WORDS];
        record[0] = bound.to_bits();
        self.session.write_words(&self.record, &record).unwrap();
        self.session.step(0, &[bytemuck::cast_slice(x), bytemuck::cast_slice(&STEP)]).unwrap();
        self.session.finished().unwrap();
        let id = self.session.plans()[0].graph.find(&self.record).unwrap();
        let record = Record::read(&self.session.read_value(0, id).unwrap());
        let decoded = self.session.read_value(0, self.decoded).unwrap();
        let decoded = decoded.into_iter().map(f32::from_bits).collect();
        (self.session.read_value(0, self.words).unwrap(), decoded, record)
    }
}

fn shapes() -> Vec<Shape> {
    let vectors = [1, 31, 511, 2049].map(|n| Shape::from([n]));
    let images =
        [[2, 3, 14, 14], [1, 2, 28, 28], [3, 5, 7, 7], [1, 1, 2, 300], [1, 2, 64, 64], [2, 16, 8, 8]].map(Shape::from);
    vectors.into_iter().chain(images).collect()
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
                    let (_, decoded, record) = trip.run(&x, bound);
                    let what = format!("{name} {shape}, bound {bound}, masked {masked}, on {set:?}");
                    let mut worst = 0.0f32;
                    for (i, (x, y)) in x.iter().zip(&decoded).enumerate() {
                        let same = x.to_bits() == y.to_bits();
                        assert!(same || (x - y).abs() <= bound, "{what}: element {i}: {x} became {y}");
                        assert!(*x != 0.0 || *y == 0.0, "{what}: element {i}: zero became {y}");
                        if x.is_finite() {
                            worst = worst.max((x - y).abs());
                        }
                    }
                    assert!(worst <= record.worst.max(1e-37), "{what}: {worst}, the record says {}", record.worst);
                    assert!(record.worst <= bound, "{what}: {record:?}");
                    let nonzero = x.iter().filter(|x| if masked { **x > 0.0 } else { x.to_bits() << 1 != 0 }).count();
                    assert_eq!(record.nonzero as usize, nonzero, "{what}");
                    assert!(record.used <= shape.elements().next_multiple_of(4) as u32, "{what}: {record:?}");
                }
            }
        }
    }
}
