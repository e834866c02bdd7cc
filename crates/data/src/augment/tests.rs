//! Each operation against a slow reference, its chances against what they should be, and all of it repeatable.

use std::sync::Arc;

use proptest::prelude::*;

use super::super::{Goal, IMAGES, LABELS, Loader, LoaderOptions, Pixels, Split, TARGETS};
use super::*;

fn picture(channels: usize, height: usize, width: usize, seed: u64) -> Picture<'static> {
    let stream = Stream::new(seed, 0);
    let bytes = (0..channels * height * width).map(|at| stream.below(at as u64, 256) as u8).collect();
    Picture { height, width, bytes }
}

fn applied(augment: &Augment, picture: &Picture<'_>, draws: Stream) -> Vec<u8> {
    let mut bytes = vec![77; 5];
    augment.apply(picture, [picture.height, picture.width], draws, &mut bytes);
    bytes
}

proptest! {
    /// Against the definition: put the image into a larger black one, and cut.
    #[test]
    fn pad_crop_cuts_from_a_padded_image(
        channels in 1usize..4, height in 1usize..9, width in 1usize..9, pad in 1usize..10, sample: u64,
    ) {
        let pad = pad.min(height.min(width));
        let picture = picture(channels, height, width, 1);
        let draws = Stream::of_sample(1, 2, sample);
        let augment = Augment { pad_crop: Some(pad), ..Augment::default() };
        let result = applied(&augment, &picture, draws);
        let padded = |c: usize, y: usize, x: usize| match (y.checked_sub(pad), x.checked_sub(pad)) {
            (Some(y), Some(x)) if y < height && x < width => picture.bytes[(c * height + y) * width + x],
            _ => 0,
        };
        let [top, left] = [0, 1].map(|axis| draws.below(axis, 2 * pad as u32 + 1) as usize);
        let expected: Vec<u8> = (0..channels * height * width)
            .map(|at| padded(at / (height * width), at / width % height + top, at % width + left))
            .collect();
        prop_assert_eq!(result, expected);
    }

    #[test]
    fn a_resized_crop_lies_within_the_image_and_its_limits(
        height in 1usize..200, width in 1usize..200, sample: u64, least in 0.01f64..1.0, narrow in 0.1f64..1.0,
    ) {
        let limits = ResizedCrop { scale: [least, 1.0], ratio: [narrow, 1.0 / narrow] };
        let part = limits.draw(&picture(1, height, width, 0), Stream::of_sample(0, 0, sample));
        prop_assert!(part.height >= 1 && part.top + part.height <= height, "{:?}", part);
        prop_assert!(part.width >= 1 && part.left + part.width <= width, "{:?}", part);
        // Rounding moves each side by half a pixel at most; a fallback to the middle keeps the proportions alone.
        let ratio = (part.width as f64 + 0.5) / (part.height as f64 - 0.5);
        prop_assert!(ratio >= narrow || part.width == width, "{:?}", part);
    }

    #[test]
    fn every_operation_keeps_the_size_and_never_panics(
        channels in prop_oneof![Just(1usize), Just(3)], height in 1usize..20, width in 1usize..20, sample: u64,
        out in 1usize..12, crop: bool, spread in 0.0f64..10.0,
    ) {
        let augment = Augment {
            pad_crop: (!crop).then_some(1),
            resized_crop: crop.then(ResizedCrop::default),
            flip: true,
            jitter: Some(Jitter { brightness: spread, contrast: spread, saturation: spread }),
            cutout: Some(out),
            mixup: None,
        };
        let draws = Stream::of_sample(9, 9, sample);
        let mut bytes = Vec::new();
        augment.apply(&picture(channels, height, width, sample), [out, out], draws, &mut bytes);
        prop_assert_eq!(bytes.len(), channels * out * out);
        let hole = augment.hole([out, out], draws).unwrap();
        prop_assert!(hole.top + hole.height <= out && hole.left + hole.width <= out && hole.height * hole.width > 0);
    }

    /// torchvision's formulas in f64, on values and not on bytes: a byte may differ by its rounding, three times over.
    #[test]
    fn jitter_follows_the_formulas(sample: u64, channels in prop_oneof![Just(1usize), Just(3)]) {
        let jitter = Jitter { brightness: 0.4, contrast: 0.3, saturation: 0.6 };
        let picture = picture(channels, 6, 7, sample);
        let draws = Stream::of_sample(5, 6, sample);
        let augment = Augment { jitter: Some(jitter), ..Augment::default() };
        let result = applied(&augment, &picture, draws);
        let plane = 42;
        let factor = |at: u64, spread: f64| 1.0 - spread + 2.0 * spread * draws.unit(3 + at);
        let clamp = |value: f64| value.clamp(0.0, 255.0);
        let mut x: Vec<f64> = picture.bytes.iter().map(|&byte| clamp(f64::from(byte) * factor(0, 0.4))).collect();
        let grey = |x: &[f64], at: usize| match channels {
            1 => x[at],
            _ => 0.299 * x[at] + 0.587 * x[at + plane] + 0.114 * x[at + 2 * plane],
        };
        let mean = (0..plane).map(|at| grey(&x, at)).sum::<f64>() / plane as f64;
        x.iter_mut().for_each(|x| *x = clamp(mean + (*x - mean) * factor(1, 0.3)));
        if channels == 3 {
            let greys: Vec<f64> = (0..plane).map(|at| grey(&x, at)).collect();
            x.iter_mut().enumerate().for_each(|(at, x)| {
                *x = clamp(greys[at % plane] + (*x - greys[at % plane]) * factor(2, 0.6));
            });
        }
        let worst = result.iter().zip(&x).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
        prop_assert!(worst < 3.0, "{}", worst);
    }
}

