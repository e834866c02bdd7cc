//! What a run reads of a set, in a line.

use super::units::count;
use frugal_data::{Composition, Dataset, PartCounts};
use std::fmt::{self, Write};

/// The most characters in which the samples of each class are listed; beyond it their range is given.
const WIDEST: usize = 72;
/// The most things left out that are named.
const MOST_LEFT_OUT: usize = 10;

/// What is said before training: samples of each part and class, where the parts come from, and what is in none of them.
pub struct TrainingLine<'a> {
    /// The set.
    pub set: &'a Dataset,
    /// What the run reads of it.
    pub parts: &'a Composition,
}

impl fmt::Display for TrainingLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { set, parts } = self;
        let Composition { train, validation, test, account } = parts;
        write!(f, "{}: train {}", set.name, Part(train, set))?;
        if let Some(validation) = validation {
            write!(f, "; validation {}: {}", Part(validation, set), account.validation)?;
        }
        write!(f, "; test {}: {}", Part(test, set), account.test)?;
        if validation.is_none() {
            write!(f, "; the best checkpoint is chosen by it")?;
        }
        left_out(f, &account.left_out)?;
        notes(f, &account.notes)
    }
}

/// What is said before an evaluation: the samples that are evaluated, where they come from, and what is left out.
pub struct EvaluationLine<'a>(pub &'a Dataset);

impl fmt::Display for EvaluationLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(set) = self;
        let counts = PartCounts::of(&set.test, set.classes);
        write!(f, "{}: evaluating {}: {}", set.name, Part(&counts, set), set.account.test)?;
        left_out(f, &set.account.left_out)?;
        notes(f, &set.account.notes)
    }
}

fn left_out(f: &mut fmt::Formatter<'_>, all: &[String]) -> fmt::Result {
    if all.is_empty() {
        return Ok(());
    }
    let shown = all[..all.len().min(MOST_LEFT_OUT)].join("; ");
    match all.len().saturating_sub(MOST_LEFT_OUT) {
        0 => write!(f, ". Left out: {shown}"),
        more => write!(f, ". Left out: {shown}; and {more} more"),
    }
}

/// What is read otherwise than it stands in the files.
fn notes(f: &mut fmt::Formatter<'_>, all: &[String]) -> fmt::Result {
    all.iter().try_for_each(|note| write!(f, ". {note}"))
}

/// How many samples a part has, and of each class.
struct Part<'a>(&'a PartCounts, &'a Dataset);

impl fmt::Display for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(counts, set) = self;
        f.write_str(&count(counts.samples))?;
        if set.classes < 2 {
            return Ok(());
        }
        if let Some(list) = list(counts, set) {
            return write!(f, " ({list})");
        }
        let (least, most) = counts.classes.iter().fold((u64::MAX, 0), |(a, b), &n| (a.min(n), b.max(n)));
        let classes = count(set.classes as u64);
        match least == most {
            true => write!(f, " ({} of each of {classes} classes)", count(least)),
            false => write!(f, " ({} to {} of each of {classes} classes)", count(least), count(most)),
        }
    }
}

/// Each class by its name, if they are few.
fn list(counts: &PartCounts, set: &Dataset) -> Option<String> {
    let mut list = String::new();
    for (name, &samples) in set.class_names.iter().zip(&counts.classes) {
        let comma = if list.is_empty() { "" } else { ", " };
        write!(list, "{comma}{name}: {}", count(samples)).ok()?;
        if list.chars().count() > WIDEST {
            return None;
        }
    }
    Some(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use frugal_data::{Account, Split};

    /// A set of so many classes, with two to four samples of each.
    fn set(classes: u32, name: &str) -> Dataset {
        let labels: Vec<u32> = (0..classes).flat_map(|class| vec![class; 2 + class as usize % 3]).collect();
        let split = Split::new([1, 1, 1], classes as usize, vec![0; labels.len()], labels).unwrap();
        let names = (0..classes).map(|class| format!("{name}{class}")).collect();
        let (test, train) = split.divide(classes as usize, 0);
        let set = Dataset::new("photos", names, train, test).unwrap();
        Dataset { account: Account { test: "test/".to_owned(), ..Account::default() }, ..set }
    }

    fn line(set: &Dataset) -> String {
        TrainingLine { set, parts: &set.composition(None, 1).unwrap() }.to_string()
    }

    #[test]
    fn few_classes_are_listed_and_many_have_a_range() {
        let two = "photos: train 3 (c0: 1, c1: 2); test 2 (c0: 1, c1: 1): test/; the best checkpoint is chosen by it";
        assert_eq!(line(&set(2, "c")), two);
        assert!(line(&set(10, "c")).contains("c0: 1, c1: 2, c2: 3, c3: 1"));
        assert!(line(&set(10, "a longer name ")).contains("train 19 (1 to 3 of each of 10 classes)"));
        let text = line(&set(1000, "c"));
        assert!(
            text.contains("train 1,999 (1 to 3 of each of 1,000 classes); test 1,000 (1 of each of 1,000 classes)"),
            "{text}"
        );
        assert_eq!(EvaluationLine(&set(2, "c")).to_string(), "photos: evaluating 2 (c0: 1, c1: 1): test/");
        // Of pairs there is nothing to tell apart.
        assert!(line(&set(1, "c")).starts_with("photos: train 1; test 1: test/"));
    }

    #[test]
    fn what_is_left_out_is_in_the_line() {
        let mut set = set(2, "c");
        set.account.left_out = (0..13).map(|at| format!("thing {at}")).collect();
        let text = line(&set);
        assert!(text.contains("Left out: thing 0; thing 1;") && text.ends_with("thing 9; and 3 more"), "{text}");
    }
}
