//! What a store tells about itself.

use crate::entry::Position;
use crate::options::PerClass;

/// What an answered append means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// Lasts as long as the process.
    Memory,
    /// Survives a crash of the process.
    Os,
    /// Survives a loss of power.
    Disk,
}

/// Whether the store takes writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    Ok,
    /// The last commit found no room. A later commit or a trim that made room ends it; reads go on.
    Full,
    /// A write or sync failed. Only opening the folder anew ends it; reads go on.
    Failed,
}

/// What is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The oldest entry that is kept, or `last` when none is.
    pub first: Position,
    /// The newest position that is durable and was given to the followers.
    pub last: Position,
}

/// What a trim removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trimmed {
    pub entries: PerClass<u64>,
    pub bytes: u64,
    pub cells: u64,
    /// The clocks disagree: nothing was removed by age.
    pub age_waits: bool,
}

/// A snapshot for metrics. Counters count since the open.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Waiting for the writer now.
    pub queue_records: u64,
    pub queue_bytes: u64,
    pub refused_busy: u64,
    pub refused_full: u64,
    pub refused_failed: u64,
    pub conflicts: u64,
    /// Records by what became of them.
    pub stored: u64,
    pub duplicates: u64,
    pub passed: u64,
    pub commits: u64,
    /// Records in a commit.
    pub commit_records: Histogram,
    /// Microseconds of a commit.
    pub commit_us: Histogram,
    pub checkpoints: u64,
    pub index_merges: u64,
    /// Rows whose index is in memory only.
    pub index_rows_in_memory: u64,
    pub idempotency_ids: u64,
    /// Kept now.
    pub entries: PerClass<u64>,
    pub bytes: PerClass<u64>,
    /// Removed by retention.
    pub trimmed: PerClass<u64>,
    /// Of the files of the log.
    pub log_bytes: u64,
    /// Reads waiting for a reader thread.
    pub reads_waiting: u64,
    /// Whether trimming by age waits because the clocks disagree.
    pub age_waits: bool,
}

/// Counts of values by powers of two.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// The one at index i counts values below 2^i that no earlier one counts; the last also counts all larger ones.
    pub buckets: [u64; 32],
    pub count: u64,
    pub sum: u64,
}

impl Histogram {
    pub(crate) fn record(&mut self, value: u64) {
        let bits = (u64::BITS - value.leading_zeros()) as usize;
        self.buckets[bits.min(self.buckets.len() - 1)] += 1;
        self.count += 1;
        self.sum = self.sum.saturating_add(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_counted_in_the_first_bucket_whose_bound_is_above_it() {
        let mut histogram = Histogram::default();
        for value in [0, 1, 2, 3, 4, u64::MAX] {
            histogram.record(value);
        }
        assert_eq!(histogram.buckets[..4], [1, 1, 2, 1]);
        assert_eq!(histogram.buckets[31], 1);
        assert_eq!((histogram.count, histogram.sum), (6, u64::MAX));
    }
}
