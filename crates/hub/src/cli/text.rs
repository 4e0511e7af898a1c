//! What is said on standard error.

use std::error::Error;
use std::io::Write as _;

/// Tells the user about the run. That standard error is gone is no reason to stop.
pub(super) fn say(text: &str) {
    for line in text.lines() {
        let _ = writeln!(std::io::stderr(), "tidings: {}", printable(line));
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

/// Control characters as escapes: what comes from elsewhere must not drive the terminal or break the line.
pub(super) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() && character != '\t' {
            printable.extend(character.escape_default());
        } else {
            printable.push(character);
        }
    }
    printable
}
