use std::fmt;
use std::path::PathBuf;

use super::layers::Origin;

/// Why a configuration was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration file {}", path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },

    /// The text of the line is left out on purpose: it may hold a secret.
    #[error("{} line {line} is not accepted: {message}", path.display())]
    Malformed {
        path: PathBuf,
        line: usize,
        message: String,
    },

    #[error("{}", join(.0))]
    Refused(Vec<Refusal>),
}

/// One setting that was refused: which, what it was, where it came from and the rule it broke.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    pub key: String,
    /// As shown to the user; a secret is never in it.
    pub value: Option<String>,
    pub origin: Origin,
    pub rule: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        if let Some(value) = &self.value {
            write!(f, " = {value}")?;
        }
        write!(f, " ({}): {}", self.origin, self.rule)
    }
}

fn join(refusals: &[Refusal]) -> String {
    let lines: Vec<String> = refusals.iter().map(Refusal::to_string).collect();
    lines.join("\n")
}