#[test]
fn a_flip_mirrors_every_other_image() {
    let augment = Augment { flip: true, ..Augment::default() };
    let picture = picture(3, 4, 5, 3);
    let mirrored: Vec<u8> = (0..60).map(|at| picture.bytes[at / 5 * 5 + 4 - at % 5]).collect();
    let mut flipped = 0;
    for sample in 0..2000 {
        let result = applied(&augment, &picture, Stream::of_sample(1, 1, sample));
        assert!(result == mirrored || result == *picture.bytes);
        flipped += u32::from(result == mirrored);
    }
    // 5 deviations of a fair coin.
    assert!((890..1110).contains(&flipped), "{flipped}");
}

/// Mean size and place of many crops are those of the distributions that they are drawn from.
#[test]
fn resized_crops_are_spread_as_they_should_be() {
    let limits = ResizedCrop { scale: [0.1, 0.3], ratio: [0.8, 1.25] };
    let picture = picture(1, 100, 100, 0);
    let (mut area, mut centre, mut wide) = (0.0, 0.0, 0);
    let count = 4000;
    for sample in 0..count {
        let part = limits.draw(&picture, Stream::of_sample(2, 3, sample));
        area += (part.height * part.width) as f64 / 1e4 / count as f64;
        centre += (part.left as f64 + part.width as f64 / 2.0) / 100.0 / count as f64;
        wide += u32::from(part.width > part.height);
    }
    assert!((area - 0.2).abs() < 0.005, "{area}");
    assert!((centre - 0.5).abs() < 0.015, "{centre}");
    assert!((1700..2300).contains(&wide), "{wide}");
}

#[test]
fn cutout_blanks_a_square_around_every_place_alike() {
    let augment = Augment { cutout: Some(4), ..Augment::default() };
    let mut counts = [0u32; 64];
    for sample in 0..6400 {
        let Rect { top, left, height, width } = augment.hole([8, 8], Stream::of_sample(4, 0, sample)).unwrap();
        assert!(height <= 4 && width <= 4);
        (0..64)
            .filter(|at| (top..top + height).contains(&(at / 8)) && (left..left + width).contains(&(at % 8)))
            .for_each(|at| counts[at] += 1);
    }
    // A pixel in the middle is in the holes of 16 centres of 64, the last one in those of 2 × 2 + … fewer.
    assert!((1400..1800).contains(&counts[3 * 8 + 4]), "{counts:?}");
    assert!(counts[63] < counts[27] && counts[0] < counts[27] && counts[0] > 300, "{counts:?}");
}

fn everything() -> Augment {
    Augment {
        pad_crop: Some(2),
        resized_crop: None,
        flip: true,
        jitter: Some(Jitter { brightness: 0.3, contrast: 0.3, saturation: 0.3 }),
        cutout: Some(3),
        mixup: None,
    }
}

