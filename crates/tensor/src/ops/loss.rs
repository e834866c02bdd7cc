//! Losses, averaged over the samples that count: cross-entropy ([`super::cross_entropy`]), and those that compare a prediction
//! with its target element by element. Each keeps its prediction as it is.

use super::cross_entropy::CrossEntropy;
use crate::ir::{
    Backward, Binding, Element, Graph, GraphError, Kernel, KernelContext, Need, Operator, Output, Value, ValueId, want,
};
use crate::ops::launch;

/// What is made small.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Loss {
    /// Softmax and cross-entropy against labels, or against shares of the classes.
    CrossEntropy {
        /// The share of a target that all classes have between them (arXiv 1512.00567).
        smoothing: f32,
    },
    /// The mean of some function of each element and its target.
    Elements(ElementLoss),
}

impl Default for Loss {
    fn default() -> Self {
        Self::CrossEntropy { smoothing: 0.0 }
    }
}

/// A function of an element x and its target t.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ElementLoss {
    /// (x − t)².
    MeanSquared,
    /// |x − t|; the gradient is 0 where both are equal.
    MeanAbsolute,
    /// −t·log σ(x) − (1 − t)·log(1 − σ(x)), worked out from x so that nothing overflows.
    BinaryCrossEntropy,
}

/// The mean over samples with mask 1 of the mean of f(x, t) over their elements.
///
/// Inputs: prediction N×…, target, mask N, status. The target has the prediction's shape, or it is N labels (words): then a
/// sample's target is 1 at its label and 0 elsewhere, and a prediction is correct if it is largest there. Output and status as
/// those of [`CrossEntropy`].
#[derive(Debug)]
struct MeanOfElements(ElementLoss);

#[derive(Debug)]
struct MeanOfElementsGradient(ElementLoss);

impl ElementLoss {
    fn names(self) -> [&'static str; 3] {
        match self {
            Self::MeanSquared => ["mean squared error", "mean squared error gradient", "squared"],
            Self::MeanAbsolute => ["mean absolute error", "mean absolute error gradient", "absolute"],
            Self::BinaryCrossEntropy => ["binary cross-entropy", "binary cross-entropy gradient", "binary"],
        }
    }
}

/// Samples and elements of each.
fn extents(prediction: &Value) -> [usize; 2] {
    let samples = prediction.shape[0];
    [samples, prediction.shape.elements() / samples]
}

fn with_labels(context: &KernelContext) -> bool {
    context.inputs[1].element == Element::U32
}

impl Operator for MeanOfElements {
    fn name(&self) -> &'static str {
        self.0.names()[0]
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        let (prediction, target) = (&inputs[0].shape, inputs[1]);
        want(prediction.rank() > 1 && prediction.elements() > 0, "there must be samples with elements")?;
        let samples = prediction[0];
        match target.element {
            Element::F32 => want(target.shape == *prediction, "prediction and target must have one shape")?,
            Element::U32 => {
                want(prediction.rank() == 2, "with labels, predictions must be samples × classes")?;
                want(target.shape.extents() == [samples], format!("there must be {samples} labels"))?;
            }
            Element::U8 | Element::Bit => return Err("labels are words, other targets are f32".into()),
        }
        want(inputs[2].shape.extents() == [samples], format!("the mask must have {samples} elements"))?;
        Ok(vec![Output::new("loss", [4]).always_f32()])
    }

    fn mutates(&self) -> &'static [usize] {
        &[3]
    }

    fn scratch(&self, context: &KernelContext) -> Vec<usize> {
        vec![2 * context.inputs[0].shape[0]]
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let [samples, elements] = extents(context.inputs[0]);
        let each = launch::reduce_planes("ops/loss/samples", samples, elements, context.set)
            .variable("kind", self.0.names()[2])
            .variable("labels", with_labels(context))
            .parameter(elements)
            .inputs([0, 1])
            .bind(Binding::Scratch(0));
        let total = Kernel::new("ops/cross_entropy/total")
            .parameter(samples)
            .rounds(samples + 1)
            .bind(Binding::Scratch(0))
            .inputs([2, 3])
            .outputs([0])
            .workgroups(1);
        vec![each, total]
    }

    fn gradient(&self, backward: &mut Backward) -> Result<(), GraphError> {
        let [prediction, target, mask] = [0, 1, 2].map(|index| backward.save(backward.input(index), Need::Exact));
        let loss = backward.output(0);
        let inputs: Vec<ValueId> = [prediction, target, mask, loss].into_iter().chain(backward.seed()).collect();
        let gradient = backward.apply(MeanOfElementsGradient(self.0), &inputs)?[0];
        backward.set_grad_input(0, gradient);
        Ok(())
    }
}

impl Operator for MeanOfElementsGradient {
    fn name(&self) -> &'static str {
        self.0.names()[1]
    }

    fn outputs(&self, inputs: &[&Value]) -> Result<Vec<Output>, String> {
        Ok(vec![Output::new("prediction_gradient", inputs[0].shape.clone())])
    }

    fn kernels(&self, context: &KernelContext) -> Vec<Kernel> {
        let [samples, elements] = extents(context.inputs[0]);
        let kernel = launch::map_planes_of("ops/loss/gradient", context, [1, samples, elements])
            .variable("kind", self.0.names()[2])
            .variable("labels", with_labels(context))
            .variable("seeded", context.inputs.len() > 4)
            .parameter(elements)
            .inputs(0..context.inputs.len())
            .outputs([0]);
        vec![kernel]
    }
}

impl Graph {
    /// A loss of a prediction (N×…) against its target: N labels, or a value of the prediction's shape, which for cross-entropy
    /// (N×K) holds a share of each class.
    /// A sample with mask 0 does not count. The result is read back after each step: mean loss, correct predictions, samples
    /// counted.
    ///
    /// # Errors
    /// [`GraphError::Shape`] unless prediction, target and mask agree.
    pub fn loss(
        &mut self,
        loss: Loss,
        prediction: ValueId,
        target: ValueId,
        mask: ValueId,
    ) -> Result<ValueId, GraphError> {
        let inputs = [prediction, target, mask, self.status()?];
        let loss = match loss {
            Loss::CrossEntropy { smoothing } => self.apply_one(CrossEntropy { smoothing }, &inputs)?,
            Loss::Elements(elements) => self.apply_one(MeanOfElements(elements), &inputs)?,
        };
        self.mark_metric(loss);
        Ok(loss)
    }
}
