//! Options of all commands that open a device.

use crate::Error;
use crate::run::tiles;
use clap::Args;
use frugal_tensor::{Gpu, GpuError};
use std::rc::Rc;

/// Which adapter to open, and how.
#[derive(Debug, Args)]
pub(super) struct Device {
    /// Adapter, by number or part of its name (see `frugal devices`)
    #[arg(long, value_name = "D")]
    pub(super) device: Option<String>,
    /// Check array bounds and loops in all shaders: same results, slower
    #[arg(long)]
    checked: bool,
}

impl Device {
    /// # Errors
    /// As [`Gpu::open`].
    pub(super) fn open(&self) -> Result<Rc<Gpu>, GpuError> {
        let wish = self.device.as_deref();
        if self.checked { Gpu::open_checked(wish) } else { Gpu::open(wish) }
    }
}

/// The same, and whether it takes the tiles that were measured on it.
#[derive(Debug, Args)]
pub(super) struct TunedDevice {
    #[command(flatten)]
    pub(super) device: Device,
    /// Ignore what `frugal tune` measured on the adapter
    #[arg(long)]
    no_tuned: bool,
}

impl TunedDevice {
    /// Opens the adapter, with the table of tiles that it has, if any is wanted; says so.
    ///
    /// # Errors
    /// As [`Device::open`]; [`Error::Config`] if the table is damaged.
    pub(super) fn open(&self, tuned: bool) -> Result<Rc<Gpu>, Error> {
        let gpu = self.device.open()?;
        let line = if tuned && !self.no_tuned { tiles::pick_up(&gpu)? } else { None };
        if let Some(line) = line {
            eprintln!("{line}");
        }
        Ok(gpu)
    }
}
