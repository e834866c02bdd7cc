//! What an error shows of the text that it is about: a few lines around the place, cut where they are long, without control
//! characters. A file of megabytes is not copied, and a line of megabytes not printed.

use frugal_report::text::shown;
use miette::{LabeledSpan, MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

/// The most characters that are shown of a line on either side of the place.
const SIDE: usize = 100;
/// The most characters and lines of the place itself.
const PLACE: usize = 1000;
const LINES: usize = 12;

/// A text that settings come from.
#[derive(Debug)]
pub(crate) struct Text {
    /// The path of the file, or the option of the command line.
    pub name: String,
    /// All of it.
    pub content: String,
}

/// A place in a text.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub text: Arc<Text>,
    pub span: Range<usize>,
}

/// The lines around a place.
#[derive(Debug)]
pub(super) struct Excerpt {
    name: String,
    text: String,
    /// Where the place is in the excerpt.
    span: Range<usize>,
    /// The number of the excerpt's first line in the text, from 0.
    first_line: usize,
    /// Where the place begins in the text, from 0.
    line: usize,
    column: usize,
}

impl Excerpt {
    pub fn of(place: &Place) -> Self {
        let content = place.text.content.as_str();
        let boundary =
            |at: usize| (0..=at.min(content.len())).rev().find(|&at| content.is_char_boundary(at)).unwrap_or(0);
        let start = boundary(place.span.start);
        let end = boundary(place.span.end).max(start);
        let line_start = content[..start].rfind('\n').map_or(0, |at| at + 1);
        let line = content[..line_start].matches('\n').count();
        let mut text = String::new();
        let before = content[..line_start].strip_suffix('\n');
        if let Some(before) = before {
            text += &beginning(before.rsplit('\n').next().unwrap_or_default(), SIDE);
            text.push('\n');
        }
        text += &ending(&content[line_start..start], SIDE);
        let place_start = text.len();
        let inner = &content[start..end];
        let is_long = inner.chars().nth(PLACE).is_some() || inner.lines().nth(LINES).is_some();
        text += &match is_long {
            true => beginning(inner.lines().next().unwrap_or_default(), SIDE),
            false => shown(inner),
        };
        let span = place_start..text.len();
        // After a place that was cut there is nothing that belongs to it.
        let mut after = if is_long { "" } else { &content[end..] }.lines();
        text += &beginning(after.next().unwrap_or_default(), SIDE);
        if let Some(after) = after.next() {
            text.push('\n');
            text += &beginning(after, SIDE);
        }
        Self {
            name: shown(&place.text.name).into_owned(),
            text,
            span,
            first_line: line - usize::from(before.is_some()),
            line,
            column: start - line_start,
        }
    }

    /// The place, with what is to be said of it.
    pub fn label(&self, label: &str) -> LabeledSpan {
        LabeledSpan::new(Some(shown(label).into_owned()), self.span.start, self.span.len())
    }
}

/// At most so many characters of the beginning of a line.
fn beginning(line: &str, most: usize) -> Cow<'_, str> {
    let line = line.strip_suffix('\r').unwrap_or(line);
    match line.char_indices().nth(most) {
        None => shown(line),
        Some((end, _)) => Cow::Owned(format!("{}…", shown(&line[..end]))),
    }
}

/// At most so many characters of its end.
fn ending(line: &str, most: usize) -> Cow<'_, str> {
    match line.char_indices().nth_back(most) {
        None => shown(line),
        Some((before, c)) => Cow::Owned(format!("…{}", shown(&line[before + c.len_utf8()..]))),
    }
}

impl SourceCode for Excerpt {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let contents = self.text.read_span(span, before, after)?;
        // Without lines before, it is the place that is asked for.
        let (line, column) = match before {
            0 => (self.line, self.column),
            _ => (self.first_line + contents.line(), contents.column()),
        };
        let (data, span, lines) = (contents.data(), *contents.span(), contents.line_count());
        Ok(Box::new(MietteSpanContents::new_named(self.name.clone(), data, span, line, column, lines)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Text;
    use std::sync::Arc;

    fn excerpt(content: &str, span: Range<usize>) -> Excerpt {
        let text = Text { name: "a.toml".to_owned(), content: content.to_owned() };
        Excerpt::of(&Place { text: Arc::new(text), span })
    }

    #[test]
    fn the_lines_around_a_place_are_shown() {
        let of = excerpt("a = 1\nb = 2\r\nc = 3\nd = 4\ne = 5", 17..18);
        assert_eq!(of.text, "b = 2\nc = 3\nd = 4");
        assert_eq!((&of.text[of.span.clone()], of.first_line, of.line, of.column), ("3", 1, 2, 4));
        let of = excerpt("a = 1", 0..0);
        assert_eq!((of.text.as_str(), of.span.clone(), of.first_line, of.line, of.column), ("a = 1", 0..0, 0, 0, 0));
        assert_eq!(excerpt("", 3..9).text, "");
    }

    #[test]
    fn long_lines_and_places_are_cut_and_control_characters_shown() {
        let long = format!("{}\n{}\u{1b}[2J = {}\nz", "x".repeat(5_000), "é".repeat(5_000), "9".repeat(5_000));
        let start = 5_001 + 10_000 + 4;
        let of = excerpt(&long, start..start + 3);
        let (x, e, n) = ("x".repeat(100), "é".repeat(96), "9".repeat(100));
        assert_eq!(of.text, format!("{x}…\n…{e}\\u001b[2J = {n}…\nz"));
        assert_eq!((&of.text[of.span.clone()], of.line, of.column), (" = ", 1, 10_004));
        let of = excerpt(&long, start..long.len());
        assert_eq!(&of.text[of.span.clone()], format!(" = {}…", "9".repeat(97)));
        // Of a place of many lines its first.
        let many = "[\n".to_owned() + &"1,\n".repeat(100) + "]";
        assert_eq!(excerpt(&many, 0..many.len()).text, "[");
    }
}
