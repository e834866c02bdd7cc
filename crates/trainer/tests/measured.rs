//! What runs measured, in the place of what was planned: from made-up summaries.

#[path = "report/made_up.rs"]
#[allow(dead_code)]
mod made_up;

use frugal_report::comparison::{Memory, Row};
use frugal_report::largest_batch::LargestBatch;
use frugal_report::plan::PlanReport;
use frugal_report::records::Summary;
use frugal_report::records::{Coded, CodedValue, Discarded, RunBytes};
use frugal_tensor::plan::Bytes;
use frugal_trainer::config::CodecSpec;
use made_up::{fixture, plan, summary};

/// The summary of a run whose coded values took a tenth of their raw bytes, while `planned` of it was planned in the end.
fn run(plan: &PlanReport, seed: u32, planned: u64, overflows: u64) -> Summary {
    let coded = plan.layers.iter().flat_map(|layer| &layer.kept).filter(|kept| kept.follows_data);
    let values = coded.map(|kept| CodedValue {
        name: kept.name.clone(),
        raw_bytes: kept.raw_bytes,
        mean_bytes: kept.raw_bytes / 10,
        planned_bytes: kept.raw_bytes * planned / 100,
    });
    let discarded = Discarded { overflows, steps: 2 * overflows };
    let coded = Some(Coded { values: values.collect(), most_bytes: 0, discarded });
    let bytes = Bytes { kept: 10_000 * planned, peak: 1_000_000, ..plan.bytes };
    let bytes =
        RunBytes { planned: bytes, allocated: 1_000_000, most_allocated: 2_000_000 + planned, counted_by_wgpu: 0 };
    Summary { coded, bytes, ..summary("error-bounded", seed, 0.8) }
}

fn row(store: &str, plan: &PlanReport, runs: &[Summary]) -> Row {
    let fit = LargestBatch { store: store.into(), batch: Some(100), peak: 0, host: 0, kept_per_sample: 0 };
    let runs: Vec<_> = runs.iter().cloned().map(Ok).collect();
    Row::new(store.into(), Memory::new(plan, &fit), &runs)
}

#[test]
fn sizes_that_follow_the_data_count_as_they_were_measured() {
    let first = plan(CodecSpec::usual("error-bounded").unwrap());
    assert!(first.to_string().ends_with("estimates, which a run replaces before its first step"), "{first}");
    let runs = [run(&first, 1, 12, 1), run(&first, 2, 14, 2)];
    let measured = first.clone().measured(&[&runs[0], &runs[1]]);
    let row = row("error-bounded", &measured, &runs);
    // Planned in the end, the mean; allocated, the most.
    assert_eq!((row.memory.kept_bytes, row.memory.peak_bytes), (130_000, 2_000_014));
    assert_eq!(row.memory.kept_ratio, first.bytes.kept_raw as f64 / 130_000.0);
    assert_eq!(row.memory.peak_ratio, first.bytes.peak_raw as f64 / 2_000_014.0);
    // What was used, over training.
    let read = &row.memory.convolutions;
    assert!((row.memory.kept_ratio_convolutions.unwrap() - 10.0).abs() < 1e-3, "{read:?}");
    assert!((read.ratio_without_images().unwrap() - 10.0).abs() < 1e-3, "{read:?}");
    // A bit of 32 for each element that is not an image's, besides the 3.2 of its code.
    let images = read.images_raw_bytes as f64 / read.raw_bytes as f64;
    let with_masks = 32.0 / (3.2 + 1.0 - images);
    assert!((read.ratio_with_masks().unwrap() - with_masks).abs() < 1e-3, "{read:?}");
    // Layers have what was planned in the end; masks are what they were.
    let all = |report: &PlanReport, follows: bool| {
        let kept = report.layers.iter().flat_map(|layer| &layer.kept).filter(|kept| kept.follows_data == follows);
        kept.map(|kept| [kept.raw_bytes, kept.stored_bytes]).fold([0, 0], |[a, b], [raw, stored]| [a + raw, b + stored])
    };
    let [raw, stored] = all(&measured, true);
    assert!((stored as f64 / raw as f64 - 0.13).abs() < 1e-3);
    assert_eq!(all(&measured, false), all(&first, false));
    let layers: u64 = measured.layers.iter().map(|layer| layer.kept_bytes).sum();
    assert_eq!(layers, stored + all(&first, false)[1]);

    let mut comparison = fixture(&["raw", "error-bounded"], &[1, 2]).comparison;
    comparison.stores[1] = row;
    let text = comparison.to_text();
    for sentence in [
        "- where sizes follow the data: kept as planned in the end",
        "ms/step and overhead with the steps that overflowed and were repeated",
        "took 10.0 times less over training",
        "without the images, 10.0 times less",
        "overflowed 3 times and repeated 6 steps; its time per step counts them.",
    ] {
        assert!(text.replace('\n', " ").contains(sentence), "{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    assert!(comparison.to_csv().contains(",3,6,0,\n"), "{}", comparison.to_csv());
}

#[test]
fn what_is_planned_exactly_stays_as_it_was_planned() {
    let first = plan(CodecSpec::usual("uniform").unwrap());
    let runs = [summary("uniform", 1, 0.8)];
    let measured = first.clone().measured(&[&runs[0]]);
    assert_eq!((measured.bytes, measured.convolutions), (first.bytes, first.convolutions));
    let row = row("uniform", &measured, &runs);
    assert_eq!((row.memory.kept_bytes, row.discarded), (first.bytes.kept, None));
    // Its masks serve rectifiers, not its decoder.
    assert_eq!(row.memory.convolutions.mask_bytes, 0);
}

#[test]
fn what_is_made_again_has_no_ratio() {
    let cheap = made_up::plan_of("frequency-split+cheap");
    assert_eq!((cheap.convolutions.recomputed, cheap.convolutions.kept), (6, 1));
    assert_eq!(cheap.convolutions.ratio(), None);
    let text = cheap.to_string();
    assert!(text.ends_with("\n6 of the 7 values that convolutions read are recomputed instead of saved"), "{text}");
    assert!(!text.contains("what convolutions read alone"), "{text}");
    let row = row("frequency-split+cheap", &cheap, &[]);
    assert_eq!((row.memory.kept_ratio_convolutions, row.cells(Default::default()).convolutions.as_str()), (None, "–"));
    let mut comparison = fixture(&["raw", "frequency-split+cheap"], &[1]).comparison;
    comparison.stores[1] = row;
    assert!(
        comparison.to_text().replace('\n', " ").contains("recomputed 6 of the 7 values that convolutions read instead")
    );
}
