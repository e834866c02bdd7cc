//! The sections of a config: which keys there are, what they may be, and what holds where they are absent.

use super::data::{absolute, data};
use super::name::{check, of_file};
use super::reader::{Reader, size, wrong};
use super::save_policy::{choice, store};
use super::source::{Node, Value};
use super::{
    Checkpoint, CodecSpec, Compare, Config, ConfigError, Course, Design, Layers, Loss, Model, Optimizer, PolicySpec,
    Schedule, Setup, Train, Update, Warmup,
};
use frugal_model::{Net, Task};
use frugal_tensor::ir::Precision;
use frugal_tensor::ops::optimizer::StateForm;
use std::path::Path;

type Result<T> = std::result::Result<T, ConfigError>;

const KEYS: &[&str] =
    &["name", "seed", "data", "model", "loss", "optimizer", "schedule", "train", "checkpoint", "store", "compare"];

pub(super) fn config(root: &Node, file: &str, folder: &Path) -> Result<Config> {
    let root = Reader::open(root, "", KEYS)?;
    // Paths are written into config.resolved.toml, which is text.
    unicode(&absolute(folder.to_path_buf()))?;
    let name = name(&root)?.unwrap_or_else(|| of_file(file));
    let model = model(&root, folder)?;
    let optimizer = update(&root)?;
    let data = data(&root, folder)?;
    let model = Model { values: data.table.regression, ..model };
    let task = model.task();
    let config = Config {
        name,
        seed: root.integer("seed", 0, u32::MAX.into())?.unwrap_or(1) as u32,
        data,
        model,
        loss: loss(&root, Loss::usual(task))?,
        schedule: schedule(&root, optimizer.rule.learning_rate())?,
        optimizer,
        train: train(&root)?,
        checkpoint: checkpoint(&root)?,
        store: store(&root)?,
        compare: compare(&root)?,
    };
    unicode(&config.data.root)?;
    Ok(config)
}

fn unicode(path: &Path) -> Result<()> {
    match path.to_str() {
        Some(_) => Ok(()),
        None => Err(ConfigError::not_unicode(path)),
    }
}

/// The sections that do not say how the net is trained; the others may be missing, and are not read.
pub(super) fn setup(root: &Node, folder: &Path) -> Result<Setup> {
    let root = Reader::open(root, "", KEYS)?;
    let data = data(&root, folder)?;
    let model = Model { values: data.table.regression, ..model(&root, folder)? };
    let loss = loss(&root, Loss::usual(model.task()))?;
    Ok(Setup { data, model, loss })
}

/// It becomes the name of a folder.
fn name(root: &Reader<'_>) -> Result<Option<String>> {
    let Some(name) = root.text("name")? else { return Ok(None) };
    match (root.get("name"), check(name)) {
        (Some(node), Err(wanted)) => Err(root.wrong("name", node, wanted)),
        _ => Ok(Some(name.to_owned())),
    }
}

fn model(root: &Reader<'_>, folder: &Path) -> Result<Model> {
    let keys = ["net", "hidden", "dropout", "embedding", "narrow", "layers", "weights", "weights_except"];
    let section = root.section("model", &keys)?;
    let nets: Vec<&'static str> = Net::all().iter().map(|net| net.name).collect();
    let net = section.choice("net", &nets)?;
    let design = match (net, Layers::read(&section, "layers")?, section.get("layers")) {
        (Some(_), Some(_), Some(node)) => {
            let message = "`model.net` and `model.layers` both say what the net is";
            return Err(ConfigError::at(&node.place, message, "the other one").help("remove one of them"));
        }
        (None, Some(layers), _) => Design::Layers(layers),
        (net, ..) => Design::Net(section.required("net", "\"lenet\"", net)?.to_owned()),
    };
    let narrow = section.integer("narrow", 1, 1024)?.unwrap_or(1) as usize;
    if let (Design::Layers(_), Some(node)) = (&design, section.get("narrow")) {
        let message = "`model.narrow` goes with `model.net`: layers of a list have the channels that they are given";
        return Err(ConfigError::at(&node.place, message, "of what?").help("remove it"));
    }
    let weights = section.text("weights")?.map(|file| absolute(folder.join(file)));
    let name = |(path, node): (String, &Node)| match &node.value {
        Value::Text(text) if !text.is_empty() => Ok(text.clone()),
        _ => Err(wrong(&path, node, "the name of a layer")),
    };
    let except = section.list("weights_except")?.unwrap_or_default();
    match section.get("weights_except") {
        Some(node) if weights.is_none() => {
            let message = "`model.weights_except` leaves layers out of `model.weights`, which is missing";
            Err(ConfigError::at(&node.place, message, "of what?")
                .help("add for example `weights = \"net.safetensors\"`"))
        }
        _ => {
            let weights_except = except.into_iter().map(name).collect::<Result<_>>()?;
            let (hidden, dropout) = mlp(&section, &design)?;
            let embedding = section.integer("embedding", 1, 4096)?.map(|elements| elements as usize);
            Ok(Model { design, hidden, dropout, embedding, values: false, narrow, weights, weights_except })
        }
    }
}

