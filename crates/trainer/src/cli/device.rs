//! Options of all commands that open a device.

use crate::artifacts::tiles;
use crate::{Error, terminal};
use clap::Args;
use frugal_tensor::ir::{KernelSet, Precision};
use frugal_tensor::runtime::GpuOptions;
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
    /// Opens the adapter, and says so if what is asked of it is not what it is good at.
    ///
    /// # Errors
    /// As [`Gpu::open_with`].
    pub(super) fn open(&self, precision: Precision) -> Result<Rc<Gpu>, GpuError> {
        let gpu = Gpu::open_with(self.device.as_deref(), GpuOptions { precision, checked: self.checked })?;
        if precision == Precision::F16 && gpu.adapter().kernel_set() == KernelSet::Registers {
            let name = &gpu.adapter().info.name;
            terminal::warn(format_args!(
                "{name} runs on the processor, where f16 is slower than f32 and good only for checking"
            ));
        }
        Ok(gpu)
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
    /// As [`Device::open`]; [`Error::Tiles`] if the table is damaged.
    pub(super) fn open(&self, precision: Precision, tuned: bool) -> Result<Rc<Gpu>, Error> {
        let gpu = self.device.open(precision)?;
        let line = if tuned && !self.no_tuned { tiles::pick_up(&gpu)? } else { None };
        if let Some(line) = line {
            terminal::say(&line);
        }
        Ok(gpu)
    }
}
