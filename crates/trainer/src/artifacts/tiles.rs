//! Tables of tiles as files: what `frugal tune` measured on an adapter, for the runs after it.
//!
//! Each adapter has one in the user's cache, or [`VARIABLE`] names one. A run copies it into its folder, because other tiles may
//! add in another order: `frugal resume` takes that copy and nothing else.

use crate::Error;
use crate::artifacts::environment::{adapter_facts, kernel_set_name};
pub use crate::error::{TilesError, VARIABLE};
use frugal_report::records::AdapterFacts;
use frugal_report::tuning::Tuning;
use frugal_tensor::Gpu;
use frugal_tensor::ir::{KernelSet, TileTable, tiles::Choice, tiles::Work};
use frugal_tensor::runtime::Adapter;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// A run's table in its folder.
pub const FILE: &str = "tiles.toml";
/// The form of the files.
const FORMAT: u32 = 1;

/// A file with a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TilesFile {
    /// The form of the file.
    format: u32,
    /// The family of kernels, `gpu` or `cpu`.
    kernels: String,
    /// What it was measured on.
    pub adapter: Key,
    /// What is not as usual.
    #[serde(default, rename = "choice")]
    pub choices: Vec<Entry>,
}

/// What makes an adapter another one: a new driver may compile otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Its name.
    pub name: String,
    /// The driver.
    pub driver: String,
    /// Version and other facts of the driver.
    pub driver_info: String,
    /// `vulkan`, `metal` or `dx12`.
    pub backend: String,
}

/// A choice as a file has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// See [`Work`].
    pub operator: String,
    /// See [`Work`].
    pub direction: String,
    /// See [`Work`].
    pub shape: String,
    /// The tile.
    pub tile: Choice,
    /// What the usual tile took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usual_ms: Option<f64>,
    /// What this one took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tuned_ms: Option<f64>,
}

impl Key {
    /// Of an adapter.
    pub fn of(adapter: &Adapter) -> Self {
        let AdapterFacts { name, driver, driver_info, backend, .. } = adapter_facts(adapter);
        Self { name, driver, driver_info, backend }
    }

    fn describe(&self) -> String {
        let Self { name, driver, driver_info, backend } = self;
        format!("{name} ({driver} {driver_info}, {backend})")
    }
}

impl Entry {
    /// What it is for.
    pub fn work(&self) -> Work {
        let Self { operator, direction, shape, .. } = self.clone();
        Work { operator, direction, shape }
    }

    /// A choice without times.
    fn of(work: &Work, tile: Choice) -> Self {
        let Work { operator, direction, shape } = work.clone();
        Self { operator, direction, shape, tile, usual_ms: None, tuned_ms: None }
    }
}

impl TilesFile {
    /// One without choices.
    pub fn new(adapter: &Adapter) -> Self {
        let kernels = kernel_set_name(adapter.kernel_set()).to_owned();
        Self { format: FORMAT, kernels, adapter: Key::of(adapter), choices: Vec::new() }
    }

    /// Of the table that plans on this device follow, if there is one.
    pub fn of(gpu: &Gpu) -> Option<Self> {
        let table = gpu.tiles()?;
        let choices = table.choices().map(|(work, tile)| Entry::of(work, tile)).collect();
        Some(Self { choices, ..Self::new(gpu.adapter()) })
    }

    /// Reads a file and checks every tile of it.
    ///
    /// # Errors
    /// [`Error::Io`], [`TilesError`].
    pub fn read(path: &Path) -> Result<(Self, TileTable), Error> {
        let text = frugal_data::input::read_text(path).map_err(Error::io("read", path))?;
        let damaged = |reason: String| TilesError::Damaged { path: path.to_path_buf(), reason };
        // Of an error in TOML the first line says what, and the place is shown below it.
        let file: Self = toml::from_str(&text).map_err(|error| damaged(error.to_string().trim_end().to_owned()))?;
        if file.format != FORMAT {
            let reason = format!("it has format {}, and this version of Frugal reads {FORMAT}", file.format);
            return Err(damaged(reason).into());
        }
        let sets = [KernelSet::Tiles, KernelSet::Registers];
        let set = sets.into_iter().find(|&set| kernel_set_name(set) == file.kernels);
        let set = set.ok_or_else(|| damaged(format!("`kernels` is gpu or cpu, not {:?}", file.kernels)))?;
        let table = TileTable::new(set, file.choices.iter().map(|entry| (entry.work(), entry.tile)));
        let table =
            table.map_err(|source| TilesError::Impossible { path: path.to_path_buf(), source: source.into() })?;
        Ok((file, table))
    }

