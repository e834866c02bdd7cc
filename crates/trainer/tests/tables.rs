//! The tables of a comparison, from fixed summaries.

use frugal_report::comparison::{Comparison, Memory, Row};
use frugal_report::convolutions::Convolutions;
use frugal_report::records::Divergence;
use frugal_report::records::RunBytes;
use frugal_report::records::{AdapterFacts, Measure, Summary};
use frugal_report::records::{GradientError, GradientStudy, StudiedStore};
use frugal_tensor::plan::{Bytes, KeptValue};

fn summary(store: &str, seed: u32, test_accuracy: f64, seconds_per_step: f64) -> Summary {
    let planned = Bytes::default();
    Summary {
        name: "test".into(),
        seed,
        store: store.into(),
        loss: "cross-entropy".to_owned(),
        test_accuracy: Some(test_accuracy),
        test_loss: 0.5,
        test_psnr: None,
        validation_accuracy: None,
        validation_loss: None,
        train_loss: 0.25 + f64::from(seed) / 100.0,
        steps: 100,
        stopped_early: false,
        best: (100, test_accuracy),
        since_best: None,
        seconds_per_step,
        data_wait_ms: 0.0,
        seconds: 10.0,
        bytes: RunBytes {
            planned,
            allocated: planned.peak,
            most_allocated: planned.peak,
            counted_by_wgpu: planned.peak,
        },
        coded: None,
        adapter: AdapterFacts {
            name: "Test GPU".into(),
            driver: "none".into(),
            driver_info: String::new(),
            backend: "vulkan".into(),
            r#type: "Other".into(),
        },
        evaluation: None,
    }
}

/// 1.25 times as good a ratio as that of everything, images among it, and a mask.
fn read(kept: u64) -> Convolutions {
    let value = |name: &str, raw_bytes, mask_bytes| KeptValue {
        is_input: name == "images",
        name: name.into(),
        form: "made up",
        raw_bytes,
        stored_bytes: 0,
        convolution_input: true,
        follows_data: false,
        mask_bytes,
    };
    let values = [value("images", 100_000, 0), value("relu", 400_000, 15_000)];
    Convolutions::of(values.iter(), |value| if value.name == "images" { kept / 25 } else { 9 * kept / 25 })
}

fn row(store: &str, kept: u64, runs: &[(f64, f64)]) -> Row {
    let memory = Memory {
        kept_bytes: kept,
        kept_ratio: 1e6 / kept as f64,
        kept_ratio_convolutions: Some(1.25e6 / kept as f64),
        convolutions: read(kept),
        peak_bytes: 3_000_000 + kept,
        peak_ratio: 4e6 / (3e6 + kept as f64),
        largest_batch: Some(12_345_000_000 / kept as usize),
    };
    let seeds = 1..;
    let runs = runs.iter().zip(seeds).map(|(&(accuracy, seconds), seed)| match accuracy.is_nan() {
        true => Err(Divergence { seed, step: 1234, finding: "`conv1` has 3 NaN".into() }),
        false => Ok(summary(store, seed, accuracy, seconds)),
    });
    Row::new(store.into(), memory, &runs.collect::<Vec<_>>())
}

fn of(stores: Vec<Row>) -> Comparison {
    Comparison {
        name: "test".into(),
        set: "digits".into(),
        net: "lenet".into(),
        batch: 64,
        epochs: 3,
        measure: Default::default(),
        seeds: vec![1, 2],
        adapter: "Test GPU".into(),
        budget: 8 << 30,
        stores,
    }
    .related(&GradientStudy::default())
}

fn comparison() -> Comparison {
    let raw = row("raw", 1_000_000, &[(0.90, 0.010), (0.92, 0.012)]);
    of(vec![raw, row("frequency-split:8,4", 250_000, &[(0.89, 0.013), (0.91, 0.015)])])
}

fn examined() -> Comparison {
    let weight = |parameter: &str, error, noise| GradientError { parameter: parameter.into(), error, noise };
    let gradient = vec![weight("conv1.weight", 0.1, 0.4), weight("fc.weight", 0.3, 0.4), weight("dead", 0.0, 0.0)];
    let stores = vec![StudiedStore { store: "frequency-split:8,4".into(), gradient, values: Vec::new() }];
    comparison().related(&GradientStudy { stores, ..GradientStudy::default() })
}

