//! What a config and the command line can say at most: every number, long and deep texts, names. Needs an adapter; the software
//! one will do.

mod common;

use common::{DIGITS, Desk};
use frugal_trainer::config::{Config, ConfigError, Override};
use proptest::prelude::*;
use std::path::Path;
use std::time::{Duration, Instant};

const GOOD: &str = "
[data]
set = \"digits\"
[model]
net = \"lenet\"
[optimizer]
lr = 0.1
[train]
epochs = 2
";

fn parse(file: &str, text: &str, set: &[String]) -> Result<Config, ConfigError> {
    let overrides: Vec<Override> = set.iter().map(|text| Override::parse(text).unwrap()).collect();
    Config::parse(file, text, Path::new("/configs"), &overrides)
}

/// What goes with a number, the number's key, values at its bounds, and values beyond them.
type Bounds = (&'static [&'static str], &'static str, &'static [&'static str], &'static [&'static str]);

const SGD: &[&str] = &["optimizer.kind=sgd"];
const ADAM: &[&str] = &["optimizer.kind=adam"];
const RMSPROP: &[&str] = &["optimizer.kind=rmsprop"];
const STEP: &[&str] = &["schedule.kind=step", "schedule.milestones=[1]"];
const ONE_CYCLE: &[&str] = &["schedule.kind=one-cycle"];
const F16: &[&str] = &["train.precision=f16"];
/// Nothing, too much, not a number, and what f32 takes for zero or infinite.
const NONE: &[&str] = &["0", "-1", "nan", "inf", "1e-39", "1e39", "1e999", "99999999999999999999"];

/// Those that stand by themselves; layers and stores follow below.
const NUMBERS: &[Bounds] = &[
    (SGD, "optimizer.lr", &["1.2e-38", "3.4e38", "1"], NONE),
    (SGD, "optimizer.momentum", &["0", "1.2e-38", "0.9999999"], &["1", "0.99999999", "-0.1", "1e-39", "nan"]),
    (ADAM, "optimizer.beta1", &["0", "0.9999999"], &["1", "0.99999999", "-0.1", "nan"]),
    (ADAM, "optimizer.beta2", &["0", "0.9999999"], &["1", "0.99999999", "-0.1", "nan"]),
    (RMSPROP, "optimizer.alpha", &["0", "0.9999999"], &["1", "0.99999999", "-0.1", "nan"]),
    (RMSPROP, "optimizer.momentum", &["0", "0.9999999"], &["1", "0.99999999", "-0.1", "nan"]),
    (ADAM, "optimizer.epsilon", &["1e-20", "1e6"], &["9e-21", "1.1e6", "0", "nan"]),
    (RMSPROP, "optimizer.epsilon", &["1e-20", "1e6"], &["9e-21", "1.1e6", "0", "nan"]),
    (SGD, "optimizer.weight_decay", &["0", "1e6", "1.2e-38"], &["1.1e6", "-0.1", "1e-39", "nan"]),
    (STEP, "schedule.factor", &["1.2e-37", "1"], &["1.1", "0", "1e-38", "nan"]),
    (STEP, "schedule.milestones", &["[1e-300, 1000000]", "[1]"], &["[1000001]", "[0]", "[2, 1]", "[nan]", "[]"]),
    (STEP, "schedule.warmup_steps", &["0", "4294967295"], &["-1", "4294967296", "1.5"]),
    (STEP, "schedule.warmup_epochs", &["0", "1000000"], &["-1", "1000001", "nan", "inf"]),
    (ONE_CYCLE, "schedule.pct_start", &["1.2e-38", "0.9999999"], &["0", "1", "nan"]),
    (ONE_CYCLE, "schedule.div_factor", &["1.0001", "1e30"], &["1", "3.4e38", "inf", "nan"]),
    (ONE_CYCLE, "schedule.final_div_factor", &["1.0001", "1e30"], &["1", "3.4e38", "inf", "nan"]),
    (SGD, "loss.label_smoothing", &["0", "1", "1.2e-38"], &["1.1", "-0.1", "1e-39", "nan"]),
    (SGD, "train.epochs", &["1", "1000000"], &["0", "1000001", "1.5"]),
    (SGD, "train.accumulate", &["1", "1048576"], &["0", "1048577"]),
    (SGD, "train.clip_norm", &["1e-12", "1e38"], &["9e-13", "1.1e38", "0", "nan"]),
    (F16, "train.loss_scale", &["1", "18446744073709551616.0"], &["0.9", "1.9e19", "nan"]),
    (SGD, "train.ema", &["1.2e-38", "0.999999"], &["0", "0.9999991", "1", "nan"]),
    (SGD, "train.eval_every_steps", &["0", "4294967295"], &["-1", "4294967296"]),
    (SGD, "train.patience", &["0", "4294967295"], &["-1", "4294967296"]),
    (SGD, "checkpoint.every_steps", &["0", "4294967295"], &["-1", "4294967296"]),
    (SGD, "checkpoint.every_epochs", &["0", "4294967295"], &["-1", "4294967296"]),
    (SGD, "checkpoint.keep_last", &["1", "1000000"], &["0", "1000001"]),
    (SGD, "checkpoint.keep_every_steps", &["0", "4294967295"], &["-1", "4294967296"]),
    (SGD, "checkpoint.keep_every_epochs", &["0", "4294967295"], &["-1", "4294967296"]),
    (SGD, "compare.seeds", &["1", "1000"], &["0", "1001"]),
    (SGD, "compare.budget", &["1", "'1B'", "'8388607TiB'"], &["0", "'0.5B'", "'0.0001'", "'8388608TiB'", "-1"]),
    (SGD, "store.budget", &["1", "'8388607TiB'"], &["0", "'0.5B'", "'8388608TiB'", "'1e3GiB'"]),
    (SGD, "seed", &["0", "4294967295"], &["-1", "4294967296"]),
    (SGD, "model.narrow", &["1", "1024"], &["0", "1025"]),
    (SGD, "data.batch", &["1", "1048576"], &["0", "1048577"]),
    (SGD, "data.workers", &["0", "256"], &["-1", "257"]),
    (SGD, "data.noise", &["1e-6", "10"], &["9e-7", "10.1", "0", "nan"]),
    (SGD, "data.validation", &["1e-300", "0.999", "1"], &["0", "1.0", "-0.1", "nan"]),
    (SGD, "data.augment.pad_crop", &["1", "32768"], &["0", "32769"]),
    (SGD, "data.augment.cutout", &["1", "32768"], &["0", "32769"]),
    (SGD, "data.augment.mixup", &["0.001", "100"], &["0.0009", "100.1", "0", "nan"]),
    (SGD, "data.augment.jitter.brightness", &["1.2e-38", "10"], &["-0.1", "10.1", "1e-39", "nan"]),
    (SGD, "data.augment.jitter.contrast", &["1.2e-38", "10"], &["-0.1", "10.1", "1e-39", "nan"]),
    (SGD, "data.augment.jitter.saturation", &["1.2e-38", "10"], &["-0.1", "10.1", "1e-39", "nan"]),
    (SGD, "data.augment.resized_crop.scale", &["[1e-6, 1]"], &["[1e-7, 1]", "[0.1, 1.1]", "[1, 0.1]", "[nan, 1]"]),
    (SGD, "data.augment.resized_crop.ratio", &["[0.01, 100]"], &["[0.009, 1]", "[1, 101]", "[2, 1]", "[0, 1]"]),
];

#[test]
fn every_number_has_bounds_and_is_taken_up_to_them() {
    for (beside, key, taken, refused) in NUMBERS {
        let read = |value: &str| {
            let set: Vec<String> =
                beside.iter().map(|set| (*set).to_owned()).chain([format!("{key}={value}")]).collect();
            parse("a.toml", GOOD, &set)
        };
        for value in *taken {
            let config = read(value).unwrap_or_else(|error| panic!("{key} = {value}: {error}"));
            assert_eq!(parse("b.toml", &config.to_toml(), &[]).unwrap(), config, "{key} = {value}");
        }
        for value in *refused {
            let error = read(value).expect_err(&format!("{key} = {value}"));
            let text = error.to_string();
            assert!(text.contains(key) || text.contains("learning rate"), "{key} = {value}: {text}");
        }
    }
}

#[test]
fn every_number_of_a_layer_and_a_store_has_bounds() {
    type Cases = (&'static str, &'static str, &'static [&'static str], &'static [&'static str]);
    let cases: [Cases; 2] = [
        (
            "model={ layers=[",
            ", 'flatten', { linear='classes' }] }",
            &[
                "{ batch_norm=true, epsilon=1e-20, momentum=1e-6 }",
                "{ batch_norm=true, epsilon=1e6, momentum=1 }",
                "{ dropout=0 }",
                "{ dropout=0.9999999 }",
                "{ leaky_relu=0 }",
                "{ leaky_relu=1 }",
                "{ conv=1048576, kernel=1048576, stride=1048576, padding=1048576, dilation=1048576, groups=1048576 }",
                "{ linear=1048576 }",
                "{ max_pool=1048576, stride=1048576, padding=1048576 }",
                "{ adaptive_avg_pool=[1048576, 1] }",
            ],
            &[
                "{ batch_norm=true, epsilon=9e-21 }",
                "{ batch_norm=true, epsilon=1.1e6 }",
                "{ batch_norm=true, momentum=9e-7 }",
                "{ batch_norm=true, momentum=1.1 }",
                "{ dropout=0.99999999 }",
                "{ dropout=1e-39 }",
                "{ leaky_relu=1.1 }",
                "{ leaky_relu=1e-39 }",
                "{ conv=1048577, kernel=1 }",
                "{ conv=1, kernel=0 }",
                "{ linear=1048577 }",
                "{ max_pool=0 }",
                "{ adaptive_avg_pool=[1048577, 1] }",
                "{ upsample=1048577 }",
                "{ group_norm=0 }",
            ],
        ),
        (
            "store.default=",
            "",
            &[
                "float8:1024",
                "uniform:8,1024",
                "frequency-split:64,8",
                "error-bounded:0.000001",
                "error-bounded:0.5",
                "error-bounded:comet,0.25",
                "{ kind='error-bounded', interval=1000000 }",
            ],
            &[
                "float8:2048",
                "uniform:8,2048",
                "uniform:99999999999999999999",
                "frequency-split:65,8",
                "error-bounded:0",
                "error-bounded:nan",
                "error-bounded:inf",
                "error-bounded:1e-50",
                "error-bounded:0.0000009",
                "error-bounded:0.51",
                "error-bounded:comet,0.26",
                "{ kind='error-bounded', fraction=0.51 }",
                "{ kind='error-bounded', fraction=1e-39 }",
                "{ kind='error-bounded', interval=1000001 }",
                "auto:0.1B",
                "auto:99999999999TiB",
            ],
        ),
    ];
    let bare = GOOD.replace("[model]\nnet = \"lenet\"\n", "");
    for (before, after, taken, refused) in cases {
        let read = |value: &str| {
            let set = format!("{before}{value}{after}");
            parse("a.toml", if set.starts_with("model") { &bare } else { GOOD }, &[set])
        };
        for value in taken {
            let config = read(value).unwrap_or_else(|error| panic!("{value}: {error}"));
            assert_eq!(parse("b.toml", &config.to_toml(), &[]).unwrap(), config, "{value}");
        }
        for value in refused {
            assert!(read(value).is_err(), "{value}");
        }
    }
}

