//! Configs from outside: what is refused, with which words, and that a resolved config gives itself again.

use frugal_data::{Augment, Frame, Jitter, Orientation, ResizedCrop, Share};
use frugal_tensor::codec::Recompute;
use frugal_tensor::ir::Precision;
use frugal_tensor::ops::optimizer::{LossScale, StateForm};
use frugal_trainer::config::{
    Checkpoint, CodecSpec, Config, ConfigError, Course, Loss, Optimizer, Override, PolicySpec, PolicySpecs, SaveRule,
    Warmup,
};
use miette::Diagnostic;
use std::path::Path;

const GOOD: &str = r#"
name = "good"
[data]
set = "digits"
[model]
net = "lenet"
[optimizer]
lr = 0.1
[train]
epochs = 2
"#;

fn parse(text: &str, set: &[&str]) -> Result<Config, ConfigError> {
    let overrides: Vec<Override> = set.iter().map(|text| Override::parse(text).unwrap()).collect();
    Config::parse("test.toml", text, Path::new("/configs"), &overrides)
}

/// The message, the hint, and the text that the error points at.
fn refusal(text: &str, set: &[&str]) -> (String, String, String) {
    let error = parse(text, set).expect_err("must be refused");
    let source = error.source_code().expect("points into a text");
    let label = error.labels().unwrap().next().unwrap();
    let contents = source.read_span(label.inner(), 0, 0).unwrap();
    let pointed = String::from_utf8(contents.data()[..label.len()].to_vec()).unwrap();
    (error.to_string(), error.help().map(|help| help.to_string()).unwrap_or_default(), pointed)
}

fn check(text: &str, set: &[&str], message: &str, help: &str, pointed: &str) {
    let (found_message, found_help, found_pointed) = refusal(text, set);
    assert!(found_message.contains(message), "{found_message}");
    assert!(found_help.contains(help), "{found_help}");
    assert_eq!(found_pointed, pointed);
}

#[test]
fn what_is_not_said_has_a_sensible_value() {
    let config = parse(GOOD, &[]).unwrap();
    assert_eq!((config.seed, config.data.batch), (1, 64));
    assert_eq!(config.optimizer.rule, Optimizer::Sgd { lr: 0.1, momentum: 0.0, nesterov: false, weight_decay: 0.0 });
    assert_eq!((config.schedule.course, config.schedule.warmup), (Course::Constant, Warmup::Steps(0)));
    assert_eq!(config.store.default, CodecSpec::Raw);
    assert_eq!(config.compare.stores, CodecSpec::all().map(PolicySpec::from).collect::<Vec<_>>());
    assert_eq!(config.compare.budget, 8 << 30);
    assert!(config.compare.examine && !parse(GOOD, &["compare.examine=false"]).unwrap().compare.examine);
}

#[test]
fn deviations_have_no_floor_of_a_byte() {
    let normalised = |std: &str| parse(GOOD, &["data.mean=[0.5]", &format!("data.std=[{std}]")]);
    // Of nets that take pixels from 0 to 255, and of sets with less contrast than that.
    for (std, expected) in [("0.0039", 0.0039), ("0.000001", 1e-6), ("1", 1.0)] {
        assert_eq!(normalised(std).unwrap().data.normalisation.unwrap().std, [expected]);
    }
    for std in ["0", "0.0000009", "-0.5", "1.1", "nan"] {
        let text = normalised(std).unwrap_err().to_string();
        assert!(text.contains("from 0.000001 to 1"), "{text}");
    }
}

#[test]
fn a_file_without_a_name_gives_its_own() {
    let config = parse(&GOOD.replace("name = \"good\"", ""), &[]).unwrap();
    assert_eq!(config.name, "test");
}

#[test]
fn unknown_keys_are_refused_with_a_suggestion() {
    let text = GOOD.replace("epochs = 2", "epochs = 2\nepoch = 3");
    check(&text, &[], "there is no setting `train.epoch`", "did you mean `epochs`?", "epoch");
    let text = GOOD.replace("[data]", "[dataa]");
    check(&text, &[], "there is no setting `dataa`", "did you mean `data`?", "dataa");
    let text = GOOD.replace("lr =", "learning_rate =");
    check(&text, &[], "`optimizer.learning_rate`", "did you mean `lr`?", "learning_rate");
    // A setting of another kind is unknown, too.
    let text = GOOD.replace("lr =", "kind = \"adam\"\nmomentum = 0.9\nlr =");
    check(&text, &[], "there is no setting `optimizer.momentum` with kind \"adam\"", "beta1", "momentum");
}

