//! The passes of a batch norm as operators of their own: its two maps run slice by slice along the batch, and between them the sums over
//! all samples once. Slices fill their rows of the sums of planes, and the sums of channels are taken of all rows in one order, so
//! that a norm in slices is the same to the bit.

use super::normalize::normalize_then;
use super::{BatchNorm, INPUTS, channel_statistics, plane_statistics, planes};
use crate::ir::{AlongBatch, Kernel, KernelContext, Operator, Output, SplitStep, SplitValue, Value, want};
use crate::ops::epilogue::Epilogue;

/// Mean and sum of squared deviations of each plane: N×C×… becomes N×C×2.
#[derive(Debug)]
struct PlaneStatistics;

/// Mean and inv_std of each channel from its planes, which have `size` elements each.
#[derive(Debug)]
struct ChannelStatistics {
    size: usize,
    epsilon: f32,
}

/// y of x, γ, β, mean, inv_std and what is added.
#[derive(Debug)]
struct Normalize(Epilogue);

/// The steps of a norm with its epilogue over these inputs.
pub(super) fn steps(norm: BatchNorm, epilogue: Epilogue, inputs: &[&Value]) -> Option<Vec<SplitStep>> {
    use SplitValue::{Between, Input, Output};
    let [_, _, size] = inputs.first()?.shape.planes()?;
    let channels = ChannelStatistics { size, epsilon: norm.epsilon };
    let mut map = vec![Input(0), Input(1), Input(2), Output(1), Output(2)];
    map.extend(epilogue.add.then_some(Input(INPUTS)));
    Some(vec![
        SplitStep::new(PlaneStatistics, [Input(0)], [Between(0)]),
        SplitStep::new(channels, [Between(0)], [Output(1), Output(2)]),
        SplitStep::new(Normalize(epilogue), map, [Output(0)]),
    ])
}

/// An output of two sums for each plane of x.
pub(super) fn sums_of_planes(x: &Value) -> Result<Output, String> {
    let [samples, channels, _] = x.shape.planes().ok_or("a value needs samples and channels")?;
    Ok(Output::new("plane_sums", [samples, channels, 2]).always_f32())
}

impl Operator for PlaneStatistics {
    fn name(&self) -> &'static str {
        "batch norm plane statistics"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![sums_of_planes(inputs[0])?])
    }

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        AlongBatch::map([])
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        vec![plane_statistics(planes(context), context.set).outputs([0])]
    }
}

impl Operator for ChannelStatistics {
    fn name(&self) -> &'static str {
        "batch norm channel statistics"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        let [_, channels, _] = inputs[0].shape.planes().ok_or("sums need samples and channels")?;
        Ok(vec![Output::new("mean", [channels]).always_f32(), Output::new("inv_std", [channels]).always_f32()])
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let [samples, channels, _] = planes(context);
        let kernel = channel_statistics([samples, channels, self.size], self.epsilon, context.set);
        vec![kernel.inputs([0]).outputs([0, 1])]
    }
}

impl Operator for Normalize {
    fn name(&self) -> &'static str {
        "batch norm map"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        if self.0.add {
            want(inputs[INPUTS].shape == inputs[0].shape, "what is added must have the shape of the output")?;
        }
        Ok(vec![Output::new("normalized", inputs[0].shape.clone())])
    }

    fn may_overwrite(&self) -> Option<usize> {
        Some(0)
    }

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        AlongBatch::map([1, 2, 3, 4])
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        vec![normalize_then(self.0, context, None, |kernel| kernel.inputs(0..INPUTS))]
    }
}
