//! Checkpoints: damaged ones, and ones whose checksum is right but whose content lies.

use super::weights::{mutate as mutate_file, parts, with_header};
use super::{SMALL_SHAPE, Target};
use crate::random::Random;
use crate::tree::{self, Tree};
use frugal_data::{Dataset, Fingerprint};
use frugal_tensor::ir::{KernelSet, Role};
use frugal_tensor::{Plan, PlanOptions};
use frugal_trainer::Error;
use frugal_trainer::planning;
use frugal_trainer::planning::Plans;
use frugal_trainer::state::Left;
use frugal_trainer::state::TrainState;
use frugal_trainer::state::checkpoint::CheckpointReport;
use frugal_trainer::state::checkpoint::{self, About, Checkpoint, Tensor, Weights};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

pub const TARGET: Target = Target { name: "checkpoint", file: "step-00000007.safetensors", seeds, mutate, attempt };

fn plan() -> Plan {
    let (image, classes) = SMALL_SHAPE;
    let request = planning::request(&super::small(), image.into(), classes).expect("it fits its images");
    Plans::new(&request, PlanOptions::unlimited(KernelSet::Tiles)).expect("a small net can be planned").train
}

/// What the run learns from.
fn set() -> Dataset {
    super::small().data.open().expect("a set that is part of the program")
}

fn seeds() -> Vec<Vec<u8>> {
    let (plan, config) = (plan(), super::small());
    let kept = plan.graph.ids().filter(|(id, value)| value.is_persistent() && plan.location(*id).is_some());
    let (mut tensors, mut kinds) = (BTreeMap::new(), BTreeMap::new());
    for (_, value) in kept {
        let (shape, words) = (value.shape.extents().to_vec(), vec![0x3f80_0000; value.shape.elements()]);
        tensors.insert(value.name.clone(), Tensor { shape, element: value.element, words });
        let kind = match value.role {
            Role::Parameter => "parameter",
            Role::Statistic => "statistic",
            Role::Report => "record",
            _ => "optimiser state",
        };
        kinds.insert(value.name.clone(), kind);
    }
    let epoch = json!({ "epoch": 1, "step": 7, "train_loss": 1.5, "train_accuracy": 0.5, "test_loss": 1.25,
        "test_accuracy": 0.625, "seconds": 2.5 });
    let about = |step: u64, state: Value| {
        let about = json!({
            "frugal": "0.1.0", "adapter": "none", "name": config.name, "net": config.model.name(), "set": "digits",
            "image": SMALL_SHAPE.0, "classes": SMALL_SHAPE.1, "store": config.store.to_string(), "seed": config.seed,
            "config": config.to_toml(),
            "position": { "epoch": 1, "batch": step, "steps": 29, "learning_rate": 0.1 },
            "standing": state, "kinds": kinds, "capacities": checkpoint::capacities(&plan),
            "logs": { "metrics.jsonl": 1000, "metrics.csv": 500 }, "data": set().fingerprint(),
        });
        serde_json::from_value::<About>(about).expect("the description of a checkpoint")
    };
    let mut state = serde_json::to_value(TrainState::default()).expect("plain fields");
    let early = about(0, state.clone());
    state["step"] = json!(7);
    state["last"] = epoch.clone();
    state["best"] = epoch;
    [early, about(7, state)]
        .map(|about| checkpoint::encode(&Checkpoint { about, tensors: tensors.clone() }).expect("a whole checkpoint"))
        .to_vec()
}

fn mutate(input: &[u8], donor: &[u8], random: &mut Random) -> Vec<u8> {
    if random.once_in(4) {
        return mutate_file(input, donor, random);
    }
    lie(input, donor, random).unwrap_or_else(|| mutate_file(input, donor, random))
}

