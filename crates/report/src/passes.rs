//! What each pass did to the graph of a training step.

use serde::Serialize;
use std::fmt;

/// A pass that ran.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PassRow {
    /// Its name.
    pub pass: &'static str,
    /// Nodes of the graph after it.
    pub nodes: usize,
    /// What it did.
    pub did: String,
}

/// The passes of a training step, in the order in which they ran.
#[derive(Clone, Debug, Serialize)]
pub struct PassesReport {
    /// The net.
    pub net: &'static str,
    /// Samples per step.
    pub batch: usize,
    /// The store, by its label.
    pub store: String,
    /// A row for each pass.
    pub passes: Vec<PassRow>,
}

impl fmt::Display for PassesReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { net, batch, store, passes } = self;
        writeln!(f, "passes over a training step of {net}, batch {batch}, {store}\n")?;
        let mut table = super::table(&["pass", "nodes", "what it did"], 1..2);
        for PassRow { pass, nodes, did } in passes {
            table.add_row([(*pass).to_owned(), nodes.to_string(), did.clone()]);
        }
        write!(f, "{}\n\nnodes: of the graph after the pass", table.trim_fmt())
    }
}
