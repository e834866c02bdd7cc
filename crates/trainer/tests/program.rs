//! The program from outside: verbs, exit codes, files. Needs an adapter; the software one will do.

mod common;

use common::{DIGITS, Desk, json};
use serde_json::Value;

#[test]
fn train_leaves_a_whole_run_folder_and_one_seed_gives_one_result() {
    let desk = Desk::new();
    for store in ["raw", "f16", "float8", "uniform", "frequency-split", "error-bounded"] {
        let set = format!("store.default={store}");
        let out = |number: u32| format!("{store}-{number}");
        for number in [1, 2] {
            let text = desk.ok(&["train", "digits.toml", "--set", &set, "--out", &out(number)]);
            assert!(text.contains("test accuracy"), "{text}");
        }
        let run = desk.path(&out(1));
        assert_eq!(std::fs::read_to_string(run.join("config.toml")).unwrap(), DIGITS);
        assert!(std::fs::read_to_string(run.join("config.resolved.toml")).unwrap().contains(store));
        assert!(json(&run.join("environment.json"))["adapter"]["name"].is_string());

        let summary = json(&run.join("summary.json"));
        let bytes = &summary["bytes"];
        assert_eq!(bytes["allocated"], bytes["peak"]);
        let counted = bytes["counted_by_wgpu"].as_u64().unwrap();
        let planned = bytes["peak"].as_u64().unwrap();
        // Drivers round each of the few buffers up, none of them by more than a page.
        assert!((planned..=planned + (64 << 10)).contains(&counted), "planned {planned}, counted {counted}");
        let parts = ["parameters", "gradients", "optimizer", "kept", "scratch", "inputs"];
        assert_eq!(parts.iter().map(|part| bytes[part].as_u64().unwrap()).sum::<u64>(), planned);
        assert!(summary["test_accuracy"].as_f64().unwrap() > 0.5, "{summary}");
        assert!(summary["seconds_per_step"].as_f64().unwrap() > 0.0);

        let metrics = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
        let lines: Vec<Value> = metrics.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let steps: Vec<&Value> = lines.iter().filter(|line| line["kind"] == "step").collect();
        assert_eq!(steps.len() as u64, summary["steps"].as_u64().unwrap());
        assert!(steps.iter().enumerate().all(|(index, line)| line["step"] == index as u64 + 1));
        assert_eq!(lines.last().unwrap()["kind"], "epoch");

        let weights = |number| std::fs::read(desk.path(&out(number)).join("weights.safetensors")).unwrap();
        assert_eq!(weights(1), weights(2), "one seed must give one result");
        let tensors = weights(1);
        let tensors = safetensors::SafeTensors::deserialize(&tensors).unwrap();
        assert_eq!(tensors.tensor("conv1.weight").unwrap().shape(), [8, 1, 5, 5]);
        assert_eq!(tensors.len(), 8);
    }
    let kept = |store: &str| json(&desk.path(store).join("summary.json"))["bytes"]["kept"].as_u64().unwrap();
    assert!(kept("frequency-split-1") < kept("raw-1"));
    assert!(kept("uniform-1") < kept("float8-1") && kept("float8-1") < kept("f16-1") && kept("f16-1") < kept("raw-1"));
    let weights = |store: &str| std::fs::read(desk.path(store).join("weights.safetensors")).unwrap();
    assert_ne!(weights("raw-1"), weights("frequency-split-1"));
}

