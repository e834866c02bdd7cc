//! `frugal plan`.

use super::subject::Subject;
use super::{Kernels, STORES};
use crate::artifacts::tiles::TilesFile;
use crate::config::{CodecSpec, PolicySpec, PolicySpecs};
use crate::planning;
use crate::planning::Plans;
use crate::{Error, terminal};
use clap::Args;
use frugal_report::largest_batch::{LargestBatch, LargestBatchReport};
use frugal_report::pictures::memory_over_step;
use frugal_report::units;
use frugal_tensor::PlanOptions;
use std::path::PathBuf;
use std::rc::Rc;

/// Show every byte of a training step before it runs; needs no GPU.
///
/// With --max-batch, show instead the largest batch that fits into some memory, for each store.
#[derive(Debug, Args)]
#[command(after_help = STORES)]
pub(super) struct Options {
    #[command(flatten)]
    subject: Subject,
    /// Show the largest batch that a run can have in so much memory, for example 8GiB
    #[arg(long, value_name = "SIZE", value_parser = units::size, conflicts_with_all = ["batch", "store"])]
    max_batch: Option<u64>,
    /// Stores for --max-batch [default: raw,f16,float8,uniform,frequency-split,error-bounded]
    #[arg(long, value_name = "NAMES", value_parser = PolicySpecs::parse, requires = "max_batch")]
    stores: Option<PolicySpecs>,
    /// Family of kernels to assume: it decides what scratch they need
    #[arg(long, value_enum, default_value_t = Kernels::Gpu)]
    kernels: Kernels,
    /// Assume the tiles of this table of `frugal tune`, and its family of kernels
    #[arg(long, value_name = "FILE", conflicts_with = "kernels")]
    tiles: Option<PathBuf>,
    /// Show what each pass did to the graph of the step
    #[arg(long, conflicts_with = "max_batch")]
    passes: bool,
    /// Draw memory over the step as well: bytes alive at each node, by what they are for
    #[arg(long, value_name = "FILE.svg", value_parser = svg_file, conflicts_with_all = ["max_batch", "passes"])]
    picture: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A file that may hold the picture.
fn svg_file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension() {
        Some(ending) if ending.eq_ignore_ascii_case("svg") => Ok(path),
        _ => Err("the picture is written as SVG, so its file has to end in .svg".to_owned()),
    }
}

pub(super) fn run(options: &Options) -> Result<(), Error> {
    let request = options.subject.request()?;
    let kernels = match &options.tiles {
        None => PlanOptions::unlimited(options.kernels.into()),
        Some(path) => {
            let (_, table) = TilesFile::read(path)?;
            PlanOptions { tiles: Some(Rc::new(table.clone())), ..PlanOptions::unlimited(table.set()) }
        }
    };
    let kernels = kernels.in_precision(request.precision);
    match options.max_batch {
        Some(limit) => {
            let usual = || CodecSpec::all().map(PolicySpec::from).collect();
            let stores = options.stores.clone().map_or_else(usual, |PolicySpecs(stores)| stores);
            if let Some(store) = stores.iter().find(|store| matches!(store.form, CodecSpec::Auto { .. })) {
                let message = format!("{store} chooses forms for a given batch, so it has no largest one");
                return Err(Error::Usage(message));
            }
            let fit = |store: PolicySpec| {
                let store = request.store.with_default(store);
                planning::largest_batch(&request, &store, kernels.clone(), limit)
            };
            let fits: Result<Vec<LargestBatch>, Error> = stores.into_iter().map(fit).collect();
            let (net, sample, classes) = (request.net.name, request.shape.sample, request.shape.classes);
            let (shape, samples) = (sample.extents(), sample.to_string());
            terminal::report(&LargestBatchReport { net, shape, samples, classes, limit, stores: fits? }, options.json)
        }
        None if options.passes => terminal::report(&Plans::new(&request, kernels)?.passes(&request), options.json),
        None => {
            let report = Plans::new(&request, kernels)?.report(&request);
            if let Some(path) = &options.picture {
                std::fs::write(path, memory_over_step(&report).svg).map_err(Error::io("write", path))?;
            }
            terminal::report(&report, options.json)
        }
    }
}
