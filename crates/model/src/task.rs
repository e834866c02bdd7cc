//! What a net is trained for: which inputs a step has, what it is told of each sample, which loss is usual, what the step counts,
//! and how predictions are evaluated. Whatever trains or evaluates a net asks its task and knows no net by name.

use frugal_tensor::ir::Element;
use frugal_tensor::ops::loss::{ElementLoss, Loss};
use std::fmt;

/// Name of the input of images: N×C×H×W.
pub const IMAGES: &str = "images";
/// Name of the input of a table's numbers: N×columns, standardised.
pub const NUMBERS: &str = "numbers";
/// Name of the input of a table's categories: N×columns words, each the row of a table of embeddings.
pub const CATEGORIES: &str = "categories";
/// Name of the input of labels: N words.
pub const LABELS: &str = "labels";
/// Name of the input that takes the place of labels where a target has the prediction's shape.
pub const TARGETS: &str = "targets";
/// Name of the input that says which samples count: N elements, 1 or 0.
pub const MASK: &str = "mask";
/// Name of the output of a step that holds the mean loss, how many predictions are correct, and how many samples count.
pub const LOSS: &str = "loss";
/// Name of the output of a step that holds what the net makes of each sample.
pub const PREDICTIONS: &str = "predictions";

/// What one sample is, as a net sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    /// Channels, height and width of an image.
    Image([usize; 3]),
    /// A row of a table.
    Row(Row),
}

/// What a row of a table consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Columns of numbers.
    pub numbers: usize,
    /// Columns of categories.
    pub categories: usize,
    /// Rows of the table of embeddings that all columns share: one for each category of each column, and one of each column for
    /// what is unknown.
    pub vocabulary: usize,
}

impl From<[usize; 3]> for Sample {
    fn from(image: [usize; 3]) -> Self {
        Self::Image(image)
    }
}

/// In the plural: `3×32×32 images`.
impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image([channels, height, width]) => write!(f, "{channels}×{height}×{width} images"),
            Self::Row(Row { numbers, categories, .. }) => {
                write!(f, "rows of {categories} categories and {numbers} numbers")
            }
        }
    }
}

impl Sample {
    /// Its extents: channels, height and width, or of a row how many categories and numbers it has.
    pub fn extents(self) -> Vec<usize> {
        match self {
            Self::Image(image) => image.to_vec(),
            Self::Row(Row { numbers, categories, .. }) => vec![categories, numbers],
        }
    }

    /// Channels, height and width, if it is an image.
    pub fn image(self) -> Option<[usize; 3]> {
        match self {
            Self::Image(image) => Some(image),
            Self::Row(_) => None,
        }
    }

    /// The inputs of a step that samples are uploaded to: names, extents of one sample and types of elements, of images that the host has
    /// normalised ([`Net::inputs`](crate::Net::inputs) says what those of a net are).
    pub fn inputs(self) -> Vec<ArrayShape> {
        match self {
            Self::Image(image) => vec![ArrayShape::new(IMAGES, image, Element::F32)],
            Self::Row(Row { numbers, categories, .. }) => {
                let categories = (categories > 0).then(|| ArrayShape::new(CATEGORIES, [categories], Element::U32));
                let numbers = (numbers > 0).then(|| ArrayShape::new(NUMBERS, [numbers], Element::F32));
                categories.into_iter().chain(numbers).collect()
            }
        }
    }
}

/// A named array of a step, sample by sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArrayShape {
    /// The name of the input.
    pub name: &'static str,
    /// The extents of one sample.
    pub extents: Vec<usize>,
    /// The type of its elements.
    pub element: Element,
}

impl ArrayShape {
    fn new(name: &'static str, extents: impl Into<Vec<usize>>, element: Element) -> Self {
        Self { name, extents: extents.into(), element }
    }

    /// The same array of other elements.
    pub(crate) fn of(self, element: Element) -> Self {
        Self { element, ..self }
    }
}

/// What a net makes of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// A logit for each class: N×classes.
    Classes,
    /// A logit for each class and pixel: N×classes×H×W.
    Pixels,
    /// The images again: N×C×H×W.
    Images,
    /// Numbers: N×values.
    Values,
}

/// What is said of the predictions for a whole set, besides their mean loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// The share of samples whose largest logit is that of their class. The step counts them.
    Accuracy,
    /// The area under the receiver operating characteristic, of two classes ([`crate::metrics::auc`]). It takes all predictions.
    Auc,
    /// The share of the targets' variance that the predictions explain ([`crate::metrics::r_squared`]). It takes all predictions.
    RSquared,
    /// The peak signal-to-noise ratio of images from 0 to 1, which follows from the mean squared error.
    Psnr,
}

impl Metric {
    /// Whether it is worked out from the predictions for all samples, so that an evaluation reads them back.
    pub fn takes_predictions(self) -> bool {
        matches!(self, Self::Auc | Self::RSquared)
    }
}