/// Another description and other tensors, with the checksum that belongs to them.
fn lie(input: &[u8], donor: &[u8], random: &mut Random) -> Option<Vec<u8>> {
    let (mut about, mut header, data) = opened(input)?;
    let mut data = data.to_vec();
    let (donor, ..) = opened(donor)?;
    if !random.once_in(4) {
        tree::mutate(&mut about, &donor, random);
    }
    if random.once_in(3) {
        // Words of all ones, of zeros, infinities, and small whole numbers where floats should be.
        for _ in 0..random.few(6) {
            let at = random.below(data.len() / 4) * 4;
            let end = (at + 4 * random.few(8)).min(data.len());
            let word: u32 = random.pick(&[u32::MAX, 0, 0x7f80_0000, 0xff80_0000, 0x7fc0_0000, 1, 0x8000_0000]);
            data[at..end].chunks_exact_mut(4).for_each(|field| field.copy_from_slice(&word.to_le_bytes()));
        }
    }
    if random.once_in(6)
        && let Tree::Map(entries) = &mut header
        && !entries.is_empty()
    {
        let at = random.below(entries.len());
        entries[at].0 = format!("{}x", entries[at].0);
    }
    let about = about.to_json();
    let with = |checksum: &str| {
        let envelope = format!("{{\"format\":1,\"checksum\":\"{checksum}\",\"about\":{about}}}");
        let mut header = header.clone();
        if let Tree::Map(entries) = &mut header {
            let entry = Tree::Map(vec![("frugal".to_owned(), Tree::Text(envelope))]);
            entries.insert(0, ("__metadata__".to_owned(), entry));
        }
        with_header(&header.to_json(), &data)
    };
    let tensors = checkpoint::tensors(Path::new("lie"), &with("")).ok()?;
    Some(with(&checkpoint::checksum(&about, &tensors)))
}

/// The description, the header without it, and the tensors' bytes.
fn opened(file: &[u8]) -> Option<(Tree, Tree, &[u8])> {
    let (header, data) = parts(file)?;
    let Tree::Map(entries) = header else { return None };
    let (metadata, others): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(name, _)| name == "__metadata__");
    let Tree::Map(metadata) = metadata.into_iter().next()?.1 else { return None };
    let Tree::Text(envelope) = metadata.into_iter().find(|(name, _)| name == "frugal")?.1 else { return None };
    let envelope: Value = serde_json::from_str(&envelope).ok()?;
    Some((envelope.get("about")?.clone().into(), Tree::Map(others), data))
}

fn attempt(path: &Path) -> Result<(), Error> {
    thread_local! {
        static PLAN: Plan = plan();
        static SET: (Dataset, Fingerprint) = (set(), set().fingerprint());
    }
    // A run's folder, as `frugal resume` finds it.
    let run = path.parent().expect("a file is in a folder").join("run");
    let checkpoints = run.join("checkpoints");
    if run.exists() {
        std::fs::remove_dir_all(&run).expect("the fuzzer's own folder");
    }
    std::fs::create_dir_all(&checkpoints).expect("the fuzzer's own folder");
    std::fs::write(run.join("config.resolved.toml"), super::small().to_toml()).expect("the fuzzer's own folder");
    std::fs::copy(path, checkpoints.join(TARGET.file)).expect("just written");

    let checkpoint = checkpoint::read(path)?;
    let bytes = checkpoint::encode(&checkpoint)?;
    let again = checkpoint::decode(path, &bytes)?;
    assert!(again.tensors == checkpoint.tensors, "a checkpoint that was read can be written and read again");
    let report = CheckpointReport::new(path, again);
    assert!(!report.to_string().is_empty() && serde_json::to_string(&report).is_ok(), "a checkpoint can be shown");
    let weights = Weights::of(path, checkpoint);
    PLAN.with(|plan| weights.fit("small", &plan.graph, &[]).map(|_| ()))?;
    let left = Left::read(&run, &[], drop)?;
    SET.with(|(set, content)| left.check(set, content, drop))?;
    if let Some((_, checkpoint)) = left.checkpoint {
        PLAN.with(|plan| checkpoint.sized(plan))?;
    }
    Ok(())
}
