//! What to do about an error.

use super::{CheckpointError, Error, TilesError, VARIABLE, suggest};
use frugal_data::DataError;
use frugal_model::{ModelError, Net};
use frugal_report::units;
use frugal_tensor::{GpuError, GraphError, PlanError};

impl Error {
    pub(super) fn advice(&self) -> Option<String> {
        Some(match self {
            Error::Interrupted { folder, .. } | Error::ComparisonInterrupted { folder, .. } => format!("go on with `frugal resume {}`", folder.display()),
            Error::AComparison(folder) => format!(
                "its runs have folders of their own in it; `frugal resume {}` goes on with all that is not finished",
                folder.display()
            ),
            Error::ComparisonFinished(folder) => format!(
                "its report is {}; `frugal resume {} --set compare.seeds=N` adds seeds, `--epochs N` makes all runs longer",
                folder.join("report.html").display(),
                folder.display()
            ),
            Error::NotARun { .. } => "give the folder that `frugal train` printed as its results".to_owned(),
            Error::RunInUse(_) => {
                "wait until it ends, or stop it; `frugal eval` and `frugal inspect` only look and may be used meanwhile".to_owned()
            }
            Error::RunFinished(folder) => {
                let folder = folder.display();
                format!(
                    "`frugal eval {folder}` evaluates its net; `frugal resume {folder} --epochs N` trains it for N epochs in all, and \
                     where it stopped early `--set train.patience=N` gives it more time"
                )
            }
            Error::Checkpoint(error) => return checkpoint_advice(error),
            Error::Io { action: "read", .. } => return None,
            Error::Io { source, .. } => return io_advice(source),
            Error::Tiles(TilesError::Foreign { .. }) => {
                format!("`frugal tune` measures on this adapter; {VARIABLE} takes the path of its table, or nothing")
            }
            Error::Tiles(_) => {
                "move the file away and let `frugal tune` write it anew; --no-tuned ignores it".to_owned()
            }
            Error::FolderTaken(_) => "choose another --out, or move the folder away".to_owned(),
            Error::Diverged { learning_rate, .. } => format!(
                "lower the learning rate (it was {learning_rate:.3e}): for example `--set optimizer.lr=…`, or a longer \
                 `schedule.warmup_steps`; the run folder keeps the metrics up to this step"
            ),
            Error::Classes(error) => error.advice(),
            Error::OtherImages { .. } => {
                "bring the images to that shape: pictures in a folder or in Parquet are resized, those of an .npz file and of the \
                 catalogue are not"
                    .to_owned()
            }
            Error::OtherColumns { .. } => "the table has changed since, or is another one: `--data TABLE` reads a table with the columns of \
                 the net's own"
                .to_owned(),
            Error::OutputNotFinite { .. } => {
                "weights of a run that diverged, or of another normalisation, overflow so: `--best` takes a run's best checkpoint, \
                 and docs/nets.md says how images are normalised"
                    .to_owned()
            }
            Error::OverBudget { budget, least, .. } => {
                let unit: u64 = if *least < 64 << 20 { 1 << 10 } else { 1 << 20 };
                format!(
                    "the store auto:{} reaches that; or take a smaller batch: `frugal plan … --max-batch {}` shows \
                     what fits, store by store",
                    units::exact(least.next_multiple_of(unit)),
                    units::bytes(*budget).replace(' ', "")
                )
            }
            Error::RunsDiverged { .. } => {
                "more bits for the stores that diverged, a lower `optimizer.lr`, or a longer `schedule.warmup_steps`"
                    .to_owned()
            }
            Error::BytesDiffer { .. } => "this is a defect of Frugal: please report it with the config".to_owned(),
            Error::Gpu(GpuError::NoSuchAdapter { .. }) => {
                "--device takes a number or part of a name; `frugal devices` lists all".to_owned()
            }
            Error::Gpu(GpuError::NoF16 { .. }) => {
                "train in f32: `--set train.precision=f32`; `frugal devices` says which adapters have f16".to_owned()
            }
            Error::Gpu(GpuError::SelfTest { .. }) => {
                "FRUGAL_NO_MATRICES=1 multiplies without cooperative matrices; or train in f32: `--set train.precision=f32`"
                    .to_owned()
            }
            Error::Gpu(GpuError::OutOfMemory { .. }) => {
                "`frugal plan CONFIG` shows what takes the memory; try a smaller `data.batch`, or another `store.default`"
                    .to_owned()
            }
            Error::Data(DataError::Image { .. } | DataError::Images { .. }) => {
                "mend, replace or remove what cannot be read; `frugal data check CONFIG` decodes every image of a set and \
                 names each that is bad"
                    .to_owned()
            }
            Error::Data(DataError::Missing { name, folder, .. }) => {
                let root = folder.parent().filter(|root| *root != frugal_data::default_root())?;
                format!("`data.root` is not the usual one: `frugal data get {name} --root {}`", root.display())
            }
            Error::Model(ModelError::NoSuchNet { name, .. }) => {
                let nets: Vec<&str> = Net::all().iter().map(|net| net.name).collect();
                suggest(name, &nets)
            }
            Error::Model(ModelError::Graph(error)) => return graph_advice(error),
            Error::Gpu(GpuError::Plan(plan)) | Error::Plan(plan) => return plan_advice(plan),
            _ => return None,
        })
    }
}

