//! The plan: every buffer, every byte and every dispatch of a step, before anything runs.
//!
//! A plan needs no adapter. It is made from a graph and the few facts about an adapter that matter: which kernels suit
//! it and how much one binding and one buffer may hold.

mod capacity;
mod error;
mod ledger;
mod memory;
mod peak_snapshots;
mod step_role;

pub use capacity::CapacityStatus;
pub use error::PlanError;
pub use ledger::{Bytes, KeptValue, LayerBytes};
pub use memory::{ALIGNMENT, Block, Lifetimes, Place, ROUNDS, place};
pub use peak_snapshots::{Alive, PeakSnapshot};
pub use step_role::StepRole;

use crate::codec::{Policy, Stored};
use crate::ir::{
    Binding, Graph, Kernel, KernelContext, KernelSet, Kind, MOST_ELEMENTS, Node, Operands, Precision, TileTable, Value,
    ValueId, tiles::Tunable,
};
use crate::passes::store_within;
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

/// The last rewrites of a graph whose stores are settled: its nodes before some of them are joined. The oracle does one thing
/// at a time.
fn finish(graph: &mut Graph, set: KernelSet) -> Vec<Node> {
    graph.schedule_updates();
    let nodes = graph.nodes().to_vec();
    if set != KernelSet::Naive {
        graph.fuse_epilogues();
    }
    nodes
}

/// Rounds of all loops of an invocation together after which llvmpipe (Mesa 22.3) leaves them.
const MOST_ROUNDS: usize = 65_535;

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

    /// One for each family of kernels, with and without subgroups, planned fast: for tests.
    pub fn all_kernels() -> Vec<Self> {
        let sets = [KernelSet::Naive, KernelSet::Tiles, KernelSet::Registers];
        let with = |set, subgroup| Self { subgroup, rounds: 0, ..Self::unlimited(set) };
        sets.into_iter().flat_map(|set| [with(set, None), with(set, Some(8))]).collect()
    }

    /// One for each family of kernels over values in f16, then one for each way of multiplying them by matrices, planned fast:
    /// for tests.
    pub fn all_f16() -> Vec<Self> {
        let matrices = |(extent, subgroup)| Operands::F16Matrices { extent, subgroup };
        let by_matrices = [(8, 8), (8, 32), (16, 32), (16, 64)].map(|kind| Self {
            operands: matrices(kind),
            rounds: 0,
            ..Self::unlimited(KernelSet::Tiles)
        });
        let by_tiles = Self::all_kernels().into_iter().map(|options| options.in_precision(Precision::F16));
        by_tiles.chain(by_matrices).collect()
    }
}

/// Which buffer of a session holds something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Region {
    /// Keeps its content from step to step; shared by all plans of a session.
    Persistent,
    /// Used anew by each step; shared by all plans of a session.
    Transient,
}

/// A kernel with places for what it binds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Dispatch {
    /// What to run.
    pub kernel: Kernel,
    /// The node it belongs to.
    pub node: usize,
    /// Places of its values.
    pub places: Vec<(Region, Place)>,
    /// Where its parameters lie among the plan's uniforms.
    pub uniform_offset: u64,
    /// The grid, folded into two dimensions.
    pub grid: [u32; 2],
}

/// A step as data.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is computed.
    pub graph: Graph,
    /// What waits between the passes, and in which form.
    pub stored: Vec<Stored>,
    /// What the plan assumed of the adapter.
    pub options: PlanOptions,
    /// Blocks with their lifetimes.
    pub lifetimes: Lifetimes,
    /// Bytes of each persistent page.
    pub persistent_pages: Vec<u64>,
    /// Bytes of each transient page.
    pub transient_pages: Vec<u64>,
    /// Dispatches, in order.
    pub dispatches: Vec<Dispatch>,
    /// The kernels' parameters, [`ALIGNMENT`] bytes each.
    pub uniforms: Vec<u32>,
    /// The nodes before some of them were joined: what each layer does by itself.
    unfused_nodes: Vec<Node>,
    places: Vec<Option<(Region, Place)>>,
    uploads: Vec<ValueId>,
    metrics: Vec<ValueId>,
}

impl Plan {
    /// Stores what the graph keeps as the policy says and plans the result.
    ///
    /// # Errors
    /// [`PlanError::TooLarge`] if a value cannot be bound on the adapter.
    pub fn new(graph: Graph, policy: &Policy, options: PlanOptions) -> Result<Self, PlanError> {
        Self::build(graph, policy, options, None)
    }

    /// Plans a graph over the persistent values of another plan (an evaluation beside a training step), in f32.
    ///
    /// # Errors
    /// [`PlanError::NotShared`] if the other plan lacks one.
    pub fn sharing_store(&self, graph: Graph) -> Result<Self, PlanError> {
        let options = self.options.clone().in_precision(Precision::F32);
        Self::build(graph, &Policy::raw(), options, Some(self))
    }

