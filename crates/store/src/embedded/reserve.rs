//! Room that is kept for the way out of a full disk: removing entries writes first and frees later.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rustix::fs::{FallocateFlags, fallocate};

pub(super) const RESERVE_FILE: &str = "reserve";
/// A few slices of a trim and the write-ahead log that they need.
const RESERVE_BYTES: u64 = 8 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    /// The bound of the database in pages, zero without one, and how many pages the reserve adds to it.
    pages_max: u64,
    pages_extra: u64,
    released: bool,
}

impl Reserve {
    /// Bounds the database to `bytes_max`, and sets the reserve aside. A disk without room for it is told of later: by
    /// the first commit that fails.
    pub(super) fn open(
        dir: &Path,
        connection: &Connection,
        bytes_max: u64,
    ) -> rusqlite::Result<Self> {
        let page_bytes: u64 = connection
            .pragma_query_value(None, "page_size", |row| row.get::<_, u32>(0))?
            .into();
        let pages_max = bytes_max.div_ceil(page_bytes);
        let mut reserve = Self {
            path: dir.join(RESERVE_FILE),
            pages_max,
            pages_extra: RESERVE_BYTES / page_bytes,
            released: false,
        };
        reserve.keep(connection)?;
        Ok(reserve)
    }

    /// Whether there is a bound besides the disk's.
    pub(super) fn is_bounded(&self) -> bool {
        self.pages_max > 0
    }

    /// It was given up and is not restored: what is appended meanwhile would take what a trim needs.
    pub(super) fn is_released(&self) -> bool {
        self.released
    }

    /// True if the disk has the room.
    pub(super) fn keep(&mut self, connection: &Connection) -> rusqlite::Result<bool> {
        self.limit(connection, 0)?;
        let kept = self.allocate();
        if let Err(error) = &kept {
            tracing::warn!(%error, "no room for the reserve of the store");
            self.remove();
        }
        self.released &= kept.is_err();
        Ok(kept.is_ok())
    }

    /// Gives the room to a trim.
    pub(super) fn release(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.released = true;
        self.remove();
        self.limit(connection, self.pages_extra)
    }

    fn limit(&self, connection: &Connection, extra: u64) -> rusqlite::Result<()> {
        if self.pages_max == 0 {
            return Ok(());
        }
        // Below the present size it means the present size.
        let pages = i64::try_from(self.pages_max + extra).unwrap_or(i64::MAX);
        connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
    }

    fn allocate(&self) -> io::Result<()> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&self.path)?;
        Ok(fallocate(&file, FallocateFlags::empty(), 0, RESERVE_BYTES)?)
    }

    fn remove(&self) {
        if let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "the reserve of the store cannot be given up");
        }
    }
}
