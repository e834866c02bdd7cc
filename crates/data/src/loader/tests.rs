//! What a loader promises: every sample once, the same on every run, and no trouble at the end.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::{Array, Chunk, ElementType, Elements, EpochPlan, IMAGES, LABELS, MASK};

/// Sample `i` has the bytes of `i` as its pixels.
fn numbered(count: usize) -> Arc<Split> {
    let images = (0..count as u32).flat_map(u32::to_be_bytes).collect();
    let labels = (0..count).map(|index| (index % 7) as u32).collect();
    Arc::new(Split::new([1, 2, 2], 7, images, labels).unwrap())
}

fn options(batch: usize, shuffle: Option<u64>, prefetch: usize) -> LoaderOptions {
    let augment = Augment::default();
    LoaderOptions {
        batch,
        shuffle,
        augment,
        goal: Goal::Classes(7),
        noise: 0.0,
        pixels: Pixels::Normalised,
        mean: vec![0.0],
        std: vec![1.0 / 255.0],
        workers: prefetch,
        prefetch,
    }
}

/// The numbers of the samples in the unmasked rows of an epoch, after checking everything about its batches.
fn samples_of(loader: &Loader, epoch: u64, batch: usize) -> Vec<u32> {
    let mut seen = Vec::new();
    let epoch = loader.epoch(epoch);
    assert_eq!(epoch.len(), loader.batches());
    for (index, it) in epoch.enumerate() {
        let it = it.unwrap();
        assert_eq!(it.index, index);
        assert_eq!((it.f32s(IMAGES).len(), it.u32s(LABELS).len(), it.f32s(MASK).len()), (batch * 4, batch, batch));
        assert_eq!(it.f32s(MASK).iter().sum::<f32>(), it.samples as f32);
        let number = |row: usize| {
            let bytes = [0, 1, 2, 3].map(|at| it.f32s(IMAGES)[row * 4 + at].round() as u8);
            u32::from_be_bytes(bytes)
        };
        for row in 0..batch {
            assert_eq!(it.u32s(LABELS)[row], number(row) % 7);
            assert_eq!(it.f32s(MASK)[row], if row < it.samples { 1.0 } else { 0.0 });
            if row < it.samples {
                seen.push(number(row));
            } else {
                assert_eq!(number(row), number(row % it.samples), "padding repeats the batch");
            }
        }
    }
    seen
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_epoch_has_every_sample_once(
        count in 0usize..400, batch in 1usize..70, seed: u64, epoch: u64, prefetch in 0usize..4,
    ) {
        let loader = Loader::new(numbered(count), options(batch, Some(seed), prefetch)).unwrap();
        prop_assert_eq!(loader.batches(), count.div_ceil(batch));
        let mut seen = samples_of(&loader, epoch, batch);
        // The same again, from recycled buffers, and by another loader with another kind of worker.
        prop_assert_eq!(&samples_of(&loader, epoch, batch), &seen);
        let other = Loader::new(numbered(count), options(batch, Some(seed), 3 - prefetch)).unwrap();
        prop_assert_eq!(&samples_of(&other, epoch, batch), &seen);
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..count as u32).collect::<Vec<_>>());
    }
}

#[test]
fn epochs_and_seeds_differ_and_evaluation_keeps_the_order() {
    let order = |shuffle, epoch| samples_of(&Loader::new(numbered(100), options(32, shuffle, 2)).unwrap(), epoch, 32);
    assert_ne!(order(Some(1), 0), order(Some(1), 1));
    assert_ne!(order(Some(1), 0), order(Some(2), 0));
    assert_eq!(order(None, 0), (0..100).collect::<Vec<_>>());
    assert_eq!(order(None, 5), order(None, 0));
}

