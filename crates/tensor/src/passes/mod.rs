//! Passes: rewrites of the graph, each with a name, in one list, in the order in which they run.
//!
//! [`Graph::differentiate`] runs the first two, planning the others. Each says what it did ([`Graph::passes`]), and where debug
//! assertions are on, the graph is [verified](crate::ir::verify) after each.

mod autodiff;
mod cut_parameters;
mod defer_branches;
mod exchange_gradients;
mod f16;
mod fuse_epilogues;
pub mod recompute;
mod save_tensors;
mod schedule_updates;
mod slice_batch;
mod swap_relu_maxpool;

use crate::codec::{Policy, Slices, Stored};
use crate::ir::{Graph, GraphError, KernelSet, Node, Precision, ValueId, verify};
use cut_parameters::Limits;
use slice_batch::Sliced;

/// A pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pass {
    /// Puts max pooling before the rectifier whose output it reads alone, so that the rectifier works on fewer elements.
    SwapReluMaxpool,
    /// Appends the backward pass and says which tensors it saves of the forward pass.
    Autodiff,
    /// Puts off branches of the backward pass that start from less than they end in.
    DeferBranches,
    /// Lets memory hold activations and their gradients in f16.
    F16,
    /// Recomputes saved tensors in the backward pass instead of keeping them.
    Recompute,
    /// Gives each saved tensor the form in which it is kept, with the nodes that encode and decode it.
    SaveTensors,
    /// Adds what controls data-sized values from step to step.
    ControlSizes,
    /// Cuts parameters that are larger than a binding, and large gradients that only updates need, by rows.
    CutParameters,
    /// Moves each update right behind the last node that it must follow, so that gradients live briefly.
    ScheduleUpdates,
    /// Joins nodes with those that can be done in the same pass over the elements.
    FuseEpilogues,
    /// Runs stretches of the step slice by slice along the batch, so that wide values inside exist for one slice only.
    SliceBatch,
}

/// All passes, in the order in which they run.
pub const PASSES: [Pass; 11] = [
    Pass::SwapReluMaxpool,
    Pass::Autodiff,
    Pass::DeferBranches,
    Pass::F16,
    Pass::Recompute,
    Pass::SaveTensors,
    Pass::ControlSizes,
    Pass::CutParameters,
    Pass::ScheduleUpdates,
    Pass::FuseEpilogues,
    Pass::SliceBatch,
];

impl Pass {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::SwapReluMaxpool => "swap_relu_maxpool",
            Self::Autodiff => "autodiff",
            Self::DeferBranches => "defer_branches",
            Self::F16 => "f16",
            Self::Recompute => "recompute",
            Self::SaveTensors => "save_tensors",
            Self::ControlSizes => "control_sizes",
            Self::CutParameters => "cut_parameters",
            Self::ScheduleUpdates => "schedule_updates",
            Self::FuseEpilogues => "fuse_epilogues",
            Self::SliceBatch => "slice_batch",
        }
    }

    /// Runs a rewrite as this pass. The rewrite returns its result and what it did.
    fn run<T>(
        self,
        graph: &mut Graph,
        rewrite: impl FnOnce(&mut Graph) -> Result<(T, String), GraphError>,
    ) -> Result<T, GraphError> {
        let (result, did) = rewrite(graph)?;
        graph.note_pass(self.name(), did);
        if cfg!(debug_assertions) {
            verify(graph).map_err(|fault| GraphError::Unsound { pass: self.name(), fault: fault.into() })?;
        }
        Ok(result)
    }
}

/// What the passes are to make of a graph.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lowering {
    /// In which memory holds activations and their gradients.
    pub precision: Precision,
    /// For which family of kernels.
    pub set: KernelSet,
    /// In how many buckets the host exchanges gradients in the middle of the step.
    pub buckets: usize,
    /// Most bytes that one binding may hold.
    pub max_binding: u64,
}

/// What the passes make of a graph.
#[derive(Debug)]
pub(crate) struct Lowered {
    /// The graph of which a step is made.
    pub graph: Graph,
    /// Its nodes before some of them were fused: what each layer does by itself.
    pub unfused_nodes: Vec<Node>,
    /// The saved tensors, each in the form in which it is kept.
    pub stored: Vec<Stored>,
    /// The gradients that the host exchanges.
    pub buckets: Vec<Vec<ValueId>>,
}

/// Runs the passes that a plan needs on a graph whose gradients and updates are there. `peak` tells the bytes that are alive
/// at once in a step of a graph.
///
/// # Errors
/// [`GraphError::Shape`] if a codec takes a value that its operators refuse.
pub(crate) fn lower(
    mut graph: Graph,
    policy: &Policy,
    lowering: Lowering,
    peak: &dyn Fn(&Graph) -> u64,
) -> Result<Lowered, GraphError> {
    Pass::DeferBranches.run(&mut graph, |graph| Ok(((), graph.defer_branches())))?;
    if lowering.precision == Precision::F16 {
        Pass::F16.run(&mut graph, |graph| Ok(((), graph.hold_in_f16())))?;
    }
    let peak_of = peak;
    let peak = |graph: &Graph| -> Result<u64, GraphError> {
        let mut graph = graph.clone();
        finish(&mut graph, lowering)?;
        Ok(peak_of(&graph))
    };
    let (mut graph, stored) = save_tensors::save_tensors_within(graph, policy, &peak)?;
    let (unfused_nodes, buckets) = finish(&mut graph, lowering)?;
    let (graph, stored) = sliced(graph, stored, &buckets, policy.slices, lowering.set, &peak_of)?;
    Ok(Lowered { graph, unfused_nodes, stored, buckets })
}

/// Nodes before they are fused, and the gradients that the host exchanges.
type Finished = (Vec<Node>, Vec<Vec<ValueId>>);

/// The last passes, on a graph whose saved tensors have their forms.
fn finish(graph: &mut Graph, Lowering { set, buckets, max_binding, .. }: Lowering) -> Result<Finished, GraphError> {
    let buckets = graph.gradient_buckets(buckets);
    let limits = Limits { binding: max_binding, exchanged: &buckets };
    Pass::CutParameters.run(graph, |graph| Ok(((), graph.cut_parameters(limits)?)))?;
    Pass::ScheduleUpdates.run(graph, |graph| Ok(((), graph.schedule_updates(&buckets))))?;
    let unfused = graph.nodes().to_vec();
    // The oracle does one thing at a time.
    if set != KernelSet::Naive {
        Pass::FuseEpilogues.run(graph, |graph| Ok(((), graph.fuse_epilogues())))?;
    }
    Ok((unfused, buckets))
}

/// A step in slices along the batch, as the policy asks for.
fn sliced(
    graph: Graph,
    stored: Vec<Stored>,
    buckets: &[Vec<ValueId>],
    slices: Slices,
    set: KernelSet,
    peak: &dyn Fn(&Graph) -> u64,
) -> Result<(Graph, Vec<Stored>), GraphError> {
    // Updates are to follow their gradients here, too.
    let peak = |graph: &Graph| {
        let mut graph = graph.clone();
        graph.schedule_updates(buckets);
        peak(&graph)
    };
    let Some(Sliced { mut graph, stored, did }) = slice_batch::search(&graph, &stored, slices, set, &peak)? else {
        return Ok((graph, stored));
    };
    Pass::SliceBatch.run(&mut graph, |graph| {
        graph.schedule_updates(buckets);
        Ok(((), did))
    })?;
    Ok((graph, stored))
}

/// `1 node`, `2 nodes`.
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
