//! Questions to the stored entries.

use std::fmt;
use std::sync::Arc;

use crate::cells::Cell;
use crate::entry::{Entry, Position, Subject};
use crate::error::ReadError;
use crate::options::PerClass;
use crate::query::{Found, Query};

/// Questions to what is stored.
///
/// Each call sees one snapshot, which holds at least everything that was released before it began. Entries whose time to
/// live has passed are left out, unless a method says otherwise. A bound `upto` beyond the newest entry counts as that
/// entry's position.
pub trait History {
    /// The selected entries after `slice.after` and up to `slice.upto`, ascending, until a limit of the slice ends the page.
    /// At least one row is looked at. A page ends before a damaged entry; one that would begin with it is refused as
    /// [`ReadError::Damaged`].
    fn read(&mut self, selector: &Selector, slice: Slice) -> Result<Page, ReadError>;

    /// One page of what a query asks for. A page ends before a damaged entry; one that would begin with it is refused as
    /// [`ReadError::Damaged`].
    fn find(&mut self, query: &Query) -> Result<Found, ReadError>;

    /// The positions of the newest selected entries, ascending.
    fn newest(&mut self, selector: &Selector, limit: usize) -> Result<Vec<Position>, ReadError>;

    /// The selected entries of at least `priority_min`. Those of priority 2 and more come from an index of their own.
    fn urgent(
        &mut self,
        selector: &Selector,
        after: Position,
        upto: Position,
        priority_min: u8,
        limit: usize,
    ) -> Result<Urgent, ReadError>;

    /// Those of the positions that are still kept, in the order asked for.
    fn at(&mut self, positions: &[Position]) -> Result<Vec<Arc<Entry>>, ReadError>;

    /// What of the selected subjects is lost after a position.
    fn lost_after(
        &mut self,
        selector: &Selector,
        after: Position,
    ) -> Result<Option<Lost>, ReadError>;

    /// The newest position stored before a time, also if retention has removed it since; zero when there is none.
    fn position_before(&mut self, time_ms: u64) -> Result<Position, ReadError>;

    /// The newest kept entry of an identity, expired or not.
    fn locate(&mut self, source: &str, id: &str) -> Result<Option<Arc<Entry>>, ReadError>;

    fn cell(&mut self, key: &str) -> Result<Option<Cell>, ReadError>;

    /// Cells whose key begins with `prefix` and lies after `after`, ascending by the bytes of the key.
    fn scan(
        &mut self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Cell)>, ReadError>;
}

/// Which subjects to read.
#[derive(Clone, Default)]
pub struct Selector {
    /// Read through the subject index.
    pub exact: Vec<Subject>,
    /// Any subject that it accepts, too; such a read scans the log.
    pub filter: Option<Arc<SubjectFilter>>,
    /// For [`History::read`]: entries whose time to live has passed, too, as long as they are kept.
    pub expired: bool,
}

/// Decides by subject alone: its answer may be kept.
pub type SubjectFilter = dyn Fn(&Subject) -> bool + Send + Sync;

impl fmt::Debug for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Selector")
            .field("exact", &self.exact)
            .field("filter", &self.filter.is_some())
            .field("expired", &self.expired)
            .finish()
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
    /// Ascending; expired ones are left out unless the selector has them.
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
    /// The same for each class, zero where nothing is lost. Retention removes the oldest of a class first, so a reader
    /// that was told of a loss up to here knows of all of it.
    pub by_class: PerClass<Position>,
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
