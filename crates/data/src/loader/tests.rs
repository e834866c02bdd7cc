//! What a loader promises: every sample once, the same on every run, and no trouble at the end.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

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
        assert_eq!((it.images.len(), it.labels.len(), it.mask.len()), (batch * 4, batch, batch));
        assert_eq!(it.mask.iter().sum::<f32>(), it.samples as f32);
        let number = |row: usize| {
            let bytes = [0, 1, 2, 3].map(|at| it.images[row * 4 + at].round() as u8);
            u32::from_be_bytes(bytes)
        };
        for row in 0..batch {
            assert_eq!(it.labels[row], number(row) % 7);
            assert_eq!(it.mask[row], if row < it.samples { 1.0 } else { 0.0 });
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
        epoch.map(|batch| batch.map(|batch| (batch.index, batch.images.clone())).unwrap()).collect::<Vec<_>>()
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
            buffers.insert(batch.unwrap().images.as_ptr() as usize);
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
    assert!(batch.images.iter().zip(expected).all(|(x, y): (&f32, f32)| (x - y).abs() < 1e-6), "{:?}", batch.images);
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
