//! Questions to the stored entries.

use std::fmt;
use std::sync::Arc;

use crate::entry::{Entry, Position, Subject};

/// Which subjects to read.
#[derive(Clone, Default)]
pub struct Selector {
    /// Read through the subject index.
    pub exact: Vec<Subject>,
    /// Any subject that it accepts, too; such a read scans the log.
    pub filter: Option<Arc<SubjectFilter>>,
}

/// Decides by subject alone: its answer may be kept.
pub type SubjectFilter = dyn Fn(&Subject) -> bool + Send + Sync;

impl fmt::Debug for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Selector").field("exact", &self.exact).field("filter", &self.filter.is_some()).finish()
    }
}

/// A range to read, and how much of it at once.
#[derive(Clone, Copy, Debug)]
pub struct Slice {
    pub after: Position,
    pub upto: Position,
    /// Ends the page; the first entry comes whatever its size.
    pub bytes_max: usize,
    /// Rows looked at, not rows found.
    pub rows_max: usize,
}

/// What a slice holds.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Ascending; expired ones are left out.
    pub entries: Vec<Arc<Entry>>,
    /// Everything selected up to here is in `entries`. Equal to `upto` at the end.
    pub scanned_to: Position,
    /// Judged in the same snapshot as the entries.
    pub lost: Option<Lost>,
}

/// Retention removed entries of the selected subjects after `after` whose own time to live had not passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The newest position that is lost.
    pub upto: Position,
    /// Every selected entry that is kept and lies after `after` lies after this position too.
    pub resume_after: Position,
}

/// Entries of a high priority.
#[derive(Clone, Debug, Default)]
pub struct Urgent {
    /// Ascending by position, with priority.
    pub found: Vec<(Position, u8)>,
    /// All up to here are found; less than asked when a limit ended the search.
    pub complete_to: Position,
}