/// What is held out is evaluated after each epoch, the test set in the end; the loop says how long it waits.
#[test]
fn a_validation_set_watches_the_run_and_the_test_set_ends_it() {
    let desk = Desk::new();
    let augment = ["--set", "data.augment.pad_crop=1", "--set", "data.augment.cutout=2"];
    let set = ["--set", "data.validation=0.2", "--set", "data.workers=3", "--epochs", "2"];
    let text = desk.ok(&[&["train", "digits.toml", "--out", "run"][..], &set, &augment].concat());
    assert!(text.contains("validation ") && text.contains("waiting for data"), "{text}");
    let metrics = std::fs::read_to_string(desk.path("run/metrics.jsonl")).unwrap();
    let lines: Vec<Value> = metrics.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let epochs: Vec<&Value> = lines.iter().filter(|line| line["kind"] == "epoch").collect();
    let has = |epoch: usize, key: &str| epochs[epoch][key].as_f64().is_some();
    assert!(has(0, "validation_accuracy") && has(0, "validation_loss") && !has(0, "test_accuracy"), "{}", epochs[0]);
    assert!(has(1, "validation_accuracy") && has(1, "test_accuracy") && has(1, "test_loss"), "{}", epochs[1]);
    let steps: Vec<&Value> = lines.iter().filter(|line| line["kind"] == "step").collect();
    // 1,437 samples less 287, in batches of 50.
    assert_eq!(steps.len(), 2 * 23);
    let waits: Vec<f64> = steps.iter().map(|step| step["data_wait_ms"].as_f64().unwrap()).collect();
    let summary = json(&desk.path("run/summary.json"));
    let mean = waits.iter().sum::<f64>() / waits.len() as f64;
    assert!((summary["data_wait_ms"].as_f64().unwrap() - mean).abs() < 1e-6, "{summary}");
    assert_eq!(summary["validation_accuracy"], epochs[1]["validation_accuracy"]);
    assert_eq!(summary["test_accuracy"], epochs[1]["test_accuracy"]);
    // Neither the clock nor the number of threads changes a bit.
    desk.ok(&[&["train", "digits.toml", "--out", "again"][..], &set, &augment, &["--set", "data.workers=0"]].concat());
    let weights = |run: &str| std::fs::read(desk.path(run).join("weights.safetensors")).unwrap();
    assert!(weights("run") == weights("again"));
    let text = desk.fails(1, &["train", "digits.toml", "--set", "data.augment.cutout=9"]);
    assert!(text.contains("`data.augment.cutout` is 9, too much for images of 8×8"), "{text}");
}

/// From photos to a trained net, and the words for a photo that cannot be read in the middle of a run.
#[test]
fn a_folder_of_photos_can_be_trained_on() {
    let desk = Desk::new();
    for class in 0..3u8 {
        let folder = desk.path(&format!("photos/class-{class}"));
        std::fs::create_dir_all(&folder).unwrap();
        for n in 0..20u8 {
            // Bright in another corner for each class, of many sizes.
            let (width, height) = (12 + u32::from(n % 5), 12 + u32::from(n % 3));
            let image = image::RgbImage::from_fn(width, height, |x, y| {
                let corner = [x < width / 2 && y < height / 2, x >= width / 2 && y < height / 2, y >= height / 2];
                image::Rgb([if corner[usize::from(class)] { 200 + n } else { 20 }; 3])
            });
            image.save(folder.join(format!("{n}.jpg"))).unwrap();
        }
    }
    let own = DIGITS.replace("\"digits\"\nbatch = 50", "\"./photos\"\nsize = 12\nbatch = 8");
    assert!(own.contains("./photos"));
    std::fs::write(desk.path("photos.toml"), own).unwrap();
    let augment = ["--set", "data.augment.resized_crop={ scale = [0.8, 1.0] }", "--set", "optimizer.lr=0.01"];
    desk.ok(&[&["train", "photos.toml", "--out", "run", "--epochs", "8"][..], &augment].concat());
    let summary = json(&desk.path("run/summary.json"));
    assert!(summary["test_accuracy"].as_f64().unwrap() > 0.8, "{summary}");
    let plan: Value = serde_json::from_str(&desk.ok(&["plan", "photos.toml", "--json"])).unwrap();
    assert_eq!((&plan["shape"][0], &plan["shape"][1]), (&Value::from(3), &Value::from(12)));

    std::fs::write(
        desk.path("photos/class-1/7.jpg"),
        &std::fs::read(desk.path("photos/class-1/6.jpg")).unwrap()[..400],
    )
    .unwrap();
    let text = desk.fails(1, &["train", "photos.toml", "--out", "broken"]);
    assert!(text.contains("7.jpg cannot be read as an image"), "{text}");
    let text = desk.fails(1, &["train", "photos.toml", "--set", "data.set=./nothing"]);
    assert!(text.contains("nothing: there is no such file or folder"), "{text}");
    let sizes = desk.fails(1, &["train", "photos.toml", "--set", "data.set=./photos", "--set", "data.batch=4"]);
    assert!(sizes.contains("7.jpg"), "{sizes}");
    // What cannot be read is said before anything else.
    std::fs::copy(desk.path("photos/class-1/6.jpg"), desk.path("photos/class-1/7.jpg")).unwrap();
    std::fs::write(desk.path("unsized.toml"), DIGITS.replace("set = \"digits\"", "set = \"./photos\"")).unwrap();
    assert!(desk.fails(1, &["train", "unsized.toml"]).contains("the images have different sizes"));
}