/// One of these, or nothing.
fn one(key: &'static str, values: impl Strategy<Value = String> + 'static) -> BoxedStrategy<Option<String>> {
    prop::option::of(values.prop_map(move |value| format!("{key}={value}"))).boxed()
}

fn of(names: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(names).prop_map(str::to_owned)
}

fn number(from: f64, to: f64) -> impl Strategy<Value = String> {
    (from.ln()..to.ln()).prop_map(|power| format!("{:e}", power.exp()))
}

fn count(from: u32, to: u32) -> impl Strategy<Value = String> {
    (from..=to).prop_map(|count| count.to_string())
}

fn text() -> impl Strategy<Value = String> {
    "[^'\\n\\r\\x00-\\x08\\x0b-\\x1f\\x7f]{1,20}".prop_map(|text| format!("'{text}'"))
}

fn store() -> impl Strategy<Value = String> {
    prop_oneof![
        of(&[
            "raw",
            "f16",
            "float8:32",
            "uniform:1",
            "uniform:8,64",
            "frequency-split:5,2,parity",
            "error-bounded:comet"
        ]),
        number(1e-6, 0.5).prop_map(|fraction| format!("error-bounded:{fraction}")),
        number(1e-6, 0.25).prop_map(|fraction| format!("error-bounded:comet,{fraction}")),
    ]
}

