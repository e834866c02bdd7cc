//! The watch over a worker: how it ends, how long an input takes it, and what to keep of that.

use crate::minimise::minimise;
use crate::targets::Target;
use crate::{print, regressions, worker};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// What an input may take.
const MOST_TIME: Duration = Duration::from_secs(5);
/// Findings after which a target is left: each costs a new worker.
const MOST_FINDINGS: usize = 40;
/// The same for those that hang.
const MOST_HANGS: usize = 4;

/// A target that is fuzzed.
pub struct Watch {
    target: &'static Target,
    seed: u64,
    mutations: u64,
    /// When to stop, if not after all mutations.
    end: Option<Instant>,
    folder: tempfile::TempDir,
    tried: u64,
    accepted: u64,
    refused: u64,
    slowest: Duration,
    peak: u64,
}

/// Why a worker ended.
enum End {
    /// All inputs were tried, or the time is over.
    Done,
    /// With this input.
    With(Cause),
}

/// What is wrong with an input; those with the same `key` are taken for the same.
struct Cause {
    key: String,
    text: String,
    hangs: bool,
}

impl Watch {
    pub fn new(target: &'static Target, seed: u64, mutations: u64, end: Option<Instant>) -> Self {
        // In memory where that is possible: every input is a file.
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let folder = folder.expect("a folder for inputs");
        let (tried, accepted, refused, slowest, peak) = (0, 0, 0, Duration::ZERO, 0);
        Self { target, seed, mutations, end, folder, tried, accepted, refused, slowest, peak }
    }

    /// Tries all inputs, prints a line, and says how many things are wrong.
    pub fn run(mut self) -> usize {
        let begin = Instant::now();
        let (mut keys, mut problems, mut findings, mut hangs) = (BTreeSet::new(), Vec::new(), 0, 0);
        let mut from = 0;
        loop {
            let tried = self.tried;
            let end = self.work(from, &mut problems);
            from += self.tried - tried;
            let End::With(cause) = end else { break };
            // The input that it ended with.
            (from, self.tried) = (from + 1, self.tried + 1);
            if cause.hangs && !self.hangs_again() {
                print(format_args!(
                    "{}: an input took {} s once, and less when it was tried again",
                    self.target.name,
                    MOST_TIME.as_secs()
                ));
                continue;
            }
            findings += 1;
            hangs += usize::from(cause.hangs);
            if keys.insert(cause.key.clone()) {
                problems.push(self.keep(keys.len(), &cause));
            }
            if findings >= MOST_FINDINGS || hangs >= MOST_HANGS {
                problems.push(format!("{findings} inputs ended badly; the rest was not tried"));
                break;
            }
        }
        let given = regressions(self.target).len() + (self.target.seeds)().len();
        // A few inputs say nothing of what is accepted.
        if self.tried > given as u64 + 1000 && problems.is_empty() {
            if self.accepted <= given as u64 {
                problems.push("nothing is accepted any more: the fuzzer does not reach what it should".to_owned());
            }
            if self.refused == 0 {
                problems.push("nothing is refused: the fuzzer changes nothing that matters".to_owned());
            }
        }
        let seconds = begin.elapsed().as_secs_f64();
        print(format_args!(
            "{:12} {} inputs, {:.0} a second; {} accepted, {} refused, {findings} ended badly; at most {:.2} s and {} MiB",
            self.target.name,
            self.tried,
            self.tried as f64 / seconds,
            self.accepted,
            self.refused,
            self.slowest.as_secs_f64(),
            self.peak >> 10,
        ));
        problems.iter().for_each(|problem| print(format_args!("    {problem}")));
        problems.len()
    }

    /// Lets a worker try the inputs from one number on.
    fn work(&mut self, from: u64, problems: &mut Vec<String>) -> End {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.arg(self.target.name).args(["--seed", &self.seed.to_string(), "--from", &from.to_string()]);
        command.args(["--mutations", &self.mutations.to_string(), "--folder"]).arg(self.folder.path());
        command.env("RUST_BACKTRACE", "0");
        let stderr = File::create(self.stderr()).expect("the fuzzer's own folder");
        let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().expect("a worker");
        let lines = BufReader::new(child.stdout.take().expect("it is piped"));
        let (send, receive) = channel();
        std::thread::spawn(move || lines.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        loop {
            let left = self.end.map(|end| end.saturating_duration_since(Instant::now()));
            let line = receive.recv_timeout(left.map_or(MOST_TIME, |left| left.min(MOST_TIME)));
            let over = self.end.is_some_and(|end| Instant::now() >= end);
            match line {
                Ok(line) => self.hear(&line, problems),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    // It may be gone already.
                    let _ = child.kill();
                    child.wait().expect("a worker that ended");
                    return if over { End::Done } else { End::With(hang()) };
                }
            }
            if over {
                let _ = child.kill();
                child.wait().expect("a worker that ended");
                return End::Done;
            }
        }
        let status = child.wait().expect("a worker that ended");
        if status.success() { End::Done } else { End::With(cause(status, &self.stderr())) }
    }

