//! Dropout (arXiv 1207.0580). It keeps nothing: its gradient draws the same random numbers again.

use crate::ir::{
    AlongBatch, Backward, Binding, ErrorRole, Graph, GraphError, Kernel, KernelContext, Operator, Output,
    RecomputeInput, RecomputeRule, Value, ValueId, want,
};
use crate::ops::launch;
use crate::random::hash;

/// y = x / (1 − rate), or 0 with a probability of `rate`. Inputs: x, the control words ([`Graph::control`]).
///
/// Element i, of the whole if x is a part, stays if number i of the stream is at least `rate`; the stream is keyed by seed, step and `stream`. The
/// gradient is the same operator, applied to what arrives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// Share of the elements that become zero.
    pub rate: f32,
    /// The key of the random numbers: two applications must not draw the same ones.
    pub stream: u32,
}

impl Operator for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        want((0.0..1.0).contains(&self.rate), "the rate must lie in [0, 1)")?;
        Ok(vec![Output::new("dropout", inputs[0].shape.clone())])
    }

    fn recompute(&self, _inputs: &[&Value]) -> Option<RecomputeRule> {
        Some(RecomputeRule::pass(*self, [RecomputeInput::Input(0), RecomputeInput::Input(1)]))
    }

    fn error_role(&self, input: usize, _inputs: &[&Value]) -> ErrorRole {
        if input == 0 { ErrorRole::Propagates(&[]) } else { ErrorRole::Unknown }
    }

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        AlongBatch::map([1])
    }

    fn may_overwrite(&self) -> Option<usize> {
        Some(0)
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let kernel = launch::elementwise("ops/dropout", context)
            .parameter(self.stream)
            .parameters([self.rate, 1.0 / (1.0 - self.rate)])
            .parameter(context.inputs[0].first_element())
            .inputs([0, 1]);
        vec![if context.in_place { kernel } else { kernel.bind(Binding::Output(0)) }]
    }

    fn gradient(&self, backward: &mut Backward) -> Result<(), GraphError> {
        let grad_output = backward.grad_output()?;
        let control = backward.input(1);
        let gradient = backward.apply(*self, &[grad_output, control])?[0];
        backward.set_grad_input(0, gradient);
        Ok(())
    }
}

impl Graph {
    /// x with a share of its elements dropped, others in each step; a seed, a step and a place in the net always drop
    /// the same ones.
    ///
    /// # Errors
    /// [`GraphError::Shape`] unless 0 ≤ rate < 1.
    pub fn dropout(&mut self, x: ValueId, rate: f32) -> Result<ValueId, GraphError> {
        let control = self.control();
        let layer = self.layer();
        let place = self.nodes().len() as u32;
        let stream = layer.bytes().fold(hash(place), |key, byte| hash(key ^ u32::from(byte)));
        self.apply_one(Dropout { rate, stream }, &[x, control])
    }
}
