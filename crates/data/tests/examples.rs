//! The example does what it says: it checks itself. And what it does not do, samples that cannot be read.

#[path = "../examples/custom_data.rs"]
mod custom_data;

use frugal_data::{DataError, Dataset, Loader, LoaderOptions, Samples, Split};
use std::error::Error;

#[test]
fn custom_data() {
    custom_data::main().unwrap();
}

/// Each pixel is the index of its sample; sample 7 is broken, sample 9 too short.
#[derive(Debug)]
struct Indices;

impl Samples for Indices {
    fn read(&self, index: usize, pixels: &mut Vec<u8>) -> Result<(), Box<dyn Error + Send + Sync>> {
        if index == 7 {
            return Err("the line is dead".into());
        }
        pixels.resize(if index == 9 { 5 } else { 6 }, index as u8);
        Ok(())
    }
}

fn split(count: usize) -> Split {
    Split::of([1, 2, 3], 2, Indices, (0..count as u32).map(|index| index % 2).collect()).unwrap()
}

#[test]
fn parts_of_own_samples_keep_images_and_labels_together() {
    let (some, others) = split(7).divide(3, 5);
    let (again, _) = some.divide(2, 1);
    let mut seen = Vec::new();
    for part in [&some, &others, &again] {
        for at in 0..part.len() {
            let image = part.image(at).unwrap();
            assert!(image.iter().all(|&pixel| pixel == image[0]) && image.len() == 6);
            assert_eq!(u32::from(image[0]) % 2, part.labels()[at]);
            seen.push(image[0]);
        }
    }
    assert!(seen[7..].iter().all(|index| seen[..3].contains(index)));
    seen.truncate(7);
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_sample_that_cannot_be_read_is_named_in_its_place() {
    for (count, broken, why) in [(8, 7, "the line is dead"), (10, 9, "5 bytes, not 6")] {
        let good = Dataset::new("indices", vec!["even".into(), "odd".into()], split(5), split(5)).unwrap();
        let options = LoaderOptions { workers: 1, ..LoaderOptions::evaluate(&good, 1) };
        let loader = Loader::new(split(count).into(), options).unwrap();
        let results: Vec<_> = loader.epoch(0).collect();
        assert!(results[..7].iter().all(Result::is_ok));
        match &results[broken] {
            Err(error @ DataError::Sample { index, .. }) => {
                assert!(*index == broken && error.to_string().contains(why), "{error}");
            }
            other => panic!("sample {broken}: {other:?}"),
        }
    }
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let names = || vec!["even".to_owned(), "odd".to_owned()];
    let wide = Split::of([1, 2, 4], 2, Indices, vec![0, 1]).unwrap();
    let refused = |result: Result<Dataset, DataError>| matches!(result, Err(DataError::Invalid(_)));
    assert!(refused(Dataset::new("a", names(), split(4), wide)));
    assert!(refused(Dataset::new("a", names(), split(0), split(0))));
    // Nets can be judged by a set without training samples.
    let judge = Dataset::new("a", names(), split(0), split(4)).unwrap();
    assert!(matches!(judge.parts(None, 1), Err(DataError::Invalid(_))));
    assert!(refused(Dataset::new("a", vec!["even".into()], split(4), split(4))));
    assert!(matches!(Split::of([1, 2, 3], 1, Indices, vec![0, 1]), Err(DataError::Invalid(_))));
    assert!(matches!(Dataset::new("a", names(), split(8), split(4)), Err(DataError::Sample { index: 7, .. })));
}
