//! Defects on purpose, one at a time and on this thread only: what the simulation is worth is what it finds.

use std::cell::Cell;
use std::collections::BTreeSet;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Planted {
    /// Of the pending records that a commit is to write, the last is left out.
    LastPendingRecordIsDropped,
    /// A lane takes urgent messages though it does not know what lies before them.
    LaneStaysOpen,
    /// The first positions after a crash are those of the last messages before it.
    PositionsAreReused,
}

thread_local! {
    static PLANTED: Cell<Option<Planted>> = const { Cell::new(None) };
}

/// Whether this defect is there.
pub(crate) fn is(defect: Planted) -> bool {
    PLANTED.get() == Some(defect)
}

/// Runs something with the defect in place.
pub(super) fn with<T>(defect: Planted, run: impl FnOnce() -> T) -> T {
    PLANTED.set(Some(defect));
    let done = run();
    PLANTED.set(None);
    done
}

/// Seam for [`Planted::LastPendingRecordIsDropped`].
pub(crate) fn without_last<K: Ord>(mut records: BTreeSet<K>) -> BTreeSet<K> {
    if is(Planted::LastPendingRecordIsDropped) {
        records.pop_last();
    }
    records
}
