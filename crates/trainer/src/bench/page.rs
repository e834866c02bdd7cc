//! What a page about one machine needs: steps of some nets in several forms, operators beside the roofline, and what other
//! frameworks were measured at.
//!
//! Every measurement is a separate process, a call of this program: one that runs out of memory or loses the device takes
//! no other with it, and peaks of memory and first steps are each one's own.

use crate::Error;
use frugal_report::operator_times::OperatorsReport;
use frugal_report::speed_page::{Measured, Peer, Workload};
use serde::de::DeserializeOwned;
use std::path::Path;
use std::process::{Command, Stdio};

/// All of them, the smallest first.
pub const WORKLOADS: [Workload; 4] = [
    Workload { net: "lenet", shape: [1, 28, 28], classes: 10, batch: 64 },
    Workload { net: "resnet20", shape: [3, 32, 32], classes: 10, batch: 32 },
    Workload { net: "resnet18", shape: [3, 224, 224], classes: 1000, batch: 128 },
    Workload { net: "resnet50", shape: [3, 224, 224], classes: 1000, batch: 32 },
];

/// How many of [`WORKLOADS`] an adapter without a GPU measures: the others take minutes a step there.
pub const SMALL: usize = 2;

/// The ways in which each is measured: a name, and options of `frugal bench step`.
const FORMS: [(&str, &[&str]); 5] = [
    ("raw", &["--store", "raw"]),
    ("error-bounded", &["--store", "error-bounded"]),
    ("frequency-split", &["--store", "frequency-split"]),
    ("frequency-split+cheap", &["--store", "frequency-split+cheap"]),
    ("f16, products and store", &["--store", "f16", "--precision", "f16"]),
];

/// How many of [`FORMS`] an adapter without a GPU measures: f16 is there to be checked, not to be fast.
const IN_F32: usize = 4;

/// Measures a workload in every form, by calls of `program` with these options besides. `say` hears of each.
pub fn steps(
    program: &Path,
    workload: Workload,
    on_gpu: bool,
    options: &[&str],
    mut say: impl FnMut(&str),
) -> Vec<Measured> {
    let Workload { net, shape: [channels, height, width], classes, batch } = workload;
    let forms = FORMS.iter().take(if on_gpu { FORMS.len() } else { IN_F32 });
    let measured = forms.map(|(name, form)| {
        say(&format!("{net}, {name}"));
        let (shape, classes, batch) = (format!("{channels}x{height}x{width}"), classes.to_string(), batch.to_string());
        let described = ["--net", net, "--shape", &shape, "--classes", &classes, "--batch", &batch];
        let arguments = [&["bench", "step", "--json"], &described[..], form, options].concat();
        ((*name).to_owned(), call(program, &arguments))
    });
    measured.collect()
}

/// Measures operators by a call of `program`.
///
/// # Errors
/// [`Error::Usage`] with what the call said.
pub fn operators(program: &Path, options: &[&str]) -> Result<OperatorsReport, Error> {
    call(program, &[&["bench", "ops", "--json"], options].concat()).map_err(Error::Usage)
}

/// Reads lines of figures. Frugal's own among them are passed over: the page measures them anew.
///
/// # Errors
/// [`Error::Io`], or [`Error::Usage`] if a line is none.
pub fn peers(path: &Path) -> Result<Vec<Peer>, Error> {
    let text = frugal_data::input::read_text(path).map_err(Error::io("read", path))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let mut peers = Vec::new();
    for (number, line) in lines {
        let wrong = |error| Error::Usage(format!("{}, line {}: {error}", path.display(), number + 1));
        let line: serde_json::Value = serde_json::from_str(line).map_err(wrong)?;
        if line.get("store").is_none() {
            peers.push(serde_json::from_value(line).map_err(wrong)?);
        }
    }
    Ok(peers)
}

/// What a call printed, or the last of what it complained about.
fn call<T: DeserializeOwned>(program: &Path, arguments: &[&str]) -> Result<T, String> {
    let failed = |error: &dyn std::fmt::Display| format!("`frugal {}`: {error}", arguments.join(" "));
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().map_err(|error| failed(&error))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        let words: Vec<&str> = complaint.split_whitespace().collect();
        return Err(if words.is_empty() { failed(&output.status) } else { words.join(" ") });
    }
    serde_json::from_slice(&output.stdout).map_err(|error| failed(&error))
}