fn loader(augment: Augment, seed: u64, batch: usize, workers: usize) -> Loader {
    loader_of(Pixels::Normalised, augment, seed, batch, workers)
}

fn loader_of(pixels: Pixels, augment: Augment, seed: u64, batch: usize, workers: usize) -> Loader {
    let images: Vec<u8> = picture(3, 200, 64, 1).bytes.into_owned();
    let split = Split::new([3, 8, 8], 10, images, (0..200).map(|at| at % 10).collect()).unwrap();
    let (mean, std) = (vec![0.4; 3], vec![0.2; 3]);
    let (shuffle, goal) = (Some(seed), Goal::Classes(10));
    let options = LoaderOptions { batch, shuffle, augment, goal, noise: 0.0, pixels, mean, std, workers, prefetch: 2 };
    Loader::new(Arc::new(split), options).unwrap()
}

fn epoch(loader: &Loader, epoch: u64) -> Vec<Vec<f32>> {
    loader.epoch(epoch).map(|batch| batch.unwrap().f32s(IMAGES).to_vec()).collect()
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let alone = epoch(&loader(everything(), 7, 16, 0), 3);
    for workers in [1, 2, 3, 8, 50] {
        assert!(epoch(&loader(everything(), 7, 16, workers), 3) == alone, "{workers} workers");
    }
    // Nor does where an interrupted epoch is taken up.
    let loader = loader(everything(), 7, 16, 3);
    let rest: Vec<Vec<f32>> = loader.epoch_from(3, 5).map(|batch| batch.unwrap().f32s(IMAGES).to_vec()).collect();
    assert!(rest == alone[5..]);
}

#[test]
fn what_happens_to_a_sample_follows_seed_and_epoch_alone() {
    // In one batch of everything each sample is found again by its label's place in the order.
    let first = epoch(&loader(everything(), 7, 200, 2), 0);
    assert!(epoch(&loader(everything(), 7, 200, 2), 0) == first);
    assert!(epoch(&loader(everything(), 7, 200, 2), 1) != first);
    assert!(epoch(&loader(everything(), 8, 200, 2), 0) != first);
    // Batches of another size hold the same samples, augmented alike.
    assert!(epoch(&loader(everything(), 7, 10, 2), 0).concat() == first.concat());
    // Without cutout the others draw what they drew before: outside of the holes nothing changes.
    let without = epoch(&loader(Augment { cutout: None, ..everything() }, 7, 200, 2), 0);
    let changed: Vec<bool> = without[0].iter().zip(&first[0]).map(|(a, b)| a != b).collect();
    let share = changed.iter().filter(|&&changed| changed).count() as f64 / changed.len() as f64;
    assert!(first[0].iter().zip(&changed).all(|(x, changed)| !changed || *x == 0.0));
    assert!((0.05..9.0 / 64.0 + 0.001).contains(&share), "{share}");
}

/// Crops, mirrored images, jitter and holes are bytes; holes alone differ from those of floats, by less than a byte.
#[test]
fn images_stay_bytes_under_all_that_keeps_them_so() {
    let (mean, std) = (0.4f32, 0.2f32);
    let of = |byte: u8| (f32::from(byte) / 255.0 - mean) / std;
    let mut holes = 0;
    let floats = epoch(&loader(everything(), 7, 16, 1), 3);
    for (batch, floats) in loader_of(Pixels::Bytes, everything(), 7, 16, 2).epoch(3).zip(&floats) {
        let batch = batch.unwrap();
        assert_eq!(batch.u8s(IMAGES).len(), floats.len());
        for (&byte, &float) in batch.u8s(IMAGES).iter().zip(floats) {
            holes += usize::from(float == 0.0);
            // 102 is 0.4 of 255.
            assert!(of(byte) == float || (float == 0.0 && byte == 102), "{byte} for {float}");
        }
    }
    assert!(holes > 1000, "{holes}");
    // Mixtures are no bytes.
    let mixed = loader_of(Pixels::Bytes, Augment { mixup: Some(0.2), ..everything() }, 7, 16, 1);
    assert_eq!(mixed.arrays()[0].element, crate::ElementType::F32);
}

