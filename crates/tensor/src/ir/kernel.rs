//! Kernels as data: which shader, in which variant, over which values, on how many workgroups.

use super::Value;
use super::step::Scalar;
use super::tiles::{Choice, TileTable, Work};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

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
    pub(crate) fn chosen(&self, work: &Work) -> Option<Choice> {
        // Tables are measured in f32.
        let tiles = self.tiles.filter(|_| self.operands == Operands::F32)?;
        tiles.get(self.set, work)
    }
}

/// A template variable: structure that the shader's text depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Variable {
    /// A count.
    Number(u32),
    /// A switch.
    Flag(bool),
    /// The name of a part to include or of a choice to make.
    Word(Cow<'static, str>),
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
        Variable::Word(word.into())
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Binding {
    /// The node's input.
    Input(usize),
    /// The node's output.
    Output(usize),
    /// The node's scratch.
    Scratch(usize),
}

/// The most rounds that all loops of an invocation may take together on drivers that run on CPU cores: Mesa's llvmpipe (22.3)
/// counts them, an end of a loop as one, and then leaves every loop without a word.
pub(crate) const MOST_ROUNDS: usize = 65_535;

/// Offsets of what kernels bind are multiples of this many bytes: the largest binding alignment that WebGPU allows.
pub const ALIGNMENT: u64 = 256;

/// One dispatch.
///
/// Its shader binds the uniform `Params` at 0 and the values at 1, 2, … in group 0, all of them `read_write`, because
/// values share buffers. Its entry point is `main`. The grid is one-dimensional; where it has more than 65,535 workgroups it
/// is folded, so a shader computes `group = id.x + id.y * count.x` and checks its bounds (`parts/grid.wgsl` does the first).
///
/// ```
/// # use frugal_tensor::ir::Kernel;
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

    /// A kernel with a custom shader, without variables, parameters, bindings or workgroups. The source is WGSL, or a
    /// template for it: what this crate's templates include from `shaders/parts`, it may include as well. The name is for
    /// messages.
    ///
    /// Values of [`Element::F32`](crate::ir::Element::F32) are arrays of `f32` or of vectors of it, declared and indexed by
    /// their names. Where memory holds one in f16 ([`Precision::F16`]), the shader is rewritten: what is read of it is widened, what
    /// is written rounded.
    ///
    /// Such shaders run with checks of array bounds and of endless loops, because nothing else vouches for them.
    pub fn wgsl(name: &'static str, source: &'static str) -> Self {
        Self { source: Some(source), ..Self::new(name) }
    }

    /// The path of its shader under `shaders/`, without `.wgsl`, or the name of a custom shader.
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

    /// Sets a template variable to the word of the control upload that holds a scalar: `bitcast<f32>(control[{{ name }}])`.
    pub fn scalar(self, name: &'static str, scalar: Scalar) -> Self {
        self.variable(name, scalar.word as usize)
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

    /// How many rounds all loops of an invocation take together at most, the end of a loop being one. A plan refuses more than the
    /// drivers of its adapters do ([`MOST_ROUNDS`]). Of a kernel without it the number does not grow with the values.
    pub(crate) fn rounds(mut self, rounds: usize) -> Self {
        self.rounds = rounds;
        self
    }

    /// Enough workgroups of `size` for `count` invocations.
    pub fn invocations(self, count: usize, size: usize) -> Self {
        self.workgroups(count.div_ceil(size))
    }
}
