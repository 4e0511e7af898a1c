use std::error::Error;
use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

/// How a command ended early: decides the exit code.
#[derive(Debug, PartialEq)]
pub(super) enum Failure {
    /// The reader of our output has gone: nothing to say, and nobody to say it to.
    OutputClosed,
    Failed(String),
    Usage(String),
    /// The hub's own refusal.
    Refused(String),
}

impl Failure {
    /// Says on standard error what happened, and gives the exit code.
    pub(super) fn report(&self) -> ExitCode {
        let (code, text) = match self {
            Self::OutputClosed => return ExitCode::SUCCESS,
            Self::Failed(text) => (1, text),
            Self::Usage(text) => (2, text),
            Self::Refused(text) => (3, text),
        };
        say(text);
        ExitCode::from(code)
    }
}

/// Of a write to standard output.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Failed(format!("cannot write to standard output: {error}")),
        }
    }
}

/// Tells the user about the run. That standard error is gone is no reason to stop.
pub(super) fn say(text: &str) {
    for line in text.lines() {
        let _ = writeln!(std::io::stderr(), "tidings: {line}");
    }
}

/// The error and its causes in one line, each once: some libraries repeat their cause in their own text.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
