//! What an error does to the gradient of a weight: Σ δ² over the planes of what arrives there.

use crate::ir::{AlongBatch, Binding, Kernel, KernelContext, Operator, Output, SplitStep, SplitValue, Value};
use crate::ops::{activation::Activation, launch, room::Room};
use std::ops::Range;
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
}

/// The planes of a slice. Inputs: control, the sums of all planes, then those of [`Gain`] from δ on.
#[derive(Debug)]
struct GainOfSlice(Gain);

impl Gain {
    const NAME: &'static str = "gradient gain";

    /// The sums of the planes of δ, which is the first of the inputs at `places`.
    fn kernel(&self, context: &KernelContext, places: Range<usize>, sums: Binding) -> Kernel {
        let delta = context.inputs[places.start];
        let [samples, channels, size] = delta.shape.planes().expect("checked by outputs");
        let gain = launch::reduce_planes("codec/error_bounded/gain", samples * channels, size, context.set)
            .variable("scaled", self.scaled)
            .variable("loss_scaled", self.loss_scaled)
            .variable("gated", true)
            .parameters([channels, delta.first_element() / size.max(1)])
            .parameter(self.interval)
            .inputs([0])
            .inputs(places.clone())
            .bind(sums);
        match self.behind {
            Some(activation) => activation.slope(gain, context.inputs[places.start + 1], false),
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
        Ok(vec![Output::new("gain", [samples, channels]).always_f32()])
    }

    /// Slices fill rows of the sums, which are no windows: their bytes may be few.
    fn split(&self, inputs: &[&Value]) -> Option<Vec<SplitStep>> {
        let [samples, channels, _] = inputs[1].shape.planes()?;
        let sums = SplitValue::Output(0);
        let others = (1..inputs.len()).map(SplitValue::Input);
        Some(vec![
            SplitStep {
                operator: Rc::new(Room { name: "gain", shape: [samples, channels].into() }),
                inputs: Vec::new(),
                outputs: vec![sums],
            },
            SplitStep {
                operator: Rc::new(GainOfSlice(self.clone())),
                inputs: [SplitValue::Input(0), sums].into_iter().chain(others).collect(),
                outputs: Vec::new(),
            },
        ])
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        vec![self.kernel(context, 1..context.inputs.len(), Binding::Output(0))]
    }
}

impl Operator for GainOfSlice {
    fn name(&self) -> &'static str {
        Gain::NAME
    }

    fn outputs(&self, _inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(Vec::new())
    }

    fn mutates(&self) -> &'static [usize] {
        &[1]
    }

    /// Besides δ and what the activation kept all is read in full.
    fn along_batch(&self, inputs: &[&Value]) -> AlongBatch {
        let others = 3 + usize::from(self.0.behind.is_some())..inputs.len();
        AlongBatch::map([0, 1].into_iter().chain(others).collect::<Vec<usize>>())
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        vec![self.0.kernel(context, 2..context.inputs.len(), Binding::Input(1))]
    }
}
