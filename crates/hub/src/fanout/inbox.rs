//! The way into a shard.

use std::collections::VecDeque;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mio::Waker;
use tidings_protocol::api::DisconnectReason;
use tidings_protocol::{Problem, TopicPattern};
use tidings_store::ReadError;
use tokio::sync::oneshot;

use super::frame::Batch;
use super::history::Answer;
use super::metrics::Metrics;
use super::opening::Opening;
use super::settings::Timing;
use super::shard::Key;
use crate::http::Seat;

/// What a shard is told, in order.
#[derive(Debug)]
pub(crate) enum Item {
    Batch(Arc<Batch>),
    /// Batches up to this position were refused: they are in history only.
    Missed {
        upto: u64,
    },
    Attach(TcpStream, Box<Opening>, Seat),
    Answer(Key, Result<Answer, ReadError>),
    /// Change or close one connection, if it is still there.
    Control(Key, Control),
    Retime(Timing),
    /// Give back the memory that the shard's thread holds unused.
    Purge,
    /// Close all streams, spread over so many milliseconds.
    Drain {
        over_ms: u64,
    },
    Stop,
}

/// What is done to one connection from outside.
#[derive(Debug)]
pub(crate) enum Control {
    /// Answers the cursor from which on the change holds.
    Topic(TopicChange, oneshot::Sender<Result<String, Problem>>),
    Disconnect(DisconnectReason),
}

#[derive(Clone, Debug)]
pub(crate) enum TopicChange {
    Add(TopicPattern),
    Remove(TopicPattern),
}

/// A queue with many senders and one receiver. Batches are bounded by bytes; a full inbox refuses them and says so in
/// order, and the shard's connections read from history what it missed. The rest needs no bound of its own: there is at
/// most one attach and one answer under way for each connection, and one change for each request.
#[derive(Debug)]
pub(crate) struct Inbox {
    queue: Mutex<Queue>,
    signalled: AtomicBool,
    waker: Waker,
    bytes_max: usize,
    metrics: Metrics,
}

#[derive(Debug, Default)]
struct Queue {
    items: VecDeque<Item>,
    bytes: usize,
}

impl Inbox {
    pub(crate) fn new(waker: Waker, bytes_max: usize, metrics: Metrics) -> Self {
        Self {
            queue: Mutex::default(),
            signalled: AtomicBool::new(false),
            waker,
            bytes_max,
            metrics,
        }
    }

    /// Hands over a batch. A batch that nobody there reads may wait until the shard wakes anyway; returns whether so much
    /// waits that it is to be woken now.
    pub(crate) fn push_batch(&self, batch: &Arc<Batch>) -> bool {
        let weight = batch.weight();
        let mut queue = self.lock();
        let late = queue.bytes + weight > self.bytes_max / 2;
        if queue.bytes > 0 && queue.bytes + weight > self.bytes_max {
            self.metrics.inbox_refused.inc();
            let upto = batch.last.0;
            match queue.items.back_mut() {
                Some(Item::Missed { upto: missed }) => *missed = upto,
                _ => queue.items.push_back(Item::Missed { upto }),
            }
        } else {
            queue.bytes += weight;
            self.metrics.inbox_bytes.inc_by(as_gauge(weight));
            queue.items.push_back(Item::Batch(Arc::clone(batch)));
        }
        late
    }

    pub(crate) fn push(&self, item: Item) {
        self.lock().items.push_back(item);
        self.wake();
    }

    /// Takes everything.
    pub(crate) fn take(&self, into: &mut VecDeque<Item>) {
        self.signalled.store(false, Ordering::SeqCst);
        let mut queue = self.lock();
        self.metrics
            .inbox_bytes
            .dec_by(as_gauge(std::mem::take(&mut queue.bytes)));
        into.append(&mut queue.items);
        if queue.items.capacity() > 1_024 {
            queue.items = VecDeque::new();
        }
    }

    /// Has the shard look into its inbox (again) before it sleeps.
    pub(crate) fn wake(&self) {
        if !self.signalled.swap(true, Ordering::SeqCst) {
            // It fails only when the poll of the shard is gone, and then there is nobody to wake.
            let _ = self.waker.wake();
        }
    }

    /// The critical sections are a few pointer moves; none can leave the queue half changed.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn as_gauge(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