/// The settings of `mlp`: outputs of its hidden layers, and what training drops of them.
fn mlp(section: &Reader<'_>, design: &Design) -> Result<(Option<Vec<usize>>, Option<f64>)> {
    let is_mlp = matches!(design, Design::Net(name) if name == "mlp");
    for key in ["hidden", "dropout"] {
        if let Some(node) = section.get(key).filter(|_| !is_mlp) {
            let message = format!("`model.{key}` is for the net `mlp`");
            return Err(ConfigError::at(&node.place, message, "of what?").help("remove it, or write `net = \"mlp\"`"));
        }
    }
    let extent = |(path, node): (String, &Node)| match node.value {
        Value::Integer(outputs) if (1..=1 << 20).contains(&outputs) => Ok(outputs as usize),
        _ => Err(wrong(&path, node, "a whole number from 1 to 1048576")),
    };
    let hidden = section.list("hidden")?.map(|list| list.into_iter().map(extent).collect::<Result<_>>()).transpose()?;
    Ok((hidden, section.float("dropout", "from 0 to 0.99", |share| (0.0..=0.99).contains(&share))?))
}

/// The most epochs.
const MOST_EPOCHS: i64 = 1_000_000;

/// What keeps a divisor away from zero. Where it is less, a power of its inverse is infinite in f32; where it is more, nothing is
/// left of what it divides.
pub(super) fn epsilon(section: &Reader<'_>) -> Result<Option<f64>> {
    section.float("epsilon", "from 1e-20 to 1e6", |value| (1e-20..=1e6).contains(&value))
}

/// The losses, the usual one first.
pub(super) const LOSSES: &[&str] = &["cross-entropy", "mse", "mae", "bce"];

fn loss(root: &Reader<'_>, usual: Loss) -> Result<Loss> {
    let loss = match root.kind("loss", LOSSES)? {
        None => usual,
        Some("mse") => Loss::Mse,
        Some("mae") => Loss::Mae,
        Some("bce") => Loss::Bce,
        Some(_) => Loss::usual(Task::Classes),
    };
    match loss {
        Loss::CrossEntropy { .. } => cross_entropy(root),
        _ => root.section("loss", &["kind"]).map(|_| loss),
    }
}

fn cross_entropy(root: &Reader<'_>) -> Result<Loss> {
    let section = root.section("loss", &["kind", "label_smoothing"])?;
    let smoothing = section.float("label_smoothing", "from 0 to 1", |share| (0.0..=1.0).contains(&share))?;
    Ok(Loss::CrossEntropy { label_smoothing: smoothing.unwrap_or(0.0) })
}

fn update(root: &Reader<'_>) -> Result<Update> {
    const SGD: &[&str] = &["kind", "lr", "momentum", "nesterov", "weight_decay", "state"];
    const ADAM: &[&str] = &["kind", "lr", "beta1", "beta2", "epsilon", "weight_decay", "state"];
    const RMSPROP: &[&str] = &["kind", "lr", "alpha", "epsilon", "momentum", "weight_decay", "state"];
    let kind = root.kind("optimizer", &["sgd", "adam", "adamw", "rmsprop"])?.unwrap_or("sgd");
    let keys = match kind {
        "adam" | "adamw" => ADAM,
        "rmsprop" => RMSPROP,
        _ => SGD,
    };
    let section = root.section("optimizer", keys)?;
    let rule = optimizer(&section, kind)?;
    let state = match section.choice("state", &["f32", "8bit"])? {
        Some("8bit") => StateForm::EightBit,
        _ => StateForm::F32,
    };
    match section.get("state") {
        Some(node) if state != StateForm::F32 && !rule.operator().has_state() => {
            let message = "`optimizer.state` is the form of the momentum, but `optimizer.momentum` is 0";
            Err(ConfigError::at(&node.place, message, "nothing is kept")
                .help("remove it, or add for example `momentum = 0.9`"))
        }
        _ => Ok(Update { rule, state }),
    }
}

