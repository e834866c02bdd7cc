//! A page about the speed of one machine, in Markdown.

use super::operator_times::{OperatorsReport, Row};
use super::step_times::StepReport;
use super::units::{bytes, count};
use crate::records::Bound;
use serde::Deserialize;
use std::fmt::{self, Display, Formatter};

/// How many operators are listed that are far from the roofline.
const FAR: usize = 20;

/// A net at the size at which it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Its name.
    pub net: &'static str,
    /// Channels, height and width of an image.
    pub shape: [usize; 3],
    /// Number of classes.
    pub classes: usize,
    /// Samples per step.
    pub batch: usize,
}

/// A line of figures of another framework, as the programs in `benches/peers` print them.
#[derive(Clone, Debug, Deserialize)]
pub struct Peer {
    /// Its name and version.
    pub framework: String,
    /// What to know of it.
    pub note: String,
    /// The net, at the size of `WORKLOADS`.
    pub net: String,
    /// As [`StepReport::milliseconds_per_step`].
    pub milliseconds_per_step: Span,
    /// As [`Seconds::until_first_step`](crate::step_times::Seconds).
    pub first_step_seconds: f64,
    /// As [`StepBytes::peak_resident`](crate::step_times::StepBytes).
    pub peak_resident_bytes: Option<u64>,
    /// Of all steps.
    pub losses: Vec<f64>,
}

/// Milliseconds of a step.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Span {
    /// Half lies below.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
}

/// A form, and its figures or why there are none.
pub type Measured = (String, Result<StepReport, String>);

/// Figures of one machine.
pub struct SpeedPage {
    /// The call that made it.
    pub command: String,
    /// Operators beside the roofline.
    pub operators: OperatorsReport,
    /// Nets, each in several forms.
    pub steps: Vec<(Workload, Vec<Measured>)>,
    /// Other frameworks.
    pub peers: Vec<Peer>,
}

/// Writes a table: `header` with `:` behind the columns that stand to the right.
fn table(f: &mut Formatter<'_>, header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> fmt::Result {
    let names: Vec<&str> = header.iter().map(|name| name.trim_end_matches(':')).collect();
    let rules: Vec<&str> = header.iter().map(|name| if name.ends_with(':') { "--:" } else { ":--" }).collect();
    writeln!(f, "| {} |\n|{}|", names.join(" | "), rules.join("|"))?;
    for row in rows {
        writeln!(f, "| {} |", row.join(" | "))?;
    }
    writeln!(f)
}

/// `12.3 (11.9–14.0)`.
fn span(span: Span) -> String {
    let Span { median, least, most } = span;
    let digits = if median < 10.0 { 2 } else { 1 };
    format!("{median:.digits$} ({least:.digits$}–{most:.digits$})")
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

fn span_of(report: &StepReport) -> Span {
    let spread = report.milliseconds_per_step;
    Span { median: spread.median, least: spread.least, most: spread.most }
}

impl Display for SpeedPage {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let OperatorsReport { adapter, kernels, roofline, rows, .. } = &self.operators;
        writeln!(f, "# Speed on {}\n", adapter.name)?;
        writeln!(
            f,
            "`{}`, Frugal {}, {} {}; {} over {}, kernels: {kernels}.\n",
            self.command,
            env!("CARGO_PKG_VERSION"),
            std::env::consts::OS,
            std::env::consts::ARCH,
            [adapter.driver.as_str(), &adapter.driver_info].join(" ").trim(),
            adapter.backend,
        )?;

        writeln!(f, "## Steps\n")?;
        writeln!(
            f,
            "From the upload of a batch to its loss, medians (least–most). *Coding* is the share of encoding and decoding in the \
             time of all nodes.\n"
        )?;
        for (workload, measured) in &self.steps {
            self.workload(f, workload, measured)?;
        }

        writeln!(f, "## Operators\n")?;
        let copies = roofline.copies.iter().map(|copied| {
            let rate = copied.bytes as f64 * 1e-6 / copied.milliseconds.least;
            vec![format!("copy of {}, read and written", bytes(copied.bytes)), format!("{rate:.1} GB/s")]
        });
        let rate = |what: &str, rate: &crate::records::Rate| {
            vec![format!("{what}, {}", rate.by), format!("{:.0} GFLOP/s", rate.gflops)]
        };
        let rates = [rate("multiply-adds", &roofline.multiply_adds), rate("matrix product", &roofline.product)];
        table(f, &["roofline", ":"], copies.chain(rates))?;

        writeln!(f, "Codecs, beside a copy of as many bytes as they read and write:\n")?;
        let codes = |row: &&Row| row.operator.contains("encode") || row.operator.contains("decode");
        rated(f, rows.iter().filter(codes))?;
        writeln!(f, "Products and convolutions, beside the best matrix product and the one of their own size:\n")?;
        let arithmetic = |row: &&Row| row.bound == Bound::Arithmetic;
        let mut products: Vec<(&Row, f64)> =
            rows.iter().filter(arithmetic).filter_map(|row| Some((row, row.share_of_product?))).collect();
        products.sort_by(|a, b| a.1.total_cmp(&b.1));
        table(
            f,
            &["operator", "layer", "on", "ms:", "GFLOP/s:", "of best:", "of same size:"],
            products.iter().map(|(row, share)| {
                let [operator, layer, on, ms] = named(row);
                let rate = 2e-6 * row.multiply_adds as f64 / row.milliseconds.least;
                let same = row.share_of_same_product.map_or("–".to_owned(), percent);
                vec![operator, layer, on, ms, format!("{rate:.0}"), percent(*share), same]
            }),
        )?;
        writeln!(f, "The {FAR} furthest from the roofline:\n")?;
        let mut all: Vec<&Row> = rows.iter().collect();
        all.sort_by(|a, b| a.share_of_floor.total_cmp(&b.share_of_floor));
        rated(f, all.into_iter().take(FAR))
    }
}

