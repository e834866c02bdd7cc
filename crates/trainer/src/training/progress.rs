//! How far a run is: a bar or the dashboard on a terminal, plain lines elsewhere. All of it goes to stderr; stdout is for
//! results.

use crate::dashboard::{Dashboard, Event, Heading};
use crate::terminal;
use frugal_report::records::{EpochRecord, Record, StepRecord};
use frugal_report::text::shown;
use frugal_tensor::plan::Bytes;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often a line is printed where there is no terminal, besides the one at the end of each epoch.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a run shows of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// Nothing.
    Nothing,
    /// A bar on a terminal, a line now and then elsewhere.
    #[default]
    Lines,
    /// Curves, bytes and pace on the whole terminal; as [`View::Lines`] where there is none. Keys that mean Ctrl-C end the
    /// run in good order.
    Dashboard,
}

/// How a run shows how far it is.
#[derive(Debug)]
pub struct Progress {
    label: String,
    epochs: u64,
    steps: u64,
    /// Samples per second, smoothed over some steps.
    pace: f64,
    show: Show,
}

#[derive(Debug)]
enum Show {
    Nothing,
    Bar(ProgressBar),
    Lines { last: Instant },
    Dashboard(Dashboard),
}

impl Show {
    fn lines(heading: &Heading) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines { last: Instant::now() };
        }
        let style = ProgressStyle::with_template("{prefix} {bar:24} {pos}/{len} steps, {eta} left  {wide_msg}");
        let bar = ProgressBar::new(heading.steps).with_style(style.expect("the template is valid"));
        bar.set_prefix(heading.label.clone());
        bar.enable_steady_tick(Duration::from_millis(250));
        Self::Bar(bar)
    }
}

impl Progress {
    /// Shows nothing yet but that there is such a run.
    pub fn new(view: View, heading: Heading) -> Self {
        let heading = heading.shown();
        let Heading { epochs, steps, .. } = heading;
        let label = heading.label.clone();
        let show = match view {
            View::Nothing => Show::Nothing,
            View::Lines => Show::lines(&heading),
            View::Dashboard => match Dashboard::open(heading.clone()) {
                Ok(dashboard) => Show::Dashboard(dashboard),
                Err(reason) => {
                    terminal::say(format_args!("{label}  no dashboard: {reason}"));
                    Show::lines(&heading)
                }
            },
        };
        Self { label, epochs, steps, pace: 0.0, show }
    }

    /// Says what is being done while no steps are.
    pub fn say(&self, what: &str) {
        let what = shown(what);
        match &self.show {
            Show::Nothing => {}
            Show::Bar(bar) => bar.set_message(what.into_owned()),
            Show::Lines { .. } => terminal::say(format_args!("{}  {what}", self.label)),
            Show::Dashboard(dashboard) => dashboard.tell(Event::Doing(what.into_owned())),
        }
    }

    /// Says what should not be missed.
    pub fn warn(&self, what: &str) {
        self.say_line(&format!("{}  warning: {}", self.label, shown(what)));
    }

    /// Says a line that stays.
    fn say_line(&self, line: &str) {
        match &self.show {
            Show::Nothing => {}
            Show::Bar(bar) => bar.println(line),
            Show::Lines { .. } | Show::Dashboard(_) => terminal::say(line),
        }
    }

    /// Says where the bytes go from now on.
    pub fn bytes(&self, bytes: impl FnOnce() -> Bytes) {
        if let Show::Dashboard(dashboard) = &self.show {
            dashboard.tell(Event::Bytes(bytes()));
        }
    }

    /// Recalls what a run that is resumed had written down before: the first bytes of its `metrics.jsonl`.
    pub fn recall(&self, lines: &Path, length: u64) {
        if let Show::Dashboard(dashboard) = &self.show {
            dashboard.tell(Event::Past(lines.to_path_buf(), length));
        }
    }

    /// After each record.
    pub fn record(&mut self, record: Record) {
        match &record {
            Record::Step(step) => self.step(step),
            Record::Epoch(epoch) => self.line(&format!("epoch {}/{}", epoch.epoch, self.epochs), epoch),
            Record::Evaluation(of) => self.line(&format!("step {}/{}", of.step, self.steps), of),
            Record::Stores { .. } | Record::Stopped { .. } => {}
        }
        if let Show::Dashboard(dashboard) = &self.show {
            dashboard.tell(Event::Record(record));
        }
    }

    fn step(&mut self, record: &StepRecord) {
        let StepRecord { step, epoch, loss, samples_per_second, .. } = *record;
        self.pace += (samples_per_second - self.pace) * if self.pace == 0.0 { 1.0 } else { 0.1 };
        let message = || format!("epoch {epoch}/{}  loss {loss:.4}  {:.0} samples/s", self.epochs, self.pace);
        match &mut self.show {
            Show::Nothing => {}
            Show::Bar(bar) => {
                bar.set_position(step);
                bar.set_message(message());
            }
            Show::Lines { last } if last.elapsed() > PATIENCE => {
                *last = Instant::now();
                terminal::say(format_args!("{}  step {step}/{}  {}", self.label, self.steps, message()));
            }
            Show::Lines { .. } | Show::Dashboard(_) => {}
        }
    }

    fn line(&mut self, place: &str, record: &EpochRecord) {
        let judged = |of: &str, accuracy: Option<f64>, loss: Option<f64>| match (accuracy, loss) {
            (Some(share), _) => format!("  {of} accuracy {:.2} %", 100.0 * share),
            (None, Some(loss)) => format!("  {of} loss {loss:.5}"),
            (None, None) => String::new(),
        };
        let of_all = |auc: Option<f64>, r_squared: Option<f64>| match (auc, r_squared) {
            (Some(auc), _) => format!(" AUC {:.2} %", 100.0 * auc),
            (_, Some(share)) => format!(" R² {share:.4}"),
            _ => String::new(),
        };
        let line = format!(
            "{}  {place}  loss {:.4}{}{}  {:.1} s",
            self.label,
            record.train_loss,
            judged("validation", record.validation_accuracy, record.validation_loss)
                + &of_all(record.validation_auc, record.validation_r_squared),
            judged("test", record.test_accuracy, record.test_loss) + &of_all(record.test_auc, record.test_r_squared),
            record.seconds,
        );
        self.say_line(&line);
        if let Show::Lines { last } = &mut self.show {
            *last = Instant::now();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Show::Bar(bar) = &self.show {
            bar.finish_and_clear();
        }
    }
}
