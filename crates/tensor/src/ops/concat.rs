//! Concatenation along the channels. It keeps nothing, and nobody keeps what it makes: the backward pass puts the inputs
//! together again, one by one, so that in a densely connected net each layer's output waits once.

use super::slice::Slice;
use crate::ir::{
    AlongBatch, Backward, BatchSlice, ErrorRole, Graph, GraphError, Kernel, KernelContext, Operator, Output,
    RecomputeInput, RecomputeRule, Shape, Value, ValueId, want,
};
use std::rc::Rc;

/// All channels of the first input, then all of the second, and so on; everything else must agree.
#[derive(Debug)]
pub struct Concat;

/// A part in its place of a concatenation. Inputs: the part, and unless it is the first one the concatenation so far.
#[derive(Debug)]
struct Put {
    /// Its first channel in the whole.
    first: usize,
    whole: Shape,
}

/// Copies one piece of each sample: `run` elements, `from` and `to` the (distance between samples, first element).
pub(super) fn copy(samples: usize, run: usize, from: [usize; 2], to: [usize; 2]) -> Kernel {
    let vector = [run].iter().chain(&from).chain(&to).all(|n| n.is_multiple_of(4));
    let lanes = |n: usize| if vector { n / 4 } else { n };
    let chunks = lanes(run).div_ceil(CHUNK);
    Kernel::new("ops/concat/copy")
        .variable("vector", vector)
        .parameters([samples, chunks, lanes(run)])
        .parameters(from.map(lanes))
        .parameters(to.map(lanes))
        .workgroups(samples * chunks)
}

/// Lanes that a workgroup copies.
const CHUNK: usize = 256;

impl Operator for Concat {
    fn name(&self) -> &'static str {
        "concatenation"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        let mut extents = inputs.first().ok_or("there must be inputs")?.shape.extents().to_vec();
        want(extents.len() >= 2, "a value needs samples and channels")?;
        for value in &inputs[1..] {
            let other = value.shape.extents();
            let agree = other.len() == extents.len() && other[0] == extents[0] && other[2..] == extents[2..];
            want(agree, "all must agree in everything but the channels")?;
            extents[1] += other[1];
        }
        Ok(vec![Output::new("concatenated", extents.as_slice())])
    }

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        AlongBatch::map([])
    }

    fn recompute(&self, inputs: &[&Value]) -> Option<RecomputeRule> {
        let mut extents = inputs[0].shape.extents().to_vec();
        extents[1] = inputs.iter().map(|value| value.shape[1]).sum();
        let mut first = 0;
        let put = |(index, value): (usize, &&Value)| {
            let put = Put { first, whole: extents.as_slice().into() };
            first += value.shape[1];
            let parts = [RecomputeInput::Input(index)]
                .into_iter()
                .chain((index > 0).then_some(RecomputeInput::SoFar))
                .collect();
            (Rc::new(put) as Rc<dyn Operator>, parts)
        };
        Some(RecomputeRule { steps: inputs.iter().enumerate().map(put).collect(), always: true })
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let [samples, channels, size] = context.outputs[0].shape.planes().expect("checked by outputs");
        let mut start = 0;
        let copies = context.inputs.iter().enumerate().map(|(index, input)| {
            let run = input.shape[1] * size;
            let kernel = copy(samples, run, [run, 0], [channels * size, start]);
            start += run;
            kernel.inputs([index]).outputs([0])
        });
        copies.collect()
    }

    fn gradient(&self, backward: &mut Backward) -> Result<(), GraphError> {
        let grad_output = backward.grad_output()?;
        let mut first = 0;
        for index in 0..backward.inputs() {
            let part = backward.value(backward.input(index)).shape.clone();
            let channels = part[1];
            if backward.wants(index) {
                let slice = Slice::axis(&part, 1, first as isize, channels);
                let gradient = backward.apply(slice, &[grad_output])?[0];
                backward.set_grad_input(index, gradient);
            }
            first += channels;
        }
        Ok(())
    }
}

impl Operator for Put {
    fn name(&self) -> &'static str {
        "concatenation of kept parts"
    }

    fn error_role(&self, _input: usize, _inputs: &[&Value]) -> ErrorRole {
        ErrorRole::Propagates(&[])
    }

    fn outputs(&self, _inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::new("concatenated", self.whole.clone())])
    }

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        AlongBatch::map([])
    }

    fn for_slice(&self, slice: BatchSlice) -> Option<Rc<dyn Operator>> {
        Some(Rc::new(Self { whole: slice.shape(&self.whole), ..*self }))
    }

    fn may_overwrite(&self) -> Option<usize> {
        Some(1)
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let [samples, channels, size] = self.whole.planes().expect("checked forward");
        let run = context.inputs[0].shape[1] * size;
        let put = copy(samples, run, [run, 0], [channels * size, self.first * size]).inputs([0]);
        if context.in_place {
            return vec![put.inputs([1])];
        }
        let whole = [channels * size, 0];
        let so_far =
            context.inputs.get(1).map(|_| copy(samples, self.first * size, whole, whole).inputs([1]).outputs([0]));
        so_far.into_iter().chain([put.outputs([0])]).collect()
    }
}

impl Graph {
    /// The channels of all these values, one after the other.
    ///
    /// # Errors
    /// [`GraphError::Shape`] unless they agree in everything but the channels.
    pub fn concat(&mut self, parts: &[ValueId]) -> Result<ValueId, GraphError> {
        match parts {
            [part] => Ok(*part),
            parts => self.apply_one(Concat, parts),
        }
    }
}