/// λ of a batch, pinned: changing it changes the result of every run with mixup.
#[test]
fn shares_are_spread_as_they_should_be_and_never_change() {
    assert_eq!(mixing_share(0.2, Stream::of_batch(1, 2, 3)), 0.000_436_188_92);
    for alpha in [0.01, 0.2, 1.0, 4.0, 100.0] {
        let count = 20_000;
        let shares: Vec<f64> =
            (0..count).map(|batch| mixing_share(alpha, Stream::of_batch(5, 6, batch)).into()).collect();
        assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)));
        let mean = shares.iter().sum::<f64>() / count as f64;
        let variance = shares.iter().map(|share| (share - mean).powi(2)).sum::<f64>() / count as f64;
        // Of Beta(α, α): 1/2 and 1 / (4 · (2α + 1)); 5 deviations of the estimates at most.
        let wanted = 0.25 / (2.0 * alpha + 1.0);
        assert!((mean - 0.5).abs() < 5.0 * (wanted / count as f64).sqrt(), "{alpha}: {mean}");
        assert!((variance / wanted - 1.0).abs() < 0.05, "{alpha}: {variance} for {wanted}");
    }
}

/// Against the definition, row by row, with everything else done to the images as without mixup.
#[test]
fn mixup_mixes_each_sample_with_the_next_of_its_batch() {
    let (batch, classes) = (48, 10);
    let mixed = loader(Augment { mixup: Some(0.7), ..everything() }, 7, batch, 2);
    let plain = loader(everything(), 7, batch, 2);
    let mut shares = Vec::new();
    for (index, (mixed, plain)) in mixed.epoch(3).zip(plain.epoch(3)).enumerate() {
        let (mixed, plain) = (mixed.unwrap(), plain.unwrap());
        assert!(
            plain.f32s(TARGETS).is_empty()
                && mixed.f32s(TARGETS).len() == batch * classes
                && mixed.u32s(LABELS) == plain.u32s(LABELS)
        );
        let share = mixing_share(0.7, Stream::of_batch(7, 3, index as u64));
        shares.push(share);
        for row in 0..batch {
            // The last batch has 8 samples, again and again.
            let own = row % mixed.samples;
            let next = (own + 1) % mixed.samples;
            let mix = |a: f32, b: f32| share * a + (1.0 - share) * b;
            let pixels = 192;
            let image = |batch: &[f32], row: usize| batch[row * pixels..(row + 1) * pixels].to_vec();
            let wanted =
                image(plain.f32s(IMAGES), own).into_iter().zip(image(plain.f32s(IMAGES), next)).map(|(a, b)| mix(a, b));
            assert!(image(mixed.f32s(IMAGES), row).into_iter().eq(wanted), "batch {index}, row {row}");
            let is = |row: usize, class: usize| f32::from(u8::from(plain.u32s(LABELS)[row] as usize == class));
            let wanted = (0..classes).map(|class| mix(is(own, class), is(next, class)));
            assert!(
                mixed.f32s(TARGETS)[row * classes..][..classes].iter().copied().eq(wanted),
                "batch {index}, row {row}"
            );
        }
    }
    assert_eq!(shares.len(), 5);
    assert!(shares.windows(2).all(|pair| pair[0] != pair[1]), "{shares:?}");
}

