//! What a set is made of, in words: which files became which part, and which became none.

use serde::{Deserialize, Serialize};

/// Where the parts of a set come from. Nothing of the user's is left out without a line here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Where the validation samples come from, for example `val/`; empty if the set has no such part.
    pub validation: String,
    /// Where the test samples come from, for example `test/` or "a fifth of all, drawn class by class".
    pub test: String,
    /// What was left out, with its number and why, for example "3 files in cat/ that are no pictures (.txt)".
    pub left_out: Vec<String>,
    /// What is unusual and probably a mistake, for example "no sample has label 0; are labels counted from 1?".
    pub warnings: Vec<String>,
}
