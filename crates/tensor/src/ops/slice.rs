//! Slices, crops and padding: a box of a value, with zeros where the box reaches beyond it. Keeps nothing; the gradient is
//! the box the other way round.

use super::concat;
use crate::ir::{
    AlongBatch, Backward, BatchSlice, ErrorRole, Graph, GraphError, Kernel, KernelContext, MOST_ELEMENTS, Operator,
    Output, RecomputeInput, RecomputeRule, Shape, Value, ValueId, want,
};
use std::ops::Range;
use std::rc::Rc;

/// `y[i, j, …] = x[i + offsets[0], j + offsets[1], …]`, or 0 where x has no such element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Where the box begins on each axis; before the value if negative.
    pub offsets: Vec<isize>,
    /// Its extents.
    pub extents: Vec<usize>,
}

/// An axis of the box.
#[derive(Clone, Copy)]
struct Axis {
    made: usize,
    read: usize,
    offset: isize,
}

impl Axis {
    fn untouched(self) -> bool {
        self.made == self.read && self.offset == 0
    }

    fn inside(self) -> bool {
        self.offset >= 0 && self.offset as usize + self.made <= self.read
    }
}

impl Slice {
    /// A box that differs from a value of this shape along one axis alone.
    pub fn axis(shape: &Shape, axis: usize, offset: isize, extent: usize) -> Self {
        let mut this = Self { offsets: vec![0; shape.rank()], extents: shape.extents().to_vec() };
        if axis < shape.rank() {
            (this.offsets[axis], this.extents[axis]) = (offset, extent);
        }
        this
    }

    /// The axes, with those that the box spans as a whole taken together with the ones outside them.
    fn axes(&self, input: &Shape) -> Vec<Axis> {
        let each = self.extents.iter().zip(input.extents()).zip(&self.offsets);
        let mut axes: Vec<Axis> = Vec::new();
        for axis in each.map(|((&made, &read), &offset)| Axis { made, read, offset }) {
            match axes.last_mut() {
                Some(outer) if axis.untouched() => {
                    outer.made *= axis.made;
                    outer.read *= axis.read;
                    outer.offset *= axis.read as isize;
                }
                _ => axes.push(axis),
            }
        }
        axes
    }
}

impl Operator for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        let rank = inputs[0].shape.rank();
        want([self.offsets.len(), self.extents.len()] == [rank; 2], format!("the box must have {rank} axes"))?;
        want(self.extents.iter().all(|&extent| extent > 0), "the box must not be empty")?;
        let near = self.offsets.iter().all(|offset| i32::try_from(*offset).is_ok());
        want(near, "the box is too far away")?;
        want(Shape::from(self.extents.as_slice()).is_countable(), "the box has more elements than kernels count")?;
        let axes = self.axes(&inputs[0].shape);
        want(axes.len() <= 4, "at most four axes apart can be cut")?;
        // Kernels count from the beginning of the value to the end of the box, and the other way round.
        let reach = |axis: &Axis| axis.offset.unsigned_abs() + axis.made.max(axis.read);
        want(axes.iter().all(|axis| reach(axis) <= MOST_ELEMENTS), "the box is too far away")?;
        Ok(vec![Output::new("slice", self.extents.as_slice())])
    }

    /// A box within each sample.
    fn along_batch(&self, inputs: &[&Value]) -> AlongBatch {
        let all_samples = self.offsets.first() == Some(&0) && self.extents.first() == inputs[0].shape.extents().first();
        if all_samples { AlongBatch::map([]) } else { AlongBatch::Whole }
    }

    fn for_slice(&self, slice: BatchSlice) -> Option<Rc<dyn Operator>> {
        let extents = slice.shape(&self.extents.as_slice().into()).extents().to_vec();
        Some(Rc::new(Self { extents, ..self.clone() }))
    }

    fn recompute(&self, _inputs: &[&Value]) -> Option<RecomputeRule> {
        Some(RecomputeRule::pass(self.clone(), [RecomputeInput::Input(0)]))
    }

    fn error_role(&self, _input: usize, _inputs: &[&Value]) -> ErrorRole {
        ErrorRole::Propagates(&[])
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let mut axes = self.axes(&context.inputs[0].shape);
        if let [rest @ .., axis] = axes.as_slice()
            && axis.inside()
            && rest.len() < 2
            && rest.iter().all(|axis| axis.untouched())
        {
            let samples = rest.first().map_or(1, |axis| axis.made);
            let copy = concat::copy(samples, axis.made, [axis.read, axis.offset as usize], [axis.made, 0]);
            return vec![copy.inputs([0]).outputs([0])];
        }
        while axes.len() < 4 {
            axes.insert(0, Axis { made: 1, read: 1, offset: 0 });
        }
        let last = &mut axes[3];
        let vector = [last.made, last.read, last.offset.unsigned_abs()].iter().all(|n| n.is_multiple_of(4));
        if vector {
            *last = Axis { made: last.made / 4, read: last.read / 4, offset: last.offset / 4 };
        }
        let elements = context.outputs[0].shape.elements();
        let count = if vector { elements / 4 } else { elements };
        let kernel = Kernel::new("ops/slice")
            .variable("vector", vector)
            .parameter(count)
            .parameters(axes.iter().skip(1).map(|axis| axis.made))
            .parameters(axes.iter().map(|axis| axis.read))
            .parameters(axes.iter().map(|axis| axis.offset as i32 as u32))
            .inputs([0])
            .outputs([0])
            .invocations(count, 64);
        vec![kernel]
    }

    fn gradient(&self, backward: &mut Backward) -> Result<(), GraphError> {
        let grad_output = backward.grad_output()?;
        let extents = backward.value(backward.input(0)).shape.extents().to_vec();
        let back = Slice { offsets: self.offsets.iter().map(|offset| -offset).collect(), extents };
        let gradient = backward.apply(back, &[grad_output])?[0];
        backward.set_grad_input(0, gradient);
        Ok(())
    }
}

impl Graph {
    /// Part of x along one axis.
    ///
    /// # Errors
    /// [`GraphError::Shape`] unless x has the axis and, on it, the range.
    pub fn slice(&mut self, x: ValueId, axis: usize, range: Range<usize>) -> Result<ValueId, GraphError> {
        let shape = self.shape(x);
        if shape.extents().get(axis).is_none_or(|&extent| range.end > extent) {
            return Err(GraphError::Shape {
                layer: self.layer(),
                operator: "slice",
                shapes: vec![shape.clone()],
                reason: format!("axis {axis} has no range {range:?}"),
            });
        }
        let slice = Slice::axis(shape, axis, range.start as isize, range.len());
        self.apply_one(slice, &[x])
    }

    /// x with zeros around it: for each of its last axes as many before and after as said.
    ///
    /// # Errors
    /// [`GraphError::Shape`] if x has fewer axes.
    pub fn pad(&mut self, x: ValueId, around: &[[usize; 2]]) -> Result<ValueId, GraphError> {
        let mut extents = self.shape(x).extents().to_vec();
        let mut offsets = vec![0; extents.len().max(around.len())];
        let first = extents.len().saturating_sub(around.len());
        for ((extent, offset), [before, after]) in extents[first..].iter_mut().zip(&mut offsets[first..]).zip(around) {
            // The operator refuses what is too large.
            *extent = extent.saturating_add(*before).saturating_add(*after);
            *offset = isize::try_from(*before).map_or(isize::MIN, |before| -before);
        }
        self.apply_one(Slice { offsets, extents }, &[x])
    }
}
