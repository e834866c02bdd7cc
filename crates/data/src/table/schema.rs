//! What a table's columns mean: learned from its training rows, written down with every run, and used for all rows since.

use serde::{Deserialize, Serialize};

use crate::{ArraySpec, CATEGORIES, ElementType, NUMBERS};

/// How the rows of a table become arrays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    /// What is predicted.
    pub target: Target,
    /// The columns that it is predicted from, in the order of the table.
    pub columns: Vec<Column>,
}

/// The column that is predicted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// What its cells are.
    #[serde(flatten)]
    pub kind: TargetKind,
}

/// What is predicted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "predict")]
pub enum TargetKind {
    /// One of these classes, in the order of the labels.
    Class {
        /// What they are called in the table.
        classes: Vec<String>,
    },
    /// A number. Nets learn it less the mean, divided by the deviation.
    Number {
        /// Mean of the training rows.
        mean: f64,
        /// Deviation of the training rows.
        std: f64,
    },
}

/// A column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its name in the table's header.
    pub name: String,
    /// What its cells are.
    #[serde(flatten)]
    pub kind: ColumnKind,
}

/// What the cells of a column are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum ColumnKind {
    /// Numbers: less the mean, divided by the deviation; a missing one is 0, which is the mean.
    Number {
        /// Mean of the training rows that have one.
        mean: f64,
        /// Deviation of those.
        std: f64,
        /// Whether training rows lack it: then there is a second number, 1 where the cell is missing and 0 elsewhere.
        flagged: bool,
    },
    /// Categories: each has a row of the table of embeddings, after one for what is unknown, rare or missing.
    Category {
        /// Those that have an embedding row each, in the order of the rows.
        vocabulary: Vec<String>,
    },
}

impl Schema {
    /// Floats of a row in the array [`NUMBERS`].
    pub fn numbers(&self) -> usize {
        let each = |column: &Column| match column.kind {
            ColumnKind::Number { flagged, .. } => 1 + usize::from(flagged),
            ColumnKind::Category { .. } => 0,
        };
        self.columns.iter().map(each).sum()
    }

    /// Words of a row in the array [`CATEGORIES`].
    pub fn categories(&self) -> usize {
        self.vocabularies().count()
    }

    /// Rows of the table of embeddings that all columns of categories share.
    pub fn embedded_rows(&self) -> usize {
        self.vocabularies().map(|vocabulary| 1 + vocabulary.len()).sum()
    }

    /// Whether classes are predicted, and how many.
    pub fn classes(&self) -> Option<usize> {
        match &self.target.kind {
            TargetKind::Class { classes } => Some(classes.len()),
            TargetKind::Number { .. } => None,
        }
    }

    fn vocabularies(&self) -> impl Iterator<Item = &Vec<String>> {
        self.columns.iter().filter_map(|column| match &column.kind {
            ColumnKind::Category { vocabulary } => Some(vocabulary),
            ColumnKind::Number { .. } => None,
        })
    }

    /// The arrays of a row: those of [`CATEGORIES`] and [`NUMBERS`] that are not empty.
    pub(crate) fn arrays(&self) -> Vec<ArraySpec> {
        let categories = ArraySpec::new(CATEGORIES, ElementType::U32, [self.categories()]);
        let numbers = ArraySpec::new(NUMBERS, ElementType::F32, [self.numbers()]);
        [categories, numbers].into_iter().filter(|spec| spec.extents[0] > 0).collect()
    }

    /// What cannot be true of any table, if anything: files may say what they like.
    ///
    /// # Errors
    /// Says what.
    pub fn check(&self) -> Result<(), String> {
        let usable = |mean: f64, std: f64| mean.is_finite() && (std as f32).is_normal() && std > 0.0;
        for column in &self.columns {
            if let ColumnKind::Number { mean, std, .. } = column.kind
                && !usable(mean, std)
            {
                return Err(format!("mean {mean} and deviation {std} of the column `{}`", column.name));
            }
        }
        match &self.target.kind {
            TargetKind::Class { classes } if classes.is_empty() => Err("no classes".to_owned()),
            TargetKind::Number { mean, std } if !usable(*mean, *std) => {
                Err(format!("mean {mean} and deviation {std} of the target"))
            }
            _ if self.columns.is_empty() => Err("no columns to predict from".to_owned()),
            _ => Ok(()),
        }
    }
}
