//! Kernels as data: which shader, in which variant, over which values, on how many workgroups.

use super::tiles::{Choice, TileTable, Work};
use crate::graph::Value;
use serde::{Deserialize, Serialize};

/// Which family of kernels an adapter gets.
///
/// CPU-backed drivers emulate workgroup memory and barriers slowly and run best from registers; GPUs want tiles in
/// workgroup memory. The naive kernels are the oracle for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KernelSet {
    /// One output per invocation, nothing clever: the oracle.
    Naive,
    /// Tiles in workgroup memory: GPUs.
    Tiles,
    /// Blocks in registers, no barriers: drivers that run on CPU cores.
    Registers,
}

/// In which precision a step holds activations and multiplies, see `docs/precision.md`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// All of it in f32.
    #[default]
    F32,
    /// Memory holds activations and their gradients in f16, and products have f16 operands and f32 sums; all else, parameters
    /// included, is f32.
    F16,
}

/// What products multiply; their sums are f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operands {
    /// What the values hold.
    #[default]
    F32,
    /// Elements rounded to f16, in tiles in workgroup memory.
    F16Tiles,
    /// The same tiles, multiplied by cooperative matrices.
    F16Matrices {
        /// Rows and columns of a matrix.
        extent: u32,
        /// Invocations that work on one together: all of a subgroup.
        subgroup: u32,
    },
}

impl Operands {
    /// The precision that they give.
    pub fn precision(self) -> Precision {
        match self {
            Self::F32 => Precision::F32,
            Self::F16Tiles | Self::F16Matrices { .. } => Precision::F16,
        }
    }
}

/// What a kernel choice may depend on.
#[derive(Debug)]
#[non_exhaustive]
pub struct KernelContext<'a> {
    /// The family of kernels.
    pub set: KernelSet,
    /// Invocations in a subgroup, if the adapter has subgroups of one fixed size.
    pub subgroup: Option<u32>,
    /// What was measured on the adapter, in front of the rules.
    pub tiles: Option<&'a TileTable>,
    /// What products multiply.
    pub operands: Operands,
    /// The inputs.
    pub inputs: Vec<&'a Value>,
    /// The outputs.
    pub outputs: Vec<&'a Value>,
    /// Whether the first output lies in the memory of the input that the operator may overwrite.
    pub in_place: bool,
}

impl KernelContext<'_> {
    /// Lanes of a kernel that works from registers, and whether they may talk to each other: a subgroup of 4, 8 or 16, or
    /// else as many as lavapipe runs side by side.
    pub fn lanes(&self) -> (usize, bool) {
        match self.subgroup.filter(|size| [4, 8, 16].contains(size)) {
            Some(size) => (size as usize, true),
            None => (8, false),
        }
    }

    /// What the table of the adapter chooses for this, if it does.
    pub(super) fn chosen(&self, work: &Work) -> Option<Choice> {
        // Tables are measured in f32.
        let tiles = self.tiles.filter(|_| self.operands == Operands::F32)?;
        tiles.get(self.set, work)
    }
}

/// A template variable: structure that the shader's text depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Variable {
    /// A count.
    Number(u32),
    /// A switch.
    Flag(bool),
    /// The name of a part to include or of a choice to make.
    Word(&'static str),
}

impl From<u32> for Variable {
    fn from(number: u32) -> Self {
        Variable::Number(number)
    }
}

impl From<usize> for Variable {
    fn from(number: usize) -> Self {
        Variable::Number(u32::try_from(number).expect("extents were checked when the value was planned"))
    }
}

impl From<bool> for Variable {
    fn from(flag: bool) -> Self {
        Variable::Flag(flag)
    }
}

impl From<&'static str> for Variable {
    fn from(word: &'static str) -> Self {
        Variable::Word(word)
    }
}

/// One word of the uniform `Params` of a kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameter(pub u32);

impl From<u32> for Parameter {
    fn from(number: u32) -> Self {
        Parameter(number)
    }
}

impl From<usize> for Parameter {
    fn from(number: usize) -> Self {
        Parameter(u32::try_from(number).expect("extents were checked when the value was planned"))
    }
}

impl From<f32> for Parameter {
    fn from(number: f32) -> Self {
        Parameter(number.to_bits())
    }
}

/// A value that a kernel binds, by its place in the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Binding {
    /// The node's input.
    Input(usize),
    /// The node's output.
    Output(usize),
    /// The node's scratch.
    Scratch(usize),
}

