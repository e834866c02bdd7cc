//! What is wrong with a config, and where it stands.

use super::excerpt::{Excerpt, Place};
use miette::{Diagnostic, LabeledSpan, SourceCode};
use std::fmt::Display;
use std::path::Path;

/// A setting that cannot be used: what, where, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.message)]
pub struct ConfigError(Box<Parts>);

#[derive(Debug)]
struct Parts {
    message: String,
    help: Option<String>,
    place: Option<(Excerpt, LabeledSpan)>,
}

impl ConfigError {
    /// About a place in a text.
    pub(crate) fn at(place: &Place, message: impl Into<String>, label: impl Into<String>) -> Self {
        let excerpt = Excerpt::of(place);
        let label = excerpt.label(&label.into());
        Self(Box::new(Parts { message: message.into(), help: None, place: Some((excerpt, label)) }))
    }

    /// A file that cannot be read.
    pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        let help = "the first argument is the path of a TOML file, for example configs/quickstart.toml";
        let message = format!("cannot read the config {}: {error}", path.display());
        Self(Box::new(Parts { message, help: Some(help.to_owned()), place: None }))
    }

    /// A path that no config can name.
    pub(crate) fn not_unicode(path: &Path) -> Self {
        let message = format!("the path {} is not in Unicode, so that no config can name it", path.display());
        Self(Box::new(Parts { message, help: Some("rename the folder".to_owned()), place: None }))
    }

    /// With a hint.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }
}

impl Diagnostic for ConfigError {
    fn help(&self) -> Option<Box<dyn Display + '_>> {
        self.0.help.as_ref().map(|help| Box::new(help) as Box<dyn Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.0.place.as_ref().map(|(excerpt, _)| excerpt as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let (_, label) = self.0.place.as_ref()?;
        Some(Box::new(std::iter::once(label.clone())))
    }
}

/// "did you mean …", or all there is.
pub(crate) fn suggest(wrong: &str, known: &[&str]) -> String {
    // What is that long resembles nothing, and comparing takes the square of its length.
    let wrong = if wrong.len() <= 100 { wrong } else { "" };
    match closest(wrong, known) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("there are: {}", known.join(", ")),
    }
}

/// The name that was probably meant.
pub(crate) fn closest<'a>(wrong: &str, known: &[&'a str]) -> Option<&'a str> {
    // `learning_rate` for `lr`.
    let initials: String = wrong.split(['_', '-']).filter_map(|word| word.chars().next()).collect();
    known
        .iter()
        .map(|&name| (if name == initials { 1.0 } else { strsim::jaro_winkler(wrong, name) }, name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}
