//! `frugal tune`.

use super::device::Device;
use super::subject::Subject;
use crate::artifacts::tiles::{Key, TilesFile, VARIABLE, path_of};
use crate::bench::tune::tune;
use crate::{Error, terminal};
use clap::Args;
use frugal_tensor::Gpu;
use frugal_tensor::ir::Precision;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Measure which tiles serve a net best on an adapter, for all runs after.
///
/// Measures each matrix product and convolution of the net's step with all tiles that its kernels can have, and writes those that are
/// clearly faster than the usual ones into a table for this adapter. `frugal train`, `compare` and `bench` take that table and say so
/// (--no-tuned ignores it); a run copies it into its folder, so that `frugal resume` ends with the same bits. What the table says of
/// other nets stays.
#[derive(Debug, Args)]
#[command(after_help = "\
The table is in the user's cache, one for each adapter; the variable FRUGAL_TILES names another
file, or none if it is empty. It serves the adapter and the driver that it was measured on.")]
pub(super) struct Options {
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    device: Device,
    /// Begin nothing new after so many seconds; what takes most arithmetic is measured first
    #[arg(long, value_name = "N", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Write the table there [default: where runs look for it]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(options: &Options) -> Result<(), Error> {
    let request = options.subject.request()?;
    let gpu = options.device.open(Precision::F32)?;
    let usual = path_of(gpu.adapter());
    let Some(path) = options.out.clone().or(usual.clone()) else {
        let message = format!("there is no folder for the table, or {VARIABLE} is empty; give a file with --out");
        return Err(Error::Usage(message));
    };
    // Before minutes of measuring: it may not be such a file.
    let mut file = there(&path, &gpu)?;
    let terminal = std::io::stderr().is_terminal();
    terminal::say(format_args!("tuning {} on {}", request.net.name, gpu.adapter().info.name));
    let tuning = tune(&request, &gpu, Duration::from_secs(options.seconds), |what| {
        if terminal {
            // Over the line before.
            terminal::replace_line(what);
        }
    });
    if terminal {
        terminal::replace_line("");
    }
    let tuning = tuning?;
    file.take(&tuning);
    write(&path, &file.to_toml())?;
    terminal::print(&tuning)?;
    let taken = if Some(&path) == usual.as_ref() { "runs take it by themselves" } else { "FRUGAL_TILES=FILE takes it" };
    terminal::print(format_args!("\ntable           {} ({taken})", path.display()))?;
    Ok(())
}

/// The table that is there, if it is of this adapter; else a new one.
fn there(path: &Path, gpu: &Gpu) -> Result<TilesFile, Error> {
    let new = TilesFile::new(gpu.adapter());
    if !path.exists() {
        return Ok(new);
    }
    let (file, _) = TilesFile::read(path)?;
    if file.adapter == Key::of(gpu.adapter()) {
        return Ok(file);
    }
    terminal::say("the table that is there was measured on another adapter or driver; it is replaced");
    Ok(new)
}

/// Whole or not at all: other runs may read it meanwhile.
fn write(path: &Path, text: &str) -> Result<(), Error> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    crate::artifacts::folder::Folder::open(folder)?.write(&name, text.as_bytes())
}