#[test]
fn unknown_names_are_refused_with_a_suggestion() {
    check(
        &GOOD.replace("\"lenet\"", "\"lenet\"\nnarrow = 0"),
        &[],
        "`model.narrow` must be a whole number from 1",
        "",
        "0",
    );
    check(&GOOD.replace("lenet", "lenett"), &[], "`model.net` cannot be", "did you mean `lenet`?", "\"lenett\"");
    check(&GOOD.replace("digits", "digit"), &[], "`data.set` cannot be", "did you mean `digits`?", "\"digit\"");
    let text = format!("{GOOD}\n[store]\ndefault = \"frequency\"");
    check(&text, &[], "`store.default` cannot be", "did you mean `frequency-split`?", "\"frequency\"");
    let text = format!("{GOOD}\n[schedule]\nkind = \"cosin\"");
    check(&text, &[], "`schedule.kind` cannot be", "did you mean `cosine`?", "\"cosin\"");
}

#[test]
fn wrong_types_and_ranges_are_refused_where_they_stand() {
    check(&GOOD.replace("0.1", "\"fast\""), &[], "must be a number above 0, not the text \"fast\"", "", "\"fast\"");
    check(&GOOD.replace("0.1", "-0.1"), &[], "`optimizer.lr` must be a number above 0, not -0.1", "", "-0.1");
    check(&GOOD.replace("0.1", "nan"), &[], "`optimizer.lr` must be", "", "nan");
    check(&GOOD.replace("0.1", "1e300"), &[], "from 1.2e-38 to 3.4e38, not 1e300", "", "1e300");
    check(&GOOD.replace("= 2", "= 0"), &[], "a whole number from 1 to", "", "0");
    check(&GOOD.replace("= 2", "= 2.5"), &[], "a whole number from 1 to", "", "2.5");
    check(&GOOD.replace("= 2", "= 2026-01-01"), &[], "not a date", "", "2026-01-01");
    check(&GOOD.replace("\"good\"", "\"../up\""), &[], "`name` must be made of letters", "", "\"../up\"");
    check(&format!("seed = 99999999999\n{GOOD}"), &[], "`seed` must be a whole number", "", "99999999999");
    let text = format!("{GOOD}\n[store]\ndefault = {{ kind = \"frequency-split\", bits = 3 }}");
    check(&text, &[], "bits must be 1, 2, 4 or 8", "", "3");
    let text = format!("{GOOD}\n[schedule]\nkind = \"step\"\nmilestones = [5, 3]");
    check(&text, &[], "`schedule.milestones[1]` must be a number of epochs above 5", "", "3");
    let text = format!("{GOOD}\n[schedule]\nwarmup_steps = 3\nwarmup_epochs = 1");
    check(&text, &[], "say the same thing twice", "remove one", "1");
    let text = format!("{GOOD}\n[compare]\nstores = [\"raw\", \"raw\"]");
    check(&text, &[], "`compare.stores[1]`: the store raw is there already", "", "\"raw\"");
    let text = GOOD.replace("lr = 0.1", "lr = 0.1\nnesterov = true");
    check(&text, &[], "`optimizer.momentum` is 0", "momentum = 0.9", "true");
}

