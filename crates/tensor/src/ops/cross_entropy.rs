//! The loss of classification: softmax and cross-entropy, averaged over the samples that count.

use super::loss::Loss;
use crate::ir::{
    Backward, Binding, Element, Graph, GraphError, Kernel, KernelContext, Need, Operator, Output, Value, ValueId, want,
};

/// Mean of −Σ t·log softmax(logits) over samples with mask 1; the target t is 1 − smoothing at the label, and smoothing / K
/// besides at each of the K classes. In the place of a label there may be a share of each class: then t is (1 − smoothing) times
/// that, and a prediction is correct if it is largest where the shares are.
///
/// Inputs: logits N×K, labels (words) N or shares N×K, mask N, status. Output: four metric words: mean loss, correct predictions,
/// samples counted, spare. A loss that is not finite raises the first word of `status`, and optimisers then leave the
/// parameters alone: the host learns of it some steps later and finds them as they were.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrossEntropy {
    /// The share of a target that all classes have between them (arXiv 1512.00567), as PyTorch's `label_smoothing`.
    pub smoothing: f32,
}

#[derive(Debug)]
struct CrossEntropyGradient {
    smoothing: f32,
}

impl Graph {
    /// Softmax cross-entropy of logits against labels; a sample with mask 0 does not count. The result is read back
    /// after each step: mean loss, correct predictions, samples counted.
    ///
    /// # Errors
    /// [`GraphError::Shape`] unless there is one label and one mask element per row of logits.
    pub fn cross_entropy(&mut self, logits: ValueId, labels: ValueId, mask: ValueId) -> Result<ValueId, GraphError> {
        self.loss(Loss::default(), logits, labels, mask)
    }
}

fn extents(value: &Value) -> [usize; 2] {
    value.shape.matrix().expect("checked by outputs")
}

/// How often the kernels go through the classes of a sample, at most; the gradient's once more.
const PASSES: usize = 3;

/// How many classes a kernel takes in a round of its loops.
fn step(classes: usize) -> usize {
    if classes > 4096 { 8 } else { 1 }
}

fn with_shares(context: &KernelContext) -> bool {
    context.inputs[1].element == Element::F32
}

impl Operator for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        let [samples, classes] = inputs[0].shape.matrix().ok_or("logits must be samples × classes")?;
        want((0.0..=1.0).contains(&self.smoothing), "the smoothing must lie in [0, 1]")?;
        want(samples * classes > 0, "there must be samples and classes")?;
        match inputs[1].element {
            Element::F32 => want(inputs[1].shape == inputs[0].shape, "there must be a share of each class, or words")?,
            Element::U32 => {
                want(inputs[1].shape.extents() == [samples], format!("there must be {samples} labels"))?;
            }
            Element::U8 | Element::Bit => return Err("labels are words, shares are f32".into()),
        }
        want(inputs[2].shape.extents() == [samples], format!("the mask must have {samples} elements"))?;
        Ok(vec![Output::new("loss", [4]).always_f32()])
    }

    fn mutates(&self) -> &'static [usize] {
        &[3]
    }

    fn scratch(&self, context: &KernelContext) -> Vec<usize> {
        vec![2 * extents(context.inputs[0])[0]]
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let [samples, classes] = extents(context.inputs[0]);
        let each = Kernel::new("ops/cross_entropy/samples")
            .variable("smoothed", self.smoothing > 0.0)
            .variable("shares", with_shares(context))
            .variable("step", step(classes))
            .parameters([samples, classes])
            .parameter(self.smoothing)
            .inputs([0, 1])
            .bind(Binding::Scratch(0))
            .rounds(PASSES * classes.div_ceil(step(classes)))
            .invocations(samples, 8);
        let total = Kernel::new("ops/cross_entropy/total")
            .parameter(samples)
            .bind(Binding::Scratch(0))
            .inputs([2, 3])
            .outputs([0])
            .rounds(samples + 1)
            .workgroups(1);
        vec![each, total]
    }

    fn gradient(&self, backward: &mut Backward) -> Result<(), GraphError> {
        let logits = backward.save(backward.input(0), Need::Exact);
        let labels = backward.save(backward.input(1), Need::Exact);
        let mask = backward.save(backward.input(2), Need::Exact);
        let loss = backward.output(0);
        let inputs: Vec<ValueId> = [logits, labels, mask, loss].into_iter().chain(backward.seed()).collect();
        let gradient = backward.apply(CrossEntropyGradient { smoothing: self.smoothing }, &inputs)?[0];
        backward.set_grad_input(0, gradient);
        Ok(())
    }
}

impl Operator for CrossEntropyGradient {
    fn name(&self) -> &'static str {
        "cross-entropy gradient"
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::new("logits_gradient", inputs[0].shape.clone())])
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let [samples, classes] = extents(context.inputs[0]);
        let kernel = Kernel::new("ops/cross_entropy/gradient")
            .variable("smoothed", self.smoothing > 0.0)
            .variable("shares", with_shares(context))
            .variable("seeded", context.inputs.len() > 4)
            .variable("step", step(classes))
            .parameters([samples, classes])
            .parameter(self.smoothing)
            .inputs(0..context.inputs.len())
            .outputs([0])
            .rounds((PASSES + 1) * classes.div_ceil(step(classes)))
            .invocations(samples, 8);
        vec![kernel]
    }
}
