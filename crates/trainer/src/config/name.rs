//! What a config is called. Its runs' folder has that name, so that it must be one on every system.

use std::borrow::Cow;
use std::path::Path;
use unicode_normalization::UnicodeNormalization;

/// The most bytes of a name: file systems take 255, and others add to it.
const LONGEST: usize = 100;
/// What a config is called whose file has nothing in its name that a folder could.
const USUAL: &str = "run";

/// What is wrong with a name, if anything, as what it must be.
pub(super) fn check(name: &str) -> Result<(), &'static str> {
    match name {
        _ if !name.chars().all(is_plain) => Err("made of letters, digits, `-`, `_` and `.`"),
        _ if name.len() > LONGEST => Err("of at most 100 bytes"),
        _ if name.is_empty() || name.starts_with('.') || name.ends_with('.') => {
            Err("a name that neither begins nor ends with `.`, as folders on every system can have it")
        }
        _ if is_device(name) => Err("another name: Windows has a device of that name, and no folder can have it"),
        _ => Ok(()),
    }
}

/// The name of a config that does not say one: that of its file, with `-` for what a name cannot have.
pub(super) fn of_file(file: &str) -> String {
    let stem = stem(file);
    if check(&stem).is_ok() {
        return stem.into_owned();
    }
    let mut name: String = stem.nfc().map(|c| if is_plain(c) { c } else { '-' }).collect();
    let end = (0..=LONGEST.min(name.len())).rev().find(|&at| name.is_char_boundary(at)).unwrap_or(0);
    name.truncate(end);
    let name = name.trim_matches(['-', '.']);
    match name {
        "" => USUAL.to_owned(),
        name if is_device(name) => format!("{USUAL}-{name}"),
        name => name.to_owned(),
    }
}

/// The name of a file without its ending.
pub(super) fn stem(file: &str) -> Cow<'_, str> {
    Path::new(file).file_stem().unwrap_or_default().to_string_lossy()
}

fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || "-_.".contains(c)
}

/// Whether Windows takes it for a device, whatever ending it has.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().to_ascii_uppercase();
    let port = |kind: &str| {
        stem.strip_prefix(kind).is_some_and(|n| n.chars().count() == 1 && n.chars().all(|c| "123456789¹²³".contains(c)))
    };
    ["CON", "PRN", "AUX", "NUL"].contains(&stem.as_str()) || port("COM") || port("LPT")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_those_that_a_folder_can_have_anywhere() {
        for name in ["a", "lr-0.1", "Übung_2", "con-1", "com10", "-x", &"x".repeat(100)] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        let wrong = ["", ".", "..", ".a", "a.", "a b", "a/b", "a\\b", "a:b", "CON", "con.x", "Lpt1", "COM¹", "a\u{1b}"];
        for name in wrong.into_iter().chain([&*"é".repeat(51)]) {
            assert!(check(name).is_err(), "{name}");
        }
    }

    #[test]
    fn files_give_their_names_without_what_a_name_cannot_have() {
        let files = [
            ("configs/quickstart.toml", "quickstart"),
            ("my run.toml", "my-run"),
            ("lr=0.1.toml", "lr-0.1"),
            ("run+cheap.toml", "run-cheap"),
            ("e\u{301}te\u{301}.toml", "été"),
            ("???.toml", "run"),
            (".toml", "toml"),
            ("nul.toml", "run-nul"),
            ("a..toml", "a"),
            ("\u{1b}[2J.toml", "2J"),
            ("", "run"),
        ];
        for (file, name) in files {
            assert_eq!(of_file(file), name, "{file}");
        }
    }

    proptest! {
        #[test]
        fn the_name_of_any_file_is_one_that_a_config_can_have(file in any::<String>(), long in "[aé猫. ]{90,300}") {
            for file in [file.clone(), long.clone(), long + &file] {
                prop_assert_eq!(check(&of_file(&file)), Ok(()));
            }
        }
    }
}
