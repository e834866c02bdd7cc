//! `frugal plan`.

use super::{Changes, Kernels, form, print, print_json};
use crate::config::{Config, Form, Optimizer};
use crate::report::plan::PlanReport;
use crate::run::{self, Plans, Request};
use crate::{Error, data};
use clap::Args;
use frugal_model::{Net, StepShape};
use frugal_tensor::PlanOptions;
use std::path::PathBuf;

/// Show every byte of a training step before it runs; needs no GPU.
#[derive(Debug, Args)]
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
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    batch: Option<u64>,
    /// Form in which values wait for the backward pass [default: the config's, or raw]
    #[arg(long, value_name = "NAME", value_parser = form)]
    store: Option<Form>,
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
    let plans = Plans::new(&request, PlanOptions::unlimited(options.kernels.into()))?;
    let report = PlanReport::new(&request, &plans);
    if options.json {
        print_json(&report);
    } else {
        print(report);
    }
    Ok(())
}

fn request(options: &Options) -> Result<Request, Error> {
    let mut request = match (&options.config, &options.net, options.shape, options.classes) {
        (Some(config), ..) => {
            let (config, _) = Config::load(config, &options.changes.overrides())?;
            let sets = data::catalogue(&config.data.root);
            let set = sets.into_iter().find(|set| set.name == config.data.set).expect("the config was checked");
            run::request(&config, set.shape, set.classes)?
        }
        (None, Some(net), Some(image), Some(classes)) => {
            if !options.changes.overrides().is_empty() {
                return Err(Error::Usage("--set, --seed and --epochs change a config; there is none".to_owned()));
            }
            Request {
                net: Net::find(net)?,
                shape: StepShape { batch: 64, image, classes: classes as usize },
                optimizer: Optimizer::default().operator(),
                store: Form::Raw,
            }
        }
        _ => return Err(Error::Usage("give a config, or --net with --shape and --classes".to_owned())),
    };
    request.shape.batch = options.batch.map_or(request.shape.batch, |batch| batch as usize);
    request.store = options.store.unwrap_or(request.store);
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