#[test]
fn an_epoch_can_be_taken_up_in_the_middle() {
    let loader = Loader::new(numbered(100), options(16, Some(3), 2)).unwrap();
    let rows = |epoch: Epoch| {
        epoch.map(|batch| batch.map(|batch| (batch.index, batch.f32s(IMAGES).to_vec())).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(rows(loader.epoch_from(4, 3)), rows(loader.epoch(4))[3..]);
    assert_eq!(loader.epoch_from(4, 7).count(), 0);
    assert_eq!(loader.epoch_from(4, 99).count(), 0);
}

#[test]
fn an_epoch_can_be_left_at_any_time() {
    let loader = Loader::new(numbered(1000), options(10, Some(3), 3)).unwrap();
    for taken in 0..20 {
        let mut epoch = loader.epoch(0);
        let kept: Vec<_> = epoch.by_ref().take(taken).collect();
        drop(epoch);
        assert_eq!(kept.len(), taken);
    }
    // Batches may outlive their loader, and all be held at once.
    let kept: Vec<_> = loader.epoch(0).collect();
    drop(loader);
    assert_eq!(kept.iter().map(|batch| batch.as_ref().unwrap().samples).sum::<usize>(), 1000);
}

#[test]
fn buffers_are_recycled() {
    let loader =
        Loader::new(numbered(1000), LoaderOptions { workers: 2, prefetch: 1, ..options(10, Some(3), 0) }).unwrap();
    let mut buffers = BTreeSet::new();
    for epoch in 0..3 {
        for batch in loader.epoch(epoch) {
            buffers.insert(batch.unwrap().f32s(IMAGES).as_ptr() as usize);
        }
    }
    // Two ready, two being filled, one in use.
    assert!(buffers.len() <= 5, "{} buffers for 300 batches", buffers.len());
}

#[test]
fn pixels_are_normalised_per_channel() {
    let images = vec![0, 255, 51, 102, 0, 255];
    let split = Arc::new(Split::new([3, 1, 2], 1, images, vec![0]).unwrap());
    let options = LoaderOptions { mean: vec![0.5, 0.2, 0.0], std: vec![0.5, 0.1, 2.0], ..options(1, None, 0) };
    let batch = Loader::new(split, options).unwrap().epoch(0).next().unwrap().unwrap();
    let expected = [-1.0, 1.0, 0.0, 2.0, 0.0, 0.5];
    let images = batch.f32s(IMAGES);
    assert!(images.iter().zip(expected).all(|(x, y): (&f32, f32)| (x - y).abs() < 1e-6), "{images:?}");
}

/// Where images stay bytes, nothing else about an epoch is different: the order, the padding, the labels.
#[test]
fn bytes_are_what_floats_are_made_of() {
    let epoch = |pixels| {
        let options = LoaderOptions { pixels, ..options(32, Some(5), 2) };
        Loader::new(numbered(100), options).unwrap().epoch(2).map(Result::unwrap).collect::<Vec<_>>()
    };
    for (bytes, floats) in epoch(Pixels::Bytes).iter().zip(&epoch(Pixels::Normalised)) {
        assert_eq!(bytes.u8s(IMAGES).len(), 32 * 4);
        let table: Vec<f32> = (0..256).map(|byte| (byte as f32 / 255.0 - 0.0) / (1.0 / 255.0)).collect();
        let made: Vec<f32> = bytes.u8s(IMAGES).iter().map(|&byte| table[usize::from(byte)]).collect();
        assert_eq!(made, floats.f32s(IMAGES));
        assert!(bytes.f32s(IMAGES).is_empty() && floats.u8s(IMAGES).is_empty());
        assert_eq!((bytes.u32s(LABELS), bytes.f32s(MASK)), (floats.u32s(LABELS), floats.f32s(MASK)));
        assert_eq!(bytes.shares(IMAGES)[0], f32::from(bytes.u8s(IMAGES)[0]) / 255.0);
    }
    // Noise is no byte.
    let noisy = LoaderOptions { pixels: Pixels::Bytes, noise: 0.1, ..options(32, Some(5), 2) };
    assert_eq!(Loader::new(numbered(100), noisy).unwrap().arrays()[0].element, ElementType::F32);
}

#[test]
fn senseless_options_are_refused() {
    let refused = |options| matches!(Loader::new(numbered(10), options), Err(DataError::Invalid(_)));
    assert!(refused(options(0, None, 1)));
    assert!(refused(options(usize::MAX, None, 1)));
    assert!(refused(options(usize::MAX / 16, None, 1)));
    assert!(refused(LoaderOptions { mean: vec![], ..options(1, None, 1) }));
    assert!(refused(LoaderOptions { std: vec![1.0; 3], ..options(1, None, 1) }));
    assert!(refused(LoaderOptions { std: vec![0.0], ..options(1, None, 1) }));
    assert!(refused(LoaderOptions { std: vec![-1.0], ..options(1, None, 1) }));
    assert!(refused(LoaderOptions { mean: vec![f32::NAN], ..options(1, None, 1) }));
    assert!(!refused(options(1, None, usize::MAX)));
}

/// Fields of rank three of every type of element; sample n is filled with n.
#[derive(Debug)]
struct Fields(Vec<ArraySpec>);

impl ArraySource for Fields {
    fn samples(&self) -> usize {
        10
    }

    fn arrays(&self) -> &[ArraySpec] {
        &self.0
    }

    fn read(&self, chunk: Chunk<'_>, arrays: &mut [Array]) -> Result<(), DataError> {
        for &sample in chunk.samples {
            for array in arrays.iter_mut() {
                match &mut array.elements {
                    Elements::U8(values) => values.extend([sample as u8; 6]),
                    Elements::I8(values) => values.extend([-(sample as i8); 6]),
                    Elements::F16(values) => values.extend([half::f16::from_f32(sample as f32); 6]),
                    Elements::F32(values) => values.extend([sample as f32; 6]),
                    Elements::U32(values) => values.extend([sample; 6]),
                }
            }
        }
        Ok(())
    }
}

/// The share of one of two ranks: every second sample, from the last to the first.
#[derive(Debug)]
struct EverySecond;

impl Sampler for EverySecond {
    fn batches(&self) -> usize {
        2
    }

    fn samples(&self) -> usize {
        5
    }

    fn epoch(&self, epoch: u64) -> Arc<dyn EpochPlan> {
        Arc::new(Second(epoch as u32 % 2))
    }
}

#[derive(Debug)]
struct Second(u32);

impl EpochPlan for Second {
    fn samples(&self, batch: usize) -> std::borrow::Cow<'_, [u32]> {
        let all: Vec<u32> = (0..5).rev().map(|place| 2 * place + self.0).collect();
        all.chunks(3).nth(batch).expect("there are two batches").to_vec().into()
    }
}

#[test]
fn any_source_is_batched_as_any_sampler_says() {
    let types = [ElementType::U8, ElementType::I8, ElementType::F16, ElementType::F32, ElementType::U32];
    let names = ["u8", "i8", "f16", "f32", "u32"];
    let specs = names.into_iter().zip(types).map(|(name, element)| ArraySpec::new(name, element, [1, 2, 3])).collect();
    let loader = Loader::of(Arc::new(Fields(specs)), Arc::new(EverySecond), 3, [2, 1]).unwrap();
    assert_eq!((loader.batches(), loader.samples()), (2, 5));
    for epoch in 0..2 {
        let batches: Vec<Batch> = loader.epoch(epoch).map(Result::unwrap).collect();
        let first = |values: &[f32]| values.chunks(6).map(|sample| sample[5] as i64).collect::<Vec<_>>();
        let wanted = [[8, 6, 4], [2, 0, 2]].map(|batch| batch.map(|sample| sample + epoch as i64));
        for (batch, wanted) in batches.iter().zip(wanted) {
            for name in names {
                let sign = if name == "i8" { -1 } else { 1 };
                let array = batch.array(name).unwrap();
                assert_eq!(first(&array.as_f32()), wanted.map(|sample| sign * sample), "{name}");
            }
            assert_eq!(batch.array("u8").unwrap().bytes().len(), 18);
            assert_eq!(batch.array("f16").unwrap().bytes().len(), 36);
        }
        assert_eq!(batches[1].f32s(MASK), [1.0, 1.0, 0.0]);
    }
}