#[test]
fn losses_optimizers_and_what_goes_with_them() {
    let config = parse(GOOD, &["loss.label_smoothing=0.1", "optimizer.kind=adamw"]).unwrap();
    assert_eq!(config.loss, Loss::CrossEntropy { label_smoothing: 0.1 });
    let (beta1, beta2, epsilon) = (0.9, 0.999, 1e-8);
    assert_eq!(config.optimizer.rule, Optimizer::AdamW { lr: 0.1, beta1, beta2, epsilon, weight_decay: 0.01 });
    assert_eq!((config.train.accumulate, config.train.clip_norm, config.train.ema), (1, None, None));
    let set = ["loss.kind=mse", "optimizer.kind=rmsprop", "optimizer.momentum=0.9", "schedule.kind=one-cycle"];
    let config = parse(GOOD, &set).unwrap();
    assert_eq!(config.loss, Loss::Mse);
    let rms = Optimizer::RmsProp { lr: 0.1, alpha: 0.99, epsilon: 1e-8, momentum: 0.9, weight_decay: 0.0 };
    assert_eq!(config.optimizer.rule, rms);
    let course = Course::OneCycle { pct_start: 0.3, div_factor: 25.0, final_div_factor: 1e4 };
    assert_eq!(config.schedule.course, course);
    let config = parse(GOOD, &["train.accumulate=4", "train.clip_norm=2", "train.ema=0.999"]).unwrap();
    let update = config.training().update;
    assert_eq!((update.accumulate, update.clip_norm, update.average), (true, Some(2.0), Some(0.999)));
    // What was resolved says the same again.
    assert_eq!(parse(&config.to_toml(), &[]).unwrap(), config);

    assert_eq!(update.state, StateForm::F32);
    for kind in ["optimizer.momentum=0.9", "optimizer.kind=adamw", "optimizer.kind=rmsprop"] {
        let config = parse(GOOD, &[kind, "optimizer.state=8bit"]).unwrap();
        assert_eq!(config.training().update.state, StateForm::EightBit);
        assert!(config.to_toml().contains("state = \"8bit\""));
        assert_eq!(parse(&config.to_toml(), &[]).unwrap(), config);
    }
    check(GOOD, &["optimizer.state=8bit"], "but `optimizer.momentum` is 0", "momentum = 0.9", "8bit");
    check(GOOD, &["optimizer.state=8bits"], "`optimizer.state` cannot be", "did you mean `8bit`?", "8bits");

    assert_eq!((config.train.precision, update.loss_scale), (Precision::F32, None));
    let config = parse(GOOD, &["train.precision=f16"]).unwrap();
    assert_eq!(config.training().update.loss_scale, Some(LossScale { start: 65_536.0, grow_after: 2000 }));
    let config = parse(GOOD, &["train.precision=f16", "train.loss_scale=128"]).unwrap();
    assert_eq!(config.training().update.loss_scale.unwrap().start, 128.0);
    assert_eq!(parse(&config.to_toml(), &[]).unwrap(), config);

    check(GOOD, &["train.precision=f8"], "`train.precision` cannot be", "f16", "f8");
    check(GOOD, &["train.loss_scale=128"], "is for `train.precision = \"f16\"`", "remove it", "128");
    check(
        GOOD,
        &["train.precision=f16", "train.loss_scale=0.5"],
        "must be a number from 1 to 2^64, not 0.5",
        "",
        "0.5",
    );
    check(GOOD, &["loss.kind=msee"], "`loss.kind` cannot be", "did you mean `mse`?", "msee");
    let mse = format!("{GOOD}\n[loss]\nkind = \"mse\"\nlabel_smoothing = 0.1");
    check(&mse, &[], "there is no setting `loss.label_smoothing` with kind \"mse\"", "", "label_smoothing");
    check(GOOD, &["loss.label_smoothing=1.5"], "must be a number from 0 to 1, not 1.5", "", "1.5");
    check(GOOD, &["train.accumulate=0"], "`train.accumulate` must be a whole number from 1 to", "", "0");
    check(GOOD, &["train.clip_norm=0"], "`train.clip_norm` must be a number from 1e-12 to 1e38, not 0", "", "0");
    check(GOOD, &["train.ema=1"], "`train.ema` must be a number above 0 and at most 0.999999, not 1", "", "1");
    let warm = format!("{GOOD}\n[schedule]\nkind = \"one-cycle\"\nwarmup_steps = 3");
    check(&warm, &[], "there is no setting `schedule.warmup_steps` with kind \"one-cycle\"", "", "warmup_steps");
}

#[test]
fn what_is_missing_is_named_with_an_example() {
    check(&GOOD.replace("lr = 0.1", ""), &[], "`optimizer.lr` is missing", "`lr = 0.05`", "[optimizer]");
    check(&GOOD.replace("[train]\nepochs = 2", ""), &[], "`train.epochs` is missing", "`epochs = 5`", "");
}

#[test]
fn broken_toml_is_shown_where_it_breaks() {
    check("[data\nset = 1", &[], "test.toml is not valid TOML", "", "");
}

#[test]
fn overrides_win_and_need_no_quotes() {
    let set = ["optimizer.lr=0.5", "model.net=resnet8", "schedule.kind=cosine", "data.batch = 32"];
    let config = parse(GOOD, &set).unwrap();
    assert_eq!(config.optimizer.rule.learning_rate(), 0.5);
    assert_eq!((config.model.name(), config.data.batch), ("resnet8", 32));
    assert_eq!(config.schedule.course, Course::Cosine);
    let config = parse(GOOD, &["store.default={ kind = 'frequency-split', bits = 4 }"]).unwrap();
    assert_eq!(config.store.default, CodecSpec::FrequencySplit { block: 8, bits: 4, parity: false });
    // The last one wins.
    assert_eq!(parse(GOOD, &["seed=3", "seed=4"]).unwrap().seed, 4);
}

#[test]
fn wrong_overrides_are_shown_on_the_command_line() {
    check(GOOD, &["optimizer.lr=abc"], "not the text \"abc\"", "", "abc");
    check(GOOD, &["optimizer.lr=-1"], "`optimizer.lr` must be a number above 0, not -1", "", "-1");
    check(GOOD, &["train.epoch=1"], "`train.epoch`", "did you mean `epochs`?", "--set train.epoch=1");
    check(GOOD, &["optimizer=3"], "`optimizer` must be a table of settings, not 3", "", "3");
    check(GOOD, &["name.first=x"], "`name` must be text in quotes, not a table", "", "--set name.first=x");
    assert!(Override::parse("no equals sign").is_err());
    assert!(Override::parse("=1").is_err());
    assert!(Override::parse("a..b=1").is_err());
}

