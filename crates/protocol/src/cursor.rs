//! The cursor: what one connection has been sent.
//!
//! ```text
//! <epoch>-<mailbox>[.<shared>][+<ahead>]...
//!
//! 9f0c6a51d2e87b34-120            everything up to 120
//! 9f0c6a51d2e87b34-120+125+131    that, and 125 and 131 before their turn
//! 9f0c6a51d2e87b34-120.90         own mailbox up to 120, topics and broadcast up to 90
//! ```
//!
//! There is exactly one text for each cursor, and nothing else is read back. Clients treat it as opaque.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::limits::{AHEAD_MAX, EPOCH_CHARS_MAX};

/// What a connection has been sent: everything of the mailbox up to `mailbox`, everything of topics and broadcast up
/// to `shared`, and the positions in `ahead`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cursor {
    pub epoch: Epoch,
    pub mailbox: u64,
    pub shared: u64,
    /// Strictly increasing, at most 64, each beyond the lower of `mailbox` and `shared`.
    pub ahead: Vec<u64>,
}

impl Cursor {
    /// Everything up to one position, nothing ahead.
    #[must_use]
    pub const fn at(epoch: Epoch, position: u64) -> Self {
        Self {
            epoch,
            mailbox: position,
            shared: position,
            ahead: Vec::new(),
        }
    }
}

/// Appends the text of a cursor without building one first; the fields as in [`Cursor`].
pub fn write(out: &mut Vec<u8>, epoch: &str, mailbox: u64, shared: u64, ahead: &[u64]) {
    use std::io::Write as _;
    // Writing to a Vec cannot fail.
    let _ = write!(
        out,
        "{}",
        Text {
            epoch,
            mailbox,
            shared,
            ahead
        }
    );
}

struct Text<'a> {
    epoch: &'a str,
    mailbox: u64,
    shared: u64,
    ahead: &'a [u64],
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.mailbox)?;
        if self.shared != self.mailbox {
            write!(f, ".{}", self.shared)?;
        }
        self.ahead
            .iter()
            .try_for_each(|position| write!(f, "+{position}"))
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cursor {
            epoch,
            mailbox,
            shared,
            ahead,
        } = self;
        Text {
            epoch: epoch.as_str(),
            mailbox: *mailbox,
            shared: *shared,
            ahead,
        }
        .fmt(f)
    }
}

impl FromStr for Cursor {
    type Err = MalformedCursor;

    fn from_str(text: &str) -> Result<Self, MalformedCursor> {
        let (epoch, positions) = text.split_once('-').ok_or(MalformedCursor)?;
        let mut positions = positions.split('+');
        let scanned = positions.next().ok_or(MalformedCursor)?;
        let (mailbox, shared) = match scanned.split_once('.') {
            Some((mailbox, shared)) => (position(mailbox)?, position(shared)?),
            None => (position(scanned)?, position(scanned)?),
        };
        if mailbox == shared && scanned.contains('.') {
            return Err(MalformedCursor);
        }
        let mut ahead = Vec::new();
        let mut before = mailbox.min(shared);
        for text in positions {
            let next = position(text)?;
            if next <= before || ahead.len() == AHEAD_MAX {
                return Err(MalformedCursor);
            }
            ahead.push(next);
            before = next;
        }
        Ok(Self {
            epoch: epoch.parse()?,
            mailbox,
            shared,
            ahead,
        })
    }
}

/// One spelling per number: digits only, no leading zero.
fn position(text: &str) -> Result<u64, MalformedCursor> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || (text.len() > 1 && text.starts_with('0')) {
        return Err(MalformedCursor);
    }
    text.parse().map_err(|_| MalformedCursor)
}

/// The name of one unbroken time line of positions: 1 to 32 letters and digits. A clone shares the text.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Epoch(Arc<str>);

impl Epoch {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Epoch {
    type Err = MalformedCursor;

    fn from_str(text: &str) -> Result<Self, MalformedCursor> {
        let length_fits = (1..=EPOCH_CHARS_MAX).contains(&text.len());
        if length_fits && text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            Ok(Self(text.into()))
        } else {
            Err(MalformedCursor)
        }
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A text that is no cursor; no hub has written it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor")]
pub struct MalformedCursor;
