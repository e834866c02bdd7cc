//! Which class of a net each class of a set is.
//!
//! Classes are known by their names, so that a set with some of a net's classes, in any order, can be evaluated, and one
//! with others cannot. Where the net or the set has numbers in the place of names, they are matched by number.

use crate::error::{ClassError, LISTED};
use frugal_report::units::listed;
use std::collections::HashMap;

/// The classes of a net or of a set.
#[derive(Clone, Copy, Debug)]
pub struct Classes<'a> {
    /// What they are called, in the order of their numbers.
    pub names: &'a [String],
    /// Whether the names are no more than numbers.
    pub numbered: bool,
}

impl Classes<'_> {
    /// Why they cannot be told apart by their names, if they cannot.
    fn without_names(self) -> Option<&'static str> {
        if self.numbered {
            return Some("has numbers instead of names");
        }
        let mut sorted: Vec<&String> = self.names.iter().collect();
        sorted.sort_unstable();
        sorted.windows(2).any(|pair| pair[0] == pair[1]).then_some("has several classes of one name")
    }
}

/// The class of a net for each class of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassMap {
    classes: Vec<u32>,
    /// What a user should know of it.
    pub note: Option<String>,
}

impl ClassMap {
    /// Where net and set have the same classes.
    pub fn same(classes: usize) -> Self {
        Self { classes: (0..classes as u32).collect(), note: None }
    }

    /// Matches classes by their names, or by number where that is requested or either side has no names. `set` is the name of
    /// the set, for messages.
    ///
    /// # Errors
    /// `ClassError` if the set has classes that the net does not know.
    pub fn of(net: Classes<'_>, set: &str, of_set: Classes<'_>, by_number: bool) -> Result<Self, ClassError> {
        let same = Self::same(of_set.names.len());
        if net.names == of_set.names {
            return Ok(same);
        }
        let reason = match (net.without_names(), of_set.without_names()) {
            _ if by_number => Some("as --classes-by-number asks".to_owned()),
            (Some(reason), _) => Some(format!("because the net {reason}")),
            (_, Some(reason)) => Some(format!("because {set} {reason}")),
            (None, None) => None,
        };
        if let Some(reason) = reason {
            let (here, there) = (net.names.len(), of_set.names.len());
            if there > here {
                return Err(ClassError::TooMany { set: set.to_owned(), there, here });
            }
            return Ok(Self { note: Some(format!("classes are matched by number, {reason}")), ..same });
        }
        let numbers: HashMap<&String, u32> = net.names.iter().zip(0..).collect();
        let unknown: Vec<String> = of_set.names.iter().filter(|name| !numbers.contains_key(name)).cloned().collect();
        if !unknown.is_empty() {
            let (set, known) = (set.to_owned(), net.names.to_vec());
            return Err(ClassError::Unknown { set, of_set: of_set.names.to_vec(), unknown, known });
        }
        Ok(Self { classes: of_set.names.iter().map(|name| numbers[name]).collect(), note: None })
    }

    /// The class of the net for a label of the set.
    pub fn class(&self, label: u32) -> usize {
        self.classes[label as usize] as usize
    }
}

/// Whether a net that goes on learning on a set finds its classes where they were. It may have learned others.
///
/// # Errors
/// [`ClassError::OtherOrder`] if they are the same in another order: every answer would be wrong at first.
pub fn same_order(net: Classes<'_>, set: &str, of_set: Classes<'_>) -> Result<(), ClassError> {
    if net.names == of_set.names || net.without_names().is_some() || of_set.without_names().is_some() {
        return Ok(());
    }
    let sorted = |names: &[String]| {
        let mut names = names.to_vec();
        names.sort_unstable();
        names
    };
    if sorted(net.names) != sorted(of_set.names) {
        return Ok(());
    }
    let (set, there, here) = (set.to_owned(), of_set.names.to_vec(), net.names.to_vec());
    Err(ClassError::OtherOrder { set, there, here })
}

