//! The forms in which values can wait, by the names that users give them.

use super::suggest;
use frugal_tensor::codec::{Codec, F16, FrequencySplit, Uniform};
use serde::Serialize;
use std::fmt;
use std::rc::Rc;

/// A form in which values can wait.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Form {
    /// As they are.
    Raw,
    /// In half precision.
    F16,
    /// A few bits in groups.
    Uniform {
        /// Bits per element.
        bits: usize,
        /// Elements that share a range.
        group: usize,
    },
    /// DIVISION's frequency split.
    FrequencySplit {
        /// Extent of a block.
        block: usize,
        /// Bits per element.
        bits: usize,
    },
}

impl Form {
    /// The names of all forms.
    pub const NAMES: &'static [&'static str] = &["raw", "f16", "uniform", "frequency-split"];

    /// All forms with their usual settings.
    pub fn all() -> impl Iterator<Item = Form> {
        Self::NAMES.iter().filter_map(|name| Self::usual(name))
    }

    /// The form of this name with its usual settings.
    pub fn usual(name: &str) -> Option<Form> {
        Some(match name {
            "raw" => Form::Raw,
            "f16" => Form::F16,
            "uniform" => {
                let Uniform { bits, group } = Uniform::default();
                Form::Uniform { bits, group }
            }
            "frequency-split" => {
                let FrequencySplit { block, bits } = FrequencySplit::default();
                Form::FrequencySplit { block, bits }
            }
            _ => return None,
        })
    }

    /// From a name with or without settings: `f16`, `uniform:4` (bits), `uniform:4,128` (bits, group),
    /// `frequency-split:8,2` (block, bits).
    ///
    /// # Errors
    /// Says what to write instead.
    pub fn parse(text: &str) -> Result<Form, String> {
        let (name, settings) = text.split_once(':').map_or((text, None), |(name, rest)| (name, Some(rest)));
        let usual = Self::usual(name).ok_or_else(|| suggest(name, Self::NAMES))?;
        let Some(settings) = settings else { return Ok(usual) };
        let numbers: Result<Vec<usize>, _> = settings.split(',').map(|number| number.trim().parse()).collect();
        let form = match (usual, numbers.as_deref()) {
            (Form::Uniform { group, .. }, Ok(&[bits])) => Form::Uniform { bits, group },
            (Form::Uniform { .. }, Ok(&[bits, group])) => Form::Uniform { bits, group },
            (Form::FrequencySplit { .. }, Ok(&[block, bits])) => Form::FrequencySplit { block, bits },
            (Form::Uniform { .. }, _) => return Err("write uniform:BITS or uniform:BITS,GROUP".to_owned()),
            (Form::FrequencySplit { .. }, _) => return Err("write frequency-split:BLOCK,BITS".to_owned()),
            (Form::Raw | Form::F16, _) => return Err(format!("`{name}` has no settings")),
        };
        form.check().map(|()| form)
    }

    /// What is wrong with the settings, if anything.
    ///
    /// # Errors
    /// Names the setting and its range.
    pub fn check(&self) -> Result<(), String> {
        match *self {
            Form::Raw | Form::F16 => Ok(()),
            Form::Uniform { bits, group } => Uniform { bits, group }.check(),
            Form::FrequencySplit { block, bits } => FrequencySplit { block, bits }.check(),
        }
    }

    /// The codec; none for raw.
    pub fn codec(&self) -> Option<Rc<dyn Codec>> {
        match *self {
            Form::Raw => None,
            Form::F16 => Some(Rc::new(F16)),
            Form::Uniform { bits, group } => Some(Rc::new(Uniform { bits, group })),
            Form::FrequencySplit { block, bits } => Some(Rc::new(FrequencySplit { block, bits })),
        }
    }
}

/// The name, with the settings where they are not the usual ones: what [`Form::parse`] reads.
impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, settings) = match *self {
            Form::Raw => ("raw", String::new()),
            Form::F16 => ("f16", String::new()),
            Form::Uniform { bits, group } if group == Uniform::default().group => ("uniform", format!(":{bits}")),
            Form::Uniform { bits, group } => ("uniform", format!(":{bits},{group}")),
            Form::FrequencySplit { block, bits } => ("frequency-split", format!(":{block},{bits}")),
        };
        let usual = Form::usual(name) == Some(*self);
        write!(f, "{name}{}", if usual { "" } else { &settings })
    }
}
