//! `frugal bench` from outside.

mod common;

use common::Desk;
use serde_json::Value;

const LENET: [&str; 8] = ["--net", "lenet", "--shape", "1x28x28", "--classes", "10", "--batch", "8"];

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_step_is_measured_from_the_same_start_every_time() {
    let desk = Desk::new();
    let call =
        |more: &[&str]| desk.ok(&[&["bench", "step", "--steps", "4", "--warm-up", "2"], &LENET[..], more].concat());
    let report = json(&call(&["--json", "--write-start", "start.safetensors"]));
    let step = &report["milliseconds_per_step"];
    let figures = ["least", "lower", "median", "upper", "most"].map(|name| step[name].as_f64().unwrap());
    assert!(figures.is_sorted() && figures[0] > 0.0, "{step}");
    let per_second = report["images_per_second"].as_f64().unwrap();
    assert!((per_second * figures[2] / 8e3 - 1.0).abs() < 1e-6);
    let parts = report["milliseconds"].as_object().unwrap();
    for part in ["forward", "backward", "update"] {
        assert!(parts[part].as_f64().unwrap() > 0.0, "{part}");
    }
    // Nothing is coded, and what is recomputed is seen under another shape, or the images from their bytes.
    assert_eq!(["encode", "decode"].map(|part| parts[part].as_f64()), [Some(0.0); 2]);
    assert!((0.0..parts["backward"].as_f64().unwrap()).contains(&parts["recompute"].as_f64().unwrap()));
    let sum = |list: &str, field: &str| -> f64 {
        report[list].as_array().unwrap().iter().map(|row| row[field].as_f64().unwrap()).sum()
    };
    assert_eq!(sum("operators", "dispatches"), report["dispatches"].as_f64().unwrap());
    let all: f64 = parts.values().map(|part| part.as_f64().unwrap()).sum();
    // Views take next to nothing, but are no operators' time.
    assert!((sum("operators", "milliseconds") / all - 1.0).abs() < 0.05);
    let seconds = &report["seconds"];
    let until = seconds["until_first_step"].as_f64().unwrap();
    let pieces = ["device", "plan", "session", "first_step"].map(|name| seconds[name].as_f64().unwrap());
    assert!(pieces.iter().sum::<f64>() <= until && pieces.iter().all(|&piece| piece > 0.0), "{seconds}");
    let bytes = &report["bytes"];
    assert!(bytes["kept"].as_u64().unwrap() < bytes["allocated"].as_u64().unwrap());
    if cfg!(target_os = "linux") {
        assert!(bytes["peak_resident"].as_u64().unwrap() > bytes["allocated"].as_u64().unwrap());
    }

    // Two steps to warm up and four that count, over one batch that the net learns; and all of it once more.
    let losses: Vec<f64> = report["losses"].as_array().unwrap().iter().map(|loss| loss.as_f64().unwrap()).collect();
    assert_eq!(losses.len(), 6);
    assert!(losses[5] < losses[0]);
    assert_eq!(json(&call(&["--json"]))["losses"], report["losses"]);
    assert_eq!(json(&call(&["--json", "--checked"]))["losses"], report["losses"], "with checks in the shaders");

    let start = std::fs::read(desk.path("start.safetensors")).unwrap();
    let start = safetensors::SafeTensors::deserialize(&start).unwrap();
    assert_eq!(start.tensor("images").unwrap().shape(), [8, 1, 28, 28]);
    assert_eq!(start.tensor("labels").unwrap().dtype(), safetensors::Dtype::U32);
    assert_eq!(start.tensor("fc1.weight").unwrap().shape(), [128, 784]);
}

#[test]
fn a_store_shows_in_the_parts_of_a_step() {
    let desk = Desk::new();
    for store in ["frequency-split", "error-bounded"] {
        let report = json(&desk.ok(&["bench", "step", "digits.toml", "--store", store, "--steps", "1", "--json"]));
        assert_eq!(
            [&report["net"], &report["batch"], &report["store"]],
            ["lenet", "50", store]
                .map(|text| { text.parse::<u64>().map_or_else(|_| Value::from(text), Value::from) })
                .each_ref()
        );
        assert!(report["milliseconds"]["decode"].as_f64().unwrap() > 0.0);
        assert_eq!(report["seconds"]["bounds"].is_number(), store == "error-bounded");
        assert_eq!(report["without_room"], 0);
    }
    let text = desk.ok(&["bench", "step", "digits.toml", "--steps", "1"]);
    for piece in ["images per second", "backward", "convolution weight gradient", "first step done after"] {
        assert!(text.contains(piece), "{piece}: {text}");
    }
    let complaint = desk.fails(2, &["bench", "step"]);
    assert!(complaint.contains("<CONFIG>"), "{complaint}");
}

