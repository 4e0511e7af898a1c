//! What can go wrong, by what the caller can do about it.

use std::path::PathBuf;

use crate::entry::Position;

/// The cause beneath an error, for the log only.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Nothing of the append was stored, unless it `Failed`: then a later open may find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    #[error("record {index} has the identity of a stored one and other contents")]
    Conflict { index: usize },
    #[error("the journal's queue is full")]
    Busy,
    #[error("the disk is full")]
    Full,
    /// The store takes no more writes: after a failed sync nobody knows what the disk holds.
    #[error("a write to the journal failed")]
    Failed,
    #[error("the store is closed")]
    Closed,
}

impl AppendError {
    /// Whether the same append can succeed later in this process.
    #[must_use]
    pub fn retryable(self) -> bool {
        matches!(self, Self::Busy | Self::Full)
    }
}

/// Nothing of the commit was stored, unless the append `Failed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    #[error("cell {index} is not at the expected revision")]
    Revision { index: usize },
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl CommitError {
    /// Whether the same commit can succeed later in this process.
    #[must_use]
    pub fn retryable(self) -> bool {
        matches!(self, Self::Append(error) if error.retryable())
    }
}

/// Trimming stopped; what it had removed stays removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrimError {
    #[error("the disk is full")]
    Full,
    #[error("a write to the journal failed")]
    Failed,
    #[error("the store is closed")]
    Closed,
}

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The stored checksum does not match: the entry must not be handed out. A page ends before it, so an error means that
    /// nothing selected lies between what was asked for and this position.
    #[error("the entry at position {position} is damaged")]
    Damaged { position: Position },
    #[error("reading the journal failed")]
    Failed(#[source] Cause),
    #[error("the store is closed")]
    Closed,
}

/// Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the data folder {} is in use by another process", dir.display())]
    Locked { dir: PathBuf },
    #[error("there is no store in {}", dir.display())]
    Missing { dir: PathBuf },
    #[error("{} has format {found}, and this version knows formats up to {known}", path.display())]
    NewerFormat {
        path: PathBuf,
        found: i64,
        known: i64,
    },
    #[error("{} is not a journal of tidings", path.display())]
    Foreign { path: PathBuf },
    #[error("{} is damaged", path.display())]
    Corrupt {
        path: PathBuf,
        #[source]
        cause: Cause,
    },
    #[error("SQLite {found} is older than {needed}, which repaired a defect that damages files")]
    Engine { found: String, needed: String },
    #[error("opening {} failed", path.display())]
    Io {
        path: PathBuf,
        #[source]
        cause: Cause,
    },
}