#[test]
fn markdown() {
    let text = comparison().to_markdown();
    let expected = "\
lenet on digits, 3 epochs, batch 64, seeds 1, 2, on Test GPU

| saves | peak | ratio | kept | ratio | convolutions | batch in 8 GiB |
|:--|--:|--:|--:|--:|--:|--:|
| raw | 3.81 MiB | 1.00× | 977 KiB | 1.00× | 1.25× | 12,345 |
| frequency-split:8,4 | 3.10 MiB | 1.23× | 244 KiB | 4.00× | 5.00× | 49,380 |

| costs | test accuracy | train loss | ms/step | overhead |
|:--|--:|--:|--:|--:|
| raw | 91.00 ± 1.41 % | 0.2650 | 11.0 | – |
| frequency-split:8,4 | 90.00 ± 1.41 % | 0.2650 | 14.0 | +27 % |
";
    assert!(text.starts_with(expected), "{text}");
    assert!(text.ends_with(&format!("\n{}\n", comparison().meaning())), "{text}");
}

#[test]
fn the_meaning_is_said_in_plain_sentences() {
    let text = comparison().meaning();
    let sentence = "frequency-split:8,4 took 3.10 MiB at the peak instead of raw's 3.81 MiB, 1.2 times less, and kept\n\
                    244 KiB instead of 977 KiB, 4.0 times less, at 1.00 points less test accuracy (less than ±) and 27 %\n\
                    more time per step.";
    assert!(text.ends_with(sentence), "{text}");
    assert!(text.contains("deviation between seeds"), "{text}");
}

#[test]
fn a_store_that_saves_nothing_is_said_to() {
    let mut comparison = comparison();
    let memory = &mut comparison.stores[1].memory;
    (memory.kept_ratio, memory.peak_ratio, memory.largest_batch) = (0.5, 0.99, Some(1 << 20));
    let text = comparison.to_text().replace('\n', " ");
    assert!(text.contains("instead of raw's 3.81 MiB, about as much, and"), "{text}");
    assert!(text.contains("kept 244 KiB instead of 977 KiB, 2.0 times more, at"), "{text}");
    assert!(text.contains("≥ 1,048,576"), "{text}");
}

#[test]
fn no_line_is_wider_than_a_terminal() {
    for text in [comparison().to_text(), examined().to_text()] {
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }
}

#[test]
fn csv() {
    assert_eq!(
        examined().to_csv(),
        "store,test_accuracy,test_accuracy_deviation,test_loss,test_loss_deviation,train_loss,milliseconds_per_step,overhead,\
         peak_bytes,peak_ratio,kept_bytes,kept_ratio,\
         kept_ratio_convolutions,convolutions_with_masks,convolutions_without_images,convolution_inputs_rebuilt,\
         budget,largest_batch,gradient_error,gradient_error_worst,worst_parameter,\
         overflows,repeated_steps,diverged_runs,diverged_at_step\n\
         raw,0.910000,0.014142,0.500000,0.000000,0.265000,11.0000,0.0000,4000000,1.0000,1000000,1.0000,1.2500,1.2048,1.1111,0,\
         8589934592,12345,,,,,,0,\n\
         \"frequency-split:8,4\",0.900000,0.014142,0.500000,0.000000,0.265000,14.0000,0.2727,3250000,1.2308,250000,4.0000,5.0000,4.3478,4.4444,0,\
         8589934592,49380,0.500000,0.750000,fc.weight,,,0,\n"
    );
}

#[test]
fn json() {
    let json = serde_json::to_value(examined()).unwrap();
    let split = &json["stores"][1];
    assert_eq!(split["store"], "frequency-split:8,4");
    assert_eq!(split["kept_bytes"], 250_000);
    assert_eq!(split["kept_ratio"], 4.0);
    assert_eq!(split["kept_ratio_convolutions"], 5.0);
    assert_eq!(split["peak_bytes"], 3_250_000);
    assert_eq!(split["largest_batch"], 49_380);
    assert_eq!(split["milliseconds_per_step"], 14.0);
    assert_eq!(split["test_accuracy"], 0.9);
    assert_eq!(split["gradient_error"]["worst_parameter"], "fc.weight");
    assert_eq!(json["budget"], 8u64 << 30);
}

