//! `frugal completions` and `frugal man`: what shells and `man` know of the program, from the definitions of its options.

use super::Cli;
use crate::{Error, terminal};
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use std::path::PathBuf;

/// Print what a shell needs to complete subcommands and options.
///
/// For bash, for example: frugal completions bash > ~/.local/share/bash-completion/completions/frugal
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

/// Print the manual page, or write one for each verb into a folder.
///
/// For example: frugal man --out ~/.local/share/man/man1; then `man frugal-train` works.
#[derive(Debug, Args)]
pub(super) struct Manual {
    /// Write frugal.1, frugal-train.1 and so on into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(super) fn completions(options: &Completions) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Cli::command(), "frugal", &mut script);
    terminal::print_bytes(&script)?;
    Ok(())
}

pub(super) fn manual(options: &Manual) -> Result<(), Error> {
    // It has no page: `man` is the help.
    let command = Cli::command().disable_help_subcommand(true);
    match &options.out {
        Some(folder) => {
            std::fs::create_dir_all(folder).map_err(Error::io("create the folder", folder))?;
            clap_mangen::generate_to(command, folder).map_err(Error::io("write into", folder))?;
        }
        None => {
            let mut page = Vec::new();
            Man::new(command).render(&mut page).expect("memory takes any page");
            terminal::print_bytes(&page)?;
        }
    }
    Ok(())
}
