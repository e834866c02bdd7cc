//! The forms in which values can wait, by the names that users give them.

use crate::error::suggest;
use frugal_report::units;
use frugal_tensor::codec::error_bounded::Target;
use frugal_tensor::codec::{Codec, ErrorBounded, F16, Float8, FrequencySplit, Uniform};
use serde::Serialize;
use std::fmt;
use std::rc::Rc;

/// A form in which saved tensors can be kept.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum CodecSpec {
    /// As they are.
    Raw,
    /// In half precision.
    F16,
    /// Floats of 8 bits in groups.
    Float8 {
        /// Elements that share a scale.
        group: usize,
    },
    /// A few bits in groups.
    Uniform {
        /// Bits per element.
        bits: usize,
        /// Elements that share a range.
        group: usize,
    },
    /// COMET's coding to an error bound that follows the gradients.
    ErrorBounded {
        /// What the fraction is of.
        target: BoundTarget,
        /// The wanted deviation of the weights' gradients.
        fraction: f32,
        /// Steps between two renewals of the bound.
        interval: u32,
    },
    /// DIVISION's frequency split.
    FrequencySplit {
        /// Extent of a block.
        block: usize,
        /// Bits per element.
        bits: usize,
        /// Whether to do as the authors' code does.
        parity: bool,
    },
    /// Whatever form suits each value, so that the run takes no more than this; see [`crate::planning::budget`].
    Auto {
        /// Bytes at the peak.
        budget: u64,
    },
}

/// What the error of the weights' gradients is measured against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BoundTarget {
    /// The minibatch gradient's own noise.
    Noise,
    /// The mean magnitude of the momentum, as COMET does.
    Comet,
}

impl BoundTarget {
    /// The names of all targets.
    pub const NAMES: &'static [&'static str] = &["noise", "comet"];

    /// The target of this name, with its usual fraction.
    pub fn usual(name: &str) -> Option<(BoundTarget, f32)> {
        match name {
            "noise" => Some((BoundTarget::Noise, 0.1)),
            "comet" => Some((BoundTarget::Comet, 0.01)),
            _ => None,
        }
    }
}

