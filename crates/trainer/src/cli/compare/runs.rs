//! The runs of a comparison: those that are finished are read, the others trained.

use super::{Desk, Entry, Outcome, Trace, run_folder, seeds, with};
use crate::artifacts::CONFIG;
use crate::artifacts::comparison::{divergence, write_divergence};
use crate::artifacts::folder::Folder;
use crate::artifacts::metrics;
use crate::cli::resume::start;
use crate::config::Config;
use crate::planning::Plans;
use crate::state::Left;
use crate::state::Lock;
use crate::studies::gradient_error::{StudiedRun, study_runs};
use crate::terminal::interrupt;
use crate::training;
use crate::training::Job;
use crate::training::View;
use crate::{Error, terminal};
use frugal_report::records::Divergence;
use frugal_report::records::GradientStudy;

impl Desk<'_> {
    /// Runs every seed of every store, and returns their courses. Runs that diverge do not stop the others.
    pub(super) fn train(&self, entries: &mut [Entry]) -> Result<Vec<Trace>, Error> {
        interrupt::watch();
        let total = entries.len() * self.config.compare.seeds as usize;
        let (name, folder) = (&self.config.name, self.folder.path().display());
        terminal::say(format_args!("{name}: {total} runs on {}, into {folder}", self.gpu.adapter().info.name));
        let mut traces = Vec::new();
        for seed in seeds(self.config) {
            for entry in &mut *entries {
                let store = entry.store;
                let label = format!("[{}/{total}] {store}, seed {seed}", traces.len() + 1);
                self.unless_interrupted(&label)?;
                let config = with(self.config, store, seed);
                let name = run_folder(store, seed);
                let outcome = self.one(entry.plans.clone(), &config, &name, &label).map_err(|error| {
                    if matches!(error, Error::Interrupted { .. }) {
                        return self.interrupted(&label);
                    }
                    terminal::say(format_args!("{label}  stopped; `frugal resume {folder}` goes on with it"));
                    error
                })?;
                if let Err(Divergence { step, finding, .. }) = &outcome {
                    terminal::say(format_args!("{label}  diverged at step {step}: {finding}"));
                }
                entry.runs.push(outcome);
                let lines = self.folder.path().join(name).join(metrics::LINES);
                traces.push(metrics::trace(&entry.plan.store, &lines));
            }
        }
        Ok(traces)
    }

    /// What each store that finished its first seed does to gradients.
    pub(super) fn examine(&self, entries: &[Entry]) -> Result<GradientStudy, Error> {
        let place = "the study of gradients";
        self.unless_interrupted(place)?;
        terminal::say("measuring the error that each store adds to gradients");
        let finished = entries.iter().filter(|entry| matches!(entry.runs.first(), Some(Ok(_))));
        let examinee = |entry: &Entry| StudiedRun {
            label: entry.store.to_string(),
            store: entry.plans.store.clone(),
            folder: self.folder.path().join(run_folder(entry.store, self.config.seed)),
        };
        let runs: Vec<StudiedRun> = finished.map(examinee).collect();
        let study = study_runs(self.config, self.data, self.gpu, &runs);
        self.unless_interrupted(place)?;
        if let Some(reason) = &study.skipped {
            terminal::say(format_args!("gradient error not measured: {reason}"));
        }
        Ok(study)
    }

    fn unless_interrupted(&self, place: &str) -> Result<(), Error> {
        if interrupt::is_asked() { Err(self.interrupted(place)) } else { Ok(()) }
    }

    fn interrupted(&self, place: &str) -> Error {
        Error::ComparisonInterrupted { folder: self.folder.path().to_path_buf(), place: place.to_owned() }
    }

    /// What a run came to, now or before.
    fn one(&self, plans: Plans, config: &Config, name: &str, label: &str) -> Result<Outcome, Error> {
        let Self { data, content, gpu, .. } = *self;
        let path = self.folder.path().join(name);
        if let Some(divergence) = divergence(&path)? {
            return Ok(Err(divergence));
        }
        let folder = Folder::open(&path)?;
        let (lock, from) = if path.join(CONFIG).exists() {
            let left = Left::with(&path, config.clone(), terminal::warn)?;
            left.check(data, content, terminal::warn)?;
            let has_more = left.has_more(data)?;
            if let (false, Some(summary)) = (has_more, left.summary) {
                terminal::say(format_args!("{label}  was finished before"));
                return Ok(Ok(summary));
            }
            let (from, place) = start(left.checkpoint, config, data, &plans, gpu)?;
            terminal::say(format_args!("{label}  goes on {place}"));
            (left.lock, from)
        } else {
            let lock = Lock::take(&path)?;
            folder.write("config.toml", self.text.as_bytes())?;
            (lock, training::anew(config, data, &plans)?)
        };
        let job = Job { plans, config, data, content, gpu, folder: &folder, lock, label, view: View::Lines, from };
        match training::train(job) {
            Ok(summary) => Ok(Ok(summary)),
            Err(Error::Diverged { step, finding, .. }) => {
                let divergence = Divergence { seed: config.seed, step, finding };
                write_divergence(&folder, &divergence)?;
                Ok(Err(divergence))
            }
            Err(error) => Err(error),
        }
    }
}
