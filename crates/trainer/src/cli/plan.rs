//! `frugal plan`.

use super::{Changes, Kernels, STORES, print, print_json};
use crate::config::{Choice, Choices, Config, Form, Loss, Optimizer};
use crate::report::fit::FitReport;
use crate::report::plan::PlanReport;
use crate::run::{self, Fit, MOST_SAMPLES, Plans, Request};
use crate::{Error, report::units};
use clap::Args;
use frugal_model::{Net, StepShape, Training};
use frugal_tensor::PlanOptions;
use serde::Serialize;
use std::fmt::Display;
use std::path::PathBuf;

/// Show every byte of a training step before it runs; needs no GPU.
///
/// With --max-batch, show instead the largest batch that fits into some memory, for each store.
#[derive(Debug, Args)]
#[command(after_help = STORES)]
pub(super) struct Options {
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
    /// Form in which values wait for the backward pass, for example uniform:4 or raw+cheap [default: the config's,
    /// or raw]
    #[arg(long, value_name = "NAME", value_parser = Choice::parse)]
    store: Option<Choice>,
    /// Show the largest batch that a run can have in so much memory, for example 8GiB
    #[arg(long, value_name = "SIZE", value_parser = units::size, conflicts_with_all = ["batch", "store"])]
    max_batch: Option<u64>,
    /// Stores for --max-batch [default: raw,f16,uniform,frequency-split]
    #[arg(long, value_name = "NAMES", value_parser = Choices::parse, requires = "max_batch")]
    stores: Option<Choices>,
    /// Family of kernels to assume: it decides what scratch they need
    #[arg(long, value_enum, default_value_t = Kernels::Gpu)]
    kernels: Kernels,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    changes: Changes,
}

pub(super) fn run(options: &Options) -> Result<(), Error> {
    let request = request(options)?;
    let kernels = PlanOptions::unlimited(options.kernels.into());
    match options.max_batch {
        Some(limit) => {
            let usual = || Form::all().map(Choice::from).collect();
            let stores = options.stores.clone().map_or_else(usual, |Choices(stores)| stores);
            if let Some(store) = stores.iter().find(|store| matches!(store.form, Form::Auto { .. })) {
                let message = format!("{store} chooses forms for a given batch, so it has no largest one");
                return Err(Error::Usage(message));
            }
            let fit = |store: Choice| run::largest_batch(&request, &request.store.with_default(store), kernels, limit);
            let fits: Result<Vec<Fit>, Error> = stores.into_iter().map(fit).collect();
            show(&FitReport::new(&request, limit, fits?), options.json);
        }
        None => show(&PlanReport::new(&request, &Plans::new(&request, kernels)?), options.json),
    }
    Ok(())
}

fn show(report: &(impl Serialize + Display), json: bool) {
    if json { print_json(report) } else { print(report) }
}

fn request(options: &Options) -> Result<Request, Error> {
    let mut request = match (&options.config, &options.net, options.shape, options.classes) {
        (Some(config), ..) => {
            let (config, _) = Config::load(config, &options.changes.overrides())?;
            let (image, classes) = config.data.shape()?;
            run::request(&config, image, classes)?
        }
        (None, Some(net), Some(image), Some(classes)) => {
            if !options.changes.overrides().is_empty() {
                return Err(Error::Usage("--set, --seed and --epochs change a config; there is none".to_owned()));
            }
            let net = Net::find(net)?;
            let training = Training::from(Optimizer::default().operator());
            let training = Training { loss: Loss::usual(net.task).operator(), ..training };
            Request {
                net,
                shape: StepShape { batch: 64, image, classes: classes as usize },
                training,
                store: Choice::from(Form::Raw).into(),
            }
        }
        _ => return Err(Error::Usage("give a config, or --net with --shape and --classes".to_owned())),
    };
    request.shape.batch = options.batch.map_or(request.shape.batch, |batch| batch as usize);
    if let Some(store) = options.store {
        request.store = request.store.with_default(store);
    }
    Ok(request)
}

/// `1x28x28`, or `1×28×28`.
fn shape(text: &str) -> Result<[usize; 3], String> {
    let parts: Result<Vec<usize>, _> = text.split(['x', '×']).map(|part| part.trim().parse()).collect();
    match parts.as_deref() {
        Ok(&[c, h, w]) if [c, h, w].iter().all(|extent| (1..=65_536).contains(extent)) => Ok([c, h, w]),
        _ => Err("expected channels, height and width, for example 1x28x28".to_owned()),
    }
}
