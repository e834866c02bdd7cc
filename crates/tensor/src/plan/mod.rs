//! The plan: every buffer, every byte and every dispatch of a step, before anything runs.
//!
//! A plan needs no adapter. It is made from a graph and the few facts about an adapter that matter: which kernels suit
//! it and how much one binding and one buffer may hold.

mod assemble;
mod capacity;
mod error;
mod executable;
mod ledger;
mod memory;
mod memory_over_step;
mod occupants;
mod peak_snapshots;
mod segments;
mod step_role;
mod store_layout;

pub use capacity::CapacityStatus;
pub use error::PlanError;
pub use executable::{BoundBytes, Bucket, Dispatch, Executable, ExecutableNode, ExecutableValue, Location, Segment};
pub use ledger::{Bytes, KeptValue, LayerBytes};
pub use memory::{ALIGNMENT, Block, Lifetimes, Place, ROUNDS, place};
pub use memory_over_step::{KindOverStep, MemoryOverStep};
pub use occupants::MemoryKind;
pub use peak_snapshots::{Alive, PeakSnapshot};
pub use step_role::StepRole;
pub use store_layout::{StoreLayout, StoredValue};

use crate::codec::{Policy, Slices, Stored};
use crate::ir::{
    Graph, KernelSet, MOST_ELEMENTS, Node, Operands, Precision, Role, TileTable, Value, ValueId, tiles::Tunable,
};
use crate::passes::{self, Lowered, Lowering};
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

/// Upload buffers that take turns, so that the host fills one while the GPU reads the other.
pub const UPLOADS_IN_FLIGHT: usize = 2;
/// Read-back buffers that take turns.
pub const READBACKS_IN_FLIGHT: usize = 4;
/// Most workgroups in one dimension of a grid, in every WebGPU implementation.
pub const WORKGROUPS_PER_DIMENSION: usize = 65_535;

/// Most bytes of a value in f32.
const LARGEST_VALUE: u64 = 4 * MOST_ELEMENTS as u64;

/// What a plan has to know of an adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanOptions {
    /// Which family of kernels suits it.
    pub set: KernelSet,
    /// Invocations in a subgroup, if the adapter has subgroups of one fixed size.
    pub subgroup: Option<u32>,
    /// What was measured on the adapter: tiles in front of the operators' own rules.
    pub tiles: Option<Rc<TileTable>>,
    /// What products multiply; if that is f16, memory holds activations and their gradients so, too. The oracle
    /// ([`KernelSet::Naive`]) multiplies f32 whatever this says.
    pub operands: Operands,
    /// Most bytes that one binding may hold.
    pub max_binding: u64,
    /// Most bytes that one buffer may hold.
    pub max_buffer: u64,
    /// How often at most blocks that stick out of the memory are placed anew ([`ROUNDS`]); fewer plan faster.
    pub rounds: usize,
    /// In how many buckets the host exchanges the gradients of parameters in the middle of the step; 0 for a step in one piece.
    pub buckets: usize,
}

impl PlanOptions {
    /// A GPU that binds whatever a kernel can count: for planning where there is no adapter.
    pub fn unlimited(set: KernelSet) -> Self {
        Self {
            set,
            subgroup: None,
            tiles: None,
            operands: Operands::F32,
            max_binding: LARGEST_VALUE,
            max_buffer: u64::MAX,
            rounds: ROUNDS,
            buckets: 0,
        }
    }

    /// The same in a precision, on an adapter without cooperative matrices.
    pub fn in_precision(self, precision: Precision) -> Self {
        let operands = match precision {
            Precision::F32 => Operands::F32,
            Precision::F16 => Operands::F16Tiles,
        };
        Self { operands, ..self }
    }
}

/// A step as it is planned, and what runs it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is computed.
    pub graph: Graph,
    /// What is kept between the passes, and in which form.
    pub stored: Vec<Stored>,
    /// What the plan assumed of the adapter.
    pub options: PlanOptions,
    /// Blocks with their lifetimes.
    pub lifetimes: Lifetimes,
    /// What runs.
    pub executable: Rc<Executable>,
    /// Into how many slices along the batch it was to be cut.
    pub slices: Slices,
    /// The nodes before some of them were joined: what each layer does by itself.
    unfused_nodes: Vec<Node>,
}

