//! `frugal compare`.

use super::{Changes, STORES, Where, parts};
use crate::config::{Choice, Choices, Config, Form};
use crate::data::{Dataset, Fingerprint};
use crate::report::comparison::{Comparison, Divergence, Memory, Row};
use crate::report::page::Page;
use crate::report::pictures::pictures;
use crate::report::plan::PlanReport;
use crate::report::trace::Trace;
use crate::report::units;
use crate::run::environment::Environment;
use crate::run::examine::{Examinations, Examinee, examine_runs};
use crate::run::folder::Folder;
use crate::run::{self, Fit, Job, Lock, Measure, Plans, Summary, View};
use crate::{Error, terminal};
use clap::Args;
use frugal_tensor::ops::KernelSet;
use frugal_tensor::{Gpu, PlanOptions};
use std::path::PathBuf;
use std::rc::Rc;

/// Train once per store and seed, and put the stores side by side in a table.
///
/// All stores start from the same weights and see the same batches. The folder gets report.html, a page that needs
/// nothing but itself, its pictures as SVG and PNG, table.md, table.csv and table.json,
/// examination.json with the error that each store brings into gradients, and a run folder for each run.
/// The rules of the config's `store` hold for every store but raw. A run that diverges does not stop the others.
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
    store: Choice,
    /// Those of every seed.
    plans: Plans,
    plan: PlanReport,
    fit: Fit,
    runs: Vec<Outcome>,
}

pub(super) fn run(options: &Options) -> Result<(), Error> {
    let (mut config, text) = Config::load(&options.config, &options.changes.overrides())?;
    if let Some(Choices(stores)) = &options.stores {
        config.compare.stores = stores.clone();
    }
    config.compare.examine &= !options.no_examine;
    config.compare.seeds = options.seeds.unwrap_or(config.compare.seeds);
    config.compare.budget = options.budget.unwrap_or(config.compare.budget);
    let data = config.data.open()?;
    parts::say_of_training(&config, &data)?;
    let gpu = options.place.device.open(config.train.precision, config.train.tuned)?;
    let environment = Environment::of(&gpu);
    // All of them before the first run: an hour later would be late to learn that one does not fit.
    let raw = run::plans(&with(&config, Form::Raw.into(), config.seed), &data, &gpu)?;
    let mut entries = entries(&config, &data, &raw)?;
    let start = run::anew(&config, &data, &raw)?;
    run::remarks(&config, &data, &raw, &start).iter().for_each(terminal::warn);
    drop(start);
    let folder = Folder::create(options.place.out.as_deref(), &config.name, "compare")?;
    folder.write("config.toml", text.as_bytes())?;
    folder.write("config.resolved.toml", config.to_toml().as_bytes())?;

    let content = &data.fingerprint();
    let desk = Desk { config: &config, text: &text, data: &data, content, gpu: &gpu, folder: &folder };
    let traces = desk.train(&mut entries)?;
    for entry in &mut entries {
        let finished: Vec<&Summary> = entry.runs.iter().filter_map(|run| run.as_ref().ok()).collect();
        entry.plan = entry.plan.clone().measured(&finished);
    }
    let row = |entry: &Entry| {
        let memory = Memory::new(&entry.plan, raw.bytes.peak, &entry.fit);
        Row::new(entry.plan.store.clone(), memory, &entry.runs)
    };
    let comparison = Comparison {
        name: config.name.clone(),
        set: data.name.clone(),
        net: config.model.name().to_owned(),
        batch: config.data.batch,
        epochs: config.train.epochs,
        measure: Measure::of(&config),
        seeds: seeds(&config),
        adapter: gpu.adapter().info.name.clone(),
        budget: config.compare.budget,
        stores: entries.iter().map(row).collect(),
    };
    let examinations = desk.examine(&entries)?;
    let comparison = comparison.related(&examinations);
    folder.write("table.md", comparison.to_markdown().as_bytes())?;
    folder.write("table.csv", comparison.to_csv().as_bytes())?;
    folder.write_json("table.json", &comparison)?;
    let pictures = pictures(&comparison, &traces, &examinations.points);
    for picture in &pictures {
        folder.write(&format!("{}.svg", picture.name), picture.svg.as_bytes())?;
        folder.write(&format!("{}.png", picture.name), &picture.png)?;
    }
    let page = Page {
        comparison: &comparison,
        pictures: &pictures,
        plans: &entries.into_iter().map(|entry| entry.plan).collect::<Vec<_>>(),
        examinations: &examinations,
        environment: &environment,
        config: &config.to_toml(),
    };
    folder.write("report.html", page.to_html().as_bytes())?;
    terminal::print(comparison.to_text())?;
    terminal::print(format_args!(
        "\nReport, tables, pictures and runs: {}",
        folder.path().join("report.html").display()
    ))?;
    match comparison.diverged() {
        (0, _) => Ok(()),
        (diverged, runs) => Err(Error::RunsDiverged { diverged, runs }),
    }
}

