//! Bytes become numbers: the first reader of pictures that were uploaded as they are. What the backward pass reads of them is made
//! of the bytes again, so that a picture is kept in 8 bits for each value, exactly.

use crate::ir::{
    AlongBatch, Element, Graph, GraphError, Kernel, KernelContext, Operator, OperatorKind, Output, RecomputeInput,
    RecomputeRule, Value, ValueId, want,
};
use crate::ops::launch::ELEMENTWISE_WORKGROUP;

/// Values of a byte.
const VALUES: usize = 256;

/// `y[n, c, …] = table[c, x[n, c, …]]`. Inputs: x ([`Element::U8`], N×C×…), the table (f32, C×256). A table gives the same bits on
/// every adapter, whatever its division rounds to.
#[derive(Clone, Copy, Debug)]
pub struct NormalizeBytes;

impl Operator for NormalizeBytes {
    fn name(&self) -> &'static str {
        "byte normalisation"
    }

    fn kind(&self) -> OperatorKind {
        OperatorKind::NormalizeBytes
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        let [_, channels, _] = inputs[0].shape.planes().ok_or("the values must have channels")?;
        want(inputs[0].element == Element::U8, "the values must be bytes")?;
        let wanted = format!("there must be {VALUES} numbers for each of {channels} channels");
        want(inputs[1].shape.extents() == [channels, VALUES] && inputs[1].element == Element::F32, wanted)?;
        Ok(vec![Output::new("normalized", inputs[0].shape.clone())])
    }

    fn along_batch(&self, _inputs: &[&Value]) -> AlongBatch {
        AlongBatch::map([1])
    }

    fn recompute(&self, _inputs: &[&Value]) -> Option<RecomputeRule> {
        let pass = RecomputeRule::pass(*self, [RecomputeInput::Input(0), RecomputeInput::Input(1)]);
        Some(RecomputeRule { always: true, ..pass })
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let [samples, channels, plane] = context.inputs[0].shape.planes().expect("checked by outputs");
        let vector = plane.is_multiple_of(4);
        let words = Element::U8.words(samples * channels * plane);
        let kernel = Kernel::new("ops/normalize_bytes")
            .variable("vector", vector)
            .parameter(words)
            .parameters([if vector { plane / 4 } else { plane }, channels])
            .inputs([0, 1])
            .outputs([0])
            .invocations(words, ELEMENTWISE_WORKGROUP);
        vec![kernel]
    }
}

impl Graph {
    /// Bytes N×C×… as f32: `(x / 255 − mean[c]) / std[c]`, to the bit what the host computes.
    ///
    /// # Errors
    /// [`GraphError::Shape`] unless x holds bytes, with a mean and a deviation for each channel; [`GraphError::NameTaken`] if the
    /// scope has such a normalisation already.
    pub fn normalize_bytes(&mut self, x: ValueId, mean: &[f32], std: &[f32]) -> Result<ValueId, GraphError> {
        let channels = mean.iter().zip(std);
        let words = channels
            .clone()
            .flat_map(|(mean, std)| (0..VALUES).map(move |byte| ((byte as f32 / 255.0 - mean) / std).to_bits()));
        let table = self.constant("normalization", [channels.len(), VALUES], Element::F32, words.collect())?;
        self.apply_one(NormalizeBytes, &[x, table])
    }
}
