//! What waits for the writer.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::cells::Put;
use crate::entry::Record;
use crate::error::{AppendError, CommitError, TrimError};
use crate::journal::Committed;
use crate::options::QueueBounds;
use crate::stats::Trimmed;

/// One call to append or commit.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) puts: Vec<Put>,
    pub(super) records: Vec<Record>,
    pub(super) answer: oneshot::Sender<Result<Committed, CommitError>>,
}

#[derive(Debug)]
pub(super) enum Job {
    Write(Call),
    Trim(oneshot::Sender<Result<Trimmed, TrimError>>),
}

impl Job {
    fn records(&self) -> usize {
        match self {
            Self::Write(call) => call.puts.len() + call.records.len(),
            Self::Trim(_) => 0,
        }
    }

    fn bytes(&self) -> u64 {
        let Self::Write(call) = self else { return 0 };
        let record = |record: &Record| record.source.len() + record.id.len() + record.body.len();
        let put = |put: &Put| put.key.len() + put.value.as_ref().map_or(0, bytes::Bytes::len);
        (call.records.iter().map(record).sum::<usize>() + call.puts.iter().map(put).sum::<usize>())
            as u64
    }
}

/// Bounded in records and bytes; full means refused, since whoever waited here would only make it longer.
#[derive(Debug)]
pub(super) struct Queue {
    bounds: QueueBounds,
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    jobs: VecDeque<(Job, usize, u64)>,
    records: usize,
    bytes: u64,
    refused: u64,
    writer_sleeps: bool,
    closed: bool,
}

/// What the writer finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Drained {
    Jobs,
    Nothing,
    /// Nothing is left, and nothing comes any more.
    Closed,
}

impl Queue {
    pub(super) fn new(bounds: QueueBounds) -> Self {
        Self {
            bounds,
            waiting: Mutex::default(),
            arrived: Condvar::new(),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, job: Job) -> Result<(), AppendError> {
        let (records, bytes) = (job.records(), job.bytes());
        let mut waiting = self.waiting();
        if waiting.closed {
            return Err(AppendError::Closed);
        }
        let over = waiting.records + records > self.bounds.records
            || waiting.bytes + bytes > self.bounds.bytes;
        // One that is larger than the bounds goes alone: refused, it could never be stored.
        if over && waiting.records > 0 {
            waiting.refused += 1;
            return Err(AppendError::Busy);
        }
        waiting.records += records;
        waiting.bytes += bytes;
        waiting.jobs.push_back((job, records, bytes));
        if std::mem::take(&mut waiting.writer_sleeps) {
            drop(waiting);
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Moves whole jobs to `batch`, the first one whatever its size. Sleeps for at most `wait`, for ever without it.
    pub(super) fn drain(
        &self,
        batch: &mut Vec<Job>,
        records_max: usize,
        bytes_max: u64,
        wait: Option<Duration>,
    ) -> Drained {
        let mut waiting = self.waiting();
        if waiting.jobs.is_empty() {
            waiting = self.sleep(waiting, wait);
        }
        let (mut records, mut bytes) = (0, 0);
        while let Some((_, job_records, job_bytes)) = waiting.jobs.front() {
            records += job_records;
            bytes += job_bytes;
            if !batch.is_empty() && (records > records_max || bytes > bytes_max) {
                break;
            }
            let (job, job_records, job_bytes) =
                waiting.jobs.pop_front().expect("the front was just seen");
            waiting.records -= job_records;
            waiting.bytes -= job_bytes;
            batch.push(job);
        }
        match (batch.is_empty(), waiting.closed) {
            (false, _) => Drained::Jobs,
            (true, false) => Drained::Nothing,
            (true, true) => Drained::Closed,
        }
    }

    fn sleep<'q>(
        &self,
        mut waiting: MutexGuard<'q, Waiting>,
        wait: Option<Duration>,
    ) -> MutexGuard<'q, Waiting> {
        let idle = |waiting: &mut Waiting| waiting.jobs.is_empty() && !waiting.closed;
        waiting.writer_sleeps = true;
        let mut waiting = match wait {
            Some(wait) => {
                self.arrived
                    .wait_timeout_while(waiting, wait, idle)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
            None => self
                .arrived
                .wait_while(waiting, idle)
                .unwrap_or_else(PoisonError::into_inner),
        };
        waiting.writer_sleeps = false;
        waiting
    }

    /// Refuses what comes from now on; what waits is still drained.
    pub(super) fn close(&self) {
        self.waiting().closed = true;
        self.arrived.notify_one();
    }

    /// Drops what waits: nobody will answer it.
    pub(super) fn clear(&self) {
        let dropped = std::mem::take(&mut self.waiting().jobs);
        drop(dropped);
    }

    /// Records, bytes, and calls refused since the open.
    pub(super) fn depth(&self) -> (u64, u64, u64) {
        let waiting = self.waiting();
        (waiting.records as u64, waiting.bytes, waiting.refused)
    }
}
