//! How errors are shown, and the help and the version.
//!
//! What users and files say is shown without control characters; the colours around it are sent.

use super::Cli;
use crate::Error;
use crate::terminal;
use anstream::{AutoStream, ColorChoice};
use clap::Parser;
use frugal_report::text::{brief, shown};
use miette::{Diagnostic, GraphicalTheme, LabeledSpan, MietteHandler, MietteHandlerOpts, ReportHandler, SourceCode};
use std::ffi::OsString;
use std::fmt::{self, Display};
use std::io::{self, IsTerminal};

/// The most characters of a message that are shown.
const MOST: usize = 20_000;
/// The most of either end of an argument.
const LONGEST: usize = 500;

/// Errors as `error: what`, the place in the config, `help: what to do`; wrapped and coloured on terminals only.
pub(super) fn set_up() {
    let terminal = io::stderr().is_terminal();
    let colours = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let mut theme = if colours { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    theme.characters.error = "error:".to_owned();
    let options = move || MietteHandlerOpts::new().graphical_theme(theme.clone()).wrap_lines(terminal).color(colours);
    // It can only fail if a hook is there already, and that one shows errors as well.
    let _ = miette::set_hook(Box::new(move |_| Box::new(Handler(options().build()))));
}

/// The exit status that an error stands for, after it was shown.
pub(super) fn fail(error: Error) -> u8 {
    let code = error.exit_code();
    terminal::complain(format_args!("{:?}\n", miette::Report::new(error)));
    code
}

/// What the command line asks for.
///
/// # Errors
/// An exit status: 2 if it cannot be, 0 if it was only for help or the version.
pub(super) fn parse() -> Result<Cli, u8> {
    let error = match Cli::try_parse() {
        Ok(cli) => return Ok(cli),
        Err(error) => error,
    };
    let code = error.exit_code() as u8;
    let text = |error: &clap::Error, choice| match choice {
        ColorChoice::Never => error.render().to_string(),
        _ => error.render().ansi().to_string(),
    };
    if error.use_stderr() {
        let colours = AutoStream::choice(&io::stderr());
        terminal::complain(match clean(&error) {
            Ok(error) => text(&error, colours),
            Err(plain) => plain,
        });
        return Err(code);
    }
    match terminal::print_bytes(text(&error, AutoStream::choice(&io::stdout())).as_bytes()) {
        Ok(()) => Err(code),
        Err(error) => Err(fail(error)),
    }
}

/// The error about arguments without control characters, cut where they are long; its text if there is none about those.
fn clean(error: &clap::Error) -> Result<clap::Error, String> {
    let arguments = std::env::args_os().map(|argument| short(&shown(&argument.to_string_lossy())));
    match Cli::try_parse_from(arguments.map(OsString::from)) {
        Err(again) if again.kind() == error.kind() => Ok(again),
        _ => Err(text(error.render())),
    }
}

/// An argument without its middle, if it is long: both ends of `key=value` decide what is wrong with it.
fn short(argument: &str) -> String {
    match (argument.char_indices().nth(LONGEST), argument.char_indices().nth_back(LONGEST)) {
        (Some((end, _)), Some((start, _))) if end < start => format!("{}…{}", &argument[..end], &argument[start..]),
        _ => argument.to_owned(),
    }
}

/// Shows errors as miette does, after their control characters were made visible.
struct Handler(MietteHandler);

impl ReportHandler for Handler {
    fn debug(&self, error: &dyn Diagnostic, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.debug(&Shown::of(error), f)
    }
}

/// An error with texts that can be sent to a terminal. Its source is an excerpt that is clean already.
#[derive(Debug)]
struct Shown<'a> {
    message: String,
    help: Option<String>,
    cause: Option<Box<Cause>>,
    of: &'a dyn Diagnostic,
}

/// What lies below an error.
#[derive(Debug)]
struct Cause {
    message: String,
    cause: Option<Box<Cause>>,
}

fn text(text: impl Display) -> String {
    brief(&shown(&text.to_string()), MOST).into_owned()
}

impl<'a> Shown<'a> {
    fn of(error: &'a dyn Diagnostic) -> Self {
        let message = text(error);
        let cause = Cause::of(error.source(), &message);
        Self { message, help: error.help().map(text), cause, of: error }
    }
}

impl Cause {
    /// Without causes that the message above them tells already.
    fn of(error: Option<&(dyn std::error::Error + 'static)>, above: &str) -> Option<Box<Self>> {
        let error = error?;
        let message = text(error);
        if above.contains(&message) {
            return Self::of(error.source(), above);
        }
        let cause = Self::of(error.source(), &message);
        Some(Box::new(Self { message, cause }))
    }
}

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Shown<'_> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

impl std::error::Error for Cause {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

impl Diagnostic for Shown<'_> {
    fn help(&self) -> Option<Box<dyn Display + '_>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.of.source_code()
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.of.labels()
    }
}