#[test]
fn results_are_never_overwritten() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("taken")).unwrap();
    std::fs::write(desk.path("taken/notes.txt"), "mine").unwrap();
    let text = desk.fails(2, &["train", "digits.toml", "--out", "taken"]);
    assert!(text.contains("never overwritten"), "{text}");
    assert_eq!(std::fs::read_dir(desk.path("taken")).unwrap().count(), 1);
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_and_names_step_and_tensor() {
    let desk = Desk::new();
    let set = ["--set", "optimizer.lr=1e30", "--set", "schedule.kind=constant", "--set", "schedule.warmup_steps=0"];
    let text = desk.fails(1, &[&["train", "digits.toml", "--out", "wild"][..], &set[..]].concat());
    assert!(text.contains("the loss is not finite at step 2 (epoch 1)"), "{text}");
    let named = ["conv1.", "conv2.", "fc1.", "fc2.", "loss."].iter().any(|layer| text.contains(&format!("`{layer}")));
    assert!(named && text.contains("the first tensor that is not finite is"), "{text}");
    assert!(text.contains("lower the learning rate"), "{text}");
    let metrics = std::fs::read_to_string(desk.path("wild/metrics.jsonl")).unwrap();
    let last: Value = serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
    assert_eq!(metrics.lines().count(), 2, "{metrics}");
    assert_eq!(last["kind"], "stopped");
    assert!(!desk.path("wild/summary.json").exists());
}

#[test]
fn plan_needs_no_file_and_its_numbers_add_up() {
    let desk = Desk::new();
    let net = ["plan", "--net", "lenet", "--shape", "1x28x28", "--classes", "10", "--batch", "64"];
    for store in ["raw", "frequency-split"] {
        let plan: Value = serde_json::from_str(&desk.ok(&[&net[..], &["--store", store, "--json"]].concat())).unwrap();
        assert_eq!(plan["parameters"], 105_194);
        let bytes = |name: &str| plan["bytes"][name].as_u64().unwrap();
        let layers = plan["layers"].as_array().unwrap();
        let sum = |key: &str| layers.iter().map(|layer| layer[key].as_u64().unwrap()).sum::<u64>();
        assert_eq!(sum("kept_bytes"), bytes("kept"));
        assert_eq!(sum("kept_raw_bytes"), bytes("kept_raw"));
        assert_eq!(sum("parameters"), 105_194);
        assert_eq!(Value::from(sum("macs_per_sample")), plan["macs_per_sample"]);
        assert!(plan["largest_moments"][0]["bytes"].as_u64().unwrap() >= bytes("kept"));
        let text = desk.ok(&[&net[..], &["--store", store]].concat());
        assert!(text.contains("105,194") && text.contains("conv2"), "{text}");
    }
    for (net, store) in [
        ("resnet8", "frequency-split"),
        ("resnet20", "frequency-split"),
        ("resnet20", "frequency-split+cheap"),
        ("resnet20", "raw+segments"),
    ] {
        let arguments = ["plan", "--net", net, "--shape", "3x32x32", "--classes", "10", "--store", store];
        let plan: Value = serde_json::from_str(&desk.ok(&[&arguments[..], &["--json"]].concat())).unwrap();
        let layers = plan["layers"].as_array().unwrap();
        let sum = |key: &str| layers.iter().map(|layer| layer[key].as_u64().unwrap()).sum::<u64>();
        assert_eq!(plan["bytes"]["kept"], sum("kept_bytes"), "{net}");
        assert_eq!(plan["bytes"]["kept_raw"], sum("kept_raw_bytes"), "{net}");
        assert_eq!(plan["store"], store);
        let moment = &plan["largest_moments"][0];
        let alive = moment["alive"].as_array().unwrap();
        assert_eq!(moment["bytes"], alive.iter().map(|alive| alive["bytes"].as_u64().unwrap()).sum::<u64>(), "{net}");
        let text = desk.ok(&arguments);
        assert_eq!(text.contains("recomputed"), store.contains('+'), "{text}");
        assert!(text.contains("saved for the backward pass"), "{text}");
    }
    let planned: Value = serde_json::from_str(&desk.ok(&["plan", "digits.toml", "--json"])).unwrap();
    assert_eq!((&planned["batch"], &planned["shape"][1]), (&Value::from(50), &Value::from(8)));
}

