//! The one thread that writes: it takes everything that waits, and makes one transaction of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::batch::Batch;
use super::checkpoint::Checkpoints;
use super::lock::Lock;
use super::merge::{Merge, Slice};
use super::meta::Meta;
use super::queue::{Call, Drained, Job};
use super::reserve::Reserve;
use super::retention::Trim;
use super::shared::Shared;
use super::subjects::Subjects;
use super::transaction::{Failure, classify, transact};
use crate::entry::{Appended, Follower};
use crate::error::{AppendError, CommitError};
use crate::idempotency::Window;
use crate::options::Options;
use crate::stats::Health;

/// After so long without work the write-ahead log is emptied.
const IDLE: Duration = Duration::from_secs(5);
/// How often a full disk is tried again when nobody writes.
const FULL_RETRY: Duration = Duration::from_secs(1);

pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) shared: Arc<Shared>,
    pub(super) options: Options,
    pub(super) followers: Vec<Box<dyn Follower>>,
    pub(super) meta: Meta,
    pub(super) window: Window,
    pub(super) subjects: Subjects,
    pub(super) merge: Option<Merge>,
    pub(super) trim: Option<Trim>,
    pub(super) checkpoints: Checkpoints,
    pub(super) reserve: Reserve,
    pub(super) health: Health,
    /// The last thing to go: then another process may have the folder.
    pub(super) _lock: Lock,
}

impl Writer {
    /// Until the queue is closed and empty.
    pub(super) fn run(mut self) {
        let mut jobs = Vec::new();
        let tuning = self.options.tuning;
        loop {
            match self.shared.queue.drain(
                &mut jobs,
                tuning.commit_records,
                tuning.commit_bytes,
                self.patience(),
            ) {
                Drained::Jobs => self.take(&mut jobs),
                Drained::Nothing if self.trim.is_none() => self.idle(),
                Drained::Nothing => {}
                Drained::Closed => break,
            }
            self.step_trim();
            self.checkpoint();
        }
        self.close();
    }

    /// How long to wait for work.
    fn patience(&self) -> Option<Duration> {
        if self.trim.is_some() {
            Some(Duration::ZERO)
        } else if self.health == Health::Full {
            Some(FULL_RETRY)
        } else if self.checkpoints.is_log_empty() || self.health == Health::Failed {
            None
        } else {
            Some(IDLE)
        }
    }

    fn take(&mut self, jobs: &mut Vec<Job>) {
        let mut calls = Vec::with_capacity(jobs.len());
        for job in jobs.drain(..) {
            match job {
                Job::Write(call) => calls.push(call),
                Job::Trim(answer) => self.trim.get_or_insert_with(Trim::default).join(answer),
            }
        }
        if !calls.is_empty() {
            self.write(calls);
        }
    }

    fn write(&mut self, calls: Vec<Call>) {
        let started = Instant::now();
        let now = self.shared.timeline.now();
        let before = self.meta;
        let mut batch = Batch::new(now, before, &self.window);
        let mut written = match self.health {
            Health::Failed => Err(Failure::Failed),
            Health::Full if self.reserve.is_released() => Err(Failure::Full),
            Health::Ok | Health::Full => Ok(()),
        };
        for call in calls {
            if let Err(error) = batch.add(call, &self.connection, &mut self.window) {
                tracing::error!(%error, "reading the store failed");
                written = Err(classify(&error));
            }
        }
        if written.is_ok() && batch.is_written() {
            written = self.commit(&batch);
        }
        match written {
            Ok(()) => self.window.settle(),
            Err(failure) => {
                self.fail(failure);
                batch.refuse(failure, &mut self.window);
            }
        }
        self.release(&batch, before.next);
        self.count(&batch, started.elapsed());
        batch.answer();
    }

    /// The batch and a slice of the merge in one transaction; then the batch is visible to reads.
    fn commit(&mut self, batch: &Batch) -> Result<(), Failure> {
        let (subjects, merge) = (&mut self.subjects, self.merge.as_ref());
        let window_ms = self.options.idempotency_window.ms;
        let slice_min = self.options.tuning.merge_slice_rows.max(1);
        let slice_now = self.health == Health::Ok;
        let (rows, slice) = transact(&self.connection, &mut self.meta, |connection, meta| {
            let rows = batch.write(connection, meta, subjects, window_ms)?;
            let slice = merge
                .filter(|_| slice_now)
                .map(|merge| {
                    let insertions = merge.insertions_for(batch.rows()).max(slice_min);
                    merge.slice(connection, meta, insertions)
                })
                .transpose()?;
            Ok((rows, slice))
        })?;
        self.recover();
        self.shared.recent.push(&rows, self.meta.last());
        self.merged(slice);
        Ok(())
    }

    pub(super) fn merged(&mut self, slice: Option<Slice>) {
        if let (Some(slice), Some(merge)) = (slice, &mut self.merge) {
            merge.advance(&slice);
            if slice.finished {
                self.merge = None;
                self.shared.recent.release_frozen();
                self.shared.stats().index_merges += 1;
            }
        }
        if self.merge.is_none()
            && self.shared.recent.active_len() >= self.options.tuning.merge_rows.max(1)
        {
            self.begin_merge();
        }
    }

    pub(super) fn begin_merge(&mut self) {
        self.merge = Some(Merge::begin(self.shared.recent.freeze()));
    }

    fn release(&mut self, batch: &Batch, first: u64) {
        if !batch.entries.is_empty() {
            for follower in &mut self.followers {
                follower.released(&batch.entries);
            }
        }
        if self.meta.next > first {
            self.shared.appended(first);
            self.shared.publish(&self.meta);
        }
    }

    fn count(&self, batch: &Batch, took: Duration) {
        let mut stats = self.shared.stats();
        let mut records = 0;
        for result in batch.results() {
            match result {
                Ok(committed) => {
                    records += committed.appended.len() as u64;
                    for appended in &committed.appended {
                        match appended {
                            Appended::Stored(_) => stats.stored += 1,
                            Appended::Duplicate(_) => stats.duplicates += 1,
                            Appended::Passed => stats.passed += 1,
                        }
                    }
                }
                Err(CommitError::Append(AppendError::Conflict { .. })) => stats.conflicts += 1,
                Err(CommitError::Append(AppendError::Full)) => stats.refused_full += 1,
                Err(CommitError::Append(AppendError::Failed)) => stats.refused_failed += 1,
                Err(_) => {}
            }
        }
        stats.commits += 1;
        stats.commit_records.record(records);
        stats
            .commit_us
            .record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        stats.idempotency_ids = self.window.len() as u64;
        self.meta.count_kept(&mut stats);
    }

    pub(super) fn checkpoint_now(&mut self) {
        if let Err(error) = self.checkpoints.truncate(&self.connection) {
            self.checkpoint_failed(&error);
        }
    }

    fn checkpoint(&mut self) {
        if self.health == Health::Failed {
            return;
        }
        match self.checkpoints.run_when_due(&self.connection) {
            Ok(true) => self.shared.stats().checkpoints += 1,
            Ok(false) => {}
            Err(error) => self.checkpoint_failed(&error),
        }
    }

    fn idle(&mut self) {
        match self.health {
            Health::Ok => self.checkpoint_now(),
            // Retention may make room; what it cannot do, the operator can.
            Health::Full => self.trim = Some(Trim::default()),
            Health::Failed => {}
        }
    }

    fn close(mut self) {
        self.drop_trim();
        if self.health == Health::Ok {
            self.checkpoint_now();
        }
        if let Err((_, error)) = self.connection.close() {
            tracing::warn!(%error, "closing the store's database failed");
        }
    }
}