/// One dispatch.
///
/// Its shader binds the uniform `Params` at 0 and the values at 1, 2, … in group 0, all of them `read_write`, because
/// values share buffers. Its entry point is `main`. The grid is one-dimensional; where it has more than 65,535 workgroups it
/// is folded, so a shader computes `group = id.x + id.y * count.x` and checks its bounds (`parts/grid.wgsl` does the first).
///
/// ```
/// # use frugal_tensor::ops::Kernel;
/// let twice = "
///     struct Params { elements: u32 }
///     @group(0) @binding(0) var<uniform> p: Params;
///     @group(0) @binding(1) var<storage, read_write> x: array<f32>;
///     @group(0) @binding(2) var<storage, read_write> y: array<f32>;
///
///     {% include 'parts/grid.wgsl' %}
///
///     @compute @workgroup_size(64)
///     fn main(
///         @builtin(workgroup_id) group: vec3<u32>,
///         @builtin(num_workgroups) groups: vec3<u32>,
///         @builtin(local_invocation_index) lane: u32,
///     ) {
///         let i = group_index(group, groups) * 64u + lane;
///         if i < p.elements {
///             y[i] = 2.0 * x[i];
///         }
///     }";
/// let elements = 1000;
/// let kernel = Kernel::wgsl("twice", twice).parameter(elements).inputs([0]).outputs([0]).invocations(elements, 64);
/// ```
#[derive(Clone, Debug)]
pub struct Kernel {
    /// Path under `shaders/`, without `.wgsl`, or the name of a shader from elsewhere.
    pub(crate) shader: &'static str,
    /// The template, if it comes from elsewhere.
    pub(crate) source: Option<&'static str>,
    /// Template variables, sorted by name.
    pub(crate) variables: Vec<(&'static str, Variable)>,
    /// Words of `Params`.
    pub(crate) parameters: Vec<u32>,
    /// Values, in the order of their bindings from 1 on.
    pub(crate) bindings: Vec<Binding>,
    /// The bindings whose values memory holds in f16; the plan knows them.
    pub(crate) f16_bindings: Vec<usize>,
    /// Workgroups.
    pub(crate) workgroups: usize,
    /// The most rounds that all loops of an invocation take together, where that grows with the values; else 0.
    pub(crate) rounds: usize,
}

impl Kernel {
    /// A kernel of this crate, without variables, parameters, bindings or workgroups.
    pub(crate) fn new(shader: &'static str) -> Self {
        let (variables, parameters, bindings) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            shader,
            source: None,
            variables,
            parameters,
            bindings,
            f16_bindings: Vec::new(),
            workgroups: 0,
            rounds: 0,
        }
    }

    /// A kernel with a shader of one's own, without variables, parameters, bindings or workgroups. The source is WGSL, or a
    /// template for it: what this crate's templates include from `shaders/parts`, it may include as well. The name is for
    /// messages.
    ///
    /// Values of [`Element::F32`](crate::graph::Element::F32) are arrays of `f32` or of vectors of it, declared and indexed by
    /// their names. Where memory holds one in f16 ([`Precision::F16`]), the shader is rewritten: what is read of it is widened, what
    /// is written rounded.
    ///
    /// Such shaders run with checks of array bounds and of endless loops, because nothing else vouches for them.
    pub fn wgsl(name: &'static str, source: &'static str) -> Self {
        Self { source: Some(source), ..Self::new(name) }
    }

    /// The path of its shader under `shaders/`, without `.wgsl`, or the name of one's own.
    pub fn name(&self) -> &'static str {
        self.shader
    }

    /// The values that it binds, from binding 1 on.
    pub fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    /// Sets a template variable.
    pub fn variable(mut self, name: &'static str, value: impl Into<Variable>) -> Self {
        self.variables.push((name, value.into()));
        self.variables.sort();
        self
    }

    /// Appends a word to `Params`.
    pub fn parameter(mut self, value: impl Into<Parameter>) -> Self {
        self.parameters.push(value.into().0);
        self
    }

    /// Appends words to `Params`.
    pub fn parameters<T: Into<Parameter>>(self, values: impl IntoIterator<Item = T>) -> Self {
        values.into_iter().fold(self, Self::parameter)
    }

    /// Binds the next value.
    pub fn bind(mut self, binding: Binding) -> Self {
        self.bindings.push(binding);
        self
    }

    /// Binds inputs.
    pub fn inputs(mut self, indices: impl IntoIterator<Item = usize>) -> Self {
        self.bindings.extend(indices.into_iter().map(Binding::Input));
        self
    }

    /// Binds outputs.
    pub fn outputs(mut self, indices: impl IntoIterator<Item = usize>) -> Self {
        self.bindings.extend(indices.into_iter().map(Binding::Output));
        self
    }

    /// Sets the number of workgroups.
    pub fn workgroups(mut self, count: usize) -> Self {
        self.workgroups = count;
        self
    }

    /// How many rounds all loops of an invocation take together at most. A plan refuses more than the drivers of its adapters do.
    pub(crate) fn rounds(mut self, rounds: usize) -> Self {
        self.rounds = rounds;
        self
    }

    /// Enough workgroups of `size` for `count` invocations.
    pub fn invocations(self, count: usize, size: usize) -> Self {
        self.workgroups(count.div_ceil(size))
    }
}

