//! How far a run is: a bar on a terminal, plain lines elsewhere. All of it goes to stderr; stdout is for results.

use super::record::EpochRecord;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// How often a line is printed where there is no terminal, besides the one at the end of each epoch.
const PATIENCE: Duration = Duration::from_secs(10);

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
}

impl Progress {
    /// For a run of so many steps; `label` tells it from others.
    pub fn new(label: &str, epochs: u64, steps: u64) -> Self {
        let show = if std::io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{prefix} {bar:24} {pos}/{len} steps, {eta} left  {wide_msg}");
            let bar = ProgressBar::new(steps).with_style(style.expect("the template is valid"));
            bar.set_prefix(label.to_owned());
            bar.enable_steady_tick(Duration::from_millis(250));
            Show::Bar(bar)
        } else {
            Show::Lines { last: Instant::now() }
        };
        Self { label: label.to_owned(), epochs, steps, pace: 0.0, show }
    }

    /// For a run that nobody watches.
    pub fn silent() -> Self {
        Self { label: String::new(), epochs: 0, steps: 0, pace: 0.0, show: Show::Nothing }
    }

    /// Says what is being done while no steps are.
    pub fn say(&self, what: &str) {
        match &self.show {
            Show::Nothing => {}
            Show::Bar(bar) => bar.set_message(what.to_owned()),
            Show::Lines { .. } => eprintln!("{}  {what}", self.label),
        }
    }

    /// Says what should not be missed.
    pub fn warn(&self, what: &str) {
        match &self.show {
            Show::Nothing => {}
            Show::Bar(bar) => bar.println(format!("{}  warning: {what}", self.label)),
            Show::Lines { .. } => eprintln!("{}  warning: {what}", self.label),
        }
    }

    /// After each step.
    pub fn step(&mut self, step: u64, epoch: u64, loss: f32, samples_per_second: f64) {
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
                eprintln!("{}  step {step}/{}  {}", self.label, self.steps, message());
            }
            Show::Lines { .. } => {}
        }
    }

    /// After each epoch.
    pub fn epoch(&mut self, record: &EpochRecord) {
        self.line(&format!("epoch {}/{}", record.epoch, self.epochs), record);
    }

    /// After each evaluation within an epoch.
    pub fn evaluation(&mut self, record: &EpochRecord) {
        self.line(&format!("step {}/{}", record.step, self.steps), record);
    }

    fn line(&mut self, place: &str, record: &EpochRecord) {
        let judged = |of: &str, accuracy: Option<f64>, loss: Option<f64>| match (accuracy, loss) {
            (Some(share), _) => format!("  {of} accuracy {:.2} %", 100.0 * share),
            (None, Some(loss)) => format!("  {of} loss {loss:.5}"),
            (None, None) => String::new(),
        };
        let line = format!(
            "{}  {place}  loss {:.4}{}{}  {:.1} s",
            self.label,
            record.train_loss,
            judged("validation", record.validation_accuracy, record.validation_loss),
            judged("test", record.test_accuracy, record.test_loss),
            record.seconds,
        );
        match &mut self.show {
            Show::Nothing => {}
            Show::Bar(bar) => bar.println(line),
            Show::Lines { last } => {
                *last = Instant::now();
                eprintln!("{line}");
            }
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
