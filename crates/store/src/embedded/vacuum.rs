//! Gives pages that trims freed back to the disk.

use super::transaction::{Failure, classify};
use super::writer::Writer;

/// Free pages go back when they are more than one in so many: fewer are soon used again.
const FREE_SHARE: i64 = 4;
const PAGES_AT_ONCE: i64 = 256;

impl Writer {
    /// A few pages; true once few enough are free.
    pub(super) fn vacuum(&self) -> Result<bool, Failure> {
        let vacuumed = (|| {
            let number = |pragma| {
                self.connection
                    .pragma_query_value(None, pragma, |row| row.get::<_, i64>(0))
            };
            if number("freelist_count")? * FREE_SHARE <= number("page_count")? {
                return Ok(true);
            }
            let mut statement = self
                .connection
                .prepare_cached(&format!("PRAGMA incremental_vacuum({PAGES_AT_ONCE})"))?;
            let mut freed = statement.query([])?;
            while freed.next()?.is_some() {}
            Ok(false)
        })();
        vacuumed.map_err(|error| classify(&error))
    }
}