#[test]
fn memory_over_the_step_is_drawn_and_adds_up_to_the_peak() {
    let desk = Desk::new();
    let plan = |more: &[&str]| desk.ok(&[&["plan", "digits.toml", "--store", "frequency-split"][..], more].concat());
    let report: Value = serde_json::from_str(&plan(&["--picture", "step.svg", "--json"])).unwrap();
    let (bytes, memory) = (&report["bytes"], &report["memory_over_step"]);
    let number = |of: &Value, key: &str| of[key].as_u64().unwrap();
    let parts = ["across_steps", "kernel_parameters", "host", "placed"];
    assert_eq!(parts.iter().map(|part| number(memory, part)).sum::<u64>(), number(bytes, "peak"));
    assert_eq!(number(memory, "host"), number(bytes, "host"));
    assert!(number(bytes, "host") > 0, "{bytes}");
    let raw: Value = serde_json::from_str(&desk.ok(&["plan", "digits.toml", "--store", "raw", "--json"])).unwrap();
    assert_eq!(number(&raw["bytes"], "peak"), number(bytes, "peak_raw"));
    let kinds = memory["alive"].as_array().unwrap();
    let of = |kind: &Value, place: usize| kind["bytes"][place].as_u64().unwrap();
    let places = memory["at"].as_array().unwrap().len();
    let totals = (0..places).map(|place| kinds.iter().map(|kind| of(kind, place)).sum::<u64>());
    assert_eq!(totals.max().unwrap(), number(&report["largest_moments"][0], "bytes"));

    let picture = std::fs::read_to_string(desk.path("step.svg")).unwrap();
    assert!(picture.starts_with("<svg") && picture.trim_end().ends_with("</svg>"), "{picture}");
    let layer = report["largest_moments"][0]["layer"].as_str().unwrap();
    for text in ["forward", "backward", "gradients", "kept for backward", "host-visible buffers", layer] {
        assert!(picture.contains(text), "{text}: {picture}");
    }
    let text = plan(&[]);
    assert!(text.contains("host-visible memory: upload and read-back buffers"), "{text}");
    let net = ["plan", "digits.toml"];
    for name in ["step.png", "step", "svg"] {
        let text = desk.fails(2, &[&net[..], &["--picture", name]].concat());
        assert!(text.contains("its file has to end in .svg"), "{text}");
        assert!(!desk.path(name).exists());
    }
    assert!(desk.fails(1, &[&net[..], &["--picture", "nowhere/step.svg"]].concat()).contains("nowhere/step.svg"));
}

