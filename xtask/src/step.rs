//! One step of `cargo xtask test`: what it ran, how long it took, and what it counted.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) took: Duration,
    pub(crate) count: Count,
}

/// What a step found. A check is one thing that passes or fails; a suite counts its tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    /// Ignored, skipped, to do or cancelled: as bad as failed, because nobody would look at it again.
    pub(crate) skipped: u64,
}

impl Step {
    pub(crate) fn run(name: &'static str, work: impl FnOnce() -> Result<Count, String>) -> Self {
        println!("\n==> {name}");
        let (outcome, took) = timed(work);
        Self::ended(name, took, outcome)
    }

    /// A step whose work is over; the reason of a failure is printed here.
    pub(crate) fn ended(
        name: &'static str,
        took: Duration,
        outcome: Result<Count, String>,
    ) -> Self {
        let count = outcome.unwrap_or_else(|reason| {
            eprintln!("{name}: {reason}");
            Count::FAILED
        });
        Self { name, took, count }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Count {
            passed,
            failed,
            skipped,
        } = self.count;
        let mark = if self.count.good() {
            "ok    "
        } else {
            "FAILED"
        };
        write!(
            f,
            "{mark} {:<18} {:>5} s  {passed} passed",
            self.name,
            self.took.as_secs()
        )?;
        if failed > 0 {
            write!(f, ", {failed} failed")?;
        }
        if skipped > 0 {
            write!(f, ", {skipped} skipped (not accepted)")?;
        }
        Ok(())
    }
}

impl Count {
    pub(crate) const PASSED: Self = Self {
        passed: 1,
        failed: 0,
        skipped: 0,
    };
    pub(crate) const FAILED: Self = Self {
        passed: 0,
        failed: 1,
        skipped: 0,
    };

    pub(crate) fn good(self) -> bool {
        self.failed == 0 && self.skipped == 0
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let started = Instant::now();
    let outcome = work();
    (outcome, started.elapsed())
}

/// Runs a command that either passes or fails, its output going straight to the terminal.
pub(crate) fn check(mut command: Command) -> Result<Count, String> {
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|error| starting(&command, &error))?;
    if status.success() {
        Ok(Count::PASSED)
    } else {
        Err(format!("{}: {status}", text(&command)))
    }
}

/// Runs a test suite, passes its output on, and adds up what `count_line` finds in it.
///
/// A suite that fails without naming a failed test (it did not build, it crashed) counts as one failure, and so does
/// one that ran nothing.
pub(crate) fn suite(mut command: Command, count_line: fn(&str) -> Count) -> Result<Count, String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| starting(&command, &error))?;
    let output = child.stdout.take().expect("stdout is piped");

    let mut count = Count::default();
    for line in BufReader::new(output).split(b'\n') {
        let line =
            line.map_err(|error| format!("read the output of {}: {error}", text(&command)))?;
        let line = String::from_utf8_lossy(&line);
        count.add(count_line(&line));
        writeln!(std::io::stdout(), "{line}")
            .map_err(|error| format!("write to the terminal: {error}"))?;
    }

    let status = child
        .wait()
        .map_err(|error| format!("wait for {}: {error}", text(&command)))?;
    if count == Count::default() || (!status.success() && count.failed == 0) {
        eprintln!(
            "{}: {status}, {} tests passed",
            text(&command),
            count.passed
        );
        count.add(Count::FAILED);
    }
    Ok(count)
}

/// Runs a command beside other steps: its output is returned, or part of the error.
pub(crate) fn quiet(command: Command) -> Result<String, String> {
    captured(command).map(|(said, _)| said)
}

/// As [`quiet`], with what it says on both its channels.
pub(crate) fn output(command: Command) -> Result<String, String> {
    captured(command).map(|(said, complaint)| said + &complaint)
}

fn captured(mut command: Command) -> Result<(String, String), String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| starting(&command, &error))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        return Ok((said, complaint));
    }
    Err(format!(
        "{}: {}\n{said}{complaint}",
        text(&command),
        output.status
    ))
}

fn starting(command: &Command, error: &std::io::Error) -> String {
    format!("start {}: {error}", text(command))
}

fn text(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
