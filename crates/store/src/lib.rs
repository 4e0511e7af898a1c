//! Durable journal, history and cells of the Tidings notification hub.
//!
//! [`Store`] is the way in; the contracts stand on the traits [`Journal`], [`History`] and [`Cells`]. [`Folder`] looks after
//! what a store has left on disk, or is writing there now.

mod cells;
mod clock;
mod embedded;
mod entry;
mod error;
mod history;
mod idempotency;
mod journal;
mod memory;
mod options;
mod query;
mod reader;
mod stats;
mod store;
mod trim;

pub use self::cells::{Cell, Cells, Expect, Put, Revision};
pub use self::clock::Clock;
pub use self::embedded::{Checkup, CopyError, Folder, Survey, SurveyOfClass, Vacuumed};
pub use self::entry::{Appended, Class, Entry, Follower, Position, Record, Subject};
pub use self::error::{AppendError, Cause, CommitError, OpenError, ReadError, TrimError};
pub use self::history::{History, Lost, Page, Selector, Slice, SubjectFilter, Urgent};
pub use self::journal::{Committed, Journal};
pub use self::options::{
    Durability, IdempotencyWindow, Keep, Options, PerClass, QueueBounds, Retention, Tuning,
};
pub use self::query::{Found, Order, Query, Scope, TopicFilter, Topics};
pub use self::reader::Reader;
pub use self::stats::{Bounds, Health, Histogram, Promise, Stats, Trimmed};
pub use self::store::Store;
