use std::io::Write as _;

use clap::Subcommand;

use super::failure::Failure;
use super::settings;
use crate::config::example;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print the configuration that `tidings serve` with the same flags would use
    Print {
        #[command(flatten)]
        settings: settings::Args,

        /// Also where each value comes from: a flag, a variable, a line of the file, or the default
        #[arg(long)]
        origin: bool,
    },
    /// Print a configuration file with every setting, its meaning and its default
    Example,
}

pub(super) fn run(command: Command) -> Result<(), Failure> {
    let text = match command {
        Command::Print { settings, origin } => settings.load()?.print(origin),
        Command::Example => example(),
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}