fn seeds(config: &Config) -> Vec<u32> {
    (0..config.compare.seeds).map(|offset| config.seed.wrapping_add(offset)).collect()
}

fn with(config: &Config, store: Choice, seed: u32) -> Config {
    Config { seed, store: config.store.with_default(store), ..config.clone() }
}

/// Plans every store beside raw, once for all seeds and for all that is said of it.
fn entries(config: &Config, data: &Dataset, raw: &Plans) -> Result<Vec<Entry>, Error> {
    let entry = |&store: &Choice| {
        let config = with(config, store, config.seed);
        let request = run::request(&config, data.shape, data.classes)?;
        let plans = Plans::against(&raw.raw, &request)?;
        // As `frugal plan --max-batch` counts: no adapter has a part in it.
        let any = PlanOptions::unlimited(KernelSet::Tiles).in_precision(request.precision);
        let fit = run::largest_batch(&request, &plans.store, any, config.compare.budget)?;
        Ok(Entry { store, plan: PlanReport::new(&request, &plans), plans, fit, runs: Vec::new() })
    };
    config.compare.stores.iter().map(entry).collect()
}

/// The name of a run's folder.
fn run_folder(store: Choice, seed: u32) -> String {
    format!("{}-{seed}", store.to_string().replace([':', ',', '+'], "-"))
}

/// What all runs share.
struct Desk<'a> {
    config: &'a Config,
    text: &'a str,
    data: &'a Dataset,
    content: &'a Fingerprint,
    gpu: &'a Rc<Gpu>,
    folder: &'a Folder,
}

impl Desk<'_> {
    /// Runs every seed of every store, and returns their courses. Runs that diverge do not stop the others.
    fn train(&self, entries: &mut [Entry]) -> Result<Vec<Trace>, Error> {
        let total = entries.len() * self.config.compare.seeds as usize;
        let (name, folder) = (&self.config.name, self.folder.path().display());
        terminal::say(format_args!("{name}: {total} runs on {}, into {folder}", self.gpu.adapter().info.name));
        let mut traces = Vec::new();
        for seed in seeds(self.config) {
            for entry in &mut *entries {
                let store = entry.store;
                let label = format!("[{}/{total}] {store}, seed {seed}", traces.len() + 1);
                let folder = self.folder.inner(&run_folder(store, seed))?;
                let config = with(self.config, store, seed);
                let outcome = self.one(entry.plans.clone(), &config, &folder, &label).inspect_err(|_| {
                    terminal::say(format_args!(
                        "{label}  stopped; the runs before it are in {}",
                        self.folder.path().display()
                    ))
                })?;
                if let Err(Divergence { step, finding, .. }) = &outcome {
                    terminal::say(format_args!("{label}  diverged at step {step}: {finding}"));
                }
                entry.runs.push(outcome);
                traces.push(Trace::read(&entry.plan.store, &folder.path().join("metrics.jsonl"))?);
            }
        }
        Ok(traces)
    }

    /// What each store that finished its first seed does to gradients.
    fn examine(&self, entries: &[Entry]) -> Result<Examinations, Error> {
        if !self.config.compare.examine {
            return Ok(Examinations::default());
        }
        terminal::say("examining what each store does to gradients");
        let finished = entries.iter().filter(|entry| matches!(entry.runs.first(), Some(Ok(_))));
        let examinee = |entry: &Entry| Examinee {
            label: entry.store.to_string(),
            store: entry.plans.store.clone(),
            folder: self.folder.path().join(run_folder(entry.store, self.config.seed)),
        };
        let runs: Vec<Examinee> = finished.map(examinee).collect();
        let examinations = examine_runs(self.config, self.data, self.gpu, &runs);
        if let Some(reason) = &examinations.skipped {
            terminal::say(format_args!("not examined: {reason}"));
        }
        self.folder.write_json("examination.json", &examinations)?;
        Ok(examinations)
    }

    fn one(&self, plans: Plans, config: &Config, folder: &Folder, label: &str) -> Result<Outcome, Error> {
        let Self { data, content, gpu, .. } = *self;
        let from = run::anew(config, data, &plans)?;
        let lock = Lock::take(folder.path())?;
        folder.write("config.toml", self.text.as_bytes())?;
        match run::train(Job { plans, config, data, content, gpu, folder, lock, label, view: View::Lines, from }) {
            Ok(summary) => Ok(Ok(summary)),
            Err(Error::Diverged { step, finding, .. }) => Ok(Err(Divergence { seed: config.seed, step, finding })),
            Err(error) => Err(error),
        }
    }
}
