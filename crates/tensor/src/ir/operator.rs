//! The operator: what makes values from values.

use super::tiles::Tunable;
use super::{
    AlongBatch, Backward, BatchSlice, Element, ErrorRole, Graph, GraphError, Kernel, KernelContext, Node, OperatorKind,
    RecomputeRule, Role, Shape, SplitStep, Value, ValueId,
};
use std::fmt;
use std::rc::Rc;

/// A value that an operator makes.
#[derive(Clone, Debug)]
pub struct Output {
    /// Short name, put after the layer's.
    pub name: &'static str,
    /// Extents.
    pub shape: Shape,
    /// What one element is.
    pub element: Element,
    /// What it is for, if that does not follow from the phase.
    pub role: Option<Role>,
    /// Whether it is read back after the step.
    pub read_back: bool,
    /// Whether a gradient can pass through it. It passes through f32; through other elements where a rule says how.
    pub differentiable: bool,
    /// Whether memory holds it in f32 in any precision: statistics and sums, which are small and must be exact.
    pub always_f32: bool,
}

impl Output {
    /// An f32 output.
    pub fn new(name: &'static str, shape: impl Into<Shape>) -> Self {
        Self {
            name,
            shape: shape.into(),
            element: Element::F32,
            role: None,
            read_back: false,
            differentiable: true,
            always_f32: false,
        }
    }

    /// An output of packed words.
    pub fn words(name: &'static str, words: usize) -> Self {
        Self { element: Element::U32, differentiable: false, ..Self::new(name, [words]) }
    }

    /// An output of packed bits, so many as the shape has elements.
    pub fn bits(name: &'static str, shape: impl Into<Shape>) -> Self {
        Self { element: Element::Bit, differentiable: false, ..Self::new(name, shape) }
    }

    /// The same output with this role.
    pub fn of_role(mut self, role: Role) -> Self {
        self.role = Some(role);
        self
    }

    /// The same output, read back after each step.
    pub fn read_back(mut self) -> Self {
        self.read_back = true;
        self
    }

    /// The same output, with a gradient of its shape in f32: those that read it say what that is, and the gradient rule of the
    /// operator that makes it says what comes of that (for packed signs the straight-through estimator, arXiv 1308.3432).
    pub fn differentiable(mut self) -> Self {
        self.differentiable = true;
        self
    }

    /// The same output, held in f32 in any precision.
    pub fn always_f32(mut self) -> Self {
        self.always_f32 = true;
        self
    }
}

/// A gradient of a weight as a sum over positions: input × `with`, times `scale` of the channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WeightGradientRole {
    /// The input with which it is multiplied: samples × output channels × positions.
    pub with: usize,
    /// An input with a factor for each channel.
    pub scale: Option<usize>,
    /// The output.
    pub gradient: usize,
    /// The share of its positions at which a weight meets an element and not the padding, a mean over the weights.
    pub coverage: f32,
}

/// Something that makes values from values on the GPU.
///
/// Everything is known before anything runs: shapes, scratch and kernels are functions of the shapes alone.
pub trait Operator: fmt::Debug {
    /// Short name, for errors and listings.
    fn name(&self) -> &'static str;

    /// What passes, codecs and reports know it by. One that nothing looks for need not say.
    fn kind(&self) -> OperatorKind {
        OperatorKind::Other
    }

    /// What it makes of these inputs.
    ///
    /// # Errors
    /// Says what it wants instead.
    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String>;

    /// The kernels that do it, in order.
    fn kernels(&self, context: &KernelContext) -> Vec<Kernel>;

    /// Appends the backward nodes: keeps what they need, gives each wanted input its gradient.
    ///
    /// # Errors
    /// [`GraphError::NoGradient`], unless there is a rule.
    fn gradient(&self, backward: &mut Backward) -> Result<(), GraphError> {
        Err(backward.no_gradient())
    }

    /// How the backward pass can make the first output again from the inputs in a pass over the elements, see
    /// [`crate::passes::recompute`]. `None` where that would take a convolution, a reduction or a search.
    fn recompute(&self, _inputs: &[&Value]) -> Option<RecomputeRule> {
        None
    }

    /// One operator that does this and then the next in one pass over the elements. The next reads the first output once, as
    /// its first input, or as either if it is an addition. The one operator reads the inputs of this one, then the other
    /// inputs of the next, unless [`Operator::outputs`] refuses these; its outputs are those of the next, then the other ones
    /// of this one. See `Graph::fuse_epilogues` and [`crate::passes::recompute`].
    fn fused(&self, _next: &dyn Operator) -> Option<Rc<dyn Operator>> {
        None
    }

    /// How it goes along the batch, over whole inputs. One that says nothing is never run in slices.
    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        AlongBatch::Whole
    }

    /// The operator for a slice, where it has a shape or a count of its own that grows with the batch; `None` if it serves slices as it
    /// is.
    fn for_slice(&self, _slice: BatchSlice) -> Option<Rc<dyn Operator>> {
        None
    }

    /// Of a [`AlongBatch::Sum`], the operator for all slices but the first: its last inputs are what the outputs were, which it
    /// [mutates](Operator::mutates) by adding to them, and it makes none but those of a map. One that has no such operator is not run in slices.
    fn adding(&self) -> Option<Rc<dyn Operator>> {
        None
    }

    /// The passes of which it consists, where they go along the batch in different ways: batch norm is a map to sums of planes, a sum
    /// of these over all samples, and a map. Together they make the same bits.
    fn split(&self, _inputs: &[&Value]) -> Option<Vec<SplitStep>> {
        None
    }

    /// What the node moves in values that live across steps, once the step is known to count: an operator and its inputs,
    /// to which the step's status is added (running statistics). See [`Graph::add_deferred_updates`].
    fn deferred_update(&self, _node: &Node, _graph: &Graph) -> Option<(Rc<dyn Operator>, Vec<ValueId>)> {
        None
    }

    /// What an error of this input does: all that a codec has to know to aim at the gradients of weights.
    fn error_role(&self, _input: usize, _inputs: &[&Value]) -> ErrorRole {
        ErrorRole::Unknown
    }

    /// Elements of each scratch value that the kernels use between them.
    fn scratch(&self, _context: &KernelContext) -> Vec<usize> {
        Vec::new()
    }

    /// The ways in which its kernels could divide their work, if a table may choose one of them ([`super::TileTable`]).
    fn tunable(&self, _context: &KernelContext) -> Option<Tunable> {
        None
    }

    /// The input whose memory the first output may take, if that input has no later reader.
    fn may_overwrite(&self) -> Option<usize> {
        None
    }

    /// Inputs that it changes in place (running statistics, parameters under an optimiser).
    fn mutates(&self) -> &'static [usize] {
        &[]
    }

    /// Multiply-adds, counted as the field counts them: those of convolutions and matrix products.
    fn multiply_adds(&self, _inputs: &[&Value], _outputs: &[&Value]) -> u64 {
        0
    }

    /// Rows, columns and depth of the matrix product of the same size, if there is one: of a convolution over a copy of its
    /// input with a column for each position ("im2col").
    fn as_product(&self, _inputs: &[&Value], _outputs: &[&Value]) -> Option<[usize; 3]> {
        None
    }
}

/// `Ok` if the condition holds, else what is wanted.
pub(crate) fn want(condition: bool, what: impl Into<String>) -> Result<(), String> {
    if condition { Ok(()) } else { Err(what.into()) }
}
