//! What the columns of a table mean, from its training rows.

use std::collections::HashMap;

use super::cells::Input;
use super::schema::{Column, ColumnKind, Schema, Target, TargetKind};
use super::{TableOptions, is_missing};
use crate::{Account, DataError};

/// More classes than any table has: a target with more is a number, or a mistake.
const MOST_CLASSES: usize = 1 << 16;
/// Rows of the table of embeddings, at most.
const MOST_CATEGORIES: usize = 1 << 24;
/// The most different cells that are counted of a column in which all are numbers so far.
pub(super) const MOST_NUMBERS: usize = 1 << 17;

/// The target of each row that has one: a label, or a number.
#[derive(Debug, Default)]
pub(super) struct Targets {
    /// The classes that occur, as they are found.
    names: HashMap<String, u32>,
    /// Of each row; `None` for rows without a target, which are left out.
    pub labels: Vec<Option<u32>>,
    /// As `labels`, of numbers.
    pub values: Vec<Option<f32>>,
}

/// Reads the target column.
pub(super) fn targets(input: &Input, at: usize, options: &TableOptions) -> Result<Targets, DataError> {
    let mut found = Targets::default();
    input.each(|line| {
        let cell = line.cells[at];
        if options.regression {
            let value = if is_missing(cell) { None } else { Some(number(input, line.number, &options.target, cell)?) };
            found.values.push(value.map(|value| value as f32));
        } else if is_missing(cell) {
            found.labels.push(None);
        } else {
            let next = found.names.len() as u32;
            let label = match found.names.get(cell) {
                Some(&label) => label,
                None => *found.names.entry(cell.to_owned()).or_insert(next),
            };
            found.labels.push(Some(label));
        }
        if found.labels.len().max(found.values.len()) > u32::MAX as usize {
            return Err(input.error(line.number, None, "there are more rows than can be numbered"));
        }
        if found.names.len() > MOST_CLASSES {
            let what = format!(
                "it has more than {MOST_CLASSES} different values, too many for classes; if it is a number, write \
                 `task = \"regression\"` in [data]"
            );
            return Err(input.error(line.number, Some(&options.target), what));
        }
        Ok(())
    })?;
    Ok(found)
}

impl Targets {
    /// The classes in order: of numbers from the least, of others by name. Labels become their places in it.
    pub fn sort_classes(&mut self, input: &Input, options: &TableOptions) -> Result<Vec<String>, DataError> {
        let mut classes: Vec<String> = self.names.keys().cloned().collect();
        let numbers: Option<Vec<f64>> = classes.iter().map(|name| name.parse().ok()).collect();
        let fault = |what: String| DataError::Table { place: input.name(), what };
        if let Some(numbers) = numbers {
            if numbers.len() > 20 && numbers.iter().any(|number| number.fract() != 0.0) {
                return Err(fault(format!(
                    "the target column `{}` holds {} different numbers; to predict a number, write `task = \"regression\"` in [data]",
                    options.target,
                    classes.len()
                )));
            }
            let value = |name: &String| name.parse::<f64>().unwrap_or(f64::NAN);
            classes.sort_by(|a, b| value(a).total_cmp(&value(b)).then_with(|| a.cmp(b)));
        } else {
            classes.sort();
        }
        if classes.len() < 2 {
            let what = match classes.first() {
                Some(only) => format!("has one value, \"{only}\", in all rows: there is nothing to tell apart"),
                None => "has no value in any row".to_owned(),
            };
            return Err(fault(format!("the target column `{}` {what}", options.target)));
        }
        let places: HashMap<u32, u32> =
            classes.iter().enumerate().map(|(place, name)| (self.names[name], place as u32)).collect();
        self.labels.iter_mut().flatten().for_each(|label| *label = places[label]);
        Ok(classes)
    }
}

/// A cell that must hold a number.
pub(super) fn number(input: &Input, line: u64, column: &str, cell: &str) -> Result<f64, DataError> {
    match cell.parse::<f64>() {
        Ok(value) if (value as f32).is_finite() => Ok(value),
        Ok(_) => Err(input.error(line, Some(column), format!("\"{cell}\" is no number that 32 bits hold"))),
        Err(_) => {
            let shown: String = cell.chars().take(40).collect();
            let what =
                format!("\"{shown}\" is no number; if the column holds categories, name it in `categories` in [data]");
            Err(input.error(line, Some(column), what))
        }
    }
}

/// What is learned of a column, row by row.
#[derive(Default)]
struct Seen {
    /// Cells that are not missing, and those of them that are finite numbers.
    present: u64,
    numbers: u64,
    missing: u64,
    /// Of the numbers (Welford 1962).
    mean: f64,
    squares: f64,
    /// Rows of each category. Not counted of columns that are said to be numbers, and given up where there are too many.
    categories: HashMap<String, u64>,
    /// Whether there were too many different cells to count.
    too_many: bool,
}

