//! The contract of the journal.

use std::future::Future;
use std::hash::{BuildHasher, RandomState};

use crate::cells::Revision;
use crate::entry::{Appended, Class, Position, Record};
use crate::error::{AppendError, TrimError};
use crate::options::Retention;
use crate::reader::Reader;
use crate::stats::{Bounds, Health, Promise, Stats, Trimmed};

/// Order and durability.
///
/// There is one order of all entries. For each commit the steps come in this order: durable as [`Journal::promise`]
/// says, visible to reads and in [`Journal::lineage_end`], handed to the followers, in [`Journal::bounds`], answered.
///
/// Records that are not durable wait in the same queue and are released with the commit of their neighbours, so they
/// never overtake what was appended before them.
///
/// Each open begins a new epoch; positions go on across epochs. So a copy that was restored from an older state never
/// shares an epoch with what was lost, and the end of an epoch tells which of its positions exist.
pub trait Journal: Clone + Send + Sync + 'static {
    /// Stores the records in order, all or none, and answers for each of them once all are durable.
    ///
    /// A record whose identity was stored inside the idempotency window, or comes earlier in `records`, is answered with
    /// the position of the first copy, once that is durable; other contents under a known identity refuse the whole call.
    /// Concurrent calls may share a commit; a refusal of one does not touch the others. Once polled, a call is carried out
    /// even if its future is dropped.
    fn append(
        &self,
        records: Vec<Record>,
    ) -> impl Future<Output = Result<Vec<Appended>, AppendError>> + Send;

    /// Removes what retention does not keep, entries whose time to live has passed and whose identity need not be remembered,
    /// and expired cells.
    ///
    /// Each class loses its oldest entries until the rest is within its bounds. Nothing goes by age while wall and
    /// monotonic clock disagree. Appends go on meanwhile.
    fn trim(&self) -> impl Future<Output = Result<Trimmed, TrimError>> + Send;

    /// What trims that begin from now on keep.
    fn set_retention(&self, retention: Retention);

    /// What trims keep at this moment.
    fn retention(&self) -> Retention;

    /// The time that entries and cells are dated by, in milliseconds. It never goes back.
    fn now(&self) -> u64;

    /// What is kept; never touches the disk.
    fn bounds(&self) -> Bounds;

    /// The epoch of this open: random text of hexadecimal digits.
    fn epoch(&self) -> &str;

    /// The last position of an epoch of this journal, for the present one the newest durable position; `None` for an epoch
    /// that is not of this journal.
    fn lineage_end(&self, epoch: &str) -> Option<Position>;

    /// The newest position of a class that retention removed before its time to live had passed.
    fn trimmed_to(&self, class: Class) -> Position;

    /// What an answered append means here.
    fn promise(&self) -> Promise;

    fn health(&self) -> Health;

    fn stats(&self) -> Stats;

    /// Queues a job to the reader threads; never blocks on the disk. Jobs may run at the same time and in any order. The
    /// caller bounds how many it has queued. After [`Journal::close`] a job may be dropped without having run.
    fn read_then(&self, job: impl FnOnce(&mut Reader) + Send + 'static);

    /// Takes no more appends, carries out those that wait, and lets go of the data folder. Blocks until that is done, and
    /// may be called again. Dropping the last handle does the same.
    fn close(&self);
}

/// What a commit did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Of each put, in order; a deletion has one too.
    pub revisions: Vec<Revision>,
    /// Of each record, in order.
    pub appended: Vec<Appended>,
}

/// From the keys that the system gives to each hasher.
pub(crate) fn random_bits() -> u64 {
    RandomState::new().hash_one(())
}

/// 64 random bits as text; never a counter, which a restored copy would count again.
pub(crate) fn new_epoch() -> String {
    format!("{:016x}", random_bits())
}
