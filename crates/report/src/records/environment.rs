//! What a run ran on: without it, no number of the run means anything.

use serde::{Deserialize, Serialize};

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
