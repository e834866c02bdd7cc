//! Options of all commands that open a device.

use clap::Args;
use frugal_tensor::{Gpu, GpuError};
use std::rc::Rc;

/// Which adapter to open, and how.
#[derive(Debug, Args)]
pub(super) struct Device {
    /// Adapter, by number or part of its name (see `frugal devices`)
    #[arg(long, value_name = "D")]
    device: Option<String>,
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