#[test]
fn a_budget_is_a_size() {
    for (budget, bytes) in [("'24GB'", 24_000_000_000), ("'64MiB'", 64 << 20), ("4096", 4096)] {
        let config = parse(GOOD, &[&format!("compare.budget={budget}")]).unwrap();
        assert_eq!(config.compare.budget, bytes);
    }
    for budget in ["\"8 apples\"", "-1", "0", "true", "\"9999999TiB\""] {
        let text = format!("{GOOD}\n[compare]\nbudget = {budget}");
        check(&text, &[], "`compare.budget` must be a size such as \"8GiB\"", "", budget);
    }
}

#[test]
fn checkpoints_are_kept_as_asked() {
    let usual = parse(GOOD, &[]).unwrap();
    assert_eq!(usual.checkpoint, Checkpoint::default());
    assert_eq!((usual.train.patience, usual.train.eval_every_steps, usual.train.tensorboard), (0, 0, false));
    let set =
        ["checkpoint.every_steps=500", "checkpoint.keep_last=7", "checkpoint.keep_best=false", "train.patience=3"];
    let config = parse(GOOD, &set).unwrap();
    let wanted = Checkpoint { every_steps: 500, keep_last: 7, keep_best: false, ..Checkpoint::default() };
    assert_eq!((config.checkpoint.clone(), config.train.patience), (wanted, 3));
    assert_eq!(parse(&config.to_toml(), &[]).unwrap(), config);
    check(GOOD, &["checkpoint.keep_last=0"], "`checkpoint.keep_last` must be a whole number from 1", "", "0");
    check(GOOD, &["checkpoint.every_steps=-1"], "`checkpoint.every_steps` must be a whole number from 0", "", "-1");
    let every = "--set checkpoint.every=3";
    check(GOOD, &["checkpoint.every=3"], "there is no setting `checkpoint.every`", "every_", every);
}

#[test]
fn a_missing_file_says_what_is_expected() {
    let error = Config::load(Path::new("/nowhere/at/all.toml"), &[]).unwrap_err();
    assert!(error.to_string().contains("/nowhere/at/all.toml"), "{error}");
    assert!(error.help().unwrap().to_string().contains("configs/quickstart.toml"));
}

#[test]
fn relative_paths_start_at_the_file() {
    let config = parse(&GOOD.replace("[model]", "root = \"sets\"\n[model]"), &[]).unwrap();
    assert_eq!(config.data.root, Path::new("/configs/sets"));
}

#[test]
fn a_resolved_config_gives_itself_again() {
    let rich = [
        "optimizer={kind='adam', lr=1e-3, beta2=0.99}",
        "schedule={kind='step', milestones=[1, 1.5], factor=0.2, warmup_epochs=0.5}",
        "store.default={kind='frequency-split', block=4}",
        "compare={stores=['raw', {kind='frequency-split', bits=8}, 'uniform:4'], seeds=4, budget='1.5GiB'}",
        "store.rule=[{layer='fc*', store='raw'}, {min_elements=9, read_by='convolution', store={kind='uniform', bits=1}}]",
    ];
    let kinds = [
        ("loss", &["cross-entropy", "mse", "mae", "bce"][..]),
        ("optimizer", &["sgd", "adam", "adamw", "rmsprop"]),
        ("schedule", &["constant", "cosine", "one-cycle"]),
    ];
    let kinds =
        kinds.iter().flat_map(|(section, kinds)| kinds.iter().map(move |kind| format!("{section}.kind={kind}")));
    let kinds: Vec<String> = kinds.collect();
    let kinds: Vec<[&str; 1]> = kinds.iter().map(|kind| [kind.as_str()]).collect();
    for set in [&[][..], &rich[..]].into_iter().chain(kinds.iter().map(|kind| &kind[..])) {
        let config = parse(GOOD, set).unwrap();
        assert_eq!(parse(&config.to_toml(), &[]).unwrap(), config, "{}", config.to_toml());
    }
}

