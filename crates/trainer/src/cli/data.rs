//! `frugal data`.

use super::print;
use crate::Error;
use crate::data::{self, Got, Progress};
use crate::report::{bytes, count};
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List the data sets, and which of them are on this machine
    List,
    /// Bring a data set to this machine, checked against its checksums
    Get {
        /// Its name (see `frugal data list`)
        name: String,
        /// Where data sets are kept [default: $FRUGAL_DATA, or frugal/data in the user's cache folder]
        #[arg(long, value_name = "DIR")]
        root: Option<PathBuf>,
    },
}

pub(super) fn run(verb: &Verb) -> Result<(), Error> {
    match verb {
        Verb::List => list(),
        Verb::Get { name, root } => get(name, &root.clone().unwrap_or_else(data::default_root))?,
    }
    Ok(())
}

fn list() {
    let root = data::default_root();
    for entry in data::catalogue(&root) {
        let [channels, height, width] = entry.shape;
        let state = match (entry.embedded, entry.present) {
            (true, _) if entry.bytes == 0 => "made by the program".to_owned(),
            (true, _) => "part of the program".to_owned(),
            (_, true) => "present".to_owned(),
            _ => format!("not here; `frugal data get {}` brings it ({})", entry.name, bytes(entry.bytes)),
        };
        let (train, test) = (count(entry.train as u64), count(entry.test as u64));
        print(format_args!("{}: {state}", entry.name));
        print(format_args!("    {}", entry.description));
        print(format_args!(
            "    {channels}×{height}×{width}, {} classes, {train} to train on, {test} to test; licence: {}\n",
            entry.classes, entry.licence
        ));
    }
    print(format_args!("Folder: {}", root.display()));
}

fn get(name: &str, root: &std::path::Path) -> Result<(), Error> {
    let terminal = std::io::stderr().is_terminal();
    let bar = if terminal { ProgressBar::no_length() } else { ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{bar:24} {bytes}/{total_bytes}  {wide_msg}");
    bar.set_style(style.expect("the template is valid"));
    let mut last = String::new();
    let got = data::get(name, root, |Progress { phase, done, total }| {
        if phase != last {
            last = phase.to_owned();
            bar.set_message(last.clone());
            if !terminal {
                eprintln!("{phase}");
            }
        }
        if let Some(total) = total {
            bar.set_length(total);
        }
        bar.set_position(done);
    });
    bar.finish_and_clear();
    match got? {
        Got::Embedded => print(format_args!("{name} is part of the program: nothing to bring")),
        Got::Present { folder } => print(format_args!("{name} is there already: {}", folder.display())),
        Got::Fetched { folder, origin, bytes: size } => {
            print(format_args!("{name}: {} from {origin}, into {}", bytes(size), folder.display()));
        }
    }
    Ok(())
}