fn checkpoint_advice(error: &CheckpointError) -> Option<String> {
    Some(match error {
        CheckpointError::Newer { .. } => "use the version of Frugal that wrote it, or a later one".to_owned(),
        CheckpointError::Misfit { .. } => {
            "it belongs to another run: `frugal inspect` shows what it was made by".to_owned()
        }
        CheckpointError::Weights { differences, .. } => match differences.classifier() {
            Some((layer, there, here)) => format!(
                "the classifier `{layer}` of the file has {there} classes, the data {here}: take data of {there} classes, or \
                 train a new classifier with `weights_except = [\"{layer}\"]` in `[model]`"
            ),
            None if !differences.types.is_empty() => {
                "numbers of 16, 32 and 64 bits are read: save `tensor.float()` of each; those of quantised weights (int8, fp8) \
                 have to be multiplied by their scales first"
                    .to_owned()
            }
            None => "`frugal inspect FILE` lists the file's tensors; it has to be of this net, under PyTorch's names".to_owned(),
        },
        CheckpointError::OtherFormat { path, format } => format.advice(path),
        CheckpointError::TwoTensors { .. } => {
            "leave one of them out of the file; `module.`, `_orig_mod.` and `model.` before a name are ignored".to_owned()
        }
        CheckpointError::NotFinite { .. } => {
            "these are weights of a run that diverged, or they overflowed when they were converted: take others, or an earlier checkpoint"
                .to_owned()
        }
        CheckpointError::NoSuchLayer { .. } => {
            "`frugal inspect FILE` lists the file's tensors; `model.weights_except` takes what is before a dot in their names"
                .to_owned()
        }
        CheckpointError::OtherSettings { .. } => {
            "leave these settings as they were, or begin a new run; how long it trains ([train]), what it keeps ([checkpoint]) \
             and where its data is (data.set, data.root) may change"
                .to_owned()
        }
        CheckpointError::OtherData { .. } => {
            "name the place of the data that it learned from, `--set data.set=/its/place`; or begin a new run with what is \
             there now"
                .to_owned()
        }
        CheckpointError::AllDamaged { folder, .. } => {
            format!("move {} away to begin the run anew", folder.display())
        }
        CheckpointError::Impossible { .. } => {
            "move the checkpoint away, and `frugal resume` goes on from the one before it".to_owned()
        }
        CheckpointError::Damaged { .. } | CheckpointError::Foreign(_) => return None,
    })
}

fn io_advice(error: &std::io::Error) -> Option<String> {
    use std::io::ErrorKind as Kind;
    match error.kind() {
        Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => Some(
            "free some space; what was written before is whole, and `frugal resume RUN` goes on from the newest checkpoint"
                .to_owned(),
        ),
        Kind::PermissionDenied | Kind::ReadOnlyFilesystem => {
            Some("the folder cannot be written to: allow it, or choose another (--out)".to_owned())
        }
        _ => None,
    }
}

fn plan_advice(error: &PlanError) -> Option<String> {
    match error {
        PlanError::TooLarge { largest_batch: None, .. } | PlanError::NoBuffer { .. } => {
            Some("choose an adapter with larger limits (`frugal devices`), or make the layer narrower".to_owned())
        }
        PlanError::TooLarge { largest_batch, .. } => batch_advice(*largest_batch),
        PlanError::Graph(error) => graph_advice(error),
        _ => None,
    }
}

fn graph_advice(error: &GraphError) -> Option<String> {
    match error {
        GraphError::TooLarge { largest_batch, .. } => batch_advice(*largest_batch),
        _ => None,
    }
}

fn batch_advice(largest: Option<usize>) -> Option<String> {
    largest.filter(|&batch| batch > 0).map(|batch| format!("for example `--set data.batch={batch}`"))
}
