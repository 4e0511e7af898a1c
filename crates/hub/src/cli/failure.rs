use std::io::ErrorKind;
use std::process::ExitCode;

use super::text::say;

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
    /// What happened, in words.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::OutputClosed => "",
            Self::Failed(text) | Self::Usage(text) | Self::Refused(text) => text,
        }
    }

    /// Says on standard error what happened, and gives the exit code.
    pub(super) fn report(&self) -> ExitCode {
        let code = match self {
            Self::OutputClosed => return ExitCode::SUCCESS,
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Refused(_) => 3,
        };
        say(self.text());
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
