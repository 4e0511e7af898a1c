//! A page of what is stored, by whatever people ask for.

use std::fmt;
use std::sync::Arc;

use crate::entry::{Entry, Position, Subject};

/// What to find. Every condition narrows the rest.
#[derive(Clone, Debug)]
pub struct Query {
    pub scope: Scope,
    /// Entries of this source alone; looked up in an index.
    pub source: Option<Arc<str>>,
    /// Entries of these kinds alone; empty: of any.
    pub kinds: Vec<u8>,
    /// Leaves out what this client is excluded from.
    pub reader: Option<Arc<str>>,
    /// Entries stored at this time or later, in milliseconds since 1970.
    pub since: Option<u64>,
    /// Entries stored before this time.
    pub until: Option<u64>,
    /// Where the page before ended: in either order, what it held is not found again.
    pub after: Option<Position>,
    pub order: Order,
    /// Entries found.
    pub limit: usize,
    /// Ends the page; the first entry comes whatever its size.
    pub bytes_max: usize,
    /// Rows looked at, not entries found: where few rows meet the conditions, a page may come short, even empty.
    pub rows_max: usize,
}

/// Subjects to look at.
#[derive(Clone, Debug)]
pub enum Scope {
    Everything,
    Of {
        subjects: Vec<Subject>,
        topics: Vec<Topics>,
    },
}

/// Topics by their names.
#[derive(Clone)]
pub struct Topics {
    /// What all of the names begin with: only these are looked at.
    pub prefix: String,
    /// Decides by the name alone.
    pub accepts: Arc<TopicFilter>,
}

pub type TopicFilter = dyn Fn(&str) -> bool + Send + Sync;

impl Topics {
    pub(crate) fn have(&self, name: &str) -> bool {
        name.starts_with(&self.prefix) && (self.accepts)(name)
    }
}

impl fmt::Debug for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topics")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl Scope {
    pub(crate) fn has(&self, subject: &Subject) -> bool {
        let Self::Of { subjects, topics } = self else {
            return true;
        };
        let named = |name: &str| topics.iter().any(|topics| topics.have(name));
        subjects.contains(subject) || matches!(subject, Subject::Topic(name) if named(name))
    }
}

/// From the oldest to the newest, or back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Ascending,
    Descending,
}

/// What a query found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// In the order asked for; expired ones are left out.
    pub entries: Vec<Arc<Entry>>,
    /// The `after` of the next page; `None` at the end. Everything asked for up to here is in `entries`.
    pub next: Option<Position>,
}
