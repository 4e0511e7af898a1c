//! The command line: `serve` runs a hub, the others talk to one or help to set one up.
//!
//! Results go to standard output, everything about the run to standard error. A reader that closes our output ends a
//! command quietly.

mod acks;
mod backoff;
mod backup;
mod config;
mod connection;
mod connections;
mod failure;
mod feed;
mod folder;
mod lines;
mod messages;
mod outgoing;
mod publish;
mod remote;
mod render;
mod seen;
mod serve;
mod settings;
mod store;
mod stream;
mod subscribe;
mod text;
mod token;
mod trouble;
mod units;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use self::failure::Failure;

const EXIT_CODES: &str = "\
Exit codes:
  0  done; also: stopped by a signal after an orderly end, or the reader of the output has gone
  1  failed; standard error says why
  2  wrong command line or configuration
  3  refused by the hub; standard error has its text";

/// Pushes messages to browsers, apps and services over Server-Sent Events, takes them over HTTP, and keeps them until
/// they are received.
///
/// Without a command the hub is served, as `tidings serve` does.
#[derive(Debug, Parser)]
#[command(name = "tidings", version, after_help = EXIT_CODES, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    serve: settings::Args,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a hub
    #[command(after_help = EXIT_CODES)]
    Serve(settings::Args),
    /// Send messages to a client, to a topic or to all
    #[command(after_help = EXIT_CODES)]
    Publish(publish::Args),
    /// Receive messages; reconnects by itself and goes on where it was
    #[command(after_help = EXIT_CODES)]
    Subscribe(subscribe::Args),
    /// Look up messages that the hub keeps
    #[command(after_help = EXIT_CODES)]
    Messages(messages::Args),
    /// Show who is connected
    #[command(after_help = EXIT_CODES)]
    Connections(connections::Args),
    /// Write everything that a hub keeps into one file, while it runs or not
    #[command(after_help = EXIT_CODES)]
    Backup(backup::Args),
    /// Make a data folder what a backup says; no hub may run on it
    #[command(after_help = EXIT_CODES)]
    Restore(backup::RestoreArgs),
    /// Look at what a hub keeps, and look after it
    #[command(subcommand, after_help = EXIT_CODES)]
    Store(store::Command),
    /// Make a token for a client, signed with the hub's secret
    #[command(after_help = EXIT_CODES)]
    Token(token::Args),
    /// Show the configuration
    #[command(subcommand, after_help = EXIT_CODES)]
    Config(config::Command),
    /// Write the completions of a shell to standard output
    Completions { shell: Shell },
}

/// Runs what the command line asks for, and reports how it ended.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let ended = match cli.command {
        None => serve::run(&cli.serve),
        Some(Command::Serve(args)) => serve::run(&args),
        Some(Command::Publish(args)) => publish::run(args),
        Some(Command::Subscribe(args)) => subscribe::run(args),
        Some(Command::Messages(args)) => messages::run(args),
        Some(Command::Connections(args)) => connections::run(args),
        Some(Command::Backup(args)) => backup::run(args),
        Some(Command::Restore(args)) => backup::restore(args),
        Some(Command::Store(command)) => store::run(command),
        Some(Command::Token(args)) => token::run(args),
        Some(Command::Config(command)) => config::run(command),
        Some(Command::Completions { shell }) => completions(shell),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// Runs a command that talks to a hub; one thread is enough for one connection.
fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("cannot start: {error}")))?;
    runtime.block_on(work)
}

fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tidings", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
