//! `cargo xtask test`: everything that a change has to pass, in one run, with nothing skipped.
//!
//! npm and apt-get work in a thread of their own while Rust builds; the steps that need them come last. A step that
//! fails does not end the run: the list at its end names all that is wrong.

use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use crate::step::{Count, Step, check, suite, timed};
use crate::{bench, cargo, chromium, counts, dependencies, node};

const FORMAT: [&str; 3] = ["fmt", "--all", "--check"];
const DENY: [&str; 6] = ["deny", "--offline", "check", "bans", "licenses", "sources"];
const CLIPPY: [&str; 7] = [
    "clippy",
    "--workspace",
    "--all-targets",
    "--locked",
    "--",
    "-D",
    "warnings",
];
/// With the test targets, so that it resolves the same features as `TEST` and nothing is built twice.
const BUILD: [&str; 5] = ["build", "--workspace", "--bins", "--tests", "--locked"];
const TEST: [&str; 4] = ["test", "--workspace", "--locked", "--no-fail-fast"];

/// What compares the types of the TypeScript SDK, and writes them when it is asked to.
const TYPES: [&str; 5] = [
    "test",
    "--locked",
    "--package=tidings-protocol",
    "--lib",
    "typescript::the_types",
];

/// The benchmarks are a workspace of their own.
const BENCH_FORMAT: [&str; 5] = [
    "fmt",
    "--manifest-path",
    bench::MANIFEST,
    "--all",
    "--check",
];
const BENCH_CLIPPY: [&str; 9] = [
    "clippy",
    "--manifest-path",
    bench::MANIFEST,
    "--workspace",
    "--all-targets",
    "--locked",
    "--",
    "-D",
    "warnings",
];
const BENCH_TEST: [&str; 6] = [
    "test",
    "--manifest-path",
    bench::MANIFEST,
    "--workspace",
    "--locked",
    "--no-fail-fast",
];

/// Also the workspace, for the same reason.
const KILL: [&str; 6] = [
    "test",
    "--workspace",
    "--locked",
    "--test",
    "store",
    "crash::kill",
];

/// Also the workspace, for the same reason.
const SIM: [&str; 8] = [
    "test",
    "--workspace",
    "--locked",
    "--lib",
    "sim::what_was_accepted",
    "--",
    "--nocapture",
    "--test-threads=1",
];

pub(crate) fn test() -> ExitCode {
    let started = Instant::now();
    let preparing = thread::spawn(|| {
        let packages = timed(node::install);
        // One after the other: apt-get works for one at a time.
        (packages, timed(chromium::find), timed(counts::prepare))
    });

    let mut steps = vec![
        Step::run("format", || check(cargo(FORMAT))),
        Step::run("format of bench", || check(cargo(BENCH_FORMAT))),
        Step::run("licences and bans", dependencies::check),
    ];
    if deny_is_installed() {
        steps.push(Step::run("cargo deny", || check(cargo(DENY))));
    }
    steps.push(Step::run("clippy", || check(cargo(CLIPPY))));
    let build = Step::run("build", || check(cargo(BUILD)));
    let built = build.count.good();
    steps.push(build);
    steps.push(Step::run("Rust tests", || {
        suite(cargo(TEST), count_libtest)
    }));
    steps.push(Step::run("clippy of bench", || check(cargo(BENCH_CLIPPY))));
    steps.push(Step::run("tests of bench", || {
        suite(cargo(BENCH_TEST), count_libtest)
    }));

    let ((packages, npm_took), (browser, apt_took), (valgrind, valgrind_took)) =
        preparing.join().expect("preparing returns its errors");
    let installed = packages.is_ok();
    steps.push(Step::ended("npm ci", npm_took, packages));
    if installed {
        steps.push(Step::run("Biome", node::biome));
        steps.push(Step::run("SDK", node::sdk));
    }
    steps.push(Step::ended(
        "find Chromium",
        apt_took,
        browser.clone().map(|_| Count::PASSED),
    ));
    if let (true, true, Ok(browser)) = (installed, built, browser) {
        steps.push(Step::run("SDK with a hub", || node::sdk_with_hub(&browser)));
        steps.push(Step::run("page in Chromium", || node::end_to_end(&browser)));
    }
    if counts::ARE_KEPT {
        steps.push(match valgrind {
            Ok(_) => Step::run("counts", counts::compare),
            Err(reason) => Step::ended("counts", valgrind_took, Err(reason)),
        });
    }
    conclude(&steps, started.elapsed())
}

