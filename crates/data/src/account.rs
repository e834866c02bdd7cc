//! What a set is made of, in words: which files became which part, and which became none.

use serde::{Deserialize, Serialize};

use super::Split;

/// Where the parts of a set come from. Nothing of the user's is left out without a line here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Account {
    /// Where the validation samples come from, for example `val/`; empty if the set has no such part.
    pub validation: String,
    /// Where the test samples come from, for example `test/` or "a fifth of all, drawn class by class".
    pub test: String,
    /// What was left out, with its number and why, for example "3 files in cat/ that are no pictures (.txt)".
    pub left_out: Vec<String>,
    /// What is read otherwise than it stands there, for example missing numbers of a table.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What is unusual and probably a mistake, for example "no sample has label 0; are labels counted from 1?".
    pub warnings: Vec<String>,
}

/// What a run reads of a set: its samples, part by part and class by class, and where they come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Composition {
    /// What it learns from.
    pub train: PartCounts,
    /// What is evaluated during training; without it, that is the test part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<PartCounts>,
    /// What is evaluated in the end.
    pub test: PartCounts,
    /// Where the parts come from, and what is in none of them.
    #[serde(default)]
    pub account: Account,
}

/// How many samples a part has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartCounts {
    /// In all.
    pub samples: u64,
    /// Of each class, in the order of the labels.
    pub classes: Vec<u64>,
}

impl PartCounts {
    /// Of a part of a set with so many classes.
    pub fn of(split: &Split, classes: usize) -> Self {
        Self { samples: split.len() as u64, classes: split.counts(classes) }
    }
}
