//! How a store is opened.

use std::path::PathBuf;

use crate::clock::Clock;
use crate::entry::Class;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const MINUTE_MS: u64 = 60 * 1000;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// How a store is opened. The default keeps everything in memory.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of the data, made when it is missing; `None` keeps everything in memory.
    pub dir: Option<PathBuf>,
    pub durability: Durability,
    pub idempotency_window: IdempotencyWindow,
    pub retention: Retention,
    pub queue: QueueBounds,
    /// Threads that read.
    pub readers: usize,
    /// No room beyond this many bytes: the store then behaves as on a full disk. Zero: the disk is the bound.
    pub bytes_max: u64,
    pub clock: Clock,
    pub tuning: Tuning,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            dir: None,
            durability: Durability::Disk,
            idempotency_window: IdempotencyWindow::default(),
            retention: Retention::default(),
            queue: QueueBounds::default(),
            readers: 2,
            bytes_max: 0,
            clock: Clock::system(),
            tuning: Tuning::default(),
        }
    }
}

/// What has happened when an append is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The entries survive a loss of power.
    Disk,
    /// The entries survive a crash of the process; a loss of power may take the newest.
    Os,
}

/// How long an identity is remembered: until either bound is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdempotencyWindow {
    pub ms: u64,
    pub ids: usize,
}

impl Default for IdempotencyWindow {
    /// Longer than a client retries; a million ids take some 50 MiB.
    fn default() -> Self {
        Self {
            ms: 10 * MINUTE_MS,
            ids: 1_000_000,
        }
    }
}

/// What is kept of each class.
pub type Retention = PerClass<Keep>;

/// What is kept: the newest entries within all three bounds. Zero: no bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    pub age_ms: u64,
    /// Of sources, ids and bodies.
    pub bytes: u64,
    pub count: u64,
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            age_ms: 7 * DAY_MS,
            bytes: 4 * GIB,
            count: 0,
        }
    }
}

/// What may wait for the writer; an append beyond it is refused as `Busy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueBounds {
    pub records: usize,
    pub bytes: u64,
}

impl Default for QueueBounds {
    /// About a tenth of a second of the writer's work.
    fn default() -> Self {
        Self {
            records: 65_536,
            bytes: 64 * MIB,
        }
    }
}

/// Sizes of the writer's steps; tests set small ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// What goes into one commit, unless a single append is larger.
    pub commit_records: usize,
    pub commit_bytes: u64,
    /// Newest rows whose index is kept in memory before they are merged.
    pub merge_rows: usize,
    /// Rows merged into the index between two commits, at least.
    pub merge_slice_rows: usize,
    /// Pages of the write-ahead log that start a checkpoint.
    pub checkpoint_pages: u32,
    /// Rows trimmed between two commits.
    pub trim_slice_rows: usize,
}

impl Default for Tuning {
    /// Measured with records of 300 bytes: commits of this size cost a few milliseconds, and so does a slice.
    fn default() -> Self {
        Self {
            commit_records: 1024,
            commit_bytes: MIB,
            merge_rows: 65_536,
            merge_slice_rows: 2048,
            checkpoint_pages: 1000,
            trim_slice_rows: 2048,
        }
    }
}

/// One value for each class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerClass<T> {
    pub mailbox: T,
    pub topic: T,
    pub broadcast: T,
}

impl<T> PerClass<T> {
    /// One value for each class, made by `value`.
    pub fn from_fn(mut value: impl FnMut(Class) -> T) -> Self {
        Self {
            mailbox: value(Class::Mailbox),
            topic: value(Class::Topic),
            broadcast: value(Class::Broadcast),
        }
    }
}

impl<T> std::ops::Index<Class> for PerClass<T> {
    type Output = T;

    fn index(&self, class: Class) -> &T {
        match class {
            Class::Mailbox => &self.mailbox,
            Class::Topic => &self.topic,
            Class::Broadcast => &self.broadcast,
        }
    }
}

impl<T> std::ops::IndexMut<Class> for PerClass<T> {
    fn index_mut(&mut self, class: Class) -> &mut T {
        match class {
            Class::Mailbox => &mut self.mailbox,
            Class::Topic => &mut self.topic,
            Class::Broadcast => &mut self.broadcast,
        }
    }
}