#[test]
fn what_is_made_again_is_a_suffix_or_a_setting() {
    let split = CodecSpec::FrequencySplit { block: 8, bits: 4, parity: false };
    let cheap = PolicySpec { form: split, recompute: Recompute::Cheap };
    assert_eq!(PolicySpec::parse("frequency-split:8,4+cheap"), Ok(cheap));
    assert_eq!(cheap.to_string(), "frequency-split:8,4+cheap");
    assert_eq!(PolicySpec::parse("raw + none"), Ok(CodecSpec::Raw.into()));
    let PolicySpecs(list) = PolicySpecs::parse("raw,raw+segments,frequency-split:8,4+cheap,uniform:4,128").unwrap();
    let labels: Vec<String> = list.iter().map(PolicySpec::to_string).collect();
    assert_eq!(labels, ["raw", "raw+segments", "frequency-split:8,4+cheap", "uniform:4,128"]);

    // In a config as a setting of the section, or as the suffix of the default.
    let as_setting = format!("{GOOD}\n[store]\ndefault = \"frequency-split:8,4\"\nrecompute = \"cheap\"");
    let as_suffix = format!("{GOOD}\n[store]\ndefault = \"frequency-split:8,4+cheap\"");
    for text in [as_setting, as_suffix] {
        let config = parse(&text, &[]).unwrap();
        assert_eq!((config.store.default, config.store.recompute), (split, Recompute::Cheap));
        assert_eq!(config.store.to_string(), "frequency-split:8,4+cheap");
        assert_eq!(config.store.policy().recompute, Recompute::Cheap);
        assert_eq!(config.store.with_default(CodecSpec::F16).to_string(), "f16", "a name says all");
    }
    let stores = "compare.stores=['raw+segments', {kind='uniform', bits=4, recompute='cheap'}]";
    let config = parse(GOOD, &[stores, "store.recompute=segments"]).unwrap();
    assert_eq!(config.compare.stores[1].to_string(), "uniform:4+cheap");
    assert_eq!(config.store.to_string(), "raw+segments");
    assert_eq!(parse(&config.to_toml(), &[]).unwrap(), config, "{}", config.to_toml());

    assert!(PolicySpec::parse("raw+cheep").unwrap_err().contains("did you mean `cheap`?"));
    assert!(PolicySpec::parse("raw+").unwrap_err().contains("there are: none, cheap, segments"));
    assert!(PolicySpec::parse("rwa+cheap").unwrap_err().contains("raw"));
    assert!(PolicySpecs::parse("raw,raw+none").unwrap_err().contains("raw is there twice"));
    let with = |store: &str| format!("{GOOD}\n[store]\n{store}");
    check(&with("default = \"f16+chap\""), &[], "`store.default` cannot be \"f16+chap\"", "`cheap`", "\"f16+chap\"");
    check(&with("recompute = \"all\""), &[], "`store.recompute` cannot be \"all\"", "none, cheap, segments", "\"all\"");
    let twice = with("default = \"raw+cheap\"\nrecompute = \"segments\"");
    check(&twice, &[], "the suffix of `store.default` disagree", "remove one", "\"segments\"");
    let rule = with("[[store.rule]]\nlayer = \"a\"\nstore = \"raw+cheap\"");
    check(&rule, &[], "`store.rule[0].store` cannot be", "write it as `store.recompute`", "\"raw+cheap\"");
}

#[test]
fn a_budget_takes_the_place_of_a_form() {
    let auto = CodecSpec::Auto { budget: 2 << 30 };
    for store in ["budget = \"2GiB\"", "default = \"auto:2GiB\"", "default = { budget = 2147483648 }"] {
        let config = parse(&format!("{GOOD}\n[store]\n{store}"), &[]).unwrap();
        assert_eq!((config.store.default, config.store.budget()), (auto, Some(2 << 30)));
        assert_eq!(config.store.to_string(), "auto:2GiB");
        assert_eq!(parse(&config.to_toml(), &[]).unwrap(), config, "{}", config.to_toml());
    }
    let config = parse(GOOD, &["compare.stores=['raw', {budget='1.5MiB', recompute='cheap'}]"]).unwrap();
    assert_eq!(config.compare.stores[1].to_string(), "auto:1536KiB+cheap");
    assert_eq!(parse(&config.to_toml(), &[]).unwrap(), config, "{}", config.to_toml());
    assert_eq!(CodecSpec::parse("auto:1000").unwrap().to_string(), "auto:1000");
    assert!(CodecSpec::parse("auto").unwrap_err().contains("auto:2GiB"));
    assert!(CodecSpec::parse("auto:much").unwrap_err().contains("8GiB"));
    assert!(CodecSpec::parse("atuo:2GiB").unwrap_err().contains("`auto`"));

    let with = |store: &str| format!("{GOOD}\n[store]\n{store}");
    let twice = with("default = \"f16\"\nbudget = \"2GiB\"");
    check(&twice, &[], "`store.default` says f16", "remove one", "\"2GiB\"");
    check(&with("budget = \"2 apples\""), &[], "`store.budget` must be a size", "", "\"2 apples\"");
    let rule = with("[[store.rule]]\nlayer = \"a\"\nstore = \"auto:2GiB\"");
    check(&rule, &[], "a budget is one for all values", "write it as `store.budget`", "\"auto:2GiB\"");
}

#[test]
fn the_shipped_configs_are_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if let Err(error) = Config::load(&path, &[]) {
            panic!("{}: {error}", path.display());
        }
        count += 1;
    }
    assert!(count >= 5);
}

