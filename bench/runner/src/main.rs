//! `runner`: starts the hub and its peers in turns, puts each under load, and judges the goals.
//!
//! `cargo xtask bench` builds and starts it. It exits with 1 when a run of the hub failed; a goal that was missed is
//! reported, and is no failure of the run.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool speaks on its terminal"
)]

mod catalogue;
mod chart;
mod machine;
mod options;
mod peers;
mod results;
mod server;
mod table;
mod turns;

use std::process::ExitCode;

use crate::options::Options;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{}", options::HELP);
            return ExitCode::SUCCESS;
        }
        Err(reason) => {
            eprint!("cargo xtask bench: {reason}\n\n{}", options::HELP);
            return ExitCode::from(2);
        }
    };
    match turns::run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(reason) => {
            eprintln!("cargo xtask bench: {reason}");
            ExitCode::FAILURE
        }
    }
}
