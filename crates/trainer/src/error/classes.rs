//! Why the classes of a set and of a net do not go together.

use super::closest;
use frugal_report::units::listed;
use std::collections::HashSet;

/// How many names a message lists.
pub(crate) const LISTED: usize = 10;

/// Why a net cannot be evaluated on a set, or go on learning on it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClassError {
    /// The set has classes with other names.
    #[error("the net does not know {} of {set}; it knows {}", named(unknown), listed(known, LISTED))]
    Unknown {
        /// The name of the set.
        set: String,
        /// All of its classes.
        of_set: Vec<String>,
        /// Those that the net does not know.
        unknown: Vec<String>,
        /// Those that the net knows.
        known: Vec<String>,
    },
    /// The set has the same classes in another order.
    #[error(
        "the weights know the classes of {set} in another order, {} instead of {}, so that every answer would be wrong",
        listed(here, LISTED),
        listed(there, LISTED)
    )]
    OtherOrder {
        /// The name of the set.
        set: String,
        /// The classes of the set.
        there: Vec<String>,
        /// The classes of the weights.
        here: Vec<String>,
    },
    /// Matched by number, the set has more classes.
    #[error("{set} has {there} classes, but the net knows {here}: the labels from {here} on have no class")]
    TooMany {
        /// The name of the set.
        set: String,
        /// How many it has.
        there: usize,
        /// How many the net knows.
        here: usize,
    },
}

fn named(classes: &[String]) -> String {
    let word = if classes.len() == 1 { "class" } else { "classes" };
    format!("the {word} {}", listed(classes, LISTED))
}

impl ClassError {
    /// What to do about it.
    pub(crate) fn advice(&self) -> String {
        let (of_set, unknown, known) = match self {
            Self::Unknown { of_set, unknown, known, .. } => (of_set, unknown, known),
            Self::TooMany { .. } => return "evaluate on a set of the net's classes".to_owned(),
            Self::OtherOrder { .. } => {
                return "give the classes in the order of the weights, in a folder by the lines of its `classes.txt`; or let the \
                        classifier begin by chance: `weights_except` in [model]"
                    .to_owned();
            }
        };
        let used: HashSet<&String> = of_set.iter().collect();
        let unused: Vec<&str> = known.iter().filter(|name| !used.contains(name)).map(String::as_str).collect();
        let close = unknown.iter().take(LISTED).find_map(|name| Some((name, closest(name, &unused)?)));
        let rename = close.map_or(String::new(), |(name, close)| format!("did you mean `{close}` by `{name}`? "));
        let by_number = match of_set.len() <= known.len() {
            true => "; --classes-by-number takes the first class of the set for the net's first, and so on",
            false => "",
        };
        format!(
            "{rename}give the classes the net's names (folders, or lines of `classes.txt`), or leave those out{by_number}"
        )
    }
}
