//! Checkpoints whose checksum is right and whose content lies: each field and each kind of tensor, one lie at a time. A run
//! refuses to go on from them, by the name of the field, or goes on to its end: no panic, no hang, no memory without a limit.

use super::common::Desk;
use super::{checkpoints, cut, sets};
use frugal_data::{Dataset, Fingerprint};
use frugal_tensor::Gpu;
use frugal_trainer::Error;
use frugal_trainer::artifacts::folder::Folder;
use frugal_trainer::config::Config;
use frugal_trainer::planning;
use frugal_trainer::state::Left;
use frugal_trainer::state::checkpoint::{self, About, Checkpoint, CheckpointError};
use frugal_trainer::state::settings;
use frugal_trainer::training;
use frugal_trainer::training::Job;
use frugal_trainer::training::Start;
use frugal_trainer::training::View;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// A run of 29 steps that was stopped after its 28th, and all that is needed to go on.
struct Stopped {
    desk: Desk,
    checkpoint: Checkpoint,
    config: Config,
    data: Dataset,
    content: Fingerprint,
    gpu: Rc<Gpu>,
}

impl Stopped {
    fn new() -> Self {
        let desk = Desk::new();
        let settings_of = [
            "store.default=error-bounded",
            "checkpoint.every_steps=7",
            "checkpoint.keep_last=9",
            "train.ema=0.9",
            "train.eval_every_steps=11",
            "train.tensorboard=true",
        ];
        desk.ok(&[&["train", "digits.toml", "--out", "whole"][..], &sets(&settings_of)].concat());
        let run = cut(&desk, "whole", "run", 28);
        let checkpoint = checkpoint::read(checkpoints(&run).last().unwrap()).unwrap();
        for path in checkpoints(&run) {
            fs::remove_file(path).unwrap();
        }
        let config = settings(&run, &[]).unwrap();
        let data = config.data.open().unwrap();
        let content = data.fingerprint();
        Self { desk, checkpoint, config, data, content, gpu: Gpu::open(None).unwrap() }
    }

    /// Goes on from a checkpoint, in a folder of its own.
    fn go_on(&self, checkpoint: &Checkpoint) -> Result<(), Error> {
        let run = self.desk.path("lie");
        let _ = fs::remove_dir_all(&run);
        copy(&self.desk.path("run"), &run);
        let path = run.join("checkpoints/step-00000028.safetensors");
        fs::write(&path, checkpoint::encode(checkpoint).unwrap()).unwrap();
        let Self { config, data, content, gpu, .. } = self;
        let left = Left::with(&run, config.clone(), |_| {})?;
        left.check(data, content, |_| {})?;
        let (_, checkpoint) = left.checkpoint.unwrap();
        let plans = planning::plans(config, data, gpu)?;
        let (lock, from, folder) = (left.lock, Start::Checkpoint(Box::new(checkpoint)), &Folder::open(&run)?);
        training::train(Job {
            plans,
            config,
            data,
            content,
            gpu,
            folder,
            lock,
            label: "lie",
            view: View::Nothing,
            from,
        })?;
        Ok(())
    }

    /// Whether the run refuses to go on; it names the field that is wrong, or one beside it that contradicts it.
    fn refuses(&self, lie: &str, checkpoint: &Checkpoint, field: &str) -> bool {
        let begin = Instant::now();
        let outcome = self.go_on(checkpoint);
        assert!(begin.elapsed() < Duration::from_secs(20), "{lie} took {:?}", begin.elapsed());
        match outcome {
            Ok(()) => false,
            Err(error) => {
                let text = match error {
                    // With the only checkpoint damaged none can be used; what is wrong with it was said.
                    Error::Checkpoint(CheckpointError::AllDamaged { damaged, .. }) => damaged.concat(),
                    error => error.to_string(),
                };
                let group = field.split('/').rev().nth(1).unwrap_or(field);
                let names = [
                    field.rsplit('/').next().unwrap(),
                    group,
                    "other settings",
                    "other data",
                    "do not fit",
                    "not finite",
                ];
                assert!(names.iter().any(|name| text.contains(name)), "{lie}: {text}");
                true
            }
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.join("checkpoints")).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        fs::copy(&entry, to.join(entry.file_name().unwrap())).unwrap();
    }
}

/// The paths of all values in a tree that have none below them.
fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            fields.iter().for_each(|(key, value)| leaves(value, &format!("{path}/{}", key.replace('/', "~1")), found));
        }
        Value::Array(items) if !items.is_empty() => {
            items.iter().enumerate().for_each(|(at, value)| leaves(value, &format!("{path}/{at}"), found));
        }
        _ => found.push(path.to_owned()),
    }
}

