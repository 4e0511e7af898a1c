use std::io::Write as _;

use clap::Subcommand;

use super::failure::Failure;
use super::settings;
use crate::config::example;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print the configuration that `tidings serve` with the same flags would use, and where each value comes from
    Print(settings::Args),
    /// Print a configuration file with every setting, its meaning and its default
    Example,
}

pub(super) fn run(command: Command) -> Result<(), Failure> {
    let text = match command {
        Command::Print(args) => args.load()?.print(),
        Command::Example => example(),
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}
