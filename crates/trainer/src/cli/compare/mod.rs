//! `frugal compare`, and `frugal resume` of a comparison.

mod results;
mod runs;

use super::device::Device;
use super::{Changes, STORES, Where, parts};
use crate::artifacts::CONFIG;
use crate::artifacts::comparison::Mark;
use crate::artifacts::environment::environment;
use crate::artifacts::folder::Folder;
use crate::artifacts::tiles::{self, TilesFile};
use crate::config::{CodecSpec, Config, Override, PolicySpec, PolicySpecs};
use crate::planning;
use crate::planning::Plans;
use crate::state;
use crate::state::Lock;
use crate::training;
use crate::{Error, terminal};
use clap::Args;
use frugal_data::{Dataset, Fingerprint};
use frugal_report::comparison::{Comparison, Memory, Row};
use frugal_report::largest_batch::LargestBatch;
use frugal_report::page::Page;
use frugal_report::pictures::pictures;
use frugal_report::plan::PlanReport;
use frugal_report::records::Divergence;
use frugal_report::records::GradientStudy;
use frugal_report::records::Summary;
use frugal_report::trace::Trace;
use frugal_report::units;
use frugal_tensor::ir::KernelSet;
use frugal_tensor::{Gpu, PlanOptions};
use results::Results;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Train once per store and seed, and put the stores side by side in a table.
///
/// All stores start from the same weights and see the same batches. The folder gets report.html, a page that needs
/// nothing but itself, its pictures as SVG and PNG, table.md, table.csv and table.json,
/// gradient_error.json with the error that each store brings into gradients, and a run folder for each run.
/// The rules of the config's `store` hold for every store but raw. A run that diverges does not stop the others.
/// Ctrl-C writes a checkpoint and stops; `frugal resume` goes on with what is not finished.
#[derive(Debug, Args)]
#[command(after_help = STORES)]
pub(super) struct Options {
    /// The config, a TOML file
    config: PathBuf,
    /// Stores to compare, for example raw,uniform:4+cheap [default: `compare.stores` of the config]
    #[arg(long, value_name = "NAMES", value_parser = PolicySpecs::parse)]
    stores: Option<PolicySpecs>,
    /// How many seeds for each store [default: `compare.seeds` of the config]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    seeds: Option<u32>,
    /// Memory for which to find the largest batch, for example 8GiB [default: `compare.budget` of the config]
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    budget: Option<u64>,
    /// Do not measure what each store does to gradients
    #[arg(long)]
    no_examine: bool,
    #[command(flatten)]
    changes: Changes,
    #[command(flatten)]
    place: Where,
}

/// What one seed of one store came to.
type Outcome = Result<Summary, Divergence>;

/// A store, what plans say of it, and its runs.
struct Entry {
    store: PolicySpec,
    /// Those of every seed.
    plans: Plans,
    plan: PlanReport,
    fit: LargestBatch,
    runs: Vec<Outcome>,
}

/// What all runs share.
struct Desk<'a> {
    config: &'a Config,
    /// The config as it was given.
    text: &'a str,
    data: &'a Dataset,
    content: &'a Fingerprint,
    gpu: &'a Rc<Gpu>,
    folder: &'a Folder,
}

/// Plans of all stores, with everything that could keep a run from its end checked.
struct Plan {
    entries: Vec<Entry>,
}