fn optimizer(section: &Reader<'_>, kind: &str) -> Result<Optimizer> {
    // More is 1 in f32.
    const SHARE: &str = "from 0 to 0.9999999";
    let share = |value: f64| (0.0..=0.999_999_9).contains(&value);
    let (example, usual_decay) = match kind {
        "adam" => ("0.001", 0.0),
        "adamw" => ("0.001", 0.01),
        "rmsprop" => ("0.01", 0.0),
        _ => ("0.05", 0.0),
    };
    let lr = section.float("lr", "above 0", |value| value > 0.0)?;
    let lr = section.required("lr", example, lr)?;
    let weight_decay = section.float("weight_decay", "from 0 to 1e6", |value| (0.0..=1e6).contains(&value))?;
    let weight_decay = weight_decay.unwrap_or(usual_decay);
    if kind == "adam" || kind == "adamw" {
        let beta1 = section.float("beta1", SHARE, share)?.unwrap_or(0.9);
        let beta2 = section.float("beta2", SHARE, share)?.unwrap_or(0.999);
        let epsilon = epsilon(section)?.unwrap_or(1e-8);
        return Ok(match kind {
            "adam" => Optimizer::Adam { lr, beta1, beta2, epsilon, weight_decay },
            _ => Optimizer::AdamW { lr, beta1, beta2, epsilon, weight_decay },
        });
    }
    if kind == "rmsprop" {
        return Ok(Optimizer::RmsProp {
            lr,
            alpha: section.float("alpha", SHARE, share)?.unwrap_or(0.99),
            epsilon: epsilon(section)?.unwrap_or(1e-8),
            momentum: section.float("momentum", SHARE, share)?.unwrap_or(0.0),
            weight_decay,
        });
    }
    let momentum = section.float("momentum", SHARE, share)?.unwrap_or(0.0);
    let nesterov = section.flag("nesterov")?.unwrap_or(false);
    match section.get("nesterov") {
        Some(node) if nesterov && momentum == 0.0 => {
            let message = "`optimizer.nesterov` looks ahead along the momentum, but `optimizer.momentum` is 0";
            Err(ConfigError::at(&node.place, message, "needs momentum").help("add for example `momentum = 0.9`"))
        }
        _ => Ok(Optimizer::Sgd { lr, momentum, nesterov, weight_decay }),
    }
}

fn schedule(root: &Reader<'_>, rate: f64) -> Result<Schedule> {
    const PLAIN: &[&str] = &["kind", "warmup_steps", "warmup_epochs"];
    const STEP: &[&str] = &["kind", "warmup_steps", "warmup_epochs", "milestones", "factor"];
    const ONE_CYCLE: &[&str] = &["kind", "pct_start", "div_factor", "final_div_factor"];
    let kind = root.kind("schedule", &["constant", "step", "cosine", "one-cycle"])?.unwrap_or("constant");
    let keys = match kind {
        "step" => STEP,
        "one-cycle" => ONE_CYCLE,
        _ => PLAIN,
    };
    let section = root.section("schedule", keys)?;
    let course = match kind {
        "cosine" => Course::Cosine,
        "one-cycle" => {
            let above_one = |key| section.float(key, "above 1", |value| value > 1.0 && value.is_finite());
            let share = section.float("pct_start", "above 0 and below 1", |value| value > 0.0 && value < 1.0)?;
            Course::OneCycle {
                pct_start: share.unwrap_or(0.3),
                div_factor: above_one("div_factor")?.unwrap_or(25.0),
                final_div_factor: above_one("final_div_factor")?.unwrap_or(1e4),
            }
        }
        "step" => {
            let milestones = section.list("milestones")?;
            let items = section.required("milestones", "[100, 150]", milestones)?;
            let mut milestones: Vec<f64> = Vec::new();
            for (path, node) in items {
                let number = match node.value {
                    Value::Integer(number) => number as f64,
                    Value::Float(number) => number,
                    _ => f64::NAN,
                };
                let last = milestones.last().copied().unwrap_or(0.0);
                if !(number > last && number <= MOST_EPOCHS as f64) {
                    let wanted = format!("a number of epochs above {last} and at most {MOST_EPOCHS}");
                    return Err(wrong(&path, node, &wanted));
                }
                milestones.push(number);
            }
            let factor = section.float("factor", "above 0 and at most 1", |value| value > 0.0 && value <= 1.0)?;
            Course::Step { milestones, factor: factor.unwrap_or(0.1) }
        }
        _ => Course::Constant,
    };
    let steps = section.integer("warmup_steps", 0, u32::MAX.into())?;
    let epochs =
        section.float("warmup_epochs", "from 0 to 1000000", |epochs| (0.0..=MOST_EPOCHS as f64).contains(&epochs))?;
    let warmup = match (steps, epochs, section.get("warmup_epochs")) {
        (Some(_), Some(_), Some(node)) => {
            let message = "`schedule.warmup_steps` and `schedule.warmup_epochs` say the same thing twice";
            return Err(ConfigError::at(&node.place, message, "the second one").help("remove one of them"));
        }
        (None, Some(epochs), _) => Warmup::Epochs(epochs),
        (steps, ..) => Warmup::Steps(steps.unwrap_or(0) as u64),
    };
    let schedule = Schedule { course, warmup };
    let least = rate * schedule.least();
    match section.get("kind").or(section.get("warmup_steps")) {
        Some(node) if !(least as f32).is_normal() => {
            let message = format!("the learning rate begins or ends at {least:.1e}, and f32 holds none below 1.2e-38");
            Err(ConfigError::at(&node.place, message, "too far").help("a larger `optimizer.lr`, or a gentler schedule"))
        }
        _ => Ok(schedule),
    }
}