fn layers() -> impl Strategy<Value = String> {
    let layer = prop_oneof![
        of(&[
            "'relu'",
            "'relu6'",
            "'hardtanh'",
            "'layer_norm'",
            "'batch_norm'",
            "{ leaky_relu=0.2 }",
            "{ max_pool=2 }"
        ]),
        number(1e-20, 1e6).prop_map(|epsilon| format!("{{ batch_norm=true, epsilon={epsilon} }}")),
        number(1e-6, 1.0).prop_map(|momentum| format!("{{ batch_norm=true, momentum={momentum} }}")),
        number(1e-30, 0.9).prop_map(|rate| format!("{{ dropout={rate} }}")),
        count(1, 1 << 20).prop_map(|filters| format!("{{ conv={filters}, kernel=3, padding='same', bias=false }}")),
        count(1, 9).prop_map(|stride| format!("{{ conv_transpose=4, kernel=3, stride={stride}, output_padding=1 }}")),
    ];
    let list = |items: Vec<String>| format!("[{}]", items.join(", "));
    let layer = layer.prop_recursive(3, 12, 3, move |inner| {
        (prop::collection::vec(inner.clone(), 1..3), prop::collection::vec(inner, 0..2)).prop_map(
            move |(body, shortcut)| {
                let shortcut =
                    if shortcut.is_empty() { String::new() } else { format!(", shortcut={}", list(shortcut)) };
                format!("{{ residual={}{shortcut} }}", list(body))
            },
        )
    });
    prop::collection::vec(layer, 1..5).prop_map(list)
}

