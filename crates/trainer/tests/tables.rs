//! The tables of a comparison, from fixed summaries.

use frugal_tensor::plan::Bytes;
use frugal_trainer::report::comparison::{Comparison, Row};
use frugal_trainer::run::Summary;
use frugal_trainer::run::environment::AdapterFacts;
use frugal_trainer::run::record::RunBytes;

fn summary(store: &str, seed: u32, test_accuracy: f64, kept: u64, seconds_per_step: f64) -> Summary {
    let planned = Bytes { kept, kept_raw: 1_000_000, peak: 3_000_000 + kept, ..Bytes::default() };
    Summary {
        name: "test".into(),
        seed,
        store: store.into(),
        test_accuracy,
        test_loss: 0.5,
        train_loss: 0.25 + f64::from(seed) / 100.0,
        steps: 100,
        seconds_per_step,
        seconds: 10.0,
        bytes: RunBytes { planned, allocated: planned.peak, counted_by_wgpu: planned.peak },
        adapter: AdapterFacts {
            name: "Test GPU".into(),
            driver: "none".into(),
            driver_info: String::new(),
            backend: "vulkan".into(),
            r#type: "Other".into(),
        },
    }
}

fn comparison() -> Comparison {
    let raw = [summary("raw", 1, 0.90, 1_000_000, 0.010), summary("raw", 2, 0.92, 1_000_000, 0.012)];
    let split =
        [summary("frequency-split", 1, 0.89, 250_000, 0.013), summary("frequency-split", 2, 0.91, 250_000, 0.015)];
    Comparison {
        name: "test".into(),
        set: "digits".into(),
        net: "lenet".into(),
        batch: 64,
        epochs: 3,
        seeds: vec![1, 2],
        adapter: "Test GPU".into(),
        stores: [&raw, &split].into_iter().filter_map(|runs| Row::new(runs)).collect(),
    }
}

#[test]
fn markdown() {
    let text = comparison().to_markdown();
    let expected = "\
lenet on digits, 3 epochs, batch 64, seeds 1, 2, on Test GPU

| store | test accuracy | train loss | kept | kept ratio | peak | ms/step |
|:--|--:|--:|--:|--:|--:|--:|
| raw | 91.00 ± 1.41 % | 0.2650 | 977 KiB | 1.00× | 3.81 MiB | 11.0 |
| frequency-split | 90.00 ± 1.41 % | 0.2650 | 244 KiB | 4.00× | 3.10 MiB | 14.0 |
";
    assert!(text.starts_with(expected), "{text}");
    assert!(text.ends_with(&format!("\n{}\n", comparison().meaning())), "{text}");
}

#[test]
fn the_meaning_is_said_in_plain_sentences() {
    let text = comparison().meaning();
    let sentence = "frequency-split kept 244 KiB instead of 977 KiB, 4.0 times less than raw,\n\
                    at 1.00 points less test accuracy (less than ±) and 27 % more time per step.";
    assert!(text.ends_with(sentence), "{text}");
    assert!(text.contains("deviation between seeds"), "{text}");
}

#[test]
fn csv() {
    assert_eq!(
        comparison().to_csv(),
        "store,test_accuracy,test_accuracy_deviation,train_loss,kept_bytes,kept_ratio,peak_bytes,milliseconds_per_step\n\
         raw,0.910000,0.014142,0.265000,1000000,1.0000,4000000,11.0000\n\
         frequency-split,0.900000,0.014142,0.265000,250000,4.0000,3250000,14.0000\n"
    );
}

#[test]
fn json() {
    let json = serde_json::to_value(comparison()).unwrap();
    let split = &json["stores"][1];
    assert_eq!(split["store"], "frequency-split");
    assert_eq!(split["kept_bytes"], 250_000);
    assert_eq!(split["kept_ratio"], 4.0);
    assert_eq!(split["peak_bytes"], 3_250_000);
    assert_eq!(split["milliseconds_per_step"], 14.0);
    assert_eq!(split["test_accuracy"], 0.9);
}

#[test]
fn one_seed_has_no_deviation() {
    let row = Row::new(&[summary("raw", 1, 0.9, 1, 0.01)]).unwrap();
    assert_eq!(row.test_accuracy_deviation, None);
    assert!(Row::new(&[]).is_none());
}
