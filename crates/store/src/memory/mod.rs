//! The store in memory: for tests, and the reference that the other is compared with.
//!
//! An append holds the lock of the followers from beginning to end, so there is one order; the state has a lock of its
//! own, which is free while followers run, so they and others can read.

mod cells;
mod log;
mod reader;
mod state;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cells::{Cells, Put};
use crate::clock::Timeline;
use crate::entry::{Appended, Class, Entry, Follower, Position, Record};
use crate::error::{AppendError, CommitError, TrimError};
use crate::journal::{Committed, Journal};
use crate::options::{Options, Retention};
use crate::stats::{Bounds, Health, Promise, Stats, Trimmed};

pub(crate) use self::reader::Reader;
use self::state::State;

/// A handle to a store in memory.
#[derive(Clone)]
pub struct Memory {
    shared: Arc<Shared>,
}

struct Shared {
    epoch: String,
    /// The last positions of earlier epochs.
    ends: HashMap<String, Position>,
    timeline: Timeline,
    closed: AtomicBool,
    /// Taken before the state, never after it.
    followers: Mutex<Vec<Box<dyn Follower>>>,
    state: Mutex<State>,
}

impl Memory {
    pub(crate) fn open(options: Options, followers: Vec<Box<dyn Follower>>) -> Self {
        let timeline = Timeline::resume(options.clock.clone(), 0);
        let shared = Shared {
            epoch: crate::journal::new_epoch(),
            ends: HashMap::new(),
            timeline,
            closed: AtomicBool::new(false),
            followers: Mutex::new(followers),
            state: Mutex::new(State::new(options)),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// What another open would find if this store were on disk: log and cells, in a new epoch. Takes them from this one,
    /// which is closed. Positions go on after `last`, or, as they must, after the newest that was given.
    pub(crate) fn restarted(
        &self,
        options: Options,
        followers: Vec<Box<dyn Follower>>,
        last: Option<Position>,
    ) -> Self {
        Journal::close(self);
        let mut ends = self.shared.ends.clone();
        let left = std::mem::replace(&mut *self.shared.state(), State::new(options.clone()));
        ends.insert(self.shared.epoch.clone(), left.last());
        let timeline = Timeline::resume(options.clock.clone(), left.newest_stored_at());
        let state = left.restarted(options, timeline.now(), last);
        let shared = Shared {
            epoch: crate::journal::new_epoch(),
            ends,
            timeline,
            closed: AtomicBool::new(false),
            followers: Mutex::new(followers),
            state: Mutex::new(state),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    fn commit_now(&self, puts: Vec<Put>, records: &[Record]) -> Result<Committed, CommitError> {
        let mut followers = self
            .shared
            .followers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if self.shared.closed.load(Ordering::Relaxed) {
            return Err(AppendError::Closed.into());
        }
        let now = self.shared.timeline.now();
        let (committed, released) = self.shared.state().commit(puts, records, now)?;
        release(&mut followers, &released);
        self.shared.state().release();
        Ok(committed)
    }
}

fn release(followers: &mut [Box<dyn Follower>], released: &[Arc<Entry>]) {
    if released.is_empty() {
        return;
    }
    for follower in followers {
        follower.released(released);
    }
}

impl Shared {
    /// A panic under the lock leaves no half-made change that later calls could not live with.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal for Memory {
    async fn append(&self, records: Vec<Record>) -> Result<Vec<Appended>, AppendError> {
        match self.commit_now(Vec::new(), &records) {
            Ok(committed) => Ok(committed.appended),
            Err(CommitError::Append(error)) => Err(error),
            Err(CommitError::Revision { .. }) => unreachable!("an append puts no cell"),
        }
    }

    async fn trim(&self) -> Result<Trimmed, TrimError> {
        if self.shared.closed.load(Ordering::Relaxed) {
            return Err(TrimError::Closed);
        }
        let (now, trusted) = (self.shared.timeline.now(), self.shared.timeline.trusted());
        Ok(self.shared.state().trim(now, trusted))
    }

    fn set_retention(&self, retention: Retention) {
        self.shared.state().set_retention(retention);
    }

    fn retention(&self) -> Retention {
        self.shared.state().retention()
    }

    fn now(&self) -> u64 {
        self.shared.timeline.now()
    }

    fn bounds(&self) -> Bounds {
        self.shared.state().bounds()
    }

    fn epoch(&self) -> &str {
        &self.shared.epoch
    }

    fn lineage_end(&self, epoch: &str) -> Option<Position> {
        if epoch == self.shared.epoch {
            return Some(self.shared.state().last());
        }
        self.shared.ends.get(epoch).copied()
    }

    fn trimmed_to(&self, class: Class) -> Position {
        self.shared.state().trimmed_to(class)
    }

    fn promise(&self) -> Promise {
        Promise::Memory
    }

    fn health(&self) -> Health {
        self.shared.state().health()
    }

    fn stats(&self) -> Stats {
        self.shared.state().stats()
    }

    fn read_then(&self, job: impl FnOnce(&mut crate::Reader) + Send + 'static) {
        if !self.shared.closed.load(Ordering::Relaxed) {
            job(&mut crate::Reader::Memory(Reader::new(self.shared.clone())));
        }
    }

    fn close(&self) {
        // With the lock, so that no append is still on its way when this returns.
        let _followers = self
            .shared
            .followers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.shared.closed.store(true, Ordering::Relaxed);
    }
}

impl Cells for Memory {
    async fn commit(&self, puts: Vec<Put>, records: Vec<Record>) -> Result<Committed, CommitError> {
        self.commit_now(puts, &records)
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("epoch", &self.shared.epoch)
            .finish_non_exhaustive()
    }
}