fn train(root: &Reader<'_>) -> Result<Train> {
    let keys = [
        "epochs",
        "accumulate",
        "clip_norm",
        "precision",
        "loss_scale",
        "ema",
        "eval_every_steps",
        "patience",
        "tensorboard",
        "tuned",
    ];
    let section = root.section("train", &keys)?;
    let precision = match section.choice("precision", &["f32", "f16"])? {
        Some("f16") => Precision::F16,
        _ => Precision::F32,
    };
    let loss_scale = section.float("loss_scale", "from 1 to 2^64", |scale| (1.0..=2f64.powi(64)).contains(&scale))?;
    if let (Some(node), Precision::F32) = (section.get("loss_scale"), precision) {
        let message = "`train.loss_scale` is for `train.precision = \"f16\"`: in f32 gradients need no scale";
        return Err(ConfigError::at(&node.place, message, "of what?").help("remove it"));
    }
    let epochs = section.integer("epochs", 1, MOST_EPOCHS)?;
    let count = |key| Ok(section.integer(key, 0, u32::MAX.into())?.unwrap_or(0) as u64);
    Ok(Train {
        epochs: section.required("epochs", "5", epochs)? as u64,
        accumulate: section.integer("accumulate", 1, 1 << 20)?.unwrap_or(1) as u64,
        clip_norm: section.float("clip_norm", "from 1e-12 to 1e38", |norm| (1e-12..=1e38).contains(&norm))?,
        precision,
        loss_scale,
        ema: section.float("ema", "above 0 and at most 0.999999", |decay| decay > 0.0 && decay <= 0.999_999)?,
        eval_every_steps: count("eval_every_steps")?,
        patience: count("patience")?,
        tensorboard: section.flag("tensorboard")?.unwrap_or(false),
        tuned: section.flag("tuned")?.unwrap_or(true),
    })
}

fn checkpoint(root: &Reader<'_>) -> Result<Checkpoint> {
    let keys = ["every_steps", "every_epochs", "keep_last", "keep_best", "keep_every_steps", "keep_every_epochs"];
    let section = root.section("checkpoint", &keys)?;
    let usual = Checkpoint::default();
    let interval =
        |key, usual: u64| Ok(section.integer(key, 0, u32::MAX.into())?.map_or(usual, |interval| interval as u64));
    Ok(Checkpoint {
        every_steps: interval("every_steps", usual.every_steps)?,
        every_epochs: interval("every_epochs", usual.every_epochs)?,
        keep_last: section.integer("keep_last", 1, 1_000_000)?.map_or(usual.keep_last, |count| count as u64),
        keep_best: section.flag("keep_best")?.unwrap_or(usual.keep_best),
        keep_every_steps: interval("keep_every_steps", usual.keep_every_steps)?,
        keep_every_epochs: interval("keep_every_epochs", usual.keep_every_epochs)?,
    })
}

fn compare(root: &Reader<'_>) -> Result<Compare> {
    let section = root.section("compare", &["stores", "seeds", "budget", "examine"])?;
    let stores = match section.list("stores")? {
        None => CodecSpec::all().map(PolicySpec::from).collect(),
        Some(items) => {
            let mut stores: Vec<PolicySpec> = Vec::new();
            for (path, node) in items {
                let store = choice(&path, node)?;
                if stores.contains(&store) {
                    let message = format!("`{path}`: the store {store} is there already");
                    return Err(ConfigError::at(&node.place, message, "twice"));
                }
                stores.push(store);
            }
            stores
        }
    };
    Ok(Compare {
        stores,
        seeds: section.integer("seeds", 1, 1000)?.unwrap_or(1) as u32,
        examine: section.flag("examine")?.unwrap_or(true),
        budget: size(&section, "budget")?.unwrap_or(8 << 30),
    })
}
