//! `frugal compare`.

use super::{Changes, STORES, Where, print};
use crate::config::{Choice, Choices, Config};
use crate::report::comparison::{Comparison, Row};
use crate::run::folder::Folder;
use crate::run::{self, Job, Summary};
use crate::{Error, data};
use clap::Args;
use frugal_tensor::Gpu;
use std::path::PathBuf;

/// Train once per store and seed, and put the stores side by side in a table.
///
/// All stores start from the same weights and see the same batches. The folder gets table.md, table.csv and table.json,
/// and a run folder for each run. The rules of the config's `store` hold for every store but raw.
#[derive(Debug, Args)]
#[command(after_help = STORES)]
pub(super) struct Options {
    /// The config, a TOML file
    config: PathBuf,
    /// Stores to compare, for example raw,uniform:4+cheap [default: `compare.stores` of the config]
    #[arg(long, value_name = "NAMES", value_parser = Choices::parse)]
    stores: Option<Choices>,
    /// How many seeds for each store [default: `compare.seeds` of the config]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    seeds: Option<u32>,
    #[command(flatten)]
    changes: Changes,
    #[command(flatten)]
    place: Where,
}

pub(super) fn run(options: &Options) -> Result<(), Error> {
    let (mut config, text) = Config::load(&options.config, &options.changes.overrides())?;
    if let Some(Choices(stores)) = &options.stores {
        config.compare.stores = stores.clone();
    }
    config.compare.seeds = options.seeds.unwrap_or(config.compare.seeds);
    let seeds: Vec<u32> = (0..config.compare.seeds).map(|offset| config.seed.wrapping_add(offset)).collect();
    let data = data::open(&config.data.set, &config.data.root)?;
    let gpu = Gpu::open(options.place.device.as_deref())?;
    let of = |store: Choice, seed: u32| Config { seed, store: config.store.with_default(store), ..config.clone() };
    for &store in &config.compare.stores {
        // All of them before the first run: an hour later would be late to learn that one does not fit.
        run::plans(&of(store, config.seed), &data, &gpu)?;
    }
    let folder = Folder::create(options.place.out.as_deref(), &config.name, "compare")?;
    folder.write("config.toml", text.as_bytes())?;
    folder.write("config.resolved.toml", config.to_toml().as_bytes())?;

    let stores = config.compare.stores.clone();
    let total = stores.len() * seeds.len();
    let adapter = gpu.adapter().info.name.clone();
    eprintln!("{}: {total} runs on {adapter}, into {}", config.name, folder.path().display());
    let mut summaries: Vec<Vec<Summary>> = vec![Vec::new(); stores.len()];
    for (round, &seed) in seeds.iter().enumerate() {
        for (position, &store) in stores.iter().enumerate() {
            let config = of(store, seed);
            let run_folder = folder.inner(&format!("{}-{seed}", store.to_string().replace([':', ',', '+'], "-")))?;
            run_folder.write("config.toml", text.as_bytes())?;
            let number = round * stores.len() + position + 1;
            let label = format!("[{number}/{total}] {store}, seed {seed}");
            let plans = run::plans(&config, &data, &gpu)?;
            let job = Job {
                plans,
                config: &config,
                data: &data,
                gpu: &gpu,
                folder: &run_folder,
                label: &label,
                quiet: false,
            };
            let summary = run::train(job).inspect_err(|_| {
                eprintln!("{label}  stopped; the runs before it are in {}", folder.path().display())
            })?;
            summaries[position].push(summary);
        }
    }

    let comparison = Comparison {
        name: config.name,
        set: config.data.set,
        net: config.model.net,
        batch: config.data.batch,
        epochs: config.train.epochs,
        seeds,
        adapter,
        stores: summaries.iter().filter_map(|runs| Row::new(runs)).collect(),
    };
    folder.write("table.md", comparison.to_markdown().as_bytes())?;
    folder.write("table.csv", comparison.to_csv().as_bytes())?;
    folder.write_json("table.json", &comparison)?;
    print(comparison.to_text());
    print(format_args!("Tables and runs: {}", folder.path().display()));
    Ok(())
}
