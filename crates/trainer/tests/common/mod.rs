//! The program as a user calls it.

// Each test program uses its part of this.
#![allow(dead_code)]

use frugal_trainer::artifacts::tiles::VARIABLE;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A run of a second.
pub const DIGITS: &str = r#"
name = "digits"
[data]
set = "digits"
batch = 50
[model]
net = "lenet"
[optimizer]
lr = 0.05
momentum = 0.9
[schedule]
kind = "cosine"
warmup_steps = 5
[train]
epochs = 1
"#;

/// A folder of its own to call the program in.
pub struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("digits.toml"), DIGITS).unwrap();
        Self { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn frugal(&self, arguments: &[&str]) -> Output {
        self.with(&[(VARIABLE, "")], arguments)
    }

    /// A call with variables of its environment; others know no tiles that somebody tuned on this machine.
    pub fn with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
        self.command(arguments).env_remove(VARIABLE).envs(variables.iter().copied()).output().unwrap()
    }

    /// A call that is yet to be made.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_frugal"));
        command.args(arguments).env(VARIABLE, "").current_dir(self.folder.path());
        command
    }

    /// Standard error of a call that must end with this code where adapters have no f16.
    pub fn fails_without_f16(&self, code: i32, arguments: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_frugal"));
        let output =
            command.args(arguments).current_dir(self.folder.path()).env("FRUGAL_NO_F16", "1").output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Standard output of a call that must succeed.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let output = self.frugal(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Standard error of a call that must end with this code.
    pub fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.frugal(arguments);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        stderr
    }
}

pub fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}