#[test]
fn operators_stand_beside_the_floor() {
    let desk = Desk::new();
    let ops = |filter: &str, more: &[&str]| {
        desk.ok(&[&["bench", "ops", "--samples", "1", "--filter", filter], more].concat())
    };
    let report = json(&ops("LeNet fc1", &["--json"]));
    let roofline = &report["roofline"];
    let copies = roofline["copies"].as_array().unwrap();
    assert!(copies.windows(2).all(|pair| pair[0]["bytes"].as_u64() < pair[1]["bytes"].as_u64()));
    let least = |copy: &Value| copy["milliseconds"]["least"].as_f64();
    assert!(least(copies.last().unwrap()) > least(&copies[0]));
    let product = roofline["product"]["gflops"].as_f64().unwrap();
    assert!(product > 0.0 && roofline["multiply_adds"]["gflops"].as_f64().unwrap() > 0.0);
    let rows = report["rows"].as_array().unwrap();
    // The layer's products, and the updates of its weight by several optimisers.
    let names: Vec<&str> = rows.iter().map(|row| row["operator"].as_str().unwrap()).collect();
    assert_eq!(names.iter().filter(|name| **name == "matrix product").count(), 3, "{names:?}");
    assert!(names.iter().any(|name| name.starts_with("Adam")), "{names:?}");
    for row in rows {
        let number = |name: &str| row[name].as_f64().unwrap();
        let milliseconds = row["milliseconds"]["least"].as_f64().unwrap();
        assert!(milliseconds > 0.0 && number("bytes") > 0.0);
        assert!((number("share_of_floor") * milliseconds / number("floor_milliseconds") - 1.0).abs() < 1e-6);
        let rate = 2e-6 * number("multiply_adds") / milliseconds;
        assert!((row["share_of_product"].as_f64().unwrap_or(0.0) * product - rate).abs() < 1e-6 * product);
    }
    // Dense convolutions have a product of their size, others have none.
    let shares = |filter: &str| {
        let report = json(&ops(filter, &["--json"]));
        let rows = report["rows"].as_array().unwrap();
        rows.iter().map(|row| row["share_of_same_product"].as_f64()).collect::<Vec<_>>()
    };
    assert!(rows.iter().all(|row| row["share_of_same_product"].is_null()));
    let dense = shares("lenet conv1");
    assert!(dense.len() == 2 && dense.iter().all(|share| share.is_some_and(|share| share > 0.0)), "{dense:?}");
    assert_eq!(shares("mobilenet-v2 depthwise 3×3 to 384"), [None; 3]);
    let text = ops("frequency-split decode", &[]);
    assert!(text.contains("resnet20, batch 32") && text.contains("of roofline"), "{text}");
    let complaint = desk.fails(2, &["bench", "ops", "--samples", "1", "--filter", "no such thing"]);
    assert!(complaint.contains("no such thing"), "{complaint}");
}

#[test]
fn a_page_has_steps_operators_and_other_frameworks() {
    let desk = Desk::new();
    let peer = r#"{"framework": "Other 1.0", "note": "by hand", "net": "lenet", "steps": 1, "first_step_seconds": 2.0,
        "milliseconds_per_step": {"median": 1000000.0, "least": 1.0, "most": 2000000.0}, "peak_resident_bytes": null,
        "losses": [3.0, 2.0]}"#;
    let own = r#"{"store": "raw"}"#;
    std::fs::write(desk.path("peers.jsonl"), format!("{}\n\n{own}\n", peer.replace('\n', " "))).unwrap();
    let call = ["bench", "page", "--nets", "lenet", "--filter", "fc2"];
    let page = desk.ok(&[&call[..], &["--peers", "peers.jsonl"]].concat());
    let rows = |begin: &str| page.lines().filter(|line| line.starts_with(begin)).map(str::to_owned).collect::<Vec<_>>();
    for form in ["raw", "error-bounded", "frequency-split", "frequency-split+cheap"] {
        // One dash, between the least and the most: a step that failed has one in each column.
        let [row] = &rows(&format!("| {form} |"))[..] else { panic!("{page}") };
        assert_eq!(row.matches('–').count(), 1, "{row}");
    }
    assert!(rows("| matrix product |").len() >= 3, "{page}");
    let [other] = &rows("| Other 1.0 (by hand) |")[..] else { panic!("{page}") };
    assert!(other.contains("| 1000000.0 (1.0–2000000.0) |") && other.ends_with("| 3.0000 | 2.0000 |"), "{other}");

    std::fs::write(desk.path("peers.jsonl"), format!("{own}\n{{\n")).unwrap();
    let complaint = desk.fails(2, &[&call[..], &["--peers", "peers.jsonl"]].concat());
    assert!(complaint.contains("peers.jsonl, line 2"), "{complaint}");
    desk.fails(2, &["bench", "page", "--nets", "lenett"]);
}