/// Settings that a config may have, each with its values.
fn settings() -> impl Strategy<Value = Vec<String>> {
    let optimizer = prop_oneof![
        (number(1e-8, 1e3), of(&["0", "0.9"])).prop_map(|(lr, momentum)| format!("{{ lr={lr}, momentum={momentum} }}")),
        (number(1e-8, 1e3), number(1e-20, 1e6), number(1e-9, 0.9)).prop_map(|(lr, epsilon, beta)| {
            format!("{{ kind='adamw', lr={lr}, epsilon={epsilon}, beta1={beta}, weight_decay={beta} }}")
        }),
        number(1e-20, 1e6).prop_map(|epsilon| format!("{{ kind='rmsprop', lr=0.1, epsilon={epsilon}, alpha=0.5 }}")),
    ];
    let schedule = prop_oneof![
        of(&["{ kind='cosine', warmup_steps=7 }", "{ warmup_epochs=0.5 }"]),
        number(1e-3, 1.0).prop_map(|factor| format!("{{ kind='step', factor={factor}, milestones=[{factor}, 9] }}")),
        number(1.1, 1e9).prop_map(|factor| format!("{{ kind='one-cycle', div_factor={factor}, pct_start=0.1 }}")),
    ];
    let rule = (text(), store(), count(1, u32::MAX))
        .prop_map(|(layer, store, least)| format!("[{{ layer={layer}, store='{store}', min_elements={least} }}]"));
    let all = vec![
        one("seed", count(0, u32::MAX)),
        one("data.batch", count(1, 1 << 20)),
        one("data.root", text()),
        one("data.set", of(&["./a", "../b c/d", "/é/\u{9b}"])),
        one("data.noise", number(1e-6, 10.0)),
        one("data.validation", prop_oneof![number(1e-9, 0.9), count(1, 9)]),
        one("data.augment.mixup", number(1e-3, 100.0)),
        one("data.augment.jitter.contrast", number(1e-9, 10.0)),
        one("data.augment.resized_crop.scale", number(1e-6, 1.0).prop_map(|least| format!("[{least}, 1]"))),
        one("optimizer", optimizer),
        one("schedule", schedule),
        one("loss.label_smoothing", number(1e-9, 1.0)),
        one("train.clip_norm", number(1e-12, 1e38)),
        one("train.ema", number(1e-9, 0.9)),
        one("checkpoint.every_steps", count(0, u32::MAX)),
        one("store.default", store()),
        one("store.recompute", of(&["none", "cheap", "segments"])),
        one("store.rule", rule),
        one("compare.budget", count(1, u32::MAX)),
        one("model", layers().prop_map(|layers| format!("{{ layers={layers} }}"))),
    ];
    all.prop_map(|settings| settings.into_iter().flatten().collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]
    /// A run reads its own config.resolved.toml when it goes on, and when it is evaluated.
    #[test]
    fn what_is_written_down_of_a_config_gives_it_again(file in any::<String>(), settings in settings()) {
        let config = parse(&format!("{file}.toml"), GOOD, &settings).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let written = config.to_toml();
        let again = Config::parse("config.resolved.toml", &written, Path::new("/elsewhere"), &[]);
        let again = again.map_err(|error| TestCaseError::fail(format!("{error} in {written}")))?;
        prop_assert_eq!(again, config);
    }
}

