//! What is in the folders of a set: folders, pictures, and what is neither. Hidden files, whose names begin with a point, are
//! skipped.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::{has_ending, own};
use crate::DataError;
use crate::pixels::ENDINGS;

/// How deep folders may lie in a class folder.
const DEEPEST: usize = 32;
/// The most endings that are named.
const MOST_ENDINGS: usize = 5;

/// What is in a folder, each in the order of names: file systems list in any order.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub folders: Vec<PathBuf>,
    /// Regular files whose names end as those of pictures do.
    pub pictures: Vec<PathBuf>,
    /// Other regular files.
    pub files: Vec<PathBuf>,
    /// Pipes, sockets, devices, and links to nowhere.
    pub strange: usize,
}

impl Listing {
    pub fn of(folder: &Path) -> Result<Listing, DataError> {
        let mut listing = Listing::default();
        for entry in fs::read_dir(folder).map_err(DataError::io("list", folder))? {
            let path = entry.map_err(DataError::io("list", folder))?.path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
                continue;
            }
            // Links are followed.
            match fs::metadata(&path) {
                Ok(found) if found.is_dir() => listing.folders.push(path),
                Ok(found) if found.is_file() && ENDINGS.iter().any(|ending| has_ending(&path, ending)) => {
                    listing.pictures.push(path);
                }
                Ok(found) if found.is_file() => listing.files.push(path),
                _ => listing.strange += 1,
            }
        }
        [&mut listing.folders, &mut listing.pictures, &mut listing.files].into_iter().for_each(|all| all.sort());
        Ok(listing)
    }
}

/// Walks the folders of a set, and counts what it finds beside pictures.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// Files that are no pictures, by their endings.
    endings: BTreeMap<String, u64>,
    strange: usize,
    /// Links to folders that were read already, or that the link is in.
    again: usize,
}

impl Walk {
    /// Counts what of a listing is neither picture nor folder.
    pub fn pass_over(&mut self, listing: &Listing) {
        self.strange += listing.strange;
        listing.files.iter().for_each(|file| *self.endings.entry(ending(file)).or_default() += 1);
    }

    /// All pictures in a folder and the folders in it, each folder once, and none above it, whatever links lead there.
    pub fn pictures(&mut self, folder: &Path) -> Result<Vec<PathBuf>, DataError> {
        let mut pictures = Vec::new();
        let place = fs::canonicalize(folder).map_err(DataError::io("list", folder))?;
        let mut seen = place.ancestors().skip(1).map(Path::to_path_buf).collect();
        self.add(folder, 0, &mut seen, &mut pictures)?;
        Ok(pictures)
    }

    fn add(
        &mut self,
        folder: &Path,
        depth: usize,
        seen: &mut HashSet<PathBuf>,
        pictures: &mut Vec<PathBuf>,
    ) -> Result<(), DataError> {
        if depth > DEEPEST {
            return Err(own(folder, format!("it lies more than {DEEPEST} folders deep in its class")));
        }
        if !seen.insert(fs::canonicalize(folder).map_err(DataError::io("list", folder))?) {
            self.again += 1;
            return Ok(());
        }
        let listing = Listing::of(folder)?;
        self.pass_over(&listing);
        pictures.extend(listing.pictures);
        listing.folders.iter().try_for_each(|folder| self.add(folder, depth + 1, seen, pictures))
    }

    /// What was passed over, in words.
    pub fn passed_over(&self) -> Vec<String> {
        let mut all = Vec::new();
        match self.endings.values().sum::<u64>() {
            0 => {}
            1 => all.push(format!("1 file that is no picture ({})", self.kinds())),
            files => all.push(format!("{files} files that are no pictures ({})", self.kinds())),
        }
        match self.strange {
            0 => {}
            1 => all.push("a pipe, device or link to nowhere".to_owned()),
            several => all.push(format!("{several} pipes, devices or links to nowhere")),
        }
        match self.again {
            0 => {}
            1 => all.push("a link to a folder that was read already or is above it".to_owned()),
            several => all.push(format!("{several} links to folders that were read already or are above them")),
        }
        all
    }

    /// How many files have which ending, the most frequent first.
    fn kinds(&self) -> String {
        let mut kinds: Vec<(&String, &u64)> = self.endings.iter().collect();
        kinds.sort_by_key(|(_, files)| std::cmp::Reverse(**files));
        let one = kinds.len() == 1;
        let word = |(ending, files): &(&String, &u64)| {
            if one { (*ending).clone() } else { format!("{files} {ending}") }
        };
        let shown = kinds.iter().take(MOST_ENDINGS).map(word).collect::<Vec<_>>().join(", ");
        if kinds.len() > MOST_ENDINGS { format!("{shown} …") } else { shown }
    }
}

fn ending(file: &Path) -> String {
    match file.extension() {
        Some(ending) => format!(".{}", ending.to_string_lossy().to_lowercase()),
        None => "without an ending".to_owned(),
    }
}
