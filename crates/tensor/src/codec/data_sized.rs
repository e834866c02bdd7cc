//! Values whose size depends on the data.
//!
//! Shapes are planned before a run, so such a value gets a *capacity*: words that are planned for it. The device counts what a step
//! uses, or would use, and reports it in a few words that live across steps and are read back after each. Where the capacity is
//! exceeded the kernel sets [`crate::step::STOP_OVERFLOW`], which keeps the step from leaving a trace; the host plans the value anew
//! ([`crate::Plan::with_capacity`]) and does the step again. Checkpoints remember capacities under the names of the reports.

use super::{GradientReaders, Stored};
use crate::ir::{Graph, GraphError, Node, ValueId};
use std::fmt;

/// Planned over measured size, once training has settled.
pub const MARGIN: f64 = 1.18;

/// How a stored value whose size depends on the data reports what it uses.
pub trait DataSized: fmt::Debug {
    /// The words in which it reports: a value of [`crate::ir::Role::Report`].
    fn report(&self) -> ValueId;

    /// Words that the value has whatever the data are.
    fn fixed_words(&self) -> usize;

    /// The most further words that any data can ask for.
    fn most_words(&self) -> usize;

    /// Further words that a step used, or would have used with capacity enough, from the words of its report.
    fn used(&self, report: &[u32]) -> u32;

    /// Whether two calibrating steps, one after the other, were near enough to each other to stop calibrating.
    fn is_calibrated(&self, _before: &[u32], _now: &[u32]) -> bool {
        true
    }

    /// The nodes that control it from step to step, if any; a pass adds them once all values are stored.
    ///
    /// # Errors
    /// [`GraphError::NameTaken`] if another value has the name of the status.
    fn controller(
        &self,
        _graph: &mut Graph,
        _readers: &GradientReaders,
        _stored: &Stored,
    ) -> Result<ControllerNodes, GraphError> {
        Ok(ControllerNodes::default())
    }

    /// What a report says of the coding.
    fn facts(&self, _report: &[u32]) -> CodingFacts {
        CodingFacts::default()
    }
}

/// Nodes that control a data-sized value.
#[derive(Debug, Default)]
pub struct ControllerNodes {
    /// Nodes of the backward pass, each with the position of the node before which it has to run.
    pub backward: Vec<(usize, Node)>,
    /// Nodes that run before all updates.
    pub update: Vec<Node>,
}

/// What a report says of a step's coding, for tables; none of what the form does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CodingFacts {
    /// The largest error that an element may have.
    pub bound: Option<f64>,
    /// The share of elements that are not zero.
    pub density: Option<f64>,
    /// The share of tiles that are kept raw.
    pub raw_share: Option<f64>,
    /// The standard deviation that theory predicts for the error of a weight's gradient.
    pub predicted_error: Option<f64>,
}

/// What a step reports of a data-sized value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SizeReport {
    /// Words used beyond the fixed ones, or that would have been used with capacity enough.
    pub used: u32,
    /// The whole report.
    pub words: Vec<u32>,
}

/// Adds what controls data-sized values from step to step.
///
/// # Errors
/// [`GraphError::NameTaken`] if another value has the name of the status.
pub(crate) fn add_controllers(graph: &mut Graph, stored: &[Stored]) -> Result<(), GraphError> {
    let mut backward: Vec<(usize, Node)> = Vec::new();
    let mut update: Vec<Node> = Vec::new();
    if stored.iter().all(|stored| stored.data_sized.is_none()) {
        return Ok(());
    }
    let readers = GradientReaders::of(graph);
    for stored in stored {
        let Some(data_sized) = stored.data_sized.clone() else { continue };
        let nodes = data_sized.controller(graph, &readers, stored)?;
        backward.extend(nodes.backward);
        update.extend(nodes.update);
    }
    let mut nodes = graph.take_nodes();
    backward.sort_by_key(|(position, _)| *position);
    for (position, node) in backward.into_iter().rev() {
        nodes.insert(position, node);
    }
    // Before the updates: what optimisers average is then still that of earlier gradients alone.
    let updates = nodes.iter().position(|node| node.phase == crate::ir::Phase::Update).unwrap_or(nodes.len());
    nodes.splice(updates..updates, update);
    graph.set_nodes(nodes);
    Ok(())
}
