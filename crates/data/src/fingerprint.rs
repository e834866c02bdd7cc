//! Whether two sets have the same content, wherever they are kept.

use serde::{Deserialize, Serialize};

/// What tells the content of a set from any other: names of classes, and for each part its samples, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// What the classes are called, in the order of the labels.
    pub classes: Vec<String>,
    /// What is trained on.
    pub train: PartFingerprint,
    /// What the set itself holds out for validation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<PartFingerprint>,
    /// What is evaluated in the end.
    pub test: PartFingerprint,
}

/// What tells the samples of a part from others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartFingerprint {
    /// How many there are.
    pub samples: u64,
    /// SHA-256 of shape, labels and pixels. Of pictures in files of their own it takes their paths below the set's folder,
    /// their sizes, and their first and last bytes, so that large sets are not read whole.
    pub sha256: String,
}

impl Fingerprint {
    /// In what the other set differs; none if it does not. `self` is the older one.
    pub fn difference(&self, other: &Fingerprint) -> Option<String> {
        if self.classes != other.classes {
            return Some(format!("its classes were {:?} and are {:?}", self.classes, other.classes));
        }
        let part = |name: &str, old: Option<&PartFingerprint>, new: Option<&PartFingerprint>| {
            let count = |part: Option<&PartFingerprint>| part.map_or(0, |part| part.samples);
            match (count(old), count(new)) {
                _ if old == new => None,
                (old, new) if old == new => Some(format!("its {old} {name} samples have other content")),
                (old, new) => Some(format!("it had {old} {name} samples and has {new}")),
            }
        };
        part("training", Some(&self.train), Some(&other.train))
            .or_else(|| part("validation", self.validation.as_ref(), other.validation.as_ref()))
            .or_else(|| part("test", Some(&self.test), Some(&other.test)))
    }
}
