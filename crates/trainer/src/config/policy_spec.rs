//! A store by one name: a form, and with a suffix what is recomputed: `frequency-split:8,4+cheap`.

use super::CodecSpec;
use crate::error::suggest;
use frugal_tensor::codec::Recompute;
use serde::Serialize;
use std::fmt;

/// The form in which saved tensors are kept, and which values are recomputed instead.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PolicySpec {
    /// For values that are saved.
    #[serde(flatten)]
    pub form: CodecSpec,
    /// Which are not saved.
    #[serde(serialize_with = "by_name", skip_serializing_if = "is_none")]
    pub recompute: Recompute,
}

/// The names of [`Recompute`].
pub(super) const RECOMPUTE: &[&str] = &["none", "cheap", "segments"];

/// What a name means.
pub(super) fn recompute(name: &str) -> Option<Recompute> {
    Recompute::ALL.into_iter().find(|recompute| recompute.name() == name)
}

/// For serde: the name.
pub(super) fn by_name<S: serde::Serializer>(recompute: &Recompute, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(recompute.name())
}

/// For serde: whether nothing need be said.
pub(super) fn is_none(recompute: &Recompute) -> bool {
    *recompute == Recompute::None
}

impl From<CodecSpec> for PolicySpec {
    fn from(form: CodecSpec) -> Self {
        Self { form, recompute: Recompute::None }
    }
}

impl PolicySpec {
    /// From a form as [`CodecSpec::parse`] reads it, with or without `+cheap` or `+segments`.
    ///
    /// # Errors
    /// Says what to write instead.
    pub fn parse(text: &str) -> Result<PolicySpec, String> {
        let Some((form, suffix)) = text.split_once('+') else {
            return CodecSpec::parse(text).map(PolicySpec::from);
        };
        let form = CodecSpec::parse(form.trim())?;
        let recompute = recompute(suffix.trim()).ok_or_else(|| {
            format!("after `+` comes what is recomputed in the backward pass: {}", suggest(suffix.trim(), RECOMPUTE))
        })?;
        Ok(PolicySpec { form, recompute })
    }
}

/// What [`PolicySpec::parse`] reads.
impl fmt::Display for PolicySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.form.fmt(f)?;
        if is_none(&self.recompute) { Ok(()) } else { write!(f, "+{}", self.recompute.name()) }
    }
}

/// A list of stores on the command line: `raw,uniform:4,frequency-split:8,2+cheap`.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicySpecs(pub Vec<PolicySpec>);

impl PolicySpecs {
    /// From names between commas. A number belongs to the name before it, and so does `parity`.
    ///
    /// # Errors
    /// As [`PolicySpec::parse`], or if a store is there twice.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut names: Vec<String> = Vec::new();
        for part in text.split(',').map(str::trim) {
            match names.last_mut() {
                Some(name) if part.starts_with("parity") || part.starts_with(|c: char| c.is_ascii_digit()) => {
                    *name += &format!(",{part}")
                }
                _ => names.push(part.to_owned()),
            }
        }
        let mut choices = Vec::new();
        for name in names {
            let choice = PolicySpec::parse(&name).map_err(|reason| format!("\"{name}\": {reason}"))?;
            if choices.contains(&choice) {
                return Err(format!("{choice} is there twice"));
            }
            choices.push(choice);
        }
        Ok(Self(choices))
    }
}