    /// Puts what was measured in the place of what the table says of it.
    pub fn take(&mut self, tuning: &Tuning) {
        self.choices.retain(|entry| tuning.rows.iter().all(|row| row.work != entry.work()));
        for row in &tuning.rows {
            let Some((tile, milliseconds)) = row.best else { continue };
            let Work { operator, direction, shape } = row.work.clone();
            let rounded = |milliseconds: f64| Some((1e5 * milliseconds).round() / 1e5);
            let (usual_ms, tuned_ms) = (rounded(row.usual_ms), rounded(milliseconds));
            self.choices.push(Entry { operator, direction, shape, tile, usual_ms, tuned_ms });
        }
        self.choices.sort_by_key(Entry::work);
    }

    /// As a file, with a line that says what it is.
    pub fn to_toml(&self) -> String {
        let text = toml::to_string(self).expect("numbers and texts are TOML");
        format!(
            "# Tiles that were faster than the usual ones on this adapter; made by `frugal tune`, see docs/tuning.md.\n{text}"
        )
    }
}

/// Where the table of an adapter is: in the user's cache, or where [`VARIABLE`] says. `None` if the user wants none, or has no
/// cache.
pub fn path_of(adapter: &Adapter) -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(VARIABLE) {
        return (!named.is_empty()).then(|| named.into());
    }
    let Key { name, backend, .. } = Key::of(adapter);
    let word: String = format!("{name} {backend}").to_lowercase();
    let parts = word.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
    let file = format!("{}.toml", parts.collect::<Vec<_>>().join("-"));
    Some(dirs::cache_dir()?.join("frugal").join("tiles").join(file))
}

/// Takes the adapter's table for all plans from now on, if there is one, and returns a line that says so.
///
/// # Errors
/// [`Error::Io`], [`TilesError`]; one of another adapter is an error only if [`VARIABLE`] names it.
pub fn pick_up(gpu: &Gpu) -> Result<Option<String>, Error> {
    let Some(path) = path_of(gpu.adapter()) else { return Ok(None) };
    let named = std::env::var_os(VARIABLE).is_some();
    if !named && !path.exists() {
        return Ok(None);
    }
    let (file, table) = TilesFile::read(&path)?;
    let (here, there) = (Key::of(gpu.adapter()), &file.adapter);
    if here != *there {
        let (here, there) = (here.describe(), there.describe());
        if named {
            return Err(TilesError::Foreign { path, there, here }.into());
        }
        let path = path.display();
        return Ok(Some(format!(
            "tiles: not those of {path}, which were measured on {there}; `frugal tune` measures anew"
        )));
    }
    let line = format!("tiles: {} of {}", counted(table.choices().len()), path.display());
    gpu.set_tiles(Some(Rc::new(table)));
    Ok(Some(line))
}

/// Takes the table that a run began with, and no other; a line says so.
///
/// # Errors
/// [`Error::Io`], [`TilesError`].
pub fn of_run(folder: &Path, gpu: &Gpu) -> Result<Option<String>, Error> {
    let path = folder.join(FILE);
    gpu.set_tiles(None);
    if !path.exists() {
        let lost = |choices| format!("warning: the run began with {}, but its {FILE} is gone", counted(choices));
        return Ok(noted(folder).map(lost));
    }
    let (file, table) = TilesFile::read(&path)?;
    let line = match file.adapter == Key::of(gpu.adapter()) {
        true => format!("tiles: {} that the run began with", counted(table.choices().len())),
        // Its numbers differ anyway.
        false => {
            return Ok(Some(format!(
                "tiles: not those of the run, which were measured on {}",
                file.adapter.describe()
            )));
        }
    };
    gpu.set_tiles(Some(Rc::new(table)));
    Ok(Some(line))
}

/// How many choices a run had when it began, by its own notes.
fn noted(folder: &Path) -> Option<usize> {
    let environment = frugal_data::input::read(&folder.join("environment.json"), frugal_data::input::MOST_TEXT).ok()?;
    let environment: serde_json::Value = serde_json::from_slice(&environment).ok()?;
    environment["tiles"].as_u64().map(|choices| choices as usize)
}

fn counted(choices: usize) -> String {
    match choices {
        1 => "1 choice".to_owned(),
        choices => format!("{choices} choices"),
    }
}
