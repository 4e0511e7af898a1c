//! What bounds and times the fan-out.

use std::thread::available_parallelism;

use super::history::Bounds;
use crate::config;

/// Settings of every shard.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) shards: usize,
    /// Messages that may be pending for a live connection.
    pub(crate) pending_max: usize,
    /// What one write takes, and what the kernel is to hold unsent: a later message can overtake the rest.
    pub(crate) write_bytes: usize,
    /// Writes to one connection before the next one has its turn.
    pub(crate) writes_per_visit: usize,
    pub(crate) ring_bytes_max: usize,
    pub(crate) ring_frames_max: usize,
    /// Batches that a shard may be late with.
    pub(crate) inbox_bytes_max: usize,
    pub(crate) history: Bounds,
    pub(crate) timing: Timing,
}

/// What of the settings can change while shards run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) write_timeout_ms: u64,
    /// 0: no limit.
    pub(crate) lifetime_ms: u64,
    pub(crate) retry_ms: u64,
}

impl Timing {
    pub(crate) fn new(sse: &config::Sse) -> Self {
        Self {
            write_timeout_ms: sse.write_timeout_ms,
            lifetime_ms: sse.lifetime_ms,
            retry_ms: sse.retry_ms,
        }
    }
}

/// One write; above this the cost of a write grows with its size.
const WRITE_BYTES: usize = 64 * 1024;
/// A fast reader of a long history yields after this many writes.
const WRITES_PER_VISIT: usize = 4;
/// A slice of history, in bytes and in rows looked at.
const HISTORY: Bounds = Bounds {
    bytes_max: WRITE_BYTES,
    rows_max: 10_000,
};
/// About 100 bytes each beside the bytes of the ring.
const RING_FRAMES_MAX: usize = 65_536;

/// Repeats to one client at the same moment; a client that acks nothing is not to be flooded either.
const REPEATS_AT_ONCE_MAX: usize = 64;

/// How often a comment goes out where heartbeats are off, so that proxies keep the connection.
const COMMENT_MS: u64 = 25_000;

impl Settings {
    pub(crate) fn new(sse: &config::Sse) -> Self {
        let shards = match sse.shards {
            0 => available_parallelism().map_or(1, usize::from),
            shards => shards,
        };
        let ring_bytes_max = usize::try_from(sse.ring_bytes_max).unwrap_or(usize::MAX);
        Self {
            shards,
            pending_max: sse.pending_max,
            write_bytes: WRITE_BYTES,
            writes_per_visit: WRITES_PER_VISIT,
            ring_bytes_max,
            ring_frames_max: RING_FRAMES_MAX,
            inbox_bytes_max: ring_bytes_max,
            history: HISTORY,
            timing: Timing::new(sse),
        }
    }

    /// Live-only messages that may come to one connection together without putting it behind.
    pub(crate) fn repeats_at_once(&self) -> usize {
        (self.pending_max.min(self.ring_frames_max) / 4).clamp(1, REPEATS_AT_ONCE_MAX)
    }

    /// Milliseconds between two signs of life on a stream that wishes heartbeats every `heartbeat_ms`.
    pub(crate) fn keep_alive_ms(heartbeat_ms: u64) -> u64 {
        if heartbeat_ms == 0 {
            COMMENT_MS
        } else {
            heartbeat_ms
        }
    }
}