#[test]
fn rules_decide_and_those_that_do_not_are_named() {
    let desk = Desk::new();
    let rules = r#"
[store]
default = "f16"
[[store.rule]]
layer = "fc1"
store = "uniform:8"
[[store.rule]]
layer = "conv3"
store = "raw"
"#;
    std::fs::write(desk.path("rules.toml"), format!("{DIGITS}{rules}")).unwrap();
    let plan: Value = serde_json::from_str(&desk.ok(&["plan", "rules.toml", "--json"])).unwrap();
    assert_eq!(plan["store"], "f16 + 2 rules");
    let forms: Vec<(&str, &str)> = plan["layers"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|layer| layer["kept"].as_array().unwrap().iter().map(move |kept| (layer, kept)))
        .map(|(layer, kept)| (layer["name"].as_str().unwrap(), kept["form"].as_str().unwrap()))
        .collect();
    assert!(forms.contains(&("conv1", "f16")) && forms.contains(&("fc1", "uniform")), "{forms:?}");
    assert!(!forms.contains(&("fc1", "f16")), "{forms:?}");
    let warnings = plan["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 1);
    let warning = "store.rule[1] decides on no value: layer = \"conv3\", store = \"raw\"";
    assert_eq!(warnings[0], warning);
    assert!(desk.ok(&["plan", "rules.toml"]).ends_with(&format!("warning: {warning}\n")));
    // Raw means raw, rules or not.
    let raw: Value = serde_json::from_str(&desk.ok(&["plan", "rules.toml", "--store", "raw", "--json"])).unwrap();
    assert_eq!((&raw["store"], &raw["bytes"]["kept"]), (&Value::from("raw"), &raw["bytes"]["kept_raw"]));
    let output = desk.frugal(&["train", "rules.toml", "--out", "rules"]);
    assert!(output.status.success() && String::from_utf8_lossy(&output.stderr).contains(warning));
    assert_eq!(json(&desk.path("rules/summary.json"))["store"], "f16 + 2 rules");
}

#[test]
fn the_largest_batch_fits_and_one_more_does_not() {
    let desk = Desk::new();
    let net = ["plan", "--net", "resnet20", "--shape", "3x32x32", "--classes", "10"];
    let call = |more: &[&str]| desk.ok(&[&net[..], more].concat());
    let begin = std::time::Instant::now();
    let report: Value = serde_json::from_str(&call(&["--max-batch", "8GiB", "--json"])).unwrap();
    println!("{:.2} s", begin.elapsed().as_secs_f64());
    let rows = report["stores"].as_array().unwrap();
    let stores: Vec<&str> = rows.iter().map(|row| row["store"].as_str().unwrap()).collect();
    assert_eq!(stores, ["raw", "f16", "float8", "uniform", "frequency-split", "error-bounded"]);
    assert_eq!(report["limit"], 8u64 << 30);
    for row in rows {
        let batch = row["batch"].as_u64().unwrap();
        let peak = |batch: u64| {
            let batch = batch.to_string();
            let plan = call(&["--batch", &batch, "--store", row["store"].as_str().unwrap(), "--json"]);
            serde_json::from_str::<Value>(&plan).unwrap()["bytes"]["peak"].as_u64().unwrap()
        };
        assert_eq!(row["peak"], peak(batch), "{row}");
        assert!(peak(batch) <= 8 << 30 && peak(batch + 1) > 8 << 30, "{row}");
    }
    let batch = |row: usize| rows[row]["batch"].as_u64().unwrap();
    assert!(batch(0) < batch(1) && batch(1) < batch(2), "{rows:?}");

    let text = call(&["--max-batch", "64MiB", "--stores", "raw,uniform:4,frequency-split:8,4"]);
    assert!(text.contains("in 64.0 MiB") && text.contains("frequency-split:8,4") && text.contains("1.00×"), "{text}");
    // Not even one sample; all that kernels can count; a config; a store that stays.
    assert!(call(&["--max-batch", "1MiB", "--stores", "raw"]).contains("none"));
    let most: Value = serde_json::from_str(&call(&["--max-batch", "9999TiB", "--stores", "raw", "--json"])).unwrap();
    assert!(most["stores"][0]["batch"].as_u64().unwrap() > 200_000, "{most}");
    assert!(desk.ok(&["plan", "digits.toml", "--max-batch", "1GiB"]).contains("lenet on 1×8×8"));
    desk.fails(2, &[&net[..], &["--max-batch", "8 apples"]].concat());
    desk.fails(2, &[&net[..], &["--max-batch", "8GiB", "--batch", "3"]].concat());
    desk.fails(2, &[&net[..], &["--stores", "raw"]].concat());
    // More than kernels can count is an error, not a panic.
    assert!(desk.fails(1, &[&net[..], &["--batch", "1048576"]].concat()).contains("the largest batch that fits"));
}

#[test]
fn a_budget_is_kept_or_the_least_is_said() {
    let desk = Desk::new();
    let net = ["plan", "--net", "resnet20", "--shape", "3x32x32", "--classes", "10", "--batch", "128", "--store"];
    let plan: Value = serde_json::from_str(&desk.ok(&[&net[..], &["auto:48MiB", "--json"]].concat())).unwrap();
    assert!(plan["bytes"]["peak"].as_u64().unwrap() <= 48 << 20, "{plan}");
    assert_eq!((&plan["store"], &plan["chosen"]["budget"]), (&Value::from("auto:48MiB"), &Value::from(48 << 20)));
    let text = desk.ok(&[&net[..], &["auto:48MiB"]].concat());
    assert!(text.contains("chosen for a budget of 48.0 MiB") && text.contains("the best single store"), "{text}");

    let text = desk.fails(2, &[&net[..], &["auto:8MiB"]].concat());
    assert!(text.contains("does not fit in 8.00 MiB") && text.contains("--max-batch 8.00MiB"), "{text}");
    let least = text.split_whitespace().find(|word| word.starts_with("auto:")).unwrap();
    desk.ok(&[&net[..], &[least]].concat());
    desk.fails(2, &[&net[..7], &["--max-batch", "1GiB", "--stores", "auto:1GiB"]].concat());

    // A run leaves what was chosen as a store to paste into a config.
    let residual = DIGITS.replace("lenet", "resnet8");
    std::fs::write(desk.path("residual.toml"), &residual).unwrap();
    let raw: Value = serde_json::from_str(&desk.ok(&["plan", "residual.toml", "--json"])).unwrap();
    let budget = raw["bytes"]["peak"].as_u64().unwrap() * 4 / 5;
    desk.ok(&["train", "residual.toml", "--set", &format!("store.budget={budget}"), "--out", "run"]);
    let summary = json(&desk.path("run/summary.json"));
    assert!(summary["bytes"]["most_allocated"].as_u64().unwrap() <= budget, "{summary}");
    let store = std::fs::read_to_string(desk.path("run/store.toml")).unwrap();
    std::fs::write(desk.path("fixed.toml"), format!("{residual}\n{store}")).unwrap();
    let fixed: Value = serde_json::from_str(&desk.ok(&["plan", "fixed.toml", "--json"])).unwrap();
    assert!(fixed["bytes"]["peak"].as_u64() < raw["bytes"]["peak"].as_u64(), "{store}");
    assert_eq!(fixed["chosen"], Value::Null);
}

#[test]
fn usage_and_config_errors_end_with_2() {
    let desk = Desk::new();
    desk.fails(2, &[]);
    desk.fails(2, &["trian"]);
    desk.fails(2, &["plan"]);
    desk.fails(2, &["plan", "--net", "lenet"]);
    desk.fails(2, &["plan", "--net", "lenet", "--shape", "28x28", "--classes", "10"]);
    desk.fails(2, &["compare", "digits.toml", "--stores", "raw,rwa"]);
    let net = ["plan", "--net", "lenett", "--shape", "1x28x28", "--classes", "10"];
    assert!(desk.fails(2, &net).contains("did you mean `lenet`?"));
    assert!(desk.fails(2, &["train", "nothing.toml"]).contains("nothing.toml"));
    let text = desk.fails(2, &["train", "digits.toml", "--set", "train.epoch=3"]);
    assert!(text.contains("did you mean `epochs`?"), "{text}");
    let text = desk.fails(2, &["train", "digits.toml", "--device", "no such adapter"]);
    assert!(text.contains("no adapter matches"), "{text}");
    assert!(desk.fails(2, &["data", "get", "imagenet"]).contains("no data set is called"));
}

#[test]
fn lists() {
    let desk = Desk::new();
    assert!(desk.ok(&["nets"]).contains("resnet20"));
    let root = desk.path("sets").display().to_string();
    let list = desk.ok(&["data", "list", "--root", &root]);
    let row = |name: &str| list.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    assert!(row("digits ").contains("1,437") && row("digits ").contains("in the program"), "{list}");
    assert!(
        row("cifar100").contains("missing") && row("cifar100").contains("3×32×32") && list.contains(&root),
        "{list}"
    );
    let sets: Value = serde_json::from_str(&desk.ok(&["data", "list", "--root", &root, "--json"])).unwrap();
    assert!(sets["sets"].as_array().unwrap().iter().any(|set| set["name"] == "mnist" && set["present"] == false));
    assert!(desk.ok(&["data", "get", "digits"]).contains("part of the program"));
    assert!(desk.ok(&["devices"]).contains("driver"));
    let devices: Value = serde_json::from_str(&desk.ok(&["devices", "--json"])).unwrap();
    let first = &devices[0];
    assert!(first["limits"]["max_buffer_size"].as_u64().unwrap() > 0);
    assert!(first["f16"].is_string() || first["f16"].is_null());
    assert!(first["features"].is_array() && first["kernel_set"].is_string() && first["driver"].is_string());
    assert!(desk.ok(&["--help"]).contains("First steps"));
    for verb in ["train", "plan", "compare", "devices", "data", "nets"] {
        assert!(desk.ok(&[verb, "--help"]).contains("Usage"), "{verb}");
    }
    assert!(desk.ok(&["train", "--help"]).contains("Ctrl-C writes a checkpoint and stops"));
}

#[test]
fn f16_is_for_adapters_that_have_it() {
    let desk = Desk::new();
    let text = desk.fails_without_f16(2, &["train", "digits.toml", "--set", "train.precision=f16"]);
    assert!(text.contains("has no f16 in shaders") && text.contains("train.precision=f32"), "{text}");
    // Plans need no adapter. All gradients wait for the last one, and what waits of activations takes half.
    let bytes = |more: &[&str]| {
        let arguments = [&["plan", "digits.toml", "--json", "--set", "model.net=resnet8"][..], more].concat();
        let plan = serde_json::from_str::<Value>(&desk.ok(&arguments)).unwrap();
        ["gradients", "kept", "peak"].map(|part| plan["bytes"][part].as_u64().unwrap())
    };
    let [single, half] = [bytes(&[]), bytes(&["--set", "train.precision=f16"])];
    assert!(half[0] > single[0] && 2 * half[1] < single[1] * 102 / 100 && half[2] < single[2], "{single:?} {half:?}");
    assert_eq!(half, bytes(&["--precision", "f16"]));
}

#[test]
fn shells_and_man_know_every_verb() {
    let desk = Desk::new();
    let help = desk.ok(&["--help"]);
    let (_, verbs) = help.split_once("Commands:\n").unwrap();
    let verbs = verbs.lines().take_while(|line| !line.is_empty());
    let verbs = verbs.filter_map(|line| line.split_whitespace().next()).filter(|verb| *verb != "help");
    let verbs: Vec<&str> = verbs.collect();
    assert!(verbs.contains(&"resume") && verbs.contains(&"man"), "{help}");
    desk.ok(&["man", "--out", "man1"]);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = desk.ok(&["completions", shell]);
        assert!(verbs.iter().all(|verb| script.contains(verb)) && script.contains("tensorboard"), "{shell}");
    }
    assert!(desk.fails(2, &["completions", "csh"]).contains("zsh"));
    let page = desk.ok(&["man"]);
    assert!(page.contains(".TH frugal 1") && page.contains("frugal\\-train(1)") && !page.contains("help(1)"), "{page}");
    for verb in verbs {
        let page = std::fs::read_to_string(desk.path(&format!("man1/frugal-{verb}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{page}");
    }
    std::fs::write(desk.path("file"), "").unwrap();
    assert!(desk.fails(1, &["man", "--out", "file"]).contains("cannot create the folder file"));
}
