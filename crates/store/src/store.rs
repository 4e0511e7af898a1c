//! One store, whatever the backend.

use std::fmt;

use tokio::sync::oneshot;

use crate::cells::{Cells, Put};
use crate::embedded::Embedded;
use crate::entry::{Appended, Class, Follower, Position, Record};
use crate::error::{AppendError, CommitError, OpenError, ReadError, TrimError};
use crate::journal::{Committed, Journal};
use crate::memory::Memory;
use crate::options::{Options, Retention};
use crate::reader::Reader;
use crate::stats::{Bounds, Health, Promise, Stats, Trimmed};

/// A handle to an open store, cheap to clone. The contracts of [`Journal`] and [`Cells`] hold here.
#[derive(Clone)]
pub enum Store {
    Embedded(Embedded),
    Memory(Memory),
}

macro_rules! each {
    ($self:expr, $store:ident => $call:expr) => {
        match $self {
            Store::Embedded($store) => $call,
            Store::Memory($store) => $call,
        }
    };
}

impl Store {
    /// Opens the store that `options.dir` names, or a new one in memory. The followers get what is appended from now on.
    pub fn open(options: Options, followers: Vec<Box<dyn Follower>>) -> Result<Self, OpenError> {
        Ok(match options.dir.clone() {
            Some(dir) => Self::Embedded(Embedded::open(&dir, options, followers)?),
            None => Self::Memory(Memory::open(options, followers)),
        })
    }

    /// For tests: a store in memory as it would be found after a crash if it were on disk, in a new epoch. This one is closed.
    /// A `last` that is not the newest position is a defect on purpose.
    ///
    /// # Panics
    /// For a store on disk: copy its files and open the copy.
    #[doc(hidden)]
    #[must_use]
    pub fn restarted(
        &self,
        options: Options,
        followers: Vec<Box<dyn Follower>>,
        last: Option<Position>,
    ) -> Self {
        match self {
            Self::Memory(memory) => Self::Memory(memory.restarted(options, followers, last)),
            Self::Embedded(_) => panic!("a store on disk is opened again, not restarted"),
        }
    }

    /// See [`Journal::append`].
    pub async fn append(&self, records: Vec<Record>) -> Result<Vec<Appended>, AppendError> {
        each!(self, store => store.append(records).await)
    }

    /// See [`Cells::commit`].
    pub async fn commit(
        &self,
        puts: Vec<Put>,
        records: Vec<Record>,
    ) -> Result<Committed, CommitError> {
        each!(self, store => store.commit(puts, records).await)
    }

    /// See [`Journal::trim`].
    pub async fn trim(&self) -> Result<Trimmed, TrimError> {
        each!(self, store => store.trim().await)
    }

    /// See [`Journal::set_retention`].
    pub fn set_retention(&self, retention: Retention) {
        each!(self, store => store.set_retention(retention));
    }

    /// See [`Journal::retention`].
    #[must_use]
    pub fn retention(&self) -> Retention {
        each!(self, store => store.retention())
    }

    /// See [`Journal::now`].
    #[must_use]
    pub fn now(&self) -> u64 {
        each!(self, store => store.now())
    }

    /// See [`Journal::bounds`].
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        each!(self, store => store.bounds())
    }

    /// See [`Journal::epoch`].
    #[must_use]
    pub fn epoch(&self) -> &str {
        each!(self, store => store.epoch())
    }

    /// See [`Journal::lineage_end`].
    #[must_use]
    pub fn lineage_end(&self, epoch: &str) -> Option<Position> {
        each!(self, store => store.lineage_end(epoch))
    }

    /// See [`Journal::trimmed_to`].
    #[must_use]
    pub fn trimmed_to(&self, class: Class) -> Position {
        each!(self, store => store.trimmed_to(class))
    }

    /// See [`Journal::promise`].
    #[must_use]
    pub fn promise(&self) -> Promise {
        each!(self, store => store.promise())
    }

    /// See [`Journal::health`].
    #[must_use]
    pub fn health(&self) -> Health {
        each!(self, store => store.health())
    }

    /// See [`Journal::stats`].
    #[must_use]
    pub fn stats(&self) -> Stats {
        each!(self, store => store.stats())
    }

    /// See [`Journal::read_then`].
    pub fn read_then(&self, job: impl FnOnce(&mut Reader) + Send + 'static) {
        each!(self, store => store.read_then(job));
    }

    /// Runs a job as [`Store::read_then`] does, and waits for what it returns.
    pub async fn reading<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Reader) -> T + Send + 'static,
    ) -> Result<T, ReadError> {
        let (answer, answered) = oneshot::channel();
        self.read_then(move |reader| {
            // Nobody waits any more when the caller was dropped.
            let _ = answer.send(job(reader));
        });
        answered.await.map_err(|_| ReadError::Closed)
    }

    /// See [`Journal::close`].
    pub fn close(&self) {
        each!(self, store => store.close());
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("epoch", &self.epoch())
            .finish_non_exhaustive()
    }
}