/// Counts instructions, to compare or to accept them.
pub(crate) fn counts(work: fn() -> Result<Count, String>) -> ExitCode {
    let step = Step::run("counts", work);
    let took = step.took;
    conclude(&[step], took)
}

/// The crash test of the store, over and over.
pub(crate) fn soak(rounds: &str) -> ExitCode {
    let mut kill = cargo(KILL);
    kill.env("TIDINGS_CRASH_ROUNDS", rounds);
    let soak = Step::run("soak", || suite(kill, count_libtest));
    let took = soak.took;
    conclude(&[soak], took)
}

/// The simulation of the whole hub, for as many seeds.
pub(crate) fn sim(seeds: &str, first: &str) -> ExitCode {
    let mut sim = cargo(SIM);
    sim.env("TIDINGS_SIM_SEEDS", seeds);
    sim.env("TIDINGS_SIM_SEED", first);
    let sim = Step::run("simulation", || suite(sim, count_libtest));
    let took = sim.took;
    conclude(&[sim], took)
}

/// Writes packages/sdk/src/wire/ anew.
pub(crate) fn types() -> ExitCode {
    let mut write = cargo(TYPES);
    write.env("TIDINGS_WRITE_TYPES", "1");
    let step = Step::run("types", || suite(write, count_libtest));
    let took = step.took;
    conclude(&[step], took)
}

/// Prints what it measures; no figure is wrong.
pub(crate) fn bench_history() -> ExitCode {
    let bench = ["bench", "--package", "tidings-store", "--bench", "history"];
    let step = Step::run("bench-history", || check(cargo(bench)));
    let took = step.took;
    conclude(&[step], took)
}

/// Prints the steps and, as the last line, their sum.
fn conclude(steps: &[Step], took: Duration) -> ExitCode {
    println!();
    let mut total = Count::default();
    for step in steps {
        println!("{step}");
        total.add(step.count);
    }
    let failed = total.failed + total.skipped;
    println!(
        "\n{} passed, {failed} failed in {} s",
        total.passed,
        took.as_secs()
    );
    if total.good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn deny_is_installed() -> bool {
    Command::new("cargo-deny")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}

/// Counts `test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s`.
fn count_libtest(line: &str) -> Count {
    let mut count = Count::default();
    let Some((_, counts)) = line
        .strip_prefix("test result: ")
        .and_then(|rest| rest.split_once(". "))
    else {
        return count;
    };
    for part in counts.split("; ") {
        match part.split_once(' ') {
            Some((number, "passed")) => count.passed = number.parse().unwrap_or(0),
            Some((number, "failed")) => count.failed = number.parse().unwrap_or(0),
            Some((number, "ignored")) => count.skipped = number.parse().unwrap_or(0),
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_line_counts_an_ignored_test_as_skipped() {
        let line = "test result: FAILED. 5 passed; 2 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.01s";
        assert_eq!(
            count_libtest(line),
            Count {
                passed: 5,
                failed: 2,
                skipped: 1
            }
        );
        assert!(
            !Count {
                passed: 5,
                failed: 0,
                skipped: 1
            }
            .good()
        );
    }

    #[test]
    fn other_lines_count_nothing() {
        for line in [
            "running 5 tests",
            "test limits::fit ... ok",
            "test result: ",
        ] {
            assert_eq!(count_libtest(line), Count::default(), "{line}");
        }
    }
}
