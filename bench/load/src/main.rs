//! `load`: one workload against one server, one JSON object on standard output.
//!
//! It exits with 1 when a message was lost, doubled, out of order, misrouted or damaged, or a connection failed, and
//! with 2 when it could not run.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool speaks on its terminal"
)]

mod dialect;
mod ledger;
mod marker;
mod measure;
mod net;
mod process;
mod publisher;
mod rig;
mod settings;
mod setup;
mod subscriber;
mod tally;
mod workload;

use std::process::ExitCode;

use serde_json::json;

use crate::settings::Settings;

fn main() -> ExitCode {
    let settings = match Settings::parse(std::env::args().skip(1)) {
        Ok(Some(settings)) => settings,
        Ok(None) => {
            print!("{}", settings::HELP);
            return ExitCode::SUCCESS;
        }
        Err(reason) => {
            eprint!("load: {reason}\n\n{}", settings::HELP);
            return ExitCode::from(2);
        }
    };
    match workload::run(&settings) {
        Ok(outcome) => {
            let good = outcome.faults.none();
            println!(
                "{}",
                json!({
                    "workload": settings.workload,
                    "peer": settings.peer,
                    "good": good,
                    "faults": outcome.faults,
                    "complaints": outcome.complaints,
                    "figures": outcome.figures,
                })
            );
            ExitCode::from(u8::from(!good))
        }
        Err(reason) => {
            eprintln!("load: {}: {reason}", settings.workload);
            ExitCode::from(2)
        }
    }
}
