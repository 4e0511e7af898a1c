//! Durable journal, history and cells of the Tidings notification hub.

mod cells;
mod entry;
mod history;

pub use self::cells::{Cell, Expect, Put, Revision};
pub use self::entry::{Appended, Class, Entry, Follower, Position, Record, Subject};
pub use self::history::{Lost, Page, Selector, Slice, SubjectFilter, Urgent};