pub(super) fn run(options: &Options) -> Result<(), Error> {
    let (mut config, text) = Config::load(&options.config, &options.changes.overrides())?;
    if let Some(PolicySpecs(stores)) = &options.stores {
        config.compare.stores = stores.clone();
    }
    config.compare.examine &= !options.no_examine;
    config.compare.seeds = options.seeds.unwrap_or(config.compare.seeds);
    config.compare.budget = options.budget.unwrap_or(config.compare.budget);
    let data = config.data.open()?;
    parts::say_of_training(&config, &data)?;
    let gpu = options.place.device.open(config.train.precision, config.train.tuned)?;
    let plan = Plan::new(&config, &data, &gpu)?;
    let content = data.fingerprint();
    let folder = Folder::create(options.place.out.as_deref(), &config.name, "compare")?;
    let _lock = Lock::take(folder.path())?;
    folder.write("config.toml", text.as_bytes())?;
    if let Some(tiles) = TilesFile::of(&gpu) {
        folder.write(tiles::FILE, tiles.to_toml().as_bytes())?;
    }
    let mark = Mark { finished: false, environment: environment(&gpu) };
    mark.write(&folder)?;
    // Last of them: with it the comparison can be resumed.
    folder.write(CONFIG, config.to_toml().as_bytes())?;
    let desk = Desk { config: &config, text: &text, data: &data, content: &content, gpu: &gpu, folder: &folder };
    desk.compare(plan, mark)
}

/// Goes on with a comparison: what is finished is read, the run that was stopped goes on, the others begin.
pub(super) fn resume(path: &Path, changes: &[Override], device: &Device) -> Result<(), Error> {
    let config = state::settings(path, changes)?;
    let _lock = Lock::take(path)?;
    let mark = Mark::read(path)?;
    // Older versions wrote the report last of all, and no mark.
    let finished = mark.as_ref().map_or_else(|| path.join("report.html").exists(), |mark| mark.finished);
    if finished && config == state::settings(path, &[])? {
        return Err(Error::ComparisonFinished(path.to_path_buf()));
    }
    let data = config.data.open()?;
    let content = data.fingerprint();
    let begun = |name: &String| path.join(name).join(CONFIG).exists();
    for (store, seed, name) in runs_of(&config).filter(|(_, _, name)| begun(name)) {
        let run = path.join(name);
        state::check_settings(&run, &with(&config, store, seed), &content)?;
        let epochs = state::settings(&run, &[])?.train.epochs;
        if epochs > config.train.epochs {
            let run = run.display();
            return Err(Error::Usage(format!(
                "{run} is a run of {epochs} epochs: a comparison can only become longer"
            )));
        }
    }
    parts::say_of_training(&config, &data)?;
    let gpu = device.open(config.train.precision)?;
    if let Some(line) = tiles::of_run(path, &gpu)? {
        terminal::say(&line);
    }
    let plan = Plan::new(&config, &data, &gpu)?;
    let folder = Folder::open(path)?;
    let given = path.join("config.toml");
    let text = frugal_data::input::read_text(&given).map_err(Error::io("read", &given))?;
    let environment = mark.map_or_else(|| environment(&gpu), |mark| mark.environment);
    let mark = Mark { finished: false, environment };
    mark.write(&folder)?;
    folder.write(CONFIG, config.to_toml().as_bytes())?;
    let desk = Desk { config: &config, text: &text, data: &data, content: &content, gpu: &gpu, folder: &folder };
    desk.compare(plan, mark)
}