#[test]
fn stores_are_named_with_or_without_settings() {
    let usual = CodecSpec::Uniform { bits: 2, group: 256 };
    let named = [
        ("raw", CodecSpec::Raw),
        ("f16", CodecSpec::F16),
        ("float8", CodecSpec::Float8 { group: 256 }),
        ("float8:32", CodecSpec::Float8 { group: 32 }),
        ("uniform", usual),
        ("uniform:4", CodecSpec::Uniform { bits: 4, group: 256 }),
        ("uniform:1,64", CodecSpec::Uniform { bits: 1, group: 64 }),
        ("frequency-split", CodecSpec::FrequencySplit { block: 8, bits: 2, parity: false }),
        ("frequency-split:4,8", CodecSpec::FrequencySplit { block: 4, bits: 8, parity: false }),
        ("frequency-split:8,2,parity", CodecSpec::FrequencySplit { block: 8, bits: 2, parity: true }),
    ];
    for (name, form) in named {
        assert_eq!(CodecSpec::parse(name), Ok(form));
        assert_eq!(form.to_string(), name, "a label is a name");
        let text = format!("{GOOD}\n[store]\ndefault = \"{name}\"");
        assert_eq!(parse(&text, &[]).unwrap().store.default, form);
        assert_eq!(parse(GOOD, &[&format!("store.default={name}")]).unwrap().store.default, form);
    }
    assert_eq!(CodecSpec::parse("uniform:2,256").unwrap().to_string(), "uniform");
    let PolicySpecs(list) =
        PolicySpecs::parse("raw,frequency-split:8,4, uniform:4,frequency-split:8,4,parity,uniform:4,128").unwrap();
    assert_eq!(
        list.iter().map(PolicySpec::to_string).collect::<Vec<_>>(),
        ["raw", "frequency-split:8,4", "uniform:4", "frequency-split:8,4,parity", "uniform:4,128"]
    );
    assert!(CodecSpec::parse("uniform:2,parity").is_err() && CodecSpec::parse("frequency-split:parity").is_err());
    let table = "store.default={ kind = \"frequency-split\", bits = 1, parity = true }";
    let form = CodecSpec::FrequencySplit { block: 8, bits: 1, parity: true };
    assert_eq!(parse(GOOD, &[table]).unwrap().store.default, form);
    let wrong = [
        ("unifrom", "did you mean `uniform`?"),
        ("raw:1", "`raw` has no settings"),
        ("float8:8", "group must be 16, 32, 64"),
        ("float8:32,1", "write float8:GROUP"),
        ("uniform:3", "bits must be 1, 2, 4 or 8"),
        ("uniform:4,100", "group must be 32, 64"),
        ("uniform:", "write uniform:BITS"),
        ("uniform:1,2,3", "write uniform:BITS"),
        ("frequency-split:8", "write frequency-split:BLOCK,BITS"),
        ("frequency-split:1,2", "block must lie between 2 and 64"),
        ("error-bounded:10", "fraction must lie between 0.000001 and 0.5: "),
        ("error-bounded:1", "bounds grow without end"),
        ("error-bounded:0.51", "fraction must lie"),
        ("error-bounded:1e-30", "with less no value shrinks"),
        ("error-bounded:0", "fraction must lie"),
        ("error-bounded:-0.1", "fraction must lie"),
        ("error-bounded:nan", "fraction must lie"),
        ("error-bounded:inf", "fraction must lie"),
        ("error-bounded:comet,0.5", "fraction must lie between 0.000001 and 0.25: "),
    ];
    for (name, help) in wrong {
        assert!(CodecSpec::parse(name).unwrap_err().contains(help), "{name}");
        let text = format!("{GOOD}\n[store]\ndefault = \"{name}\"");
        check(&text, &[], &format!("`store.default` cannot be \"{name}\""), help, &format!("\"{name}\""));
        assert!(PolicySpecs::parse(&format!("raw,{name}")).is_err());
    }
    assert!(PolicySpecs::parse("f16,raw,f16").unwrap_err().contains("f16 is there twice"));
    assert!(PolicySpecs::parse("4,raw").is_err());
}

#[test]
fn rules_are_read_in_order() {
    let rules = r#"
[store]
default = { kind = "uniform", bits = 4 }
[[store.rule]]
layer = "conv1"
store = "raw"
[[store.rule]]
made_by = "max pooling"
read_by = "*convolution*"
min_elements = 4096
store = "frequency-split:8,4"
"#;
    let config = parse(&format!("{GOOD}{rules}"), &[]).unwrap();
    let none =
        SaveRule { layer: None, value: None, made_by: None, read_by: None, min_elements: None, store: CodecSpec::Raw };
    let second = SaveRule {
        made_by: Some("max pooling".into()),
        read_by: Some("*convolution*".into()),
        min_elements: Some(4096),
        store: CodecSpec::FrequencySplit { block: 8, bits: 4, parity: false },
        ..none.clone()
    };
    assert_eq!(config.store.rules, [SaveRule { layer: Some("conv1".into()), ..none }, second]);
    assert_eq!(config.store.to_string(), "uniform:4 + 2 rules");
    assert_eq!(config.store.policy().rules.len(), 2);
    // Raw is what the others are measured against: raw throughout.
    assert_eq!(config.store.with_default(CodecSpec::Raw), PolicySpec::from(CodecSpec::Raw).into());
    assert_eq!(config.store.with_default(CodecSpec::F16).rules.len(), 2);
}

