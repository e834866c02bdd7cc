//! Texts that come from outside, as they may be shown.

use std::borrow::Cow;
use std::fmt::Write;

/// The text with control characters, other than line breaks and tabs, written as `\u001b`. The escapes are those of JSON.
pub fn shown(text: &str) -> Cow<'_, str> {
    let is_sent = |c: char| !c.is_control() || c == '\n' || c == '\t';
    if text.chars().all(is_sent) {
        return Cow::Borrowed(text);
    }
    let mut visible = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_sent(c) {
            visible.push(c);
        } else {
            write!(visible, "\\u{:04x}", u32::from(c)).expect("a string takes any text");
        }
    }
    Cow::Owned(visible)
}

/// The text, or where it is too long its beginning and how long it is.
pub fn brief(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}… ({} bytes)", &text[..end], text.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_and_not_sent() {
        assert_eq!(shown("a\tb\nc é 猫"), "a\tb\nc é 猫");
        assert_eq!(shown("\x1b[2Jcat\u{9b}1m\x07\r\x7f"), "\\u001b[2Jcat\\u009b1m\\u0007\\u000d\\u007f");
    }

    #[test]
    fn long_texts_are_cut_and_say_how_long_they_are() {
        assert_eq!(brief("äöü", 3), "äöü");
        assert_eq!(brief("äöüß", 3), "äöü… (8 bytes)");
    }
}