impl Desk<'_> {
    /// Trains what is not finished, and leaves tables and pictures: first without what gradients say, then with it.
    fn compare(&self, plan: Plan, mark: Mark) -> Result<(), Error> {
        let Plan { mut entries } = plan;
        let (config, folder) = (self.config, self.folder);
        let traces = self.train(&mut entries)?;
        for entry in &mut entries {
            let finished: Vec<&Summary> = entry.runs.iter().filter_map(|run| run.as_ref().ok()).collect();
            entry.plan = entry.plan.clone().measured(&finished);
        }
        let row = |entry: &Entry| {
            let memory = Memory::new(&entry.plan, &entry.fit);
            Row::new(entry.plan.store.clone(), memory, &entry.runs)
        };
        let comparison = Comparison {
            name: config.name.clone(),
            set: self.data.name.clone(),
            net: config.model.name().to_owned(),
            batch: config.data.batch,
            epochs: config.train.epochs,
            measure: config.measure(),
            seeds: seeds(config),
            adapter: self.gpu.adapter().info.name.clone(),
            budget: config.compare.budget,
            stores: entries.iter().map(row).collect(),
        };
        let plans: Vec<PlanReport> = entries.iter().map(|entry| entry.plan.clone()).collect();
        let results = |comparison: &Comparison, study: &GradientStudy| {
            Results::new(&Page {
                comparison,
                pictures: &pictures(comparison, &plans, &traces, &study.points),
                plans: &plans,
                study,
                environment: &mark.environment,
                config: &config.to_toml(),
            })
        };

        // What took hours is shown and on a disk before anything else is tried.
        let study = GradientStudy::default();
        let table = comparison.clone().related(&study);
        let files = results(&table, &study);
        let written = files.write(folder);
        let printed = terminal::print(table.to_text());
        let place = match written {
            Ok(()) => folder.path().to_path_buf(),
            Err(error) => files.rescue(folder, error)?,
        };
        printed?;
        let report = place.join("report.html");
        terminal::print(format_args!("\nReport, tables, pictures and runs: {}", report.display()))?;

        if config.compare.examine {
            let study = self.examine(&entries)?;
            let table = comparison.related(&study);
            let files = results(&table, &study);
            let written = files.write(folder);
            let printed = table.examined_text().map_or(Ok(()), |text| terminal::print(format_args!("\n{text}")));
            if let Err(error) = written {
                files.rescue(folder, error)?;
            }
            printed?;
        }
        let mark = Mark { finished: true, ..mark };
        if let Err(error) = mark.write(folder) {
            // All that it leaves is there; going on would only find that out again.
            terminal::warn(error);
        }
        match entries.iter().flat_map(|entry| &entry.runs).filter(|run| run.is_err()).count() {
            0 => Ok(()),
            diverged => Err(Error::RunsDiverged { diverged, runs: runs_of(config).count() }),
        }
    }
}

fn seeds(config: &Config) -> Vec<u32> {
    (0..config.compare.seeds).map(|offset| config.seed.wrapping_add(offset)).collect()
}

fn with(config: &Config, store: PolicySpec, seed: u32) -> Config {
    Config { seed, store: config.store.with_default(store), ..config.clone() }
}

/// Store, seed and name of the folder of each run, in their order.
fn runs_of(config: &Config) -> impl Iterator<Item = (PolicySpec, u32, String)> {
    let stores = &config.compare.stores;
    seeds(config)
        .into_iter()
        .flat_map(move |seed| stores.iter().map(move |&store| (store, seed, run_folder(store, seed))))
}

/// The name of a run's folder.
fn run_folder(store: PolicySpec, seed: u32) -> String {
    format!("{}-{seed}", store.to_string().replace([':', ',', '+'], "-"))
}

impl Plan {
    /// Plans every store beside raw, once for all seeds and for all that is said of it: an hour later would be late to learn that
    /// one does not fit, that weights to begin with are of another net, or that two runs would share a folder.
    fn new(config: &Config, data: &Dataset, gpu: &Gpu) -> Result<Self, Error> {
        let mut names = BTreeSet::new();
        if let Some((store, seed, name)) = runs_of(config).find(|(_, _, name)| !names.insert(name.clone())) {
            return Err(Error::Usage(format!(
                "two runs would have the folder {name}, one of them {store} with seed {seed}"
            )));
        }
        let raw = planning::plans(&with(config, CodecSpec::Raw.into(), config.seed), data, gpu)?;
        let start = training::anew(config, data, &raw)?;
        training::remarks(config, data, &raw, &start).iter().for_each(terminal::warn);
        let entry = |&store: &PolicySpec| {
            let config = with(config, store, config.seed);
            let request = planning::request_for(&config, data)?;
            let plans = Plans::against(&raw.raw, &request)?;
            // As `frugal plan --max-batch` counts: no adapter has a part in it.
            let any = PlanOptions::unlimited(KernelSet::Tiles).in_precision(request.precision);
            let fit = planning::largest_batch(&request, &plans.store, any, config.compare.budget)?;
            Ok(Entry { store, plan: plans.report(&request), plans, fit, runs: Vec::new() })
        };
        let entries = config.compare.stores.iter().map(entry).collect::<Result<_, Error>>()?;
        Ok(Self { entries })
    }
}
