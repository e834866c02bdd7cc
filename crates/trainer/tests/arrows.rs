//! Imports go one way: in each crate a module imports those before it in the table of the README, and no other.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const README: &str = include_str!("../../../README.md");

/// The modules of each crate in the README's order: `crates/NAME/src: a → b → c`.
fn table() -> Vec<(PathBuf, Vec<&'static str>)> {
    let rows = README.lines().filter_map(|line| line.trim().split_once("/src: "));
    let row = |(name, order): (&str, &'static str)| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name).join("src");
        (root, order.split('→').map(str::trim).collect())
    };
    rows.map(row).collect()
}

/// The Rust files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let below = |path: PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    paths.flat_map(below).filter(|path| path.extension().is_some_and(|ending| ending == "rs")).collect()
}

/// Code without comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join(" ")
}

/// The first words of what follows `marker`, a path or several in braces: `a` and `b` of `{a::X, b}`.
fn named<'a>(code: &'a str, marker: &'a str) -> impl Iterator<Item = &'a str> {
    code.split(marker).skip(1).flat_map(|rest| {
        let list = rest.strip_prefix('{').map_or(rest, |list| list.split(';').next().unwrap());
        let several = if rest.starts_with('{') { usize::MAX } else { 1 };
        let items = list.split(',').take(several).map(str::trim_start);
        items.map(|item| item.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap())
    })
}

#[test]
fn modules_import_only_those_before_them() {
    let table = table();
    assert_eq!(table.len(), 2, "the README has the order of two crates");
    for (root, order) in table {
        // What the crate's root gives another name is still of its module.
        let lib = code(&root.join("lib.rs"));
        let mut place: BTreeMap<String, usize> = BTreeMap::new();
        for (at, module) in order.iter().enumerate() {
            place.insert((*module).to_owned(), at);
            place.extend(named(&lib, &format!("pub use {module}::")).map(|name| (name.to_owned(), at)));
        }
        let mut modules: Vec<String> = Vec::new();
        for entry in fs::read_dir(&root).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            if ["lib", "main"].contains(&name.as_str()) {
                continue;
            }
            let own = *place.get(&name).unwrap_or_else(|| panic!("{name} is not in the README's table"));
            for file in if path.is_dir() { files(&path) } else { vec![path] } {
                // Tests may make use of everything.
                let code = code(&file);
                let code = code.split("#[cfg(test)]").next().unwrap_or_default();
                for imported in named(code, "crate::") {
                    let back = place.get(imported).is_some_and(|&other| other > own);
                    assert!(!back, "{} imports {imported}, which comes after {name}", file.display());
                }
            }
            modules.push(name);
        }
        assert_eq!(modules.len(), order.len(), "{modules:?} in {}", root.display());
    }
}