impl SpeedPage {
    /// A net in all forms, and in other frameworks.
    fn workload(&self, f: &mut Formatter<'_>, workload: &Workload, measured: &[Measured]) -> fmt::Result {
        let Workload { net, shape: [channels, height, width], classes, batch } = workload;
        writeln!(f, "### {net}, {channels}×{height}×{width}, {classes} classes, batch {batch}\n")?;
        let raw = measured.iter().find_map(|(_, step)| step.as_ref().ok());
        let over =
            |ms: f64| raw.map_or("–".to_owned(), |raw| format!("{:.2}", ms / raw.milliseconds_per_step.median));
        let rows = measured.iter().map(|(form, step)| match step {
            Err(_) => [vec![form.clone()], vec!["–".to_owned(); 7]].concat(),
            Ok(step) => {
                let all: f64 = step.milliseconds.values().sum();
                let coding = ["encode", "decode"].map(|part| step.milliseconds.get(part).copied().unwrap_or_default());
                vec![
                    form.clone(),
                    span(span_of(step)),
                    over(step.milliseconds_per_step.median),
                    format!("{:.0}", step.images_per_second),
                    percent(coding.iter().sum::<f64>() / all.max(f64::MIN_POSITIVE)),
                    count(step.dispatches as u64),
                    bytes(step.bytes.kept),
                    bytes(step.bytes.allocated),
                ]
            }
        });
        let header =
            ["kept", "ms per step:", "over raw:", "images/s:", "coding:", "dispatches:", "waits:", "allocated:"];
        table(f, &header, rows)?;
        for (form, step) in measured {
            if let Err(reason) = step {
                writeln!(f, "{form}: {reason}\n")?;
            }
        }

        let peers: Vec<&Peer> = self.peers.iter().filter(|peer| peer.net == *net).collect();
        let Some(raw) = raw.filter(|_| !peers.is_empty()) else { return Ok(()) };
        let steps = peers.iter().map(|peer| peer.losses.len()).chain([raw.losses.len()]).min().unwrap_or_default();
        let line = |name: String, ms: Span, first: f64, peak: Option<u64>, losses: [f64; 2]| {
            let [first_loss, last_loss] = losses.map(|loss| format!("{loss:.4}"));
            let first = format!("{first:.1} s");
            vec![name, span(ms), over(ms.median), first, peak.map_or("–".to_owned(), bytes), first_loss, last_loss]
        };
        let ends = |losses: &[f64]| {
            [losses.first(), losses.get(steps.wrapping_sub(1))].map(|l| l.copied().unwrap_or(f64::NAN))
        };
        let own: Vec<f64> = raw.losses.iter().map(|&loss| f64::from(loss)).collect();
        let first = raw.seconds.until_first_step;
        let own = line("Frugal, raw".to_owned(), span_of(raw), first, raw.bytes.peak_resident, ends(&own));
        let others = peers.iter().map(|peer| {
            let name = format!("{} ({})", peer.framework, peer.note);
            let Peer {
                milliseconds_per_step: ms, first_step_seconds: first, peak_resident_bytes: peak, losses, ..
            } = peer;
            line(name, *ms, *first, *peak, ends(losses))
        });
        let last = format!("of step {steps}:");
        let header = [
            "framework",
            "ms per step:",
            "over Frugal:",
            "first step after:",
            "host memory:",
            "loss of step 1:",
            &last,
        ];
        table(f, &header, [own].into_iter().chain(others))
    }
}

fn named(row: &Row) -> [String; 4] {
    let extents: Vec<String> = row.shape.iter().map(usize::to_string).collect();
    let ms = format!("{:.3}", row.milliseconds.median);
    [row.operator.clone(), row.layer.clone(), extents.join("×"), ms]
}

/// Operators beside the roofline.
fn rated<'a>(f: &mut Formatter<'_>, rows: impl Iterator<Item = &'a Row>) -> fmt::Result {
    table(
        f,
        &["operator", "layer", "on", "ms:", "GB/s:", "of roofline:"],
        rows.map(|row| {
            let [operator, layer, on, ms] = named(row);
            let rate = row.bytes as f64 * 1e-6 / row.milliseconds.least;
            vec![operator, layer, on, ms, format!("{rate:.1}"), percent(row.share_of_floor)]
        }),
    )
}
