//! Whole configs in TOML, with `--set` before them: what is accepted can be written and read again.

use super::Target;
use crate::random::Random;
use crate::tree::Tree;
use crate::{bytes, tree};
use frugal_trainer::Error;
use frugal_trainer::config::{Config, Override};
use frugal_trainer::training::Schedule;
use std::path::Path;

pub const TARGET: Target = Target { name: "toml", file: "config.toml", seeds, mutate, attempt };

/// A line that begins so gives an option of the command line.
const SET: &str = "#--set ";

const CONFIGS: &[&str] = &[
    super::SMALL,
    include_str!("../../../../configs/quickstart.toml"),
    include_str!("../../../../configs/mnist-lenet-layers.toml"),
    include_str!("../../../../configs/unet-denoise.toml"),
    include_str!("../../../../configs/division-resnet18-cifar10.toml"),
    include_str!("../../../../configs/comet-resnet18.toml"),
    EVERYTHING,
    ADAMW,
];

/// Nearly every setting.
const EVERYTHING: &str = r#"
#--set train.epochs=4
#--set optimizer.lr=0.2
name = "everything"
seed = 7
[data]
set = "./photos"
size = [32, 48]
grey = true
mean = [0.5]
std = [0.25]
batch = 16
validation = 0.1
workers = 2
noise = 0.1
[data.augment]
flip = true
cutout = 4
mixup = 0.2
resized_crop = { scale = [0.1, 1.0], ratio = [0.75, 1.5] }
jitter = { brightness = 0.1, contrast = 0.2, saturation = 0.3 }
[model]
net = "resnet8"
narrow = 2
weights = "net.safetensors"
weights_except = ["fc"]
[loss]
kind = "cross-entropy"
label_smoothing = 0.1
[optimizer]
kind = "sgd"
lr = 0.1
momentum = 0.9
nesterov = true
state = "8bit"
weight_decay = 5e-4
[schedule]
kind = "step"
warmup_steps = 20
milestones = [10, 15.5]
factor = 0.2
[train]
epochs = 20
accumulate = 4
clip_norm = 1.0
precision = "f16"
loss_scale = 1024
ema = 0.99
eval_every_steps = 100
patience = 3
tensorboard = true
tuned = false
[checkpoint]
every_steps = 10
every_epochs = 2
keep_last = 3
keep_best = true
keep_every_steps = 100
keep_every_epochs = 5
[store]
default = { kind = "frequency-split", block = 8, bits = 4, parity = true }
recompute = "cheap"
[[store.rule]]
layer = "layer1.*"
value = "*relu"
min_elements = 4096
store = { kind = "error-bounded", target = "comet", fraction = 0.1, interval = 50 }
[[store.rule]]
made_by = "conv*"
read_by = "?elu"
store = "uniform:4,64"
[compare]
stores = ["raw", "f16+segments", "uniform:2,256"]
seeds = 2
budget = "2GiB"
examine = false
"#;

const ADAMW: &str = r#"
[data]
set = "digits"
validation = 50
[data.augment]
pad_crop = 2
[model]
net = "lenet"
[loss]
kind = "bce"
[optimizer]
kind = "adamw"
lr = 1e-3
beta1 = 0.9
beta2 = 0.999
epsilon = 1e-8
weight_decay = 0.01
[schedule]
kind = "one-cycle"
pct_start = 0.3
div_factor = 25
final_div_factor = 1e4
[train]
epochs = 2
[store]
budget = "64MiB"
"#;

fn seeds() -> Vec<Vec<u8>> {
    CONFIGS.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn mutate(input: &[u8], donor: &[u8], random: &mut Random) -> Vec<u8> {
    match (parsed(input), parsed(donor)) {
        (Some(mut config), Some(donor)) if !random.once_in(4) => {
            let sets: String = lines(&String::from_utf8_lossy(input)).map(|line| format!("{SET}{line}\n")).collect();
            tree::mutate(&mut config, &donor, random);
            [sets, config.to_toml()].concat().into_bytes()
        }
        _ => bytes::mutate(input, donor, random),
    }
}

fn parsed(text: &[u8]) -> Option<Tree> {
    // Its recursion is its own; what is deep goes the way of bytes.
    let text = std::str::from_utf8(text).ok().filter(|text| text.len() < 100_000)?;
    toml::from_str::<toml::Value>(text).ok().map(Tree::from)
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.trim().strip_prefix(SET))
}

fn attempt(path: &Path) -> Result<(), Error> {
    let text = String::from_utf8_lossy(&std::fs::read(path).expect("just written")).into_owned();
    let overrides: Result<Vec<Override>, String> = lines(&text).map(Override::parse).collect();
    let (config, _) = Config::load(path, &overrides.map_err(Error::Usage)?)?;
    let written = config.to_toml();
    let folder = path.parent().unwrap_or(Path::new(""));
    let again = Config::parse("config.resolved.toml", &written, folder, &[]);
    assert!(again.as_ref().is_ok_and(|again| *again == config), "{written}\nis read as {again:?}");
    config.model.net()?;
    config.store.policy();
    config.training();
    for steps_per_epoch in [1, 30, 1 << 20] {
        let schedule = Schedule::new(
            &config.schedule,
            config.optimizer.rule.learning_rate(),
            steps_per_epoch,
            config.train.epochs,
        );
        for step in [0, 1, 17, steps_per_epoch, u32::MAX.into()] {
            let rate = schedule.at(step);
            assert!(rate.is_finite() && rate >= 0.0, "the learning rate of step {step} is {rate}:\n{written}");
        }
    }
    Ok(())
}