    fn stderr(&self) -> PathBuf {
        self.folder.path().join("stderr.txt")
    }

    fn hear(&mut self, line: &str, problems: &mut Vec<String>) {
        let (what, rest) = line.split_once(' ').unwrap_or((line, ""));
        let number = || rest.parse().unwrap_or(0);
        match what {
            "accepted" | "refused" => {
                self.tried += 1;
                *(if what == "accepted" { &mut self.accepted } else { &mut self.refused }) += 1;
                self.slowest = self.slowest.max(Duration::from_micros(number()));
            }
            "peak" => self.peak = self.peak.max(number()),
            // A seed that is refused.
            _ => problems.push(line.to_owned()),
        }
    }

    /// Whether the last input takes too long also by itself: on a machine with much else to do, a pause is not a hang.
    fn hangs_again(&self) -> bool {
        let input = fs::read(self.folder.path().join(self.target.file)).expect("it was written down");
        self.one(&input).is_some_and(|cause| cause.hangs)
    }

    /// Tries one input by itself.
    fn one(&self, input: &[u8]) -> Option<Cause> {
        let (file, stderr) = (self.folder.path().join("input"), self.folder.path().join("one.txt"));
        fs::write(&file, input).expect("the fuzzer's own folder");
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.arg(self.target.name).arg("--input").arg(&file).stdout(Stdio::null());
        command.env("RUST_BACKTRACE", "0");
        let mut child =
            command.stderr(File::create(&stderr).expect("the fuzzer's own folder")).spawn().expect("a worker");
        let begin = Instant::now();
        loop {
            match child.try_wait().expect("a worker") {
                Some(status) if status.success() => return None,
                Some(status) => return Some(cause(status, &stderr)),
                None if begin.elapsed() > MOST_TIME => {
                    let _ = child.kill();
                    child.wait().expect("a worker that ended");
                    return Some(hang());
                }
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// Makes the last input smaller, keeps it, and says where.
    fn keep(&self, number: usize, cause: &Cause) -> String {
        let mut input = fs::read(self.folder.path().join(self.target.file)).expect("it was written down");
        if !cause.hangs {
            input = minimise(input, |smaller| self.one(smaller).is_some_and(|found| found.key == cause.key));
        }
        let target = self.target;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/fuzz/findings").join(target.name);
        fs::create_dir_all(&folder).expect("a folder for findings");
        let folder = folder.canonicalize().expect("it was just made");
        let path = folder.join(format!("{}-{number}-{}", self.seed, target.file));
        fs::write(&path, input).expect("a folder for findings");
        let path = path.display();
        let command = format!("cargo run --release -p frugal-fuzz -- {} --input {path}", target.name);
        let reason = format!("{}\n\n{command}\n", cause.text);
        fs::write(format!("{path}.txt"), reason).expect("a folder for findings");
        format!("{}\n    {command}", cause.text.trim_end().replace('\n', "\n    "))
    }
}

fn hang() -> Cause {
    let text = format!("an input takes more than {} s", MOST_TIME.as_secs());
    Cause { key: "hang".to_owned(), text, hangs: true }
}

/// What a worker says when it ends: the place of a panic, or what the system says.
fn cause(status: ExitStatus, stderr: &Path) -> Cause {
    let said = fs::read(stderr).unwrap_or_default();
    let said: String = String::from_utf8_lossy(&said).chars().take(2000).collect();
    let place = said.split_once("panicked at ").and_then(|(_, rest)| rest.split_once(":\n")).map(|(place, _)| place);
    let memory = said.contains("memory allocation of");
    let key = match place {
        Some(place) => place.to_owned(),
        None if memory => "memory".to_owned(),
        None => status.to_string(),
    };
    let most = if memory { format!(" (of {} GiB)", worker::MOST_MEMORY >> 30) } else { String::new() };
    Cause { key, text: format!("{status}{most}: {}", said.trim()), hangs: false }
}
