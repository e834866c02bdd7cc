//! `frugal data`.

use crate::config::Config;
use crate::{Error, terminal};
use clap::Subcommand;
use frugal_data::check::Check;
use frugal_data::{Frame, Got, Progress, Purpose};
use frugal_report::bytes;
use frugal_report::check::CheckReport;
use frugal_report::sets::SetsReport;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List the data sets, and which of them are on this machine
    List {
        /// Where data sets are kept [default: $FRUGAL_DATA, or frugal/data in the user's cache folder]
        #[arg(long, value_name = "DIR")]
        root: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Bring a data set to this machine, checked against its checksums
    Get {
        /// Its name (see `frugal data list`)
        name: String,
        /// Where data sets are kept [default: $FRUGAL_DATA, or frugal/data in the user's cache folder]
        #[arg(long, value_name = "DIR")]
        root: Option<PathBuf>,
    },
    /// Read every sample of a data set, and name each picture that is damaged
    ///
    /// Pictures are decoded whole; classes are counted part by part. Ends with exit status 1 if any cannot be read.
    Check {
        /// The path of a set of your own, a name of the catalogue, or a config
        #[arg(value_name = "PATH|SET|CONFIG")]
        set: PathBuf,
        /// Where data sets are kept [default: $FRUGAL_DATA, or frugal/data in the user's cache folder]
        #[arg(long, value_name = "DIR")]
        root: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(verb: &Verb) -> Result<(), Error> {
    let kept = |root: &Option<PathBuf>| root.clone().unwrap_or_else(frugal_data::default_root);
    match verb {
        Verb::List { root, json } => {
            let root = kept(root);
            let report = SetsReport { sets: frugal_data::catalogue(&root), root };
            terminal::report(&report, *json)
        }
        Verb::Get { name, root } => get(name, &kept(root)),
        Verb::Check { set, root, json } => check(set, &kept(root), *json),
    }
}

fn check(set: &Path, root: &Path, json: bool) -> Result<(), Error> {
    let name = set.to_string_lossy();
    let is_known = frugal_data::catalogue(root).iter().any(|entry| entry.name == name);
    let data = if set.is_file() && set.extension().is_some_and(|ending| ending == "toml") {
        Config::load(set, &[])?.0.data.open_for(Purpose::Check)?
    } else if frugal_data::is_path(&name) || (set.exists() && !is_known) {
        frugal_data::open_own(set, Frame::default(), Purpose::Check)?
    } else {
        frugal_data::open(&name, root)?
    };
    let check = Check::of(&data);
    terminal::report(&CheckReport(&check), json)?;
    match check.bad.len() {
        0 => Ok(()),
        bad => Err(Error::BadImages { bad, all: check.samples() }),
    }
}

fn get(name: &str, root: &Path) -> Result<(), Error> {
    let terminal = std::io::stderr().is_terminal();
    let bar = if terminal { ProgressBar::no_length() } else { ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{bar:24} {bytes}/{total_bytes}  {wide_msg}");
    bar.set_style(style.expect("the template is valid"));
    let mut last = String::new();
    let got = frugal_data::get(name, root, |Progress { phase, done, total }| {
        if phase != last {
            last = phase.to_owned();
            bar.set_message(last.clone());
            if !terminal {
                terminal::say(phase);
            }
        }
        if let Some(total) = total {
            bar.set_length(total);
        }
        bar.set_position(done);
    });
    bar.finish_and_clear();
    match got? {
        Got::Embedded => terminal::print(format_args!("{name} is part of the program: nothing to bring"))?,
        Got::Present { folder } => terminal::print(format_args!("{name} is there already: {}", folder.display()))?,
        Got::Fetched { folder, origin, bytes: size } => {
            terminal::print(format_args!("{name}: {} from {origin}, into {}", bytes(size), folder.display()))?;
        }
    }
    Ok(())
}
