//! Runs that go on from one of their checkpoints.

use super::common::{Desk, json};
use super::{RECIPE, assert_same, checkpoints, cut, newest, records, sets, whole};
use frugal_tensor::ir::Element;
use frugal_trainer::state::checkpoint;
use serde_json::Value;
use std::fs;

#[test]
fn a_run_goes_on_in_the_middle_of_an_update() {
    let desk = Desk::new();
    let whole = whole(&desk, &sets(&RECIPE));
    // After the first of two batches, after the second, after an epoch that ends with a first one, within the next epoch.
    for step in [7, 14, 23, 28] {
        let name = format!("after-{step}");
        let run = cut(&desk, "whole", &name, step);
        let checkpoint = newest(&run);
        assert_eq!(checkpoint.about.state.step, step);
        assert!(checkpoint.tensors.contains_key("conv1.weight.average"));
        desk.ok(&["resume", &name]);
        assert_same(&whole, &run);
    }
    // What is watched is the validation accuracy; the test set is for the end.
    let evaluations: Vec<Value> = records(&whole).into_iter().filter(|r| r["kind"] != "step").collect();
    let watched = evaluations.iter().filter_map(|record| record["validation_accuracy"].as_f64());
    let best = json(&whole.join("summary.json"))["best"][1].as_f64().unwrap();
    assert_eq!(watched.fold(0.0, f64::max), best);
    assert_eq!(evaluations.iter().filter(|record| record["test_accuracy"].is_f64()).count(), 1);

    // Made shorter, it ends where it had only validated.
    let run = cut(&desk, "whole", "shorter", 23);
    assert!(newest(&run).about.state.last.unwrap().test_accuracy.is_none());
    let config = run.join("config.resolved.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("epochs = 2", "epochs = 1")).unwrap();
    desk.ok(&["resume", "shorter"]);
    let summary = json(&run.join("summary.json"));
    assert_eq!(summary["steps"], 23);
    assert_eq!(summary["test_accuracy"], summary["evaluation"]["accuracy"]);

    let run = cut(&desk, "whole", "changed", 7);
    let config = run.join("config.resolved.toml");
    fs::write(&config, text.replace("accumulate = 2", "accumulate = 3").replace("cutout = 2", "cutout = 3")).unwrap();
    let text = desk.fails(2, &["resume", "changed"]);
    assert!(text.contains("other settings: data.augment, train.accumulate"), "{text}");
}

/// Codes of moments are in checkpoints as they are, and rounding draws by the step: what goes on in the middle of an update ends with
/// the same bits.
#[test]
fn a_run_with_states_in_8_bits_goes_on() {
    let state = "optimizer.state=8bit";
    for (kind, moment) in [("optimizer.momentum=0.9", "momentum"), ("optimizer={kind='adamw', lr=0.01}", "square")] {
        let desk = Desk::new();
        let recipe = [kind, state, "train.accumulate=2", "train.clip_norm=1", "train.ema=0.9"];
        let whole = whole(&desk, &sets(&recipe));
        for step in [7, 14] {
            let after = format!("after-{step}");
            let run = cut(&desk, "whole", &after, step);
            let tensors = newest(&run).tensors;
            let codes = &tensors[&format!("fc1.weight.{moment}")];
            assert_eq!((codes.element, &codes.shape), (Element::U8, &tensors["fc1.weight"].shape));
            assert!(tensors.contains_key("fc1.weight.scales") && !tensors.contains_key("fc1.bias.scales"));
            desk.ok(&["resume", &after]);
            assert_same(&whole, &run);
        }
        let text = desk.fails(2, &["resume", "after-7", "--set", "optimizer.state=f32", "--epochs", "3"]);
        assert!(text.contains("other settings: optimizer.state"), "{text}");
    }
}

/// The scale begins far too large, so that the first steps are skipped; checkpoints lie among them and between the two batches of
/// an update.
#[test]
fn a_run_in_f16_goes_on_with_its_loss_scale() {
    let desk = Desk::new();
    let recipe = ["train.precision=f16", "train.loss_scale=17179869184", "train.accumulate=2", "train.ema=0.9"];
    let devices = String::from_utf8(desk.frugal(&["devices"]).stdout).unwrap();
    if devices.contains("not in shaders") {
        println!("skipped: the adapter has no f16");
        return;
    }
    let whole = whole(&desk, &sets(&recipe));
    let steps: Vec<Value> = records(&whole).into_iter().filter(|record| record["kind"] == "step").collect();
    let skipped = steps.iter().filter(|step| step["skipped"] == true).count() as i32;
    let last = steps.last().unwrap()["loss_scale"].as_f64().unwrap();
    assert!(skipped > 3 && last == 2f64.powi(34 - skipped), "{skipped} steps skipped, {last}");
    for step in [7, 21] {
        let name = format!("after-{step}");
        let run = cut(&desk, "whole", &name, step);
        desk.ok(&["resume", &name]);
        assert_same(&whole, &run);
    }
    let run = cut(&desk, "whole", "changed", 7);
    let config = run.join("config.resolved.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("loss_scale = 17179869184.0", "loss_scale = 2.0")).unwrap();
    assert!(desk.fails(2, &["resume", "changed"]).contains("other settings: train.loss_scale"));
}

#[test]
fn a_run_that_finds_less_room_than_before_does_steps_again_and_ends_with_the_same_bits() {
    let desk = Desk::new();
    // With batch norm, whose statistics move in the step that is done again.
    let whole = whole(&desk, &["--set", "store.default=error-bounded", "--set", "model.net=resnet8"]);
    let run = cut(&desk, "whole", "tight", 14);
    let path = checkpoints(&run).pop().unwrap();
    let mut checkpoint = checkpoint::read(&path).unwrap();
    let overflows = checkpoint.about.state.discarded.overflows;
    for words in checkpoint.about.capacities.values_mut() {
        *words = *words * 6 / 10;
    }
    fs::write(&path, checkpoint::encode(&checkpoint).unwrap()).unwrap();
    desk.ok(&["resume", "tight"]);
    assert_same(&whole, &run);
    let again = json(&run.join("summary.json"))["coded"]["discarded"]["overflows"].as_u64().unwrap();
    assert!(again > overflows, "nothing overflowed: {again}");
}