#[test]
fn wrong_rules_are_refused_where_they_stand() {
    let with = |rule: &str| format!("{GOOD}\n[[store.rule]]\n{rule}");
    let text = with("layers = \"a\"\nstore = \"raw\"");
    check(&text, &[], "there is no setting `store.rule[0].layers`", "did you mean `layer`?", "layers");
    check(&with("store = \"rwa\""), &[], "`store.rule[0].store` cannot be", "there are: raw, f16", "\"rwa\"");
    let text = with("layer = 3\nstore = \"raw\"");
    check(&text, &[], "`store.rule[0].layer` must be text in quotes, not 3", "", "3");
    let text = with("min_elements = 0\nstore = \"raw\"");
    check(&text, &[], "`store.rule[0].min_elements` must be a whole number", "", "0");
    let (message, help, _) = refusal(&with("layer = \"a\""), &[]);
    assert!(message.contains("`store.rule[0].store` is missing") && help.contains("`store = \"raw\"`"), "{message}");
    let text = format!("{GOOD}\n[store.rule]\nlayer = \"a\"\nstore = \"raw\"");
    let (message, help, _) = refusal(&text, &[]);
    assert!(message.contains("`store.rule` must be a list of rules") && help.contains("[[store.rule]]"), "{message}");
    let text = format!("{GOOD}\n[store]\ndefault = {{ kind = \"f16\", bits = 3 }}");
    check(&text, &[], "there is no setting `store.default.bits` with kind \"f16\"", "there are: kind", "bits");
    check(GOOD, &["store.default=3"], "`store.default` must be the name of a store", "", "3");
}

#[test]
fn sets_that_people_look_for_are_said_to_be_absent() {
    let text = GOOD.replace("\"digits\"", "\"imagenet\"");
    assert_ne!(text, GOOD);
    let (message, help, _) = refusal(&text, &[]);
    assert!(message.contains("`data.set` cannot be \"imagenet\""), "{message}");
    assert!(help.contains("not in the catalogue") && help.contains("`synthetic-imagenet`"), "{help}");
}

#[test]
fn data_is_divided_and_augmented_as_the_config_says() {
    let config = parse(GOOD, &[]).unwrap();
    assert!(config.data.validation.is_none() && config.data.augment.is_none() && config.data.workers.is_none());
    assert!(!config.to_toml().contains("augment"), "{}", config.to_toml());
    let augment = r#"
[data.augment]
pad_crop = 4
flip = true
jitter = { brightness = 0.4, saturation = 1 }
cutout = 16
mixup = 0.2
"#;
    let text = format!("{GOOD}{augment}");
    let config = parse(&text, &["data.validation=0.1", "data.workers=3"]).unwrap();
    assert_eq!((config.data.validation, config.data.workers), (Some(Share::Fraction(0.1)), Some(3)));
    let jitter = Jitter { brightness: 0.4, contrast: 0.0, saturation: 1.0 };
    let expected = Augment {
        pad_crop: Some(4),
        flip: true,
        jitter: Some(jitter),
        cutout: Some(16),
        mixup: Some(0.2),
        ..Augment::default()
    };
    assert_eq!(config.data.augment, expected);
    let whole = parse(GOOD, &["data.validation=500", "data.augment.resized_crop=true"]).unwrap();
    assert_eq!(whole.data.validation, Some(Share::Count(500)));
    assert_eq!(whole.data.augment.resized_crop, Some(ResizedCrop::default()));
    let narrow = parse(GOOD, &["data.augment.resized_crop={ scale = [0.5, 1], ratio = [1, 1] }"]).unwrap();
    assert_eq!(narrow.data.augment.resized_crop, Some(ResizedCrop { scale: [0.5, 1.0], ratio: [1.0, 1.0] }));
    assert!(parse(GOOD, &["data.augment.resized_crop=false"]).unwrap().data.augment.is_none());
    for config in [config, whole, narrow] {
        assert_eq!(Config::parse("again.toml", &config.to_toml(), Path::new("/"), &[]).unwrap(), config);
    }
}

