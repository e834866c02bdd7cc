//! What a run ran on: without it, no number of the run means anything.

use frugal_report::devices::DeviceReport;
use frugal_report::records::{AdapterFacts, Environment, Git};
use frugal_tensor::Gpu;
use frugal_tensor::ir::{KernelSet, Operands, Precision};
use frugal_tensor::runtime::Adapter;
use std::collections::BTreeMap;
use std::process::Command;
use std::time::SystemTime;

/// What the driver says of an adapter.
pub fn adapter_facts(adapter: &Adapter) -> AdapterFacts {
    let info = &adapter.info;
    AdapterFacts {
        name: info.name.clone(),
        driver: info.driver.clone(),
        driver_info: info.driver_info.clone(),
        backend: info.backend.to_string(),
        r#type: format!("{:?}", info.device_type),
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

/// This process and an open device.
pub fn environment(gpu: &Gpu) -> Environment {
    Environment {
        started: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        command: std::env::args().collect(),
        adapter: adapter_facts(gpu.adapter()),
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

/// What the adapter with this number is and can do.
pub fn device_report(index: usize, adapter: &Adapter) -> DeviceReport {
    let limits = adapter.limits();
    let limits = BTreeMap::from([
        ("max_buffer_size", limits.max_buffer_size),
        ("max_storage_buffer_binding_size", limits.max_storage_buffer_binding_size),
        ("max_storage_buffers_per_shader_stage", limits.max_storage_buffers_per_shader_stage.into()),
        ("max_compute_workgroup_storage_size", limits.max_compute_workgroup_storage_size.into()),
        ("max_compute_invocations_per_workgroup", limits.max_compute_invocations_per_workgroup.into()),
        ("max_compute_workgroups_per_dimension", limits.max_compute_workgroups_per_dimension.into()),
    ]);
    DeviceReport {
        index,
        facts: adapter_facts(adapter),
        kernel_set: kernel_set_name(adapter.kernel_set()),
        f16: adapter.operands(Precision::F16).ok().map(f16),
        limits,
        features: adapter.features().iter_names().map(|(name, _)| name.to_lowercase()).collect(),
    }
}

/// How operands in f16 are multiplied.
fn f16(operands: Operands) -> String {
    match operands {
        Operands::F16Matrices { extent, .. } => format!("by cooperative matrices of {extent}×{extent}"),
        _ => "by tiles; no cooperative matrices of use here".to_owned(),
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
