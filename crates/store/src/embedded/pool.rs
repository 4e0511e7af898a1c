//! The threads that read, each with its own connection.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, ThreadId};

use super::reader::Reader;

pub(super) type ReadJob = Box<dyn FnOnce(&mut crate::Reader) + Send>;

/// How far the readers stand back from all other threads. They always have work where somebody reads a long history, and what
/// is written now would wait for its turn behind theirs; as long as they read at all, a history that comes a little later
/// is no loss.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

pub(super) struct Pool {
    jobs: Arc<Jobs>,
    ids: Vec<ThreadId>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// Without a bound of its own: whoever queues a job bounds how many it has here, one for each connection or request.
#[derive(Default)]
struct Jobs {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<ReadJob>,
    closed: bool,
}

impl Pool {
    pub(super) fn start(readers: Vec<Reader>) -> std::io::Result<Self> {
        let mut pool = Self {
            jobs: Arc::new(Jobs::default()),
            ids: Vec::new(),
            threads: Mutex::default(),
        };
        let mut threads = Vec::with_capacity(readers.len());
        for (number, reader) in readers.into_iter().enumerate() {
            let jobs = pool.jobs.clone();
            let thread = thread::Builder::new().name(format!("store-reader-{number}"));
            let thread = thread.spawn(move || jobs.run(reader))?;
            pool.ids.push(thread.thread().id());
            threads.push(thread);
        }
        pool.threads = Mutex::new(threads);
        Ok(pool)
    }

    /// After `close` the job is dropped.
    pub(super) fn push(&self, job: ReadJob) {
        let mut waiting = self.jobs.waiting();
        if !waiting.closed {
            waiting.jobs.push_back(job);
            drop(waiting);
            self.jobs.arrived.notify_one();
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.jobs.waiting().jobs.len()
    }

    /// Whether the caller is one of the threads, which cannot wait for themselves.
    pub(super) fn is_current(&self) -> bool {
        self.ids.contains(&thread::current().id())
    }

    /// Drops what waits; what runs goes on.
    pub(super) fn close(&self) {
        let mut waiting = self.jobs.waiting();
        waiting.closed = true;
        let dropped = std::mem::take(&mut waiting.jobs);
        drop(waiting);
        self.jobs.arrived.notify_all();
        // What a job holds may call back.
        drop(dropped);
    }

    /// Waits until all threads have ended.
    pub(super) fn join(&self) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a reader thread of the store panicked");
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.close();
    }
}

impl Jobs {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, reader: Reader) {
        // Elsewhere it would be the whole process that stands back.
        #[cfg(target_os = "linux")]
        if let Err(error) = rustix::process::nice(NICENESS) {
            tracing::debug!(%error, "give other threads precedence over a reader of the store");
        }
        let mut reader = crate::Reader::Embedded(Box::new(reader));
        while let Some(job) = self.next() {
            // One caller's mistake does not take the thread from the others; a snapshot ends when it unwinds.
            if catch_unwind(AssertUnwindSafe(|| job(&mut reader))).is_err() {
                tracing::error!("a read of the store panicked");
            }
        }
    }

    fn next(&self) -> Option<ReadJob> {
        let idle = |waiting: &mut Waiting| waiting.jobs.is_empty() && !waiting.closed;
        let mut waiting = self
            .arrived
            .wait_while(self.waiting(), idle)
            .unwrap_or_else(PoisonError::into_inner);
        waiting.jobs.pop_front()
    }
}