    fn build(
        mut graph: Graph,
        policy: &Policy,
        options: PlanOptions,
        shared: Option<&Plan>,
    ) -> Result<Self, PlanError> {
        graph.defer_branches();
        if options.operands.precision() == Precision::F16 {
            graph.hold_in_f16();
        }
        let peak = |graph: &Graph| {
            let mut graph = graph.clone();
            finish(&mut graph, options.set);
            Lifetimes::new(&graph, &options).alive().into_iter().max().unwrap_or(0)
        };
        let (mut graph, stored) = store_within(graph, policy, &peak)?;
        let unfused_nodes = finish(&mut graph, options.set);
        Self::lay_out(graph, unfused_nodes, stored, options, shared)
    }

    /// The same plan with other sizes, in words, for data-sized values ([`crate::codec::DataSized`]).
    /// Persistent values stay where they are.
    ///
    /// # Errors
    /// [`PlanError::TooLarge`] if a value cannot be bound on the adapter.
    pub fn resized(&self, sizes: &[(ValueId, usize)]) -> Result<Self, PlanError> {
        let mut graph = self.graph.clone();
        for &(value, words) in sizes {
            graph.value_mut(value).shape = [words].into();
        }
        Self::lay_out(graph, self.unfused_nodes.clone(), self.stored.clone(), self.options.clone(), None)
    }

    /// Places for values, dispatches for nodes.
    fn lay_out(
        graph: Graph,
        unfused_nodes: Vec<Node>,
        stored: Vec<Stored>,
        options: PlanOptions,
        shared: Option<&Plan>,
    ) -> Result<Self, PlanError> {
        check_sizes(&graph, options.max_binding)?;
        let lifetimes = Lifetimes::new(&graph, &options);
        check_scratch(&graph, &lifetimes, options.max_binding)?;
        let mut block_places: Vec<(Region, usize, u64)> = vec![(Region::Transient, 0, 0); lifetimes.blocks.len()];
        let mut pages_of = |persistent: bool, region: Region| {
            let indices: Vec<usize> =
                (0..lifetimes.blocks.len()).filter(|&i| lifetimes.blocks[i].persistent == persistent).collect();
            let blocks: Vec<&Block> = indices.iter().map(|&i| &lifetimes.blocks[i]).collect();
            let (places, pages) = place(&blocks, options.max_buffer, options.rounds);
            for (index, (page, offset)) in indices.into_iter().zip(places) {
                block_places[index] = (region, page, offset);
            }
            pages
        };
        let mut persistent_pages = pages_of(true, Region::Persistent);
        let transient_pages = pages_of(false, Region::Transient);
        if let Some(shared) = shared {
            persistent_pages = shared.persistent_pages.clone();
            for (id, value) in graph.ids().filter(|(_, v)| v.kind.is_persistent()) {
                let place = shared
                    .graph
                    .find(&value.name)
                    .filter(|&other| shared.graph.shape(other) == &value.shape)
                    .and_then(|other| shared.place(other))
                    .ok_or_else(|| PlanError::NotShared(value.name.clone()))?;
                let block = lifetimes.of_value[id.index()].expect("persistent values have blocks");
                block_places[block] = (place.0, place.1.page, place.1.offset);
            }
        }
        let at = |block: usize, size: u64| {
            let (region, page, offset) = block_places[block];
            (region, Place { page, offset, size })
        };
        let places = graph
            .ids()
            .map(|(id, value)| lifetimes.of_value[id.index()].map(|block| at(block, value.bytes())))
            .collect();
        let of_kind = |kind: Kind| {
            let used = graph.ids().filter(move |(_, v)| v.kind == kind);
            used.map(|(id, _)| id).filter(|id| lifetimes.of_value[id.index()].is_some())
        };
        let mut plan = Self {
            uploads: of_kind(Kind::Input).collect(),
            metrics: of_kind(Kind::Metric).chain(of_kind(Kind::Record)).collect(),
            stored,
            options,
            persistent_pages,
            transient_pages,
            dispatches: Vec::new(),
            uniforms: Vec::new(),
            unfused_nodes,
            places,
            graph,
            lifetimes: lifetimes.clone(),
        };
        plan.record(&|node, scratch| {
            let (block, bytes) = lifetimes.of_scratch[node][scratch];
            at(block, bytes)
        })?;
        Ok(plan)
    }

