//! What a comparison leaves beside its runs. Hours of work stand in these few files: they stay in memory until some disk takes them.

use crate::artifacts::folder::Folder;
use crate::terminal::interrupt;
use crate::{Error, terminal};
use frugal_report::comparison::Comparison;
use frugal_report::page::Page;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

/// How long to wait before disks are tried again.
const PATIENCE: Duration = Duration::from_secs(3);

/// The files, in the order in which they are written: what matters most comes first.
pub(super) struct Results(Vec<(String, Vec<u8>)>);

impl Results {
    /// Tables, report and pictures.
    pub fn new(page: &Page<'_>) -> Self {
        let comparison: &Comparison = page.comparison;
        let mut table = serde_json::to_string_pretty(comparison).expect("reports have text keys only");
        table.push('\n');
        let mut files = vec![
            ("table.md".to_owned(), comparison.to_markdown().into_bytes()),
            ("table.csv".to_owned(), comparison.to_csv().into_bytes()),
            ("table.json".to_owned(), table.into_bytes()),
            ("report.html".to_owned(), page.to_html().into_bytes()),
        ];
        if page.study.batches > 0 || page.study.skipped.is_some() {
            let mut study = serde_json::to_string_pretty(page.study).expect("reports have text keys only");
            study.push('\n');
            files.push(("gradient_error.json".to_owned(), study.into_bytes()));
        }
        for picture in page.pictures {
            files.push((format!("{}.svg", picture.name), picture.svg.clone().into_bytes()));
            files.push((format!("{}.png", picture.name), picture.png.clone()));
        }
        Self(files)
    }

    /// Writes all files.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, folder: &Folder) -> Result<(), Error> {
        self.0.iter().try_for_each(|(name, content)| folder.write(name, content))
    }

    /// Writes all files elsewhere, because a folder does not take them: into a new folder under the current one, or under the
    /// system's for temporary files. If no place takes them and there is somebody at the terminal, tries again until there is
    /// space, or Ctrl-C. Returns where they are.
    ///
    /// # Errors
    /// The one that kept them from being written where they belong.
    pub fn rescue(&self, folder: &Folder, error: Error) -> Result<PathBuf, Error> {
        terminal::warn(&error);
        if let Some(place) = self.elsewhere() {
            return Ok(place);
        }
        if !std::io::stderr().is_terminal() {
            terminal::warn("no place takes the results; what was printed is all that there is of them");
            return Err(error);
        }
        terminal::say("no place takes the results: they wait in memory until there is space; Ctrl-C gives them up");
        while !interrupt::is_asked() {
            std::thread::sleep(PATIENCE);
            if self.write(folder).is_ok() {
                terminal::say(format_args!("the results are in {} now", folder.path().display()));
                return Ok(folder.path().to_path_buf());
            }
            if let Some(place) = self.elsewhere() {
                return Ok(place);
            }
        }
        Err(error)
    }

    fn elsewhere(&self) -> Option<PathBuf> {
        let places = [PathBuf::new(), std::env::temp_dir()];
        let place = places.iter().find_map(|place| {
            let folder = Folder::fresh(&place.join("frugal-comparison")).ok()?;
            match self.write(&folder) {
                Ok(()) => Some(folder.path().to_path_buf()),
                Err(_) => {
                    // Half of them are of no use to anyone.
                    let _ = std::fs::remove_dir_all(folder.path());
                    None
                }
            }
        })?;
        terminal::warn(format_args!("the results are in {} instead", place.display()));
        Some(place)
    }
}
