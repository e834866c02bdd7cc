//! The catalogue as a table.

use super::units::{bytes, count};
use frugal_data::Entry;
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

/// What sets there are, and which of them are on this machine.
#[derive(Clone, Debug, Serialize)]
pub struct SetsReport {
    /// Where sets are kept.
    pub root: PathBuf,
    /// Each set.
    pub sets: Vec<Entry>,
}

impl fmt::Display for SetsReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = ["set", "train", "test", "sample", "classes", "size", "where", "licence"];
        let mut table = super::table(&header, 1..6);
        for set in &self.sets {
            let [channels, height, width] = set.shape;
            let place = match (set.embedded, set.present) {
                (true, _) if set.bytes == 0 => "made by the program",
                (true, _) => "in the program",
                (_, true) => "here",
                _ => "missing",
            };
            table.add_row([
                set.name.to_owned(),
                count(set.train as u64),
                count(set.test as u64),
                if set.columns > 0 {
                    format!("{} columns", set.columns)
                } else {
                    format!("{channels}×{height}×{width}")
                },
                count(set.classes as u64),
                if set.bytes == 0 { "–".to_owned() } else { bytes(set.bytes) },
                place.to_owned(),
                set.licence.to_owned(),
            ]);
        }
        writeln!(f, "{}\n", table.trim_fmt())?;
        for set in &self.sets {
            writeln!(f, "{:20} {}", set.name, set.description)?;
        }
        let here = |set: &&Entry| !set.embedded && set.present;
        match self.sets.iter().filter(here).count() {
            0 => writeln!(f, "\nhere: in {}, one folder a set", self.root.display())?,
            _ => writeln!(f, "\nhere: {}/<set>", self.root.display())?,
        }
        write!(f, "missing: `frugal data get SET` brings it; sets of your own are named by their path (docs/data.md)")
    }
}
