//! Checks from outside whether a hub keeps PROTOCOL.md.
//!
//! It knows a hub by its URL alone and talks to it over plain sockets, so that no HTTP library repairs or hides a
//! byte. Every run has names of its own for clients, topics and messages, and reads past what is not its own, so a
//! hub may be in use meanwhile.

mod answer;
mod check;
mod checks;
mod context;
mod event;
mod grammar;
mod run;
mod site;
mod stream;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;

use check::Check;
use site::Site;

/// Check whether a hub keeps the Tidings protocol.
#[derive(Debug, Parser)]
#[command(version, after_help = AFTER_HELP)]
struct Options {
    /// The hub
    #[arg(long, default_value = "http://127.0.0.1:8080", value_name = "URL")]
    url: String,
    /// Credentials of a client of its own for these checks; without them the hub is taken to be open
    #[arg(long, env = "TIDINGS_CONFORMANCE_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Credentials of a second client, an admin; without them the checks that need two clients are left out
    #[arg(
        long,
        requires = "token",
        env = "TIDINGS_CONFORMANCE_ADMIN_TOKEN",
        hide_env_values = true
    )]
    admin_token: Option<String>,
    /// Only the checks with this text in their name or section
    #[arg(long, value_name = "NAME")]
    filter: Option<String>,
    /// List the checks and do nothing
    #[arg(long)]
    list: bool,
}

const AFTER_HELP: &str = "\
Tokens for a hub with a secret:
  tidings token --sub checks --publish 'conformance/#' --subscribe 'conformance/#' --targets checks
  tidings token --sub checks-admin --publish '#' --subscribe '#' --targets '#' --admin
The mailboxes of these two clients are read and acked.

Exit codes: 0 all passed, 1 a check failed, 2 the hub could not be reached or the command line is wrong";

fn main() -> ExitCode {
    let options = Options::parse();
    let chosen: Vec<&Check> = checks::all()
        .filter(|check| {
            options
                .filter
                .as_deref()
                .is_none_or(|text| check.named(text))
        })
        .collect();
    if options.list {
        for check in chosen {
            say(&check.to_string());
        }
        return ExitCode::SUCCESS;
    }
    let site = Site::new(
        &options.url,
        options.token.as_deref(),
        options.admin_token.as_deref(),
    );
    let outcome = site.map(|site| run::run(&site, &chosen, say));
    match outcome {
        Ok(tally) => {
            say(&tally.to_string());
            ExitCode::from(u8::from(!tally.is_good()))
        }
        Err(reason) => {
            let _ = writeln!(std::io::stderr(), "tidings-conformance: {reason}");
            ExitCode::from(2)
        }
    }
}

/// That nobody reads the output is no reason to stop: the exit code still tells.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