/// A call that must end with this code within a moment and say this in a few lines.
fn refused(desk: &Desk, arguments: &[&str], says: &str) {
    let begin = Instant::now();
    let text = desk.fails(2, arguments);
    let about = &arguments[..2];
    assert!(text.contains(says), "{about:?}: {}", &text[..text.len().min(2000)]);
    assert!(text.len() < 10_000, "{about:?}: {} bytes", text.len());
    // A busy machine is given some time.
    assert!(begin.elapsed() < Duration::from_secs(5), "{about:?}: {:?}", begin.elapsed());
}

/// Blocks in blocks.
fn nested(depth: usize) -> String {
    let layers = (0..depth).fold("'relu'".to_owned(), |inner, _| format!("{{ residual=[{inner}] }}"));
    DIGITS.replace("net = \"lenet\"", &format!("layers = [{layers}, 'flatten', {{ linear='classes' }}]"))
}

#[test]
fn absurd_configs_are_refused_within_a_moment() {
    let desk = Desk::new();
    // A megabyte of them.
    let many = 60_000;
    let list = |item: &str, count: usize| format!("[{}]", [item].repeat(count).join(","));
    let with = |section: &str, line: &str| DIGITS.replace(section, &format!("{section}\n{line}"));
    let cases = [
        (format!("a = {}{}", "[".repeat(100_000), "]".repeat(100_000)), "is not valid TOML"),
        (format!("{}1{}", "a = ".to_owned() + &"{b = ".repeat(100_001), "}".repeat(100_001)), "is not valid TOML"),
        (format!("{} = 1", ["a"].repeat(100_000).join(".")), "is not valid TOML"),
        (format!("[{}]", ["a"].repeat(100_000).join(".")), "is not valid TOML"),
        (format!("a = {}", list("1", many)), "there is no setting `a`"),
        (format!("{} = 1", "k".repeat(1_000_000)), "there is no setting `kkk"),
        (format!("name = \"{}\"", "n".repeat(1_000_000)), "`name` must be a text of at most 4096 bytes"),
        (format!("name = {}", "9".repeat(1_000_000)), "`name` must be text in quotes, not a number too large"),
        (format!("name = \"{}\"", "n".repeat(10 << 20)), "it has more than the 1048576 bytes that are read"),
        (format!("a = {}", list("1", 1_000_000)), "it has more than the 1048576 bytes that are read"),
        (with("[data]", &format!("mean = {}", list("0.5", many))), "`data.mean` must be a list of at most 10000 items"),
        (with("[schedule]", &format!("milestones = {}", list("1", many))), "no setting `schedule.milestones`"),
        (
            DIGITS.replace("\"digits\"\nbatch", &format!("\"{}\"\nbatch", "d".repeat(4000))),
            "`data.set` cannot be \"ddd",
        ),
        (
            format!("{DIGITS}\n[compare]\nstores = {}", list("\"raw\"", many)),
            "`compare.stores` must be a list of at most",
        ),
        (
            format!("{DIGITS}\n[store]\nrule = {}", list("{store=\"raw\"}", many)),
            "`store.rule` must be a list of at most",
        ),
        (DIGITS.replace("net = \"lenet\"", &format!("layers = {}", list("'relu'", many))), "a list of at most 10000"),
        (nested(33), "lies 32 blocks deep"),
        (nested(40), "is not valid TOML"),
        (
            DIGITS.replace(
                "net = \"lenet\"",
                &format!("layers = {}", list(&format!("{{ residual={} }}", list("'relu'", 100)), 200)),
            ),
            "there may be 10000",
        ),
    ];
    for (text, says) in cases {
        std::fs::write(desk.path("absurd.toml"), text).unwrap();
        refused(&desk, &["plan", "absurd.toml"], says);
    }
    let deep = format!("--set={}=1", ["a"].repeat(50_000).join("."));
    refused(&desk, &["plan", "digits.toml", &deep], "is not the path of a setting");
    let brackets = format!("--set=train.epochs={}", "[".repeat(100_000));
    refused(&desk, &["plan", "digits.toml", &brackets], "`train.epochs` must be a whole number");
    let long = format!("--set=name={}", "n".repeat(100_000));
    refused(&desk, &["plan", "digits.toml", &long], "`name` must be a text of at most 4096 bytes");
}

