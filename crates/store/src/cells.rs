//! Small keyed values with revisions.

use bytes::Bytes;

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