impl Seen {
    /// Adds a cell. Categories are counted if there is a limit to how many different cells are, as long as all are numbers.
    fn add(&mut self, cell: &str, most_numbers: Option<usize>) {
        if is_missing(cell) {
            self.missing += 1;
            return;
        }
        self.present += 1;
        if let Some(value) = cell.parse::<f64>().ok().filter(|value| (*value as f32).is_finite()) {
            self.numbers += 1;
            let error = value - self.mean;
            self.mean += error / self.numbers as f64;
            self.squares += error * (value - self.mean);
        }
        if let Some(most_numbers) = most_numbers.filter(|_| !self.too_many) {
            let most = if self.numbers == self.present { most_numbers } else { MOST_CATEGORIES };
            let different = self.categories.len();
            match self.categories.get_mut(cell) {
                Some(count) => *count += 1,
                None if different < most => {
                    self.categories.insert(cell.to_owned(), 1);
                }
                None => {
                    self.too_many = true;
                    self.categories = HashMap::new();
                }
            }
        }
    }
}

/// Learns a schema from the rows that `learns` takes, by their numbers. The account says what is left out and what is unusual.
pub(super) fn schema(
    input: &Input,
    header: &[String],
    target: Target,
    options: &TableOptions,
    learns: impl Fn(usize) -> bool,
    account: &mut Account,
) -> Result<Schema, DataError> {
    let named = |names: &[String], name: &String| names.contains(name);
    let is_used = |name: &String| *name != target.name && !named(&options.ignore, name) && !name.is_empty();
    header.iter().enumerate().filter(|(_, name)| name.is_empty()).for_each(|(index, _)| {
        account.left_out.push(format!("column {} of {}, which has no name", index + 1, input.name()));
    });
    let mut seen: Vec<Seen> = header.iter().map(|_| Seen::default()).collect();
    let mut row = 0;
    input.each(|line| {
        if learns(row) {
            for ((name, cell), seen) in header.iter().zip(&line.cells).zip(&mut seen) {
                if is_used(name) {
                    // A column may still turn out to be one of categories: those are counted as well.
                    let most = if named(&options.categories, name) { MOST_CATEGORIES } else { MOST_NUMBERS };
                    seen.add(cell, (!named(&options.numbers, name)).then_some(most));
                }
            }
        }
        row += 1;
        Ok(())
    })?;
    let mut columns = Vec::new();
    for (name, seen) in header.iter().zip(seen).filter(|(name, _)| is_used(name)) {
        let is_number = named(&options.numbers, name)
            || !named(&options.categories, name) && seen.present > 0 && seen.numbers == seen.present;
        let std = (seen.squares / seen.numbers.max(1) as f64).sqrt();
        if !is_number && seen.too_many {
            let what = format!(
                "the column `{name}` has too many different cells for categories; name it in `numbers` or `ignore` in [data]"
            );
            return Err(DataError::Table { place: input.name(), what });
        }
        if !is_number && !named(&options.categories, name) && seen.numbers > 0 {
            let (texts, all) = (seen.present - seen.numbers, seen.present);
            account.notes.push(format!(
                "column `{name}` counts as categories, as {texts} of its {all} cells are no numbers; `numbers` in [data] makes it one of numbers"
            ));
        }
        let kind = if seen.present == 0 {
            account.left_out.push(format!("column `{name}`, which has no value in training rows"));
            continue;
        } else if is_number && !(std as f32).is_normal() {
            account.left_out.push(format!("column `{name}`, which has one value in all training rows"));
            continue;
        } else if is_number {
            ColumnKind::Number { mean: seen.mean, std, flagged: seen.missing > 0 }
        } else {
            let kept = seen.categories.iter().filter(|(_, rows)| **rows >= options.rare as u64);
            let mut vocabulary: Vec<String> = kept.map(|(category, _)| category.clone()).collect();
            vocabulary.sort();
            if vocabulary.is_empty() || seen.categories.len() == 1 && seen.missing == 0 {
                let (all, rare) = (seen.categories.len(), options.rare);
                account.left_out.push(match all {
                    1 => format!("column `{name}`, which has one value in all training rows"),
                    _ => format!(
                        "column `{name}`, none of whose {all} categories has {rare} training rows (`data.rare`)"
                    ),
                });
                continue;
            }
            ColumnKind::Category { vocabulary }
        };
        columns.push(Column { name: name.clone(), kind });
    }
    let schema = Schema { target, columns };
    let fault = |what: String| DataError::Table { place: input.name(), what };
    if schema.columns.is_empty() {
        return Err(fault("no column is left to predict from".to_owned()));
    }
    if schema.embedded_rows() > MOST_CATEGORIES {
        let what = format!(
            "the columns of categories have {} of them in all, more than {MOST_CATEGORIES}; `rare = 10` in [data] leaves those out \
             with fewer rows, `ignore = [\"column\"]` a whole column",
            schema.embedded_rows()
        );
        return Err(fault(what));
    }
    Ok(schema)
}

/// The mean and the deviation of the numbers that are predicted.
pub(super) fn moments(values: impl Iterator<Item = f32> + Clone) -> Option<TargetKind> {
    let count = values.clone().count() as f64;
    let mean = values.clone().map(f64::from).sum::<f64>() / count;
    let std = (values.map(|value| (f64::from(value) - mean).powi(2)).sum::<f64>() / count).sqrt();
    (std as f32).is_normal().then_some(TargetKind::Number { mean, std })
}
