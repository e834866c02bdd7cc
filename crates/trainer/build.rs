//! Tells the program which wgpu and which compiler it was built with, for the record of each run.

use std::path::Path;
use std::process::Command;

fn main() {
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock");
    println!("cargo::rerun-if-changed={}", lock.display());
    let wgpu = std::fs::read_to_string(lock).ok().and_then(|lock| version_in(&lock, "wgpu"));
    println!("cargo::rustc-env=FRUGAL_WGPU={}", wgpu.as_deref().unwrap_or("unknown"));

    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().ok();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    println!("cargo::rustc-env=FRUGAL_RUSTC={}", version.as_deref().unwrap_or("unknown"));
}

/// The version of a package in the text of a `Cargo.lock`.
fn version_in(lock: &str, package: &str) -> Option<String> {
    let mut lines = lock.lines().skip_while(|line| *line != format!("name = \"{package}\""));
    let version = lines.nth(1)?.strip_prefix("version = \"")?;
    Some(version.trim_end_matches('"').to_owned())
}
