//! What is wrong with a config, and where it stands.

use super::source::Place;
use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};
use std::fmt::Display;
use std::path::Path;

/// A setting that cannot be used: what, where, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ConfigError {
    message: String,
    help: Option<String>,
    label: String,
    source_code: Option<NamedSource<String>>,
    span: (usize, usize),
}

impl ConfigError {
    /// About a place in a text.
    pub(super) fn at(place: &Place, message: impl Into<String>, label: impl Into<String>) -> Self {
        let source = NamedSource::new(&place.text.name, place.text.content.clone());
        Self {
            message: message.into(),
            help: None,
            label: label.into(),
            source_code: Some(source),
            span: (place.span.start, place.span.len()),
        }
    }

    /// A file that cannot be read.
    pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        let help = "the first argument is the path of a TOML file, for example configs/quickstart.toml";
        let message = format!("cannot read the config {}: {error}", path.display());
        Self { message, help: Some(help.to_owned()), label: String::new(), source_code: None, span: (0, 0) }
    }

    /// With a hint.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Diagnostic for ConfigError {
    fn help(&self) -> Option<Box<dyn Display + '_>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source_code.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.source_code.as_ref()?;
        let label = LabeledSpan::new(Some(self.label.clone()), self.span.0, self.span.1);
        Some(Box::new(std::iter::once(label)))
    }
}

/// "did you mean …", or all there is.
pub(crate) fn suggest(wrong: &str, known: &[&str]) -> String {
    // `learning_rate` for `lr`.
    let initials: String = wrong.split(['_', '-']).filter_map(|word| word.chars().next()).collect();
    let close = known
        .iter()
        .map(|name| (if *name == initials { 1.0 } else { strsim::jaro_winkler(wrong, name) }, name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match close {
        Some((_, name)) => format!("did you mean `{name}`?"),
        None => format!("there are: {}", known.join(", ")),
    }
}
