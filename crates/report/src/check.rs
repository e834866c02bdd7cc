//! What of a data set can be read.

use super::units::count;
use frugal_data::check::{Bad, Check, Class, Part};
use serde::Serialize;
use std::fmt;

/// The most classes with a line each; of more, only those with bad samples have one.
const LONGEST: usize = 100;

/// What of a set can be read, as a report.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(transparent)]
pub struct CheckReport<'a>(pub &'a Check);

impl fmt::Display for CheckReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(check) = self;
        let (all, bad) = (check.samples(), check.bad.len());
        writeln!(f, "{}: {} of {} samples are good\n", check.set, count((all - bad) as u64), count(all as u64))?;
        let mut table = super::table(&["part", "class", "good", "bad"], 2..4);
        for Part { part, classes } in &check.parts {
            let row = |class: &str, good: usize, bad: usize| {
                [part.to_string(), class.to_owned(), count(good as u64), count(bad as u64)]
            };
            let sum = |of: fn(&Class) -> usize| classes.iter().map(of).sum();
            table.add_row(row(&format!("all {}", count(classes.len() as u64)), sum(|c| c.good), sum(|c| c.bad)));
            for Class { class, good, bad } in classes.iter().filter(|class| classes.len() <= LONGEST || class.bad > 0) {
                table.add_row(row(class, *good, *bad));
            }
        }
        write!(f, "{}", table.trim_fmt())?;
        let list = |f: &mut fmt::Formatter<'_>, title: &str, lines: Vec<String>| {
            if !lines.is_empty() {
                write!(f, "\n\n{title}:")?;
            }
            lines.iter().try_for_each(|line| write!(f, "\n  {line}"))
        };
        list(f, "cannot be read", check.bad.iter().map(|Bad { file, what }| format!("{file}: {what}")).collect())?;
        list(f, "left out", check.left_out.clone())?;
        list(f, "warnings", check.warnings.clone())
    }
}