impl Plan {
    /// Stores what the graph keeps as the policy says and plans the result.
    ///
    /// # Errors
    /// [`PlanError::TooLarge`] if a value cannot be bound on the adapter.
    pub fn new(graph: Graph, policy: &Policy, options: PlanOptions) -> Result<Self, PlanError> {
        let peak = |graph: &Graph| Lifetimes::new(graph, &options).alive().into_iter().max().unwrap_or(0);
        let lowering = Lowering {
            precision: options.operands.precision(),
            set: options.set,
            buckets: options.buckets,
            max_binding: options.max_binding.min(LARGEST_VALUE),
        };
        let Lowered { graph, unfused_nodes, stored, buckets } = passes::lower(graph, policy, lowering, &peak)?;
        Self::lay_out(graph, unfused_nodes, stored, &buckets, options, policy.slices)
    }

    /// Plans a graph over the parameters and statistics of this plan, in whichever form and precision. What else lives across its
    /// steps, such as its optimiser's states, joins the [store](StoreLayout) that both have.
    ///
    /// # Errors
    /// [`PlanError::NotShared`] if this plan lacks one of them or has it in another shape, and those of [`Plan::new`].
    pub fn sharing_store(&self, graph: Graph, policy: &Policy, options: PlanOptions) -> Result<Self, PlanError> {
        let here: HashMap<&str, &Value> =
            self.graph.values().iter().filter(|v| v.is_persistent()).map(|v| (v.name.as_str(), v)).collect();
        for value in graph.values().iter().filter(|value| value.is_persistent()) {
            match here.get(value.name.as_str()) {
                Some(known) if known.shape == value.shape && known.element == value.element => {}
                None if !matches!(value.role, Role::Parameter | Role::Statistic) => {}
                _ => return Err(PlanError::NotShared(value.name.clone())),
            }
        }
        Self::new(graph, policy, options)
    }

    /// [`Plan::sharing_store`] for an evaluation: with everything kept raw, in f32.
    ///
    /// # Errors
    /// As [`Plan::sharing_store`].
    pub fn evaluation(&self, graph: Graph) -> Result<Self, PlanError> {
        // Both run over the same memory: it need not take less than this plan.
        let slices = match self.slices {
            given @ (Slices::Off | Slices::Count(_)) => given,
            _ => Slices::Within(self.lifetimes.alive().into_iter().max().unwrap_or(0)),
        };
        let policy = Policy::raw().slices(slices);
        self.sharing_store(graph, &policy, self.options.clone().in_precision(Precision::F32))
    }

    /// The same plan with other sizes, in words, for data-sized values ([`crate::codec::DataSized`]).
    ///
    /// # Errors
    /// [`PlanError::TooLarge`] if a value cannot be bound on the adapter.
    pub fn resized(&self, sizes: &[(ValueId, usize)]) -> Result<Self, PlanError> {
        let mut graph = self.graph.clone();
        for &(value, words) in sizes {
            graph.value_mut(value).shape = [words].into();
        }
        let buckets: Vec<Vec<ValueId>> = self.executable.buckets.iter().map(|bucket| bucket.values.clone()).collect();
        let (unfused_nodes, stored) = (self.unfused_nodes.clone(), self.stored.clone());
        Self::lay_out(graph, unfused_nodes, stored, &buckets, self.options.clone(), self.slices)
    }

    /// Places for values, dispatches for nodes.
    fn lay_out(
        graph: Graph,
        unfused_nodes: Vec<Node>,
        stored: Vec<Stored>,
        buckets: &[Vec<ValueId>],
        options: PlanOptions,
        slices: Slices,
    ) -> Result<Self, PlanError> {
        check_sizes(&graph, &options)?;
        let lifetimes = Lifetimes::new(&graph, &options);
        check_scratch(&graph, &lifetimes, options.max_binding)?;
        let executable = Rc::new(assemble::executable(&graph, &stored, buckets, &lifetimes, &options)?);
        Ok(Self { graph, stored, options, lifetimes, executable, slices, unfused_nodes })
    }

    /// What a table of tiles may choose for each node, by the node's number; tables are for products in f32.
    pub fn tunables(&self) -> impl Iterator<Item = (usize, Tunable)> {
        let in_f32 = self.options.operands == Operands::F32;
        let context = |node| memory::context(&self.graph, node, &self.options, self.lifetimes.in_place[node]);
        let nodes = self.graph.nodes().iter().enumerate();
        let nodes = nodes.filter(move |_| in_f32);
        nodes.filter_map(move |(index, node)| Some((index, node.operator.tunable(&context(index))?)))
    }