/// Invocations in a workgroup of an element-wise kernel.
pub(super) const ELEMENTWISE_WORKGROUP: usize = 64;

/// A kernel with one invocation for each four elements of the first output. Its `Params` start with the number of such
/// vectors; whether it works in place is a variable.
pub(crate) fn elementwise(shader: &'static str, context: &KernelContext) -> Kernel {
    let vectors = context.outputs[0].shape.elements().div_ceil(4);
    Kernel::new(shader)
        .variable("in_place", context.in_place)
        .parameter(vectors)
        .invocations(vectors, ELEMENTWISE_WORKGROUP)
}

/// A kernel over planes (the elements of one sample and channel), begun: its `Params` start with the planes and the
/// elements of each in units of its loads.
fn over_planes(shader: &'static str, planes: usize, size: usize, set: KernelSet) -> Kernel {
    let vector = size.is_multiple_of(4);
    Kernel::new(shader)
        .variable("tiles", set == KernelSet::Tiles)
        .variable("vector", vector)
        .parameter(planes)
        .parameter(if vector { size / 4 } else { size })
}

/// Most iterations of all loops of an invocation together. Mesa's llvmpipe counts them and leaves every loop after 65,535,
/// without a word; an end of a loop counts as one.
pub const MOST_ITERATIONS: usize = 65_000;

/// A kernel that reduces each plane, see `parts/sum_plane.wgsl`: one workgroup for each on GPUs and for planes
/// too large for one invocation, one invocation elsewhere.
pub(crate) fn reduce_planes(shader: &'static str, planes: usize, size: usize, set: KernelSet) -> Kernel {
    let set = if size > MOST_ITERATIONS { KernelSet::Tiles } else { set };
    let kernel = over_planes(shader, planes, size, set);
    if set == KernelSet::Tiles { kernel.workgroups(planes) } else { kernel.invocations(planes, 8) }
}

/// A kernel that adds up the rows of each column, see `parts/sum_column.wgsl`: 16 invocations for each on GPUs and where
/// there are too many rows for one, one elsewhere. Its `Params` start with rows and columns.
pub(crate) fn reduce_columns(shader: &'static str, rows: usize, columns: usize, set: KernelSet) -> Kernel {
    let tiles = set == KernelSet::Tiles || rows > MOST_ITERATIONS;
    let kernel = Kernel::new(shader).variable("tiles", tiles).parameters([rows, columns]);
    kernel.invocations(columns, if tiles { 16 } else { 8 })
}

/// A kernel that maps each plane onto the first output by parameters of its channel, see `parts/map_plane.wgsl`. The number of
/// channels and the samples of a workgroup follow in `Params`.
pub(crate) fn map_planes(shader: &'static str, context: &KernelContext) -> Kernel {
    let planes = context.outputs[0].shape.planes().expect("the operator checked that there are planes");
    map_planes_of(shader, context, planes)
}

/// As [`map_planes`], over the first output as samples × channels × elements that need not be those of its shape.
pub(crate) fn map_planes_of(
    shader: &'static str,
    context: &KernelContext,
    [samples, channels, size]: [usize; 3],
) -> Kernel {
    let run = run(context.set, [samples, channels, size]);
    over_planes(shader, samples * channels, size, context.set)
        .variable("in_place", context.in_place)
        .variable("several", run > 1)
        .parameters([channels, run])
        .workgroups(channels * samples.div_ceil(run))
}

/// Samples whose planes a workgroup of [`map_planes`] does: small planes together, as long as all cores have workgroups enough.
fn run(set: KernelSet, [samples, channels, size]: [usize; 3]) -> usize {
    let (elements, workgroups) = if set == KernelSet::Tiles { (4096, 1024) } else { (1024, 64) };
    let together = elements / size.max(1);
    let spared = samples * channels / workgroups;
    together.min(spared).clamp(1, samples.max(1))
}