impl Task {
    /// What a step is told of each sample: its label, or, of classes whose samples are mixed and of all that is no class,
    /// targets of the prediction's shape. `outputs` is the number of classes or values.
    pub fn target(self, sample: Sample, outputs: usize, mixed: bool) -> ArrayShape {
        match self {
            Self::Classes if !mixed => ArrayShape::new(LABELS, [], Element::U32),
            _ => ArrayShape::new(TARGETS, self.prediction(sample, outputs), Element::F32),
        }
    }

    /// The extents of what the net makes of one sample.
    pub fn prediction(self, sample: Sample, outputs: usize) -> Vec<usize> {
        match (self, sample) {
            (Self::Pixels, Sample::Image([_, height, width])) => vec![outputs, height, width],
            (Self::Images, Sample::Image(image)) => image.to_vec(),
            _ => vec![outputs],
        }
    }

    /// The default loss.
    pub fn usual_loss(self) -> Loss {
        match self {
            Self::Classes => Loss::default(),
            Self::Pixels | Self::Images | Self::Values => Loss::Elements(ElementLoss::MeanSquared),
        }
    }

    /// Whether a net with this task can be trained by a loss: cross-entropy takes classes, binary cross-entropy none of arbitrary
    /// values.
    pub fn takes(self, loss: Loss) -> bool {
        match loss {
            Loss::CrossEntropy { .. } => self == Self::Classes,
            Loss::Elements(ElementLoss::BinaryCrossEntropy) => self != Self::Values,
            _ => true,
        }
    }

    /// Whether the step counts correct predictions.
    pub fn counts_correct(self) -> bool {
        self == Self::Classes
    }

    /// What is said of an evaluation besides the mean of a loss, the most telling first.
    pub fn metrics(self, sample: Sample, outputs: usize, loss: Loss) -> Vec<Metric> {
        match (self, sample) {
            (Self::Classes, Sample::Row(_)) if outputs == 2 => vec![Metric::Accuracy, Metric::Auc],
            (Self::Classes, _) => vec![Metric::Accuracy],
            (Self::Values, _) => vec![Metric::RSquared],
            (Self::Images | Self::Pixels, _) if loss == Loss::Elements(ElementLoss::MeanSquared) => vec![Metric::Psnr],
            (Self::Images | Self::Pixels, _) => Vec::new(),
        }
    }

    /// What the net makes, in words.
    pub(crate) fn makes(self) -> &'static str {
        match self {
            Self::Classes => "logits",
            Self::Pixels => "logits for each pixel",
            Self::Images => "images",
            Self::Values => "numbers",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_says_what_a_step_is_told() {
        let image = Sample::Image([3, 8, 6]);
        let row = Sample::Row(Row { numbers: 2, categories: 3, vocabulary: 20 });
        let labels = Task::Classes.target(image, 10, false);
        assert_eq!((labels.name, labels.extents.len(), labels.element), (LABELS, 0, Element::U32));
        assert_eq!(Task::Classes.target(image, 10, true), ArrayShape::new(TARGETS, [10], Element::F32));
        assert_eq!(Task::Pixels.target(image, 4, false).extents, [4, 8, 6]);
        assert_eq!(Task::Images.target(image, 4, false).extents, [3, 8, 6]);
        assert_eq!(Task::Values.target(row, 1, false), ArrayShape::new(TARGETS, [1], Element::F32));
        let names = |sample: Sample| sample.inputs().into_iter().map(|input| input.name).collect::<Vec<_>>();
        assert_eq!((names(image), names(row)), (vec![IMAGES], vec![CATEGORIES, NUMBERS]));
        assert_eq!(names(Sample::Row(Row { numbers: 1, categories: 0, vocabulary: 0 })), [NUMBERS]);
    }

    #[test]
    fn what_is_evaluated_follows_from_the_task() {
        let image = Sample::Image([3, 8, 6]);
        let row = Sample::Row(Row { numbers: 2, categories: 3, vocabulary: 20 });
        let mse = Loss::Elements(ElementLoss::MeanSquared);
        assert_eq!(Task::Classes.metrics(row, 2, Loss::default()), [Metric::Accuracy, Metric::Auc]);
        assert_eq!(Task::Classes.metrics(row, 3, Loss::default()), [Metric::Accuracy]);
        assert_eq!(Task::Classes.metrics(image, 2, Loss::default()), [Metric::Accuracy]);
        assert_eq!(Task::Images.metrics(image, 2, mse), [Metric::Psnr]);
        assert!(Task::Images.metrics(image, 2, Loss::Elements(ElementLoss::MeanAbsolute)).is_empty());
        assert_eq!(Task::Values.metrics(row, 1, mse), [Metric::RSquared]);
        assert!(!Task::Values.takes(Loss::default()) && Task::Classes.takes(mse));
    }
}