#[test]
fn nets_that_make_images_have_losses_of_their_own() {
    let unet = |more: &[&str]| parse(&GOOD.replace("\"lenet\"", "\"unet\""), more);
    assert!(GOOD.contains("\"lenet\""));
    assert_eq!(unet(&[]).unwrap().loss, Loss::Mse);
    assert_eq!(unet(&["loss.kind=bce", "data.noise=0.2"]).unwrap().data.noise, Some(0.2));
    assert_eq!(parse(GOOD, &[]).unwrap().loss, Loss::CrossEntropy { label_smoothing: 0.0 });
    assert!(parse(GOOD, &["data.noise=0"]).is_err() && unet(&["loss.label_smoothing=0.1"]).is_err());
}

#[test]
fn bad_augmentation_is_refused_where_it_stands() {
    let bad = |line: &str, message: &str, help: &str, pointed: &str| {
        check(&format!("{GOOD}[data.augment]\n{line}"), &[], message, help, pointed);
    };
    bad("flipp = true", "there is no setting `data.augment.flipp`", "did you mean `flip`?", "flipp");
    bad("flip = 0.5", "`data.augment.flip` must be true or false, not 0.5", "", "0.5");
    bad("mixup = 0", "`data.augment.mixup` must be a number from 0.001 to 100", "", "0");
    let others = "mixup = 0.2\n[loss]\nkind = \"mse\"";
    bad(others, "of the losses only cross-entropy takes a mix", "remove it, or `loss.kind`", "0.2");
    bad("pad_crop = 0", "`data.augment.pad_crop` must be a whole number from 1", "", "0");
    bad("pad_crop = 4\nresized_crop = true", "both choose a part", "remove one", "4");
    bad("resized_crop = 0.5", "must be true, false or a table", "", "0.5");
    bad("resized_crop = { scale = [0.5, 0.1] }", "`data.augment.resized_crop.scale` must be two", "", "[0.5, 0.1]");
    bad("resized_crop = { scale = [0.5, 2] }", "from 1e-6 to 1", "", "[0.5, 2]");
    bad("resized_crop = { ratio = [0, 1] }", "width over height", "", "[0, 1]");
    bad("resized_crop = { ratio = 1 }", "width over height", "", "1");
    bad("jitter = { brightness = -1 }", "`data.augment.jitter.brightness` must be a number from 0", "", "-1");
    bad("jitter = {}", "at least one of brightness", "", "{}");
    bad("jitter = { hue = 0.1 }", "`data.augment.jitter.hue`", "brightness, contrast, saturation", "hue");
    bad("cutout = \"16\"", "`data.augment.cutout` must be a whole number", "", "\"16\"");
    for (share, pointed) in [("1.0", "1.0"), ("0", "0"), ("-3", "-3"), ("\"a\"", "\"a\"")] {
        let text = GOOD.replace("[model]", &format!("validation = {share}\n[model]"));
        check(&text, &[], "`data.validation` must be a fraction between 0 and 1, or a number of samples", "", pointed);
    }
}

#[test]
fn a_set_may_be_a_path() {
    let own = |set: &str| parse(&GOOD.replace("\"digits\"", &format!("\"{set}\"")), &[]);
    let config = own("./photos").unwrap();
    // Relative to the config, and absolute once it is resolved.
    assert_eq!((Path::new(&config.data.set), config.data.frame), (Path::new("/configs/./photos"), Frame::default()));
    assert!(own("numbers.npz").unwrap().data.set.ends_with("numbers.npz"));
    let text = GOOD.replace("\"digits\"", "\"../photos\"\nsize = [96, 128]\ngrey = true\norientation = \"ignore\"");
    let config = parse(&text, &[]).unwrap();
    assert_eq!(config.data.frame, Frame { size: Some([96, 128]), grey: true, orientation: Orientation::Ignore });
    assert_eq!(Config::parse("again.toml", &config.to_toml(), Path::new("/"), &[]).unwrap(), config);
    assert_eq!(parse(&text, &["data.size=64"]).unwrap().data.frame.size, Some([64, 64]));
    let square = parse(&text, &["data.size=0"]).unwrap_err().to_string();
    assert!(square.contains("`data.size` must be a number of pixels"), "{square}");
    check(&text.replace("[96, 128]", "[96]"), &[], "`data.size` must be", "", "[96]");
    let text = GOOD.replace("\"digits\"", "\"digits\"\nsize = 32");
    check(&text, &[], "`data.size` is for images of your own; those of `digits`", "remove it", "32");
    let text = GOOD.replace("\"digits\"", "\"digits\"\norientation = \"exif\"");
    check(&text, &[], "`data.orientation` is for images of your own; those of `digits`", "remove it", "\"exif\"");
    // A folder that is there, named without a slash.
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("photos")).unwrap();
    let text = GOOD.replace("\"digits\"", "\"photos\"");
    let error = Config::parse("test.toml", &text, folder.path(), &[]).unwrap_err();
    assert!(error.help().unwrap().to_string().contains("set = \"./photos\""), "{error}");
}
