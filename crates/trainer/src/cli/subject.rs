//! The step that a command is about: a config's, or that of a net by name.

use super::{Changes, Multiplies};
use crate::Error;
use crate::config::{CodecSpec, Config, Loss, Optimizer, PolicySpec, parse_slices};
use crate::planning;
use crate::planning::Request;
use clap::Args;
use frugal_model::{Net, StepShape, Training};
use frugal_report::largest_batch::MOST_SAMPLES;
use frugal_tensor::codec::Slices;
use frugal_tensor::ir::Precision;
use frugal_tensor::ops::optimizer::LossScale;
use std::path::PathBuf;

/// Options that describe a training step.
#[derive(Debug, Args)]
pub(super) struct Subject {
    /// The config, a TOML file; or describe a net by --net, --shape and --classes
    #[arg(required_unless_present = "net", conflicts_with_all = ["net", "shape", "classes"])]
    config: Option<PathBuf>,
    /// A net by name (see `frugal nets`)
    #[arg(long, value_name = "NAME", requires = "shape", requires = "classes")]
    net: Option<String>,
    /// Channels, height and width of an image, for example 1x28x28
    #[arg(long, value_name = "CxHxW", value_parser = shape)]
    shape: Option<[usize; 3]>,
    /// Number of classes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    classes: Option<u64>,
    /// Samples per step [default: the config's, or 64]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MOST_SAMPLES as u64))]
    batch: Option<u64>,
    /// Form in which saved tensors are kept for the backward pass, for example uniform:4 or raw+cheap [default:
    /// the config's, or raw]
    #[arg(long, value_name = "NAME", value_parser = PolicySpec::parse)]
    store: Option<PolicySpec>,
    /// Slices along the batch into which the step is cut: auto, least, off or a number [default: the config's, or auto for
    /// every store but raw]
    #[arg(long, value_name = "N", value_parser = parse_slices)]
    slices: Option<Slices>,
    /// Precision in which the step holds activations and multiplies: f32 or f16 [default: the config's, or f32]
    #[arg(long, value_name = "P", value_enum)]
    precision: Option<Multiplies>,
    #[command(flatten)]
    changes: Changes,
}

impl Subject {
    /// The step.
    pub fn request(&self) -> Result<Request, Error> {
        let mut request = match (&self.config, &self.net, self.shape, self.classes) {
            (Some(config), ..) => {
                let (config, _) = Config::load(config, &self.changes.overrides())?;
                let (image, classes) = config.data.shape()?;
                planning::request(&config, image, classes)?
            }
            (None, Some(net), Some(image), Some(classes)) => {
                if !self.changes.overrides().is_empty() {
                    return Err(Error::Usage("--set, --seed and --epochs change a config; there is none".to_owned()));
                }
                let [channels, ..] = image;
                // Images are uploaded as bytes; what they are normalised by changes no byte of the plan.
                let net = Net::find(net)?.on_bytes(&vec![0.0; channels], &vec![1.0; channels]);
                let training = Training::from(Optimizer::default().operator());
                let training = Training { loss: Loss::usual(net.task).operator(), ..training };
                Request {
                    net,
                    shape: StepShape { batch: 64, sample: image.into(), classes: classes as usize },
                    training,
                    precision: Precision::F32,
                    store: PolicySpec::from(CodecSpec::Raw).into(),
                }
            }
            _ => return Err(Error::Usage("give a config, or --net with --shape and --classes".to_owned())),
        };
        request.shape.batch = self.batch.map_or(request.shape.batch, |batch| batch as usize);
        if let Some(store) = self.store {
            request.store = request.store.with_default(store);
        }
        if self.slices.is_some() {
            request.store.slices = self.slices;
        }
        if let Some(precision) = self.precision {
            request.precision = precision.into();
            request.training.update.loss_scale = (request.precision == Precision::F16).then(LossScale::default);
        }
        Ok(request)
    }
}

/// `1x28x28`, or `1×28×28`.
fn shape(text: &str) -> Result<[usize; 3], String> {
    let parts: Result<Vec<usize>, _> = text.split(['x', '×']).map(|part| part.trim().parse()).collect();
    match parts.as_deref() {
        Ok(&[c, h, w]) if [c, h, w].iter().all(|extent| (1..=65_536).contains(extent)) => Ok([c, h, w]),
        _ => Err("expected channels, height and width, for example 1x28x28".to_owned()),
    }
}