/// That a net goes on learning with other classes, if it does.
pub fn changed(net: Classes<'_>, set: &str, of_set: Classes<'_>) -> Option<String> {
    if net.names == of_set.names {
        return None;
    }
    Some(format!(
        "the classifier begins with what it learned of other classes: {} there, {} in {set}; `weights_except` in [model] \
         lets a layer begin by chance",
        listed(net.names, LISTED),
        listed(of_set.names, LISTED)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn of(net: (&[&str], bool), set: (&[&str], bool), by_number: bool) -> Result<ClassMap, ClassError> {
        let (here, there) = (names(net.0), names(set.0));
        let here = Classes { names: &here, numbered: net.1 };
        ClassMap::of(here, "photos", Classes { names: &there, numbered: set.1 }, by_number)
    }

    fn map(matched: Result<ClassMap, ClassError>) -> (Vec<u32>, bool) {
        let ClassMap { classes, note } = matched.unwrap();
        (classes, note.is_some())
    }

    #[test]
    fn classes_are_matched_by_name_in_any_order_and_some_will_do() {
        let net: (&[&str], bool) = (&["a", "b", "c"], false);
        assert_eq!(map(of(net, (&["a", "b", "c"], false), false)), (vec![0, 1, 2], false));
        assert_eq!(map(of(net, (&["c", "b"], false), false)), (vec![2, 1], false));
        assert_eq!(map(of((&["0", "1"], true), (&["0", "1"], true), false)), (vec![0, 1], false));
    }

    #[test]
    fn unknown_names_are_refused_and_both_sides_are_named() {
        let net: (&[&str], bool) = (&["a", "b", "c"], false);
        let error = of(net, (&["b", "c", "d"], false), false).unwrap_err();
        assert_eq!(error.to_string(), "the net does not know the class `d` of photos; it knows `a`, `b`, `c`");
        assert!(error.advice().contains("--classes-by-number"), "{}", error.advice());
        let error = of((&["red", "green"], false), (&["gren", "red", "blue"], false), false).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the net does not know the classes `gren`, `blue` of photos; it knows `red`, `green`"
        );
        assert!(error.advice().starts_with("did you mean `green` by `gren`?"), "{}", error.advice());
        assert!(!error.advice().contains("--classes-by-number"), "three are more than two: {}", error.advice());
        let many: Vec<String> = (0..1000).map(|class| format!("class {class}")).collect();
        let set = names(&["other"]);
        let (net, set) = (Classes { names: &many, numbered: false }, Classes { names: &set, numbered: false });
        let text = ClassMap::of(net, "photos", set, false).unwrap_err().to_string();
        assert!(text.ends_with("`class 9` and 990 more"), "{text}");
    }

    #[test]
    fn a_net_that_goes_on_learning_finds_its_classes_where_they_were() {
        let (a, b, c) = (names(&["a", "b"]), names(&["b", "a"]), names(&["b", "c"]));
        let of = |names| Classes { names, numbered: false };
        assert_eq!((same_order(of(&a), "photos", of(&a)), changed(of(&a), "photos", of(&a))), (Ok(()), None));
        let error = same_order(of(&a), "photos", of(&b)).unwrap_err();
        assert!(error.to_string().contains("`a`, `b` instead of `b`, `a`") && error.advice().contains("classes.txt"));
        assert_eq!(same_order(of(&a), "photos", of(&c)), Ok(()));
        assert!(changed(of(&a), "photos", of(&c)).unwrap().contains("`a`, `b` there, `b`, `c` in photos"));
        assert_eq!(same_order(of(&a), "photos", Classes { names: &b, numbered: true }), Ok(()));
    }

    #[test]
    fn numbers_are_matched_by_number_which_is_said() {
        let net: (&[&str], bool) = (&["a", "b", "c"], false);
        assert_eq!(map(of(net, (&["0", "1"], true), false)), (vec![0, 1], true));
        assert_eq!(map(of((&["0", "1", "2"], true), (&["b", "c"], false), false)), (vec![0, 1], true));
        assert_eq!(map(of(net, (&["x", "y", "z"], false), true)), (vec![0, 1, 2], true));
        assert_eq!(
            map(of((&["noise"; 3], false), (&["x"], false), false)),
            (vec![0], true),
            "one name for all is none"
        );
        for (set, by_number) in [((&["0", "1", "2", "3"][..], true), false), ((&["a", "b", "c", "d"], false), true)] {
            let error = of(net, set, by_number).unwrap_err();
            assert_eq!(error, ClassError::TooMany { set: "photos".to_owned(), there: 4, here: 3 });
        }
    }
}