/// What is to be made of an image is cut and mirrored with it, and has none of what changes its values.
#[test]
fn targets_move_with_their_images() {
    let images: Vec<u8> = picture(1, 60, 64, 1).bytes.into_owned();
    let negatives = images.iter().map(|x| 255 - x).collect();
    let split = Arc::new(Split::pairs([1, 8, 8], images, negatives).unwrap());
    let of = |augment: Augment, noise: f64, workers: usize| {
        let (goal, pixels, mean, std) = (Goal::Images, Pixels::Normalised, vec![0.0], vec![1.0]);
        let options = LoaderOptions {
            batch: 25,
            shuffle: Some(7),
            augment,
            goal,
            noise,
            pixels,
            mean,
            std,
            workers,
            prefetch: 2,
        };
        let batches = Loader::new(split.clone(), options).unwrap().epoch(3);
        let both = |batch: Result<_, _>| {
            batch.map(|batch: super::super::Batch| (batch.f32s(IMAGES).to_vec(), batch.f32s(TARGETS).to_vec()))
        };
        let both: Vec<(Vec<f32>, Vec<f32>)> = batches.map(|batch| both(batch).unwrap()).collect();
        let (images, targets): (Vec<_>, Vec<_>) = both.into_iter().unzip();
        (images.concat(), targets.concat())
    };
    let moves = Augment { flip: true, ..Augment::default() };
    let (images, targets) = of(moves.clone(), 0.0, 2);
    // As bytes they are the same ones.
    let (goal, pixels, mean, std) = (Goal::Images, Pixels::Bytes, vec![0.0], vec![1.0]);
    let (augment, shuffle) = (moves.clone(), Some(7));
    let options =
        LoaderOptions { batch: 25, shuffle, augment, goal, noise: 0.0, pixels, mean, std, workers: 1, prefetch: 2 };
    let bytes = Loader::new(split.clone(), options).unwrap().epoch(3).map(Result::unwrap);
    let as_bytes =
        bytes.map(|batch| batch.u8s(TARGETS).iter().map(|&byte| f32::from(byte) / 255.0).collect::<Vec<_>>());
    assert_eq!(as_bytes.flatten().collect::<Vec<f32>>(), targets);
    assert_eq!(targets.len(), 3 * 25 * 64);
    assert!(images.iter().zip(&targets).all(|(x, t)| (x + t - 1.0).abs() < 1e-6));
    let jitter = Some(Jitter { brightness: 0.3, ..Jitter::default() });
    let (changed, same) = of(Augment { jitter, cutout: Some(3), ..moves.clone() }, 0.0, 1);
    assert!(same == targets && changed != images);
    // Normal noise of the requested deviation, the same whoever makes it.
    let (noisy, same) = of(moves.clone(), 0.25, 0);
    assert!(same == targets && of(moves, 0.25, 3).0 == noisy);
    let noise: Vec<f64> = noisy.iter().zip(&images).take(60 * 64).map(|(a, b)| f64::from(a - b)).collect();
    let moment = |power: i32| noise.iter().map(|x| x.powi(power)).sum::<f64>() / noise.len() as f64;
    let deviation = moment(2).sqrt();
    assert!(moment(1).abs() < 5.0 * 0.25 / 62.0, "mean {}", moment(1));
    assert!((deviation / 0.25 - 1.0).abs() < 5.0 / (2.0f64 * 3840.0).sqrt(), "deviation {deviation}");
    assert!((moment(4) / deviation.powi(4) - 3.0).abs() < 0.4, "kurtosis {}", moment(4) / deviation.powi(4));
    // Labels are for classifiers, images for others.
    let refused = |split: &Arc<Split>, augment: Augment, goal: Goal| {
        let (pixels, mean, std) = (Pixels::Bytes, vec![0.0], vec![1.0]);
        let options = LoaderOptions {
            batch: 1,
            shuffle: Some(1),
            augment,
            goal,
            noise: 0.0,
            pixels,
            mean,
            std,
            workers: 0,
            prefetch: 0,
        };
        matches!(Loader::new(split.clone(), options), Err(DataError::Invalid(_)))
    };
    assert!(refused(&split, Augment::default(), Goal::Classes(1)));
    assert!(refused(&split, Augment { mixup: Some(0.2), ..Augment::default() }, Goal::Images));
}

#[test]
fn what_cannot_be_done_is_refused_by_name() {
    let shape = [3, 8, 10];
    let refusal = |augment: Augment| augment.check(shape).unwrap_err().to_string();
    assert!(refusal(Augment { pad_crop: Some(9), ..Augment::default() }).contains("`data.augment.pad_crop` is 9"));
    assert!(refusal(Augment { cutout: Some(9), ..Augment::default() }).contains("at most 8"));
    everything().check(shape).unwrap();
    let options = LoaderOptions {
        batch: 1,
        shuffle: None,
        augment: everything(),
        goal: Goal::Classes(1),
        noise: 0.0,
        pixels: Pixels::Bytes,
        mean: vec![0.0],
        std: vec![1.0],
        workers: 0,
        prefetch: 0,
    };
    let split = Split::new([1, 8, 8], 1, vec![0; 64], vec![0]).unwrap();
    assert!(matches!(Loader::new(Arc::new(split), options), Err(DataError::Invalid(_))));
}