/// Runs of nets that make images are judged by their loss: less is better, and the best store is found by that.
#[test]
fn images_are_judged_by_their_loss() {
    let row = |store: &str, kept: u64, losses: [f64; 2]| {
        let made = row(store, kept, &[(0.0, 0.010), (0.0, 0.010)]);
        let mean = (losses[0] + losses[1]) / 2.0;
        let deviation = (losses[0] - losses[1]).abs() / 2f64.sqrt();
        let (test_loss, test_loss_deviation) = (Some(mean), Some(deviation));
        Row { test_accuracy: None, test_accuracy_deviation: None, test_loss, test_loss_deviation, ..made }
    };
    let rows = || {
        let raw = row("raw", 1_000_000, [0.0100, 0.0101]);
        vec![raw, row("uniform:2", 100_000, [0.0200, 0.0201]), row("f16", 500_000, [0.0100, 0.0100])]
    };
    let images = |measure: Measure| Comparison { measure, ..of(rows()) };
    let comparison = images(Measure::SquaredError);
    let text = comparison.to_markdown();
    assert!(!text.contains("accuracy") && !text.contains(" %,"), "{text}");
    assert!(text.contains("| costs | test loss | PSNR | train loss |"), "{text}");
    assert!(text.contains("| raw | 0.01005 ± 0.00007 | 19.98 dB |"), "{text}");
    assert!(text.replace('\n', " ").contains("at 99.5 % more test loss and"), "{text}");
    assert!(text.replace('\n', " ").contains("at 0.5 % less test loss (less than ±) and"), "{text}");
    assert_eq!(comparison.best().unwrap().store, "f16");
    let text = images(Measure::Loss).to_text();
    assert!(text.contains("test loss") && !text.contains("PSNR") && !text.contains("dB"), "{text}");
}

#[test]
fn gradients_have_columns_only_where_they_were_examined() {
    let text = examined().to_markdown();
    assert!(text.contains("| overhead | gradient error | worst |"), "{text}");
    assert!(text.contains("| +27 % | 0.500 | 0.750 |"), "{text}");
    let sentence = "It changes gradients by 0.500 of their noise, at worst by 0.750 (fc.weight).";
    assert!(text.replace('\n', " ").contains(sentence), "{text}");
    assert!(!comparison().to_markdown().contains("gradient"));
}

#[test]
fn one_seed_has_no_deviation() {
    assert_eq!(row("raw", 1, &[(0.9, 0.01)]).test_accuracy_deviation, None);
}

#[test]
fn a_store_that_diverges_says_so_and_where() {
    let raw = row("raw", 1_000_000, &[(0.90, 0.010), (0.92, 0.012)]);
    let never = row("uniform:1", 100_000, &[(f64::NAN, 0.0), (f64::NAN, 0.0)]);
    let once = row("uniform", 200_000, &[(0.80, 0.013), (f64::NAN, 0.0)]);
    let comparison = of(vec![raw, never, once]);
    assert_eq!(comparison.diverged(), (3, 6));
    let text = comparison.to_markdown();
    assert!(text.contains("| uniform:1 | diverged at step 1,234 | – | – | – |"), "{text}");
    assert!(text.contains("| uniform | 80.00 %, 1 diverged | 0.2600 | 13.0 | +18 % |"), "{text}");
    assert!(text.contains("uniform:1 diverged with 2 of 2 seeds, first at step 1,234 with seed 1: `conv1` has 3 NaN."));
    assert!(
        comparison.to_csv().contains("\nuniform:1,,,,,,,,3100000,1.2903,100000,10.0000,")
            && comparison.to_csv().contains(",,,,,,2,1234\n")
    );
    let best = comparison.best().map(|row| row.store.clone());
    assert_eq!(best, None, "what diverged is nobody's choice");
    assert!(comparison.to_text().lines().all(|line| line.chars().count() <= 100));
}