#[test]
fn what_is_just_within_bounds_is_planned_within_a_moment() {
    let desk = Desk::new();
    let stars = |pattern: &str| format!("{}\n[[store.rule]]\nlayer = \"{pattern}\"\nstore = \"f16\"", nested(32));
    for text in [nested(32), stars(&("*.".repeat(40) + "*x")), stars(&"*body*".repeat(40))] {
        std::fs::write(desk.path("deep.toml"), text).unwrap();
        let begin = Instant::now();
        desk.ok(&["plan", "deep.toml"]);
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    }
}

#[test]
#[cfg(unix)]
fn a_config_whose_path_is_not_unicode_is_refused_before_it_trains() {
    use std::os::unix::ffi::OsStrExt;
    let desk = Desk::new();
    let folder = desk.path("").join(std::ffi::OsStr::from_bytes(b"a\xff"));
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("digits.toml"), DIGITS).unwrap();
    let output = desk.command(&["train"]).arg(folder.join("digits.toml")).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("is not in Unicode"), "{text}");
}

#[test]
fn a_config_is_named_by_its_file_as_far_as_a_folder_can_be() {
    let desk = Desk::new();
    let nameless = DIGITS.replace("name = \"digits\"\n", "");
    let files = [("my run", "my-run"), ("lr=0.1", "lr-0.1"), ("run+cheap", "run-cheap"), ("con", "run-con")];
    for (file, name) in files {
        std::fs::write(desk.path(&format!("{file}.toml")), &nameless).unwrap();
        let output = desk.command(&["train", &format!("{file}.toml"), "--out", name]).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{text}");
        assert_eq!(text.matches(&format!("the config is called {name}, ")).count(), 1, "{text}");
        assert_eq!(common::json(&desk.path(name).join("summary.json"))["name"], name);
        assert!(desk.ok(&["eval", name]).contains("accuracy"));
        assert!(desk.fails(2, &["resume", name]).contains("is finished"));
    }
    // Without --out, the name is that of a folder.
    desk.ok(&["train", "my run.toml"]);
    assert_eq!(std::fs::read_dir(desk.path("runs/my-run")).unwrap().count(), 1);
    let output = desk.command(&["train", "digits.toml", "--out", "quiet"]).output().unwrap();
    assert!(!String::from_utf8(output.stderr).unwrap().contains("is called"));
    for (name, says) in [("CON", "Windows has a device"), ("a.", "nor ends with `.`"), ("a/b", "letters, digits")] {
        let text = desk.fails(2, &["train", "digits.toml", "--set", &format!("name={name}"), "--out", "none"]);
        assert!(text.contains("`name` must be") && text.contains(says), "{text}");
    }
    assert!(desk.fails(2, &["train", "digits.toml", &format!("--set=name={}", "n".repeat(101))]).contains("100 bytes"));
    assert!(!desk.path("none").exists());
}
