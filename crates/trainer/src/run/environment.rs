//! What a run ran on: without it, no number of the run means anything.

use frugal_tensor::Gpu;
use frugal_tensor::ir::KernelSet;
use serde::{Deserialize, Serialize};
use std::process::Command;
use std::time::SystemTime;

/// What a run ran on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Environment {
    /// When it began, UTC.
    pub started: String,
    /// The command line.
    pub command: Vec<String>,
    /// The adapter.
    pub adapter: AdapterFacts,
    /// The family of kernels.
    pub kernel_set: String,
    /// How many choices of tiles were measured on the adapter (`tiles.toml`); nothing where all are as usual.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tiles: Option<usize>,
    /// Version of this program.
    pub frugal: String,
    /// Version of wgpu.
    pub wgpu: String,
    /// The compiler.
    pub rustc: String,
    /// Operating system and processor family.
    pub system: String,
    /// Processor cores at hand.
    pub cores: usize,
    /// The commit of the folder that it was started in, if that is a git checkout.
    pub git: Option<Git>,
}

/// An adapter, by what drivers say of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdapterFacts {
    /// Its name.
    pub name: String,
    /// The driver.
    pub driver: String,
    /// Version and other facts of the driver.
    pub driver_info: String,
    /// `vulkan`, `metal` or `dx12`.
    pub backend: String,
    /// `DiscreteGpu`, `IntegratedGpu`, `VirtualGpu`, `Cpu` or `Other`.
    pub r#type: String,
}

/// A commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Git {
    /// Its hash.
    pub commit: String,
    /// Whether files differ from it.
    pub dirty: bool,
}

impl AdapterFacts {
    /// Of an adapter.
    pub fn of(adapter: &frugal_tensor::runtime::Adapter) -> Self {
        let info = &adapter.info;
        Self {
            name: info.name.clone(),
            driver: info.driver.clone(),
            driver_info: info.driver_info.clone(),
            backend: info.backend.to_string(),
            r#type: format!("{:?}", info.device_type),
        }
    }
}

/// What users call a family of kernels.
pub fn kernel_set_name(set: KernelSet) -> &'static str {
    match set {
        KernelSet::Tiles => "gpu",
        KernelSet::Registers => "cpu",
        KernelSet::Naive => "naive",
    }
}

impl Environment {
    /// Of this process and an open device.
    pub fn of(gpu: &Gpu) -> Self {
        Self {
            started: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            command: std::env::args().collect(),
            adapter: AdapterFacts::of(gpu.adapter()),
            kernel_set: kernel_set_name(gpu.adapter().kernel_set()).to_owned(),
            tiles: gpu.tiles().map(|table| table.choices().len()),
            frugal: env!("CARGO_PKG_VERSION").to_owned(),
            wgpu: env!("FRUGAL_WGPU").to_owned(),
            rustc: env!("FRUGAL_RUSTC").to_owned(),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            git: git(),
        }
    }
}

fn git() -> Option<Git> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "HEAD"])?;
    let dirty = git(&["status", "--porcelain", "--untracked-files=no"]).is_none_or(|changes| !changes.is_empty());
    Some(Git { commit, dirty })
}
