//! Slices of a batch, each with words of its own: they decode to what the whole decodes to.

use super::{Promise, Trip, hostile, promises};
use frugal_tensor::codec::{Codec, Site};
use frugal_tensor::ir::{AlongBatch, BatchSlice, Element, Graph, KernelSet, Part, Shape};
use frugal_tensor::{Gpu, Plan, PlannedSession, Policy};
use frugal_testkit::{SETS, gpu, options};
use std::rc::Rc;

/// Slices of so many samples, the last with what is left.
pub fn slices(of: usize, samples: usize) -> impl Iterator<Item = BatchSlice> {
    (0..of).step_by(samples).map(move |first| BatchSlice { first, samples: samples.min(of - first), of })
}

/// Encodes and decodes a slice of a value of this shape, of which the whole is uploaded.
fn trip(gpu: &Rc<Gpu>, set: KernelSet, codec: &dyn Codec, shape: &Shape, slice: BatchSlice) -> Trip {
    let mut graph = Graph::new();
    let whole = graph.input("x", shape.clone(), Element::F32);
    let mut attached = codec.attach(&mut graph, &Site { source: whole, mask: None }).unwrap();
    assert_eq!(attached.encode.along_batch(&[]), AlongBatch::map([1]), "random numbers are drawn by all of control");
    assert_eq!(attached.decode.along_batch(&[]), AlongBatch::map([]));
    attached.encode = attached.encode.for_slice(slice).unwrap_or(attached.encode);
    attached.decode = attached.decode.for_slice(slice).unwrap_or(attached.decode);
    let first = slice.before(shape.elements());
    let part = graph.add_part(Part { of: whole, first, offset: Some(4 * first as u64) }, slice.shape(shape));
    let [words, decoded] = attached.round_trip(&mut graph, part).unwrap();
    graph.mark_metric(words);
    graph.mark_metric(decoded);
    let plan = Plan::new(graph, &Policy::raw(), options(gpu, set)).unwrap();
    Trip { session: PlannedSession::new(gpu.clone(), vec![plan], 0).unwrap(), words, decoded }
}

/// The elements of all slices, one after the other, for each of these values.
fn sliced(
    gpu: &Rc<Gpu>,
    set: KernelSet,
    codec: &dyn Codec,
    shape: &Shape,
    samples: usize,
    values: &[Vec<f32>],
) -> Vec<Vec<f32>> {
    let mut decoded = vec![Vec::new(); values.len()];
    for slice in slices(shape[0], samples) {
        let mut trip = trip(gpu, set, codec, shape, slice);
        values.iter().zip(&mut decoded).for_each(|(x, decoded)| decoded.extend(trip.run(x, 1).1));
    }
    decoded
}

/// Planes and groups of 256 are whole in each slice; the last slice is shorter.
#[test]
fn slices_decode_to_the_bits_of_the_whole() {
    let gpu = gpu();
    let shapes = [[5, 128, 7, 7], [3, 1, 16, 32], [3, 4, 8, 8]].map(Shape::from);
    for Promise { codec, .. } in promises() {
        for (shape, set) in shapes.iter().flat_map(|shape| SETS.map(|set| (shape, set))) {
            let (names, values): (Vec<&str>, Vec<Vec<f32>>) = hostile(shape).into_iter().unzip();
            let mut whole = Trip::new(&gpu, set, codec.as_ref(), shape);
            let sliced = sliced(&gpu, set, codec.as_ref(), shape, 2, &values);
            for ((name, x), sliced) in names.iter().zip(&values).zip(sliced) {
                let whole = whole.run(x, 1).1;
                let same = whole.iter().zip(&sliced).all(|(a, b)| a.to_bits() == b.to_bits());
                assert!(same && whole.len() == sliced.len(), "{name} {shape}, {codec:?} on {set:?}");
            }
        }
    }
}

/// Groups and words cross samples here, so a slice's are others than the whole's.
#[test]
fn slices_that_are_no_whole_groups_keep_the_promise() {
    let gpu = gpu();
    let shape = Shape::from([5, 64, 1, 7]);
    let promises =
        [32, 256].map(|group| Promise::uniform(2, group)).into_iter().chain([Promise::f16(), Promise::float8(64)]);
    for Promise { codec, check } in promises {
        for set in SETS {
            let (names, values): (Vec<&str>, Vec<Vec<f32>>) = hostile(&shape).into_iter().unzip();
            for slice in slices(5, 3) {
                let mut trip = trip(&gpu, set, codec.as_ref(), &shape, slice);
                let [from, count] = [slice.before(2240), slice.share(2240)];
                for (name, x) in names.iter().zip(&values) {
                    let what = format!("{name} {slice:?}, {codec:?} on {set:?}");
                    check(&what, &slice.shape(&shape), &x[from..from + count], &trip.run(x, 1).1);
                }
            }
        }
    }
}
