//! Small keyed values with revisions.

use std::future::Future;

use bytes::Bytes;

use crate::entry::Record;
use crate::error::CommitError;
use crate::journal::Committed;

/// Writes to cells, together with entries. [`History`](crate::History) reads them.
///
/// A revision is never used twice in a store, not even after a deletion. An expired cell stays as it is until a trim
/// removes it.
pub trait Cells {
    /// Writes the cells in order and then appends the records as [`Journal::append`](crate::Journal::append) does, in one
    /// transaction: all of it or nothing. A put sees the puts before it. Records that turn out to be duplicates do not keep
    /// the cells from being written.
    fn commit(
        &self,
        puts: Vec<Put>,
        records: Vec<Record>,
    ) -> impl Future<Output = Result<Committed, CommitError>> + Send;
}

/// The state of a cell; a new one with each write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision(pub u64);

/// A stored value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    pub value: Bytes,
    pub revision: Revision,
}

/// A write to one cell.
#[derive(Clone, Debug)]
pub struct Put {
    pub key: String,
    /// `None` deletes.
    pub value: Option<Bytes>,
    pub expect: Expect,
    /// When a sweep may remove it, in milliseconds since 1970.
    pub expires_at: Option<u64>,
}

/// What a write requires of the cell as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    Any,
    Absent,
    Revision(Revision),
}