    /// Nodes become dispatches.
    fn record(&mut self, scratch: &dyn Fn(usize, usize) -> (Region, Place)) -> Result<(), PlanError> {
        let mut uniform_slots: HashMap<Vec<u32>, u64> = HashMap::new();
        for (index, node) in self.graph.nodes().iter().enumerate() {
            let context = memory::context(&self.graph, index, &self.options, self.lifetimes.in_place[index]);
            for mut kernel in node.operator.kernels(&context) {
                kernel.f16_bindings = f16_bindings(&kernel, &context);
                let places = kernel
                    .bindings
                    .iter()
                    .map(|binding| match *binding {
                        Binding::Input(i) => self.place(node.inputs[i]).expect("read values have places"),
                        Binding::Output(i) => self.place(node.outputs[i]).expect("made values have places"),
                        Binding::Scratch(i) => scratch(index, i),
                    })
                    .collect();
                let uniforms = &mut self.uniforms;
                let uniform_offset = *uniform_slots.entry(kernel.parameters.clone()).or_insert_with(|| {
                    let offset = 4 * uniforms.len() as u64;
                    uniforms.extend(&kernel.parameters);
                    uniforms.resize(uniforms.len().next_multiple_of(ALIGNMENT as usize / 4), 0);
                    offset
                });
                let rows = kernel.workgroups.div_ceil(WORKGROUPS_PER_DIMENSION).max(1);
                if rows > WORKGROUPS_PER_DIMENSION {
                    return Err(PlanError::TooManyWorkgroups {
                        layer: node.layer.clone(),
                        shader: kernel.shader,
                        workgroups: kernel.workgroups,
                    });
                }
                let limit = if self.options.set == KernelSet::Registers { MOST_ROUNDS } else { usize::MAX };
                if kernel.rounds > limit {
                    let (layer, shader, rounds) = (node.layer.clone(), kernel.shader, kernel.rounds);
                    return Err(PlanError::TooManyRounds { layer, shader, rounds, limit });
                }
                let grid = [kernel.workgroups.div_ceil(rows) as u32, rows as u32];
                self.dispatches.push(Dispatch { kernel, node: index, places, uniform_offset, grid });
            }
        }
        Ok(())
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
    pub fn place(&self, value: ValueId) -> Option<(Region, Place)> {
        self.places[value.index()]
    }

    /// The inputs that the host uploads before each step, in the order of their addition to the graph.
    pub fn uploads(&self) -> &[ValueId] {
        &self.uploads
    }

    /// The values that are read back after each step: metrics, then what codecs learned.
    pub fn metrics(&self) -> &[ValueId] {
        &self.metrics
    }

    /// At which word of [`crate::runtime::StepMetrics::words`] a metric of this name begins, if there is one.
    pub fn metric(&self, name: &str) -> Option<usize> {
        let id = self.metrics.iter().find(|&&id| self.graph.value(id).name == name)?;
        Some(self.metric_range(*id)?.start)
    }

    /// Which words of [`crate::runtime::StepMetrics::words`] a value has that is read back.
    pub fn metric_range(&self, value: ValueId) -> Option<Range<usize>> {
        let at = self.metrics.iter().position(|&id| id == value)?;
        let words = |id: &ValueId| self.graph.shape(*id).elements();
        let start = self.metrics[..at].iter().map(words).sum();
        Some(start..start + words(&value))
    }

    fn bytes_of(&self, values: &[ValueId]) -> u64 {
        values.iter().map(|&v| self.graph.value(v).bytes()).sum()
    }

    /// Bytes of one upload buffer.
    pub fn upload_bytes(&self) -> u64 {
        self.bytes_of(&self.uploads)
    }

    /// Bytes of one read-back buffer.
    pub fn readback_bytes(&self) -> u64 {
        self.bytes_of(&self.metrics)
    }
}

/// The bindings of a kernel whose values memory holds in f16. Scratch is never one.
fn f16_bindings(kernel: &Kernel, context: &KernelContext) -> Vec<usize> {
    let precision = |binding: &Binding| match *binding {
        Binding::Input(index) => context.inputs[index].precision,
        Binding::Output(index) => context.outputs[index].precision,
        Binding::Scratch(_) => Precision::F32,
    };
    let bindings = kernel.bindings.iter().zip(1..);
    bindings.filter(|(binding, _)| precision(binding) == Precision::F16).map(|(_, number)| number).collect()
}

/// Refuses values that no kernel can bind.
fn check_sizes(graph: &Graph, limit: u64) -> Result<(), PlanError> {
    let most = |value: &Value| match value.precision {
        Precision::F32 => limit.min(LARGEST_VALUE),
        Precision::F16 => limit.min(LARGEST_VALUE / 2),
    };
    // The first of equals: the value itself rather than its gradient.
    let too_large = graph.values().iter().rev().filter(|v| v.bytes() > most(v));
    let Some(largest) = too_large.max_by_key(|v| v.bytes()) else {
        return Ok(());
    };
    let limit = most(largest);
    let batch = largest.shape.extents().first().copied().unwrap_or(1).max(1);
    let layer = graph
        .nodes()
        .iter()
        .find(|n| n.outputs.iter().any(|&o| graph.value(o).name == largest.name))
        .map_or(largest.name.clone(), |n| n.layer.clone());
    Err(PlanError::TooLarge {
        layer,
        shape: largest.shape.clone(),
        bytes: largest.bytes(),
        limit,
        largest_batch: (!largest.kind.is_persistent())
            .then(|| (limit / (largest.bytes() / batch as u64).max(1)) as usize),
    })
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