    /// Where a value lies.
    pub fn location(&self, value: ValueId) -> Option<Location> {
        self.executable.value(value).location
    }

    /// The inputs that the host uploads before each step, in the order of their addition to the graph.
    pub fn uploads(&self) -> &[ValueId] {
        &self.executable.uploads
    }

    /// The values that are read back after each step: metrics, then reports of data-sized values.
    pub fn metrics(&self) -> &[ValueId] {
        &self.executable.read_backs
    }

    /// At which word of [`crate::runtime::StepMetrics::words`] a metric of this name begins, if there is one.
    pub fn metric(&self, name: &str) -> Option<usize> {
        let id = self.metrics().iter().find(|&&id| self.graph.value(id).name == name)?;
        Some(self.metric_range(*id)?.start)
    }

    /// Which words of [`crate::runtime::StepMetrics::words`] a value has that is read back.
    pub fn metric_range(&self, value: ValueId) -> Option<Range<usize>> {
        self.executable.read_back(value)
    }

    fn bytes_of(&self, values: &[ValueId]) -> u64 {
        values.iter().map(|&v| self.graph.value(v).bytes()).sum()
    }
}

/// Refuses values that no kernel can bind, and those that no buffer can hold. What is read and made in parts need not be bound.
fn check_sizes(graph: &Graph, options: &PlanOptions) -> Result<(), PlanError> {
    let [mut bound, mut allocated] = [vec![false; graph.values().len()], vec![false; graph.values().len()]];
    graph.ids().for_each(|(id, value)| allocated[id.index()] = value.is_persistent());
    for &value in graph.nodes().iter().flat_map(|node| node.inputs.iter().chain(&node.outputs)) {
        bound[value.index()] = true;
        allocated[graph.memory_of(value).0.index()] = true;
    }
    let most = |value: &Value| match value.precision {
        Precision::F32 => options.max_binding.min(LARGEST_VALUE),
        Precision::F16 => options.max_binding.min(LARGEST_VALUE / 2),
    };
    // The first of equals: the value itself rather than its gradient.
    let largest = |exceeds: &dyn Fn(ValueId, &Value) -> bool| {
        let values = graph.ids().filter(|(id, value)| exceeds(*id, value)).map(|(_, value)| value);
        values.rev().max_by_key(|value| value.bytes())
    };
    if let Some(largest) = largest(&|id, value| bound[id.index()] && value.bytes() > most(value)) {
        let limit = most(largest);
        let layer = graph
            .nodes()
            .iter()
            .find(|n| n.outputs.iter().any(|&o| graph.value(o).name == largest.name))
            .map_or(largest.name.clone(), |n| n.layer.clone());
        let most_elements = limit * largest.shape.elements() as u64 / largest.bytes().max(1);
        let largest_batch = match largest.role {
            // What lives across steps, and the gradient of such a value, has the same bytes whatever the batch.
            role if largest.is_persistent() || role == Role::ParameterGradient => None,
            _ => graph.largest_batch(&largest.shape, most_elements as usize),
        };
        let (shape, bytes) = (largest.shape.clone(), largest.bytes());
        return Err(PlanError::TooLarge { layer, shape, bytes, limit, largest_batch });
    }
    let limit = options.max_buffer;
    match largest(&|id, value| allocated[id.index()] && !bound[id.index()] && value.bytes() > limit) {
        Some(value) => Err(PlanError::NoBuffer {
            name: value.name.clone(),
            shape: value.shape.clone(),
            bytes: value.bytes(),
            limit,
        }),
        None => Ok(()),
    }
}

/// Refuses scratch that no kernel can bind.
fn check_scratch(graph: &Graph, lifetimes: &Lifetimes, limit: u64) -> Result<(), PlanError> {
    let limit = limit.min(LARGEST_VALUE);
    for (node, scratch) in graph.nodes().iter().zip(&lifetimes.of_scratch) {
        if let Some(&(_, bytes)) = scratch.iter().find(|(_, bytes)| *bytes > limit) {
            let (layer, operator) = (node.layer.clone(), node.operator.name());
            return Err(PlanError::TooMuchScratch { layer, operator, bytes, limit });
        }
    }
    Ok(())
}
