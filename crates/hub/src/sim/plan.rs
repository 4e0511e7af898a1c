//! What one seed decides before anything happens: sizes, bounds, retention, and where the store lies.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tidings_store::{Clock, Durability, IdempotencyWindow, Keep, Options, Retention, Tuning};

use crate::config;
use crate::fanout::Settings;
use crate::fanout::parts::{Bounds, Jitter, Timing};

/// One seed in so many has its store on disk.
const ON_DISK_EVERY: u64 = 16;
pub(super) const START_MS: u64 = 1_700_000_000_000;
/// Longer than any simulation.
const WINDOW_MS: u64 = 1_000_000_000;

/// The wall clock of the simulated world.
#[derive(Clone, Debug)]
pub(super) struct Time(Arc<AtomicU64>);

pub(super) struct Plan {
    pub(super) steps: usize,
    pub(super) settings: Settings,
    pub(super) receipts: config::Receipts,
    pub(super) on_disk: bool,
    /// Whether an identity is known again for as long as the simulation lasts.
    pub(super) long_window: bool,
    /// Of 16: how likely a client acks, each time that it may.
    pub(super) diligence: u64,
    /// Of 16: how many of the messages to a client ask for an ack.
    pub(super) asking: u64,
    pub(super) exclusive: bool,
    pub(super) heartbeat_ms: u64,
    retention: Retention,
}

impl Time {
    pub(super) fn start() -> Self {
        Self(Arc::new(AtomicU64::new(START_MS)))
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn pass(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Plan {
    pub(super) fn of(seed: u64, dice: &mut Jitter) -> Self {
        let takes_much = seed % 2 == 1;
        let keep = |count: u64| Keep {
            age_ms: 0,
            bytes: 0,
            count: count * u64::from(takes_much),
        };
        let retention = Retention {
            mailbox: keep(5 + dice.below(60)),
            topic: keep(5 + dice.below(60)),
            broadcast: keep(1 + dice.below(20)),
        };
        Self {
            steps: 300,
            settings: settings(dice),
            receipts: config::Receipts {
                first_delay_ms: 1_000 + dice.below(4_000),
                delay_max_ms: 8_000,
                attempts_max: 1 + dice.below(4),
            },
            on_disk: seed % ON_DISK_EVERY == ON_DISK_EVERY - 2,
            long_window: dice.below(2) == 0,
            diligence: dice.below(16),
            asking: dice.below(12),
            exclusive: dice.below(4) == 0,
            heartbeat_ms: [0, 1_000, 25_000][dice.below(3) as usize],
            retention,
        }
    }

    /// How the store is opened, in memory.
    pub(super) fn options(&self, time: &Time) -> Options {
        let time = time.clone();
        // What has expired goes at the next run of retention where its identity need not be remembered.
        let (ms, ids) = if self.long_window {
            (WINDOW_MS, 1_000_000)
        } else {
            (1, 1)
        };
        Options {
            retention: self.retention,
            idempotency_window: IdempotencyWindow { ms, ids },
            durability: Durability::Os,
            clock: Clock::single(move || time.now_ms()),
            readers: 1,
            // Small merges; the files are copied while nothing is carried from the log into the database.
            tuning: Tuning {
                merge_rows: 64,
                merge_slice_rows: 16,
                trim_slice_rows: 16,
                checkpoint_pages: 1 << 30,
                ..Tuning::default()
            },
            ..Options::default()
        }
    }
}

fn settings(dice: &mut Jitter) -> Settings {
    Settings {
        shards: 1 + dice.below(3) as usize,
        pending_max: 1 + dice.below(40) as usize,
        write_bytes: 2_048,
        writes_per_visit: 1 + dice.below(4) as usize,
        ring_bytes_max: 16 * 1_024,
        // Live-only messages of several clients at once still fit.
        ring_frames_max: 16 + dice.below(60) as usize,
        // Small ones refuse batches, which are then read from history.
        inbox_bytes_max: [2_000, 8_000, 1 << 20][dice.below(3) as usize],
        history: Bounds {
            bytes_max: 2_048,
            rows_max: 5 + dice.below(40) as usize,
        },
        timing: Timing {
            write_timeout_ms: 10_000,
            lifetime_ms: [0, 0, 0, 60_000][dice.below(4) as usize],
            retry_ms: 1_000,
        },
    }
}
