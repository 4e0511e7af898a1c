//! `cargo xtask`: the developer's commands, and the same ones that CI runs.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool speaks on its terminal"
)]

mod apt;
mod bench;
mod chromium;
mod counts;
mod dependencies;
mod hub;
mod node;
mod spdx;
mod step;
mod suite;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const HELP: &str = "\
Usage: cargo xtask <command>

Commands:
  run [-- <options>]  Build the hub (dev profile: quick to build, not for measuring) and start it at
                      http://127.0.0.1:8080 with its data under target/. Options go to `tidings serve`.
  test                Run everything that a change has to pass: formatting, lints, all Rust tests, licences and
                      banned crates, the SDK, the page in Chromium, and the checks of its JavaScript.
  soak [<rounds>]     Kill the store in the middle of its work so many times (2,000 unless told: some ten
                      minutes) and compare what is left with what was acknowledged; `test` does it a few times.
  sim [--seeds <n>] [--seed <first>]
                      Run the whole hub in one thread through so many random histories (1,000 unless told; some
                      30 a second) and hold each against a model; a failing seed prints the command that repeats it.
                      `test` runs 300.
  types               Write the types of the TypeScript SDK anew from crates/protocol; `test` compares them.
  bench [<options>]   Measure the hub beside other servers, in turns, and judge the goals (bench/README.md; with
                      --list the workloads, with --help the options).
  counts [--accept]   Count the instructions of the hub's hot paths with valgrind and compare them with those in
                      xtask/counts.txt, or write them there; `test` compares them on Linux on x86-64.
  bench-history       Fill a store with 1,000,000 messages and measure pages of its history, and what so many cost
                      those who publish (an optimised build, some minutes).
  help                Print this text.

`test` needs Node.js 20 or newer with npm, Chromium (from $CHROMIUM or PATH) and valgrind; as root on Debian, it
installs the latter two with apt-get.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] | ["help" | "-h" | "--help"] => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        ["run", "--", ref options @ ..] | ["run", ref options @ ..] => {
            eprintln!("cargo xtask run: {}", hub::run(options));
            ExitCode::FAILURE
        }
        ["bench", ref options @ ..] => {
            eprintln!("cargo xtask bench: {}", bench::run(options));
            ExitCode::FAILURE
        }
        ["test"] => suite::test(),
        ["types"] => suite::types(),
        ["counts"] => suite::counts(counts::compare),
        ["counts", "--accept"] => suite::counts(counts::accept),
        ["bench-history"] => suite::bench_history(),
        ["soak"] => suite::soak("2000"),
        ["soak", rounds] if rounds.parse::<u64>().is_ok() => suite::soak(rounds),
        ["sim", ref options @ ..] => match sim_options(options) {
            Some((seeds, first)) => suite::sim(&seeds.to_string(), &first.to_string()),
            None => {
                eprint!("cargo xtask sim: --seeds and --seed take a number\n\n{HELP}");
                ExitCode::FAILURE
            }
        },
        _ => {
            eprint!(
                "cargo xtask: no such command: {}\n\n{HELP}",
                arguments.join(" ")
            );
            ExitCode::FAILURE
        }
    }
}

/// How many seeds, and the first of them.
fn sim_options(options: &[&str]) -> Option<(u64, u64)> {
    let (mut seeds, mut first) = (None, None);
    for option in options.chunks(2) {
        let &[name, value] = option else {
            return None;
        };
        let value = value.parse().ok()?;
        match name {
            "--seeds" => seeds = Some(value),
            "--seed" => first = Some(value),
            _ => return None,
        }
    }
    // A seed alone is one that is to be repeated.
    let many = if first.is_some() { 1 } else { 1_000 };
    Some((seeds.unwrap_or(many), first.unwrap_or(0)))
}

/// The root of the repository, wherever the command was typed.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the root of the repository")
}

/// Where cargo puts the binaries of this profile: beside this one.
fn binaries() -> Result<PathBuf, String> {
    let own = std::env::current_exe()
        .map_err(|error| format!("find the path of this binary: {error}"))?;
    Ok(own.with_file_name(""))
}

fn cargo<const N: usize>(arguments: [&str; N]) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.args(arguments).current_dir(root());
    cargo
}