impl CodecSpec {
    /// The names of all forms that a value can have.
    pub const NAMES: &'static [&'static str] = &["raw", "f16", "float8", "uniform", "frequency-split", "error-bounded"];

    /// All forms with their usual settings.
    pub fn all() -> impl Iterator<Item = CodecSpec> {
        Self::NAMES.iter().filter_map(|name| Self::usual(name))
    }

    /// The form of this name with its usual settings.
    pub fn usual(name: &str) -> Option<CodecSpec> {
        Some(match name {
            "raw" => CodecSpec::Raw,
            "f16" => CodecSpec::F16,
            "float8" => CodecSpec::Float8 { group: Float8::default().group },
            "uniform" => {
                let Uniform { bits, group } = Uniform::default();
                CodecSpec::Uniform { bits, group }
            }
            "error-bounded" => {
                let interval = ErrorBounded::default().interval;
                CodecSpec::ErrorBounded { target: BoundTarget::Noise, fraction: 0.1, interval }
            }
            "frequency-split" => {
                let FrequencySplit { block, bits, parity } = FrequencySplit::default();
                CodecSpec::FrequencySplit { block, bits, parity }
            }
            _ => return None,
        })
    }

    /// From a name with or without settings: `f16`, `float8:128` (group), `uniform:4` (bits), `uniform:4,128` (bits, group),
    /// `frequency-split:8,2` or `frequency-split:8,2,parity` (block, bits), `error-bounded:0.2` (fraction of the noise), `error-bounded:comet` or
    /// `error-bounded:comet,0.02` (fraction of the momentum), `auto:2GiB` (budget).
    ///
    /// # Errors
    /// Says what to write instead.
    pub fn parse(text: &str) -> Result<CodecSpec, String> {
        let (name, settings) = text.split_once(':').map_or((text, None), |(name, rest)| (name, Some(rest)));
        if name == "auto" {
            let budget = settings.ok_or("write auto:BUDGET, for example auto:2GiB")?;
            return units::size(budget).map(|budget| CodecSpec::Auto { budget });
        }
        let usual = Self::usual(name).ok_or_else(|| suggest(name, &[Self::NAMES, &["auto"]].concat()))?;
        let Some(settings) = settings else { return Ok(usual) };
        if let CodecSpec::ErrorBounded { interval, .. } = usual {
            return Self::parse_bound(settings, interval);
        }
        let (settings, parity) = match settings.strip_suffix(",parity") {
            Some(numbers) if name == "frequency-split" => (numbers, true),
            _ => (settings, false),
        };
        let numbers: Result<Vec<usize>, _> = settings.split(',').map(|number| number.trim().parse()).collect();
        let form = match (usual, numbers.as_deref()) {
            (CodecSpec::Float8 { .. }, Ok(&[group])) => CodecSpec::Float8 { group },
            (CodecSpec::Uniform { group, .. }, Ok(&[bits])) => CodecSpec::Uniform { bits, group },
            (CodecSpec::Uniform { .. }, Ok(&[bits, group])) => CodecSpec::Uniform { bits, group },
            (CodecSpec::FrequencySplit { .. }, Ok(&[block, bits])) => CodecSpec::FrequencySplit { block, bits, parity },
            (CodecSpec::Float8 { .. }, _) => return Err("write float8:GROUP".to_owned()),
            (CodecSpec::Uniform { .. }, _) => return Err("write uniform:BITS or uniform:BITS,GROUP".to_owned()),
            (CodecSpec::FrequencySplit { .. }, _) => {
                return Err("write frequency-split:BLOCK,BITS, or frequency-split:BLOCK,BITS,parity".to_owned());
            }
            (CodecSpec::Raw | CodecSpec::F16 | CodecSpec::ErrorBounded { .. } | CodecSpec::Auto { .. }, _) => {
                return Err(format!("`{name}` has no settings"));
            }
        };
        form.check().map(|()| form)
    }

    /// `0.2`, `noise,0.2`, `comet`, `comet,0.02`.
    fn parse_bound(settings: &str, interval: u32) -> Result<CodecSpec, String> {
        let (name, fraction) = match settings.split_once(',') {
            Some((name, fraction)) => (name.trim(), Some(fraction)),
            None if BoundTarget::usual(settings).is_some() => (settings, None),
            None => ("noise", Some(settings)),
        };
        let help = "write error-bounded:FRACTION (of the gradient's noise) or error-bounded:comet";
        let (target, usual) = BoundTarget::usual(name).ok_or(help)?;
        let fraction = fraction.map_or(Ok(usual), |text| text.trim().parse()).map_err(|_| help)?;
        let form = CodecSpec::ErrorBounded { target, fraction, interval };
        form.check().map(|()| form)
    }

    /// What is wrong with the settings, if anything.
    ///
    /// # Errors
    /// Names the setting and its range.
    pub fn check(&self) -> Result<(), String> {
        match *self {
            CodecSpec::Raw | CodecSpec::F16 | CodecSpec::Auto { .. } => Ok(()),
            CodecSpec::Float8 { group } => Float8 { group }.check(),
            CodecSpec::Uniform { bits, group } => Uniform { bits, group }.check(),
            CodecSpec::FrequencySplit { block, bits, parity } => FrequencySplit { block, bits, parity }.check(),
            CodecSpec::ErrorBounded { target, fraction, interval } => error_bounded(target, fraction, interval).check(),
        }
    }

    /// The codec; none for raw, nor where each value has another.
    pub fn codec(&self) -> Option<Rc<dyn Codec>> {
        match *self {
            CodecSpec::Raw | CodecSpec::Auto { .. } => None,
            CodecSpec::F16 => Some(Rc::new(F16)),
            CodecSpec::Float8 { group } => Some(Rc::new(Float8 { group })),
            CodecSpec::Uniform { bits, group } => Some(Rc::new(Uniform { bits, group })),
            CodecSpec::FrequencySplit { block, bits, parity } => Some(Rc::new(FrequencySplit { block, bits, parity })),
            CodecSpec::ErrorBounded { target, fraction, interval } => {
                Some(Rc::new(error_bounded(target, fraction, interval)))
            }
        }
    }
}

fn error_bounded(target: BoundTarget, fraction: f32, interval: u32) -> ErrorBounded {
    let target = match target {
        BoundTarget::Noise => Target::Noise(fraction),
        BoundTarget::Comet => Target::Momentum(fraction),
    };
    ErrorBounded { target, interval }
}

/// The name, with the settings where they are not the usual ones: what [`CodecSpec::parse`] reads.
impl fmt::Display for CodecSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, settings) = match *self {
            CodecSpec::Raw => ("raw", String::new()),
            CodecSpec::F16 => ("f16", String::new()),
            CodecSpec::Float8 { group } => ("float8", format!(":{group}")),
            CodecSpec::Uniform { bits, group } if group == Uniform::default().group => ("uniform", format!(":{bits}")),
            CodecSpec::Uniform { bits, group } => ("uniform", format!(":{bits},{group}")),
            CodecSpec::FrequencySplit { block, bits, parity } => {
                ("frequency-split", format!(":{block},{bits}{}", if parity { ",parity" } else { "" }))
            }
            CodecSpec::ErrorBounded { target: BoundTarget::Noise, fraction, .. } => {
                ("error-bounded", format!(":{fraction}"))
            }
            CodecSpec::Auto { budget } => ("auto", format!(":{}", units::exact(budget))),
            CodecSpec::ErrorBounded { fraction: 0.01, .. } => ("error-bounded", ":comet".to_owned()),
            CodecSpec::ErrorBounded { fraction, .. } => ("error-bounded", format!(":comet,{fraction}")),
        };
        let usual = CodecSpec::usual(name) == Some(*self);
        write!(f, "{name}{}", if usual { "" } else { &settings })
    }
}
