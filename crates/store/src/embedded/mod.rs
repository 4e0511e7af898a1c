//! The store on disk: one SQLite file, one thread that writes, a few that read.
//!
//! A call to append waits in the [`queue`] until the [`writer`] takes everything that waits, as one [`batch`], into one
//! transaction. The transaction writes rows of the log; what is derived from them lies in [`recent`] until a [`merge`]
//! brings it into the tables. A [`reader`] joins the two. Between batches the writer does what can wait: it trims
//! ([`retention`]) and carries the write-ahead log over ([`checkpoint`]).
//!
//! The writer alone changes anything; callers and readers see what it publishes in [`shared`].

mod batch;
mod block;
mod candidates;
mod cells;
mod checkpoint;
#[cfg(test)]
mod counts;
mod failure;
mod find;
mod folder;
mod identities;
mod lineage;
mod list;
mod lock;
mod losses;
mod merge;
mod meta;
mod newest;
mod open;
mod page;
mod pool;
mod postings;
mod queue;
mod reader;
mod recent;
mod removal;
mod reserve;
mod retention;
mod rows;
mod schema;
mod selection;
mod shared;
mod subjects;
mod sweep;
mod times;
mod transaction;
mod upgrade;
mod urgent;
mod vacuum;
mod writer;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, ThreadId};

use tokio::sync::oneshot;

pub use self::folder::{Checkup, CopyError, Folder, Survey, SurveyOfClass, Vacuumed};
use self::open::Opened;
use self::pool::Pool;
use self::queue::{Call, Job};
pub(crate) use self::reader::Reader;
use self::shared::Shared;
use self::writer::Writer;
use crate::cells::{Cells, Put};
use crate::entry::{Appended, Class, Follower, Position, Record};
use crate::error::{AppendError, CommitError, OpenError, TrimError};
use crate::journal::{Committed, Journal};
use crate::options::{Durability, Options, Retention};
use crate::stats::{Bounds, Health, Promise, Stats, Trimmed};

/// A handle to a store on disk.
#[derive(Clone)]
pub struct Embedded {
    handle: Arc<Handle>,
}

struct Handle {
    shared: Arc<Shared>,
    pool: Pool,
    writer_id: ThreadId,
    /// Held while somebody waits for its end.
    writer: Mutex<Option<JoinHandle<()>>>,
    promise: Promise,
    /// The database and its write-ahead log.
    files: [PathBuf; 2],
}

impl Embedded {
    pub(crate) fn open(
        dir: &Path,
        options: Options,
        followers: Vec<Box<dyn Follower>>,
    ) -> Result<Self, OpenError> {
        let promise = match options.durability {
            Durability::Disk => Promise::Disk,
            Durability::Os => Promise::Os,
        };
        let Opened {
            writer,
            readers,
            path,
        } = open::open(dir, options, followers)?;
        let io = |cause: std::io::Error| OpenError::Io {
            path: dir.to_owned(),
            cause: Box::new(cause),
        };
        let shared = writer.shared.clone();
        let pool = Pool::start(readers).map_err(io)?;
        let thread = thread::Builder::new().name("store-writer".to_owned());
        let writer = thread.spawn(move || write(writer)).map_err(io)?;
        let mut log = path.clone().into_os_string();
        log.push("-wal");
        let handle = Handle {
            shared,
            pool,
            writer_id: writer.thread().id(),
            writer: Mutex::new(Some(writer)),
            promise,
            files: [path, log.into()],
        };
        Ok(Self {
            handle: Arc::new(handle),
        })
    }
}

/// A panic, say of a follower, leaves the order of what was released unknown: it counts as a failed write.
fn write(writer: Writer) {
    let shared = writer.shared.clone();
    if catch_unwind(AssertUnwindSafe(|| writer.run())).is_err() {
        tracing::error!("the writer of the store panicked; no more writes are taken");
        shared.set_health(Health::Failed);
        shared.queue.close();
        shared.queue.clear();
    }
}

impl Handle {
    /// From one of the store's own threads the others are told to end, and not waited for.
    fn close(&self) {
        let own = self.pool.is_current() || thread::current().id() == self.writer_id;
        self.pool.close();
        if !own {
            self.pool.join();
        }
        self.shared.queue.close();
        if !own
            && let Some(writer) = self
                .writer
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take()
            && writer.join().is_err()
        {
            tracing::error!("the writer of the store panicked");
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

impl Journal for Embedded {
    async fn append(&self, records: Vec<Record>) -> Result<Vec<Appended>, AppendError> {
        match self.commit(Vec::new(), records).await {
            Ok(committed) => Ok(committed.appended),
            Err(CommitError::Append(error)) => Err(error),
            Err(CommitError::Revision { .. }) => unreachable!("an append puts no cell"),
        }
    }

    async fn trim(&self) -> Result<Trimmed, TrimError> {
        let (answer, answered) = oneshot::channel();
        self.handle
            .shared
            .queue
            .push(Job::Trim(answer))
            .map_err(|_| TrimError::Closed)?;
        answered.await.unwrap_or(Err(TrimError::Failed))
    }

    fn set_retention(&self, retention: Retention) {
        self.handle.shared.set_retention(retention);
    }

    fn retention(&self) -> Retention {
        self.handle.shared.retention()
    }

    fn now(&self) -> u64 {
        self.handle.shared.timeline.now()
    }

    fn bounds(&self) -> Bounds {
        self.handle.shared.bounds()
    }

    fn epoch(&self) -> &str {
        &self.handle.shared.epoch
    }

    fn lineage_end(&self, epoch: &str) -> Option<Position> {
        let shared = &self.handle.shared;
        if epoch == shared.epoch {
            return Some(Position(shared.recent.bound()));
        }
        shared.ends.get(epoch).map(|end| Position(*end))
    }

    fn trimmed_to(&self, class: Class) -> Position {
        self.handle.shared.trimmed_to(class)
    }

    fn promise(&self) -> Promise {
        self.handle.promise
    }

    fn health(&self) -> Health {
        self.handle.shared.health()
    }

    fn stats(&self) -> Stats {
        let shared = &self.handle.shared;
        let mut stats = shared.stats().clone();
        (stats.queue_records, stats.queue_bytes, stats.refused_busy) = shared.queue.depth();
        stats.index_rows_in_memory = shared.recent.len() as u64;
        stats.reads_waiting = self.handle.pool.waiting() as u64;
        let bytes = |path: &PathBuf| path.metadata().map_or(0, |metadata| metadata.len());
        stats.log_bytes = self.handle.files.iter().map(bytes).sum();
        stats
    }

    fn read_then(&self, job: impl FnOnce(&mut crate::Reader) + Send + 'static) {
        self.handle.pool.push(Box::new(job));
    }

    fn close(&self) {
        self.handle.close();
    }
}

impl Cells for Embedded {
    async fn commit(&self, puts: Vec<Put>, records: Vec<Record>) -> Result<Committed, CommitError> {
        let (answer, answered) = oneshot::channel();
        self.handle.shared.queue.push(Job::Write(Call {
            puts,
            records,
            answer,
        }))?;
        answered
            .await
            .unwrap_or(Err(CommitError::Append(AppendError::Failed)))
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded")
            .field("epoch", &self.handle.shared.epoch)
            .finish_non_exhaustive()
    }
}