#[test]
fn no_field_of_a_checkpoint_can_lie_to_any_harm() {
    let stopped = Stopped::new();
    stopped.go_on(&stopped.checkpoint).unwrap();
    let about = serde_json::to_value(&stopped.checkpoint.about).unwrap();
    let mut paths = Vec::new();
    leaves(&about, "", &mut paths);
    assert!(paths.len() > 50, "{paths:?}");
    let lies = [
        json!(0),
        json!(1),
        json!(30),
        json!(1u64 << 62),
        json!(u64::MAX),
        json!(-1),
        json!(1e38),
        json!(""),
        Value::Null,
    ];
    let (mut refused, mut harmless) = (Vec::new(), Vec::new());
    for path in paths {
        for lie in &lies {
            let mut lying = about.clone();
            let place = lying.pointer_mut(&path).unwrap();
            if place == lie {
                continue;
            }
            place.clone_from(lie);
            // What no checkpoint's description can be is refused when it is read.
            let Ok(about) = serde_json::from_value::<About>(lying) else { continue };
            let checkpoint = Checkpoint { about, tensors: stopped.checkpoint.tensors.clone() };
            let what = format!("{path} = {lie}");
            // Names of settings stand in what is said of them; numbers are places in lists.
            let field = path.trim_end_matches(|c: char| c == '/' || c.is_ascii_digit()).trim_end_matches("config");
            let is_refused = stopped.refuses(&what, &checkpoint, field);
            if is_refused { &mut refused } else { &mut harmless }.push(what);
        }
    }
    println!("{} refused, {} harmless: {harmless:#?}", refused.len(), harmless.len());
    let must = [
        "/state/step = 18446744073709551615",
        "/state/step = 30",
        "/position/batch = 1",
        "/position/steps = 1",
        "/state/best = null",
        "/state/stale = 18446744073709551615",
    ];
    for lie in
        must.iter().filter(|lie| about.pointer(lie.split(' ').next().unwrap()).is_some_and(|value| !value.is_object()))
    {
        assert!(refused.iter().any(|refused| refused == lie), "{lie} was taken for true");
    }
    // With little room steps are done again.
    let taken = harmless.iter().filter(|lie| lie.starts_with("/capacities") && !lie.ends_with(" = 30"));
    assert_eq!(taken.count(), 0, "{harmless:?}");

    // What is missing as a whole.
    let mut lying = stopped.checkpoint.clone();
    lying.about.state.best = None;
    assert!(stopped.refuses("no best", &lying, "best"));
    let mut lying = stopped.checkpoint.clone();
    lying.about.logs.clear();
    assert!(stopped.refuses("no logs", &lying, "logs"));
    let mut lying = stopped.checkpoint.clone();
    lying.about.kinds.clear();
    assert!(stopped.refuses("no kinds", &lying, "kinds"));
}

#[test]
fn no_tensor_of_a_checkpoint_can_lie_to_any_harm() {
    let stopped = Stopped::new();
    let words = [0, 1, 0x3f80_0000, 0x7f7f_ffff, 0x7f80_0000, 0xff80_0000, 0x7fc0_0000, 0x8000_0000, u32::MAX];
    let tensors = &stopped.checkpoint.tensors;
    let kinds = &stopped.checkpoint.about.kinds;
    let records: Vec<&String> = kinds.iter().filter(|(_, kind)| *kind == "record").map(|(name, _)| name).collect();
    assert!(!records.is_empty());
    let others = ["conv1.weight", "conv1.weight.momentum", "conv1.weight.average", "fc1.bias"];
    for name in others.iter().map(|name| (*name).to_owned()).chain(records.into_iter().cloned()) {
        let Some(tensor) = tensors.get(&name) else { continue };
        for word in words {
            let mut lying = stopped.checkpoint.clone();
            lying.tensors.get_mut(&name).unwrap().words = vec![word; tensor.words.len()];
            let what = format!("{name} = {word:#x}");
            let refused = stopped.refuses(&what, &lying, &name);
            assert!(refused || !f32::from_bits(word).is_nan(), "{what} was taken for true");
        }
        let mut lying = stopped.checkpoint.clone();
        let tensor = lying.tensors.get_mut(&name).unwrap();
        tensor.words.clear();
        tensor.shape = vec![0];
        assert!(stopped.refuses(&format!("{name} of nothing"), &lying, &name), "{name}");
    }
    let path: PathBuf = checkpoint::best(&stopped.desk.path("whole"));
    assert!(checkpoint::read(&path).is_ok());
}
