//! How well a net does on a set.

use serde::ser::SerializeSeq;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

/// Up to so many classes there is a whole confusion matrix, and every class is listed; of more, those that occur.
pub const MOST_DENSE: usize = 1_000;

/// How many pairs of confused classes are listed in the place of a matrix.
pub const MOST_CONFUSED: usize = 1_000;

/// How well a net does on a set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Evaluation {
    /// By classes.
    Classes(Classification),
    /// By images.
    Images(Reconstruction),
    /// By numbers.
    Values(Regression),
}

/// How far numbers are from what was to be predicted, in the unit of the table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Regression {
    /// How many samples were evaluated.
    pub samples: u64,
    /// The column that is predicted.
    pub target: String,
    /// Mean over all samples.
    pub mean_squared_error: f64,
    /// Mean over all samples.
    pub mean_absolute_error: f64,
    /// Share of the target's variance that is explained; none if it has none.
    pub r_squared: Option<f64>,
}

/// How far images are from what was to be made; values go from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reconstruction {
    /// How many samples were evaluated.
    pub samples: u64,
    /// Mean over all values.
    pub squared_error: f64,
    /// Mean over all values.
    pub absolute_error: f64,
    /// Peak signal-to-noise ratio of that squared error, in dB.
    pub psnr: f64,
}

/// How well a net does on a labelled set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Classification {
    /// How many samples were evaluated.
    pub samples: u64,
    /// Mean cross-entropy of the softmax of the outputs, in nats, whatever the loss of the training was.
    pub cross_entropy: f64,
    /// Share of right answers, from 0 to 1.
    pub accuracy: f64,
    /// Share of samples whose class is among the five likeliest; none of nets with few classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_5_accuracy: Option<f64>,
    /// Area under the receiver operating characteristic of the second of two classes; none of nets with more, or where a class has no
    /// samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auc: Option<f64>,
    /// How many classes the net knows.
    pub known_classes: usize,
    /// How many of them have samples.
    pub evaluated_classes: usize,
    /// Class by class: all that the net knows, or, of more than [`MOST_DENSE`], those with samples.
    pub classes: Vec<ClassEvaluation>,
    /// How often a sample of the row's class was taken for the column's; none for more than [`MOST_DENSE`] classes.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "row_by_row")]
    pub confusion: Option<Vec<Vec<u64>>>,
    /// In the place of the matrix: the pairs of classes that were confused, the most frequent first, at most
    /// [`MOST_CONFUSED`] of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confused: Vec<Confused>,
}

/// How well a net does on the samples of one class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassEvaluation {
    /// Its number among the classes of the net.
    pub class: usize,
    /// What it is called.
    pub name: String,
    /// How many samples it has.
    pub samples: u64,
    /// Share of right answers, from 0 to 1; none if it has no samples.
    pub accuracy: Option<f64>,
}

/// Two classes of which one was taken for the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confused {
    /// The right one.
    pub name: String,
    /// The answer.
    pub taken_for: String,
    /// How often.
    pub samples: u64,
}

impl Classification {
    /// The pairs of classes that were confused, the most frequent first: at most so many.
    pub fn most_confused(&self, most: usize) -> Vec<Confused> {
        let Some(matrix) = &self.confusion else {
            return self.confused.iter().take(most).cloned().collect();
        };
        let rows = matrix.iter().enumerate();
        let pairs = rows.flat_map(|(class, row)| row.iter().enumerate().map(move |(answer, &n)| ((class, answer), n)));
        let name = |class: usize| self.classes[class].name.clone();
        confused(pairs.filter(|(_, samples)| *samples > 0), name, most)
    }
}

/// Each row of the matrix on one line, however the rest is laid out.
#[expect(clippy::ref_option, reason = "serde asks for it so")]
fn row_by_row<S: Serializer>(rows: &Option<Vec<Vec<u64>>>, serializer: S) -> Result<S::Ok, S::Error> {
    let rows = rows.as_deref().unwrap_or_default();
    let mut sequence = serializer.serialize_seq(Some(rows.len()))?;
    for row in rows {
        let text = serde_json::to_string(row).expect("numbers");
        sequence.serialize_element(&RawValue::from_string(text).expect("it was just written as JSON"))?;
    }
    sequence.end()
}

/// Those of the pairs that are not right, the most frequent first; among equals in the order of the classes.
pub fn confused(
    pairs: impl Iterator<Item = ((usize, usize), u64)>,
    name: impl Fn(usize) -> String,
    most: usize,
) -> Vec<Confused> {
    let mut pairs: Vec<_> = pairs.filter(|((class, answer), _)| class != answer).collect();
    pairs.sort_by_key(|&(classes, samples)| (std::cmp::Reverse(samples), classes));
    pairs.truncate(most);
    let named = |((class, answer), samples)| Confused { name: name(class), taken_for: name(answer), samples };
    pairs.into_iter().map(named).collect()
}
