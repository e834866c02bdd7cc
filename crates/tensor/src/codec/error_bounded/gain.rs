//! What an error does to the gradient of a weight: Σ δ² over the planes of what arrives there.

use crate::ir::{AlongBatch, BatchSlice, Binding, Kernel, KernelContext, Operator, Output, Value};
use crate::ops::{activation::Activation, launch};
use std::rc::Rc;

/// Σ δ² of each plane, times scale². Inputs: control, δ (behind an activation what arrives there and what it kept), perhaps the
/// scale of each channel, perhaps what δ was multiplied by. Output: samples × channels.
#[derive(Clone, Debug)]
pub(super) struct Gain {
    /// Steps between two renewals of the bound.
    pub interval: u32,
    /// An activation whose gradient is taken on the way.
    pub behind: Option<Activation>,
    /// Whether channels have a scale.
    pub scaled: bool,
    /// Whether δ was multiplied.
    pub loss_scaled: bool,
    /// The slice of the batch to which δ belongs, if it is not all of it.
    pub slice: Option<BatchSlice>,
}

/// The planes of a further slice. Inputs: those of [`Gain`], then the sums of all planes.
#[derive(Debug)]
struct GainOfSlice(Gain);

impl Gain {
    const NAME: &'static str = "gradient gain";

    /// The places, of so many inputs, of those that are not of single samples: all but δ and what an activation kept.
    fn read_in_full(&self, inputs: usize) -> Vec<usize> {
        let first_other = 2 + usize::from(self.behind.is_some());
        std::iter::once(0).chain(first_other..inputs).collect()
    }

    /// The sums of the planes of δ, from the first so many inputs.
    fn kernel(&self, context: &KernelContext, inputs: usize, sums: Binding) -> Kernel {
        let delta = context.inputs[1];
        let [samples, channels, size] = delta.shape.planes().expect("checked by outputs");
        let gain = launch::reduce_planes("codec/error_bounded/gain", samples * channels, size, context.set)
            .variable("scaled", self.scaled)
            .variable("loss_scaled", self.loss_scaled)
            .variable("gated", true)
            .parameters([channels, delta.first_element() / size.max(1)])
            .parameter(self.interval)
            .inputs(0..inputs)
            .bind(sums);
        match self.behind {
            Some(activation) => activation.slope(gain, context.inputs[2], false),
            None => gain.variable("kind", "none"),
        }
    }
}

impl Operator for Gain {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        let [samples, channels, _] = inputs[1].shape.planes().ok_or("a gradient needs samples and channels")?;
        let samples = self.slice.map_or(samples, |slice| samples / slice.samples * slice.of);
        Ok(vec![Output::new("gain", [samples, channels]).always_f32()])
    }

    /// Slices fill rows of the sums. These are no parts of them, because few channels are less than memory is aligned to.
    fn along_batch(&self, inputs: &[&Value]) -> AlongBatch {
        AlongBatch::sum(self.read_in_full(inputs.len()))
    }

    fn for_slice(&self, slice: BatchSlice) -> Option<Rc<dyn Operator>> {
        Some(Rc::new(Self { slice: Some(slice), ..self.clone() }))
    }

    fn adding(&self) -> Option<Rc<dyn Operator>> {
        Some(Rc::new(GainOfSlice(self.clone())))
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        vec![self.kernel(context, context.inputs.len(), Binding::Output(0))]
    }
}

impl Operator for GainOfSlice {
    fn name(&self) -> &'static str {
        Gain::NAME
    }

    fn outputs(&self, _inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(Vec::new())
    }

    /// The last input.
    fn mutates(&self) -> &'static [usize] {
        match [self.0.behind.is_some(), self.0.scaled, self.0.loss_scaled].into_iter().filter(|more| *more).count() {
            0 => &[2],
            1 => &[3],
            2 => &[4],
            _ => &[5],
        }
    }

    fn along_batch(&self, inputs: &[&Value]) -> AlongBatch {
        AlongBatch::sum(self.0.read_in_full(inputs.len()))
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let sums = context.inputs.len() - 1;
        vec![self.0.kernel(context, sums, Binding::Input(sums))]
    }
}
