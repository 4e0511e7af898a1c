//! What callers and reader threads see of the writer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::meta::Meta;
use super::queue::Queue;
use super::recent::Recent;
use crate::clock::Timeline;
use crate::entry::{Class, Position};
use crate::options::{PerClass, Retention};
use crate::stats::{Bounds, Health, Stats};

/// Nothing is kept.
const NONE: u64 = u64::MAX;

/// Written by the writer, except for the queue and the retention.
pub(super) struct Shared {
    pub(super) queue: Queue,
    pub(super) recent: Recent,
    pub(super) timeline: Timeline,
    pub(super) epoch: String,
    pub(super) ends: HashMap<String, u64>,
    oldest: AtomicU64,
    last: AtomicU64,
    trimmed_to: PerClass<AtomicU64>,
    /// Read when a trim begins.
    retention: Mutex<Retention>,
    health: AtomicU8,
    stats: Mutex<Stats>,
}

impl Shared {
    pub(super) fn new(
        queue: Queue,
        recent: Recent,
        timeline: Timeline,
        lineage: super::lineage::Lineage,
        retention: Retention,
    ) -> Self {
        Self {
            queue,
            recent,
            timeline,
            epoch: lineage.epoch,
            ends: lineage.ends,
            oldest: AtomicU64::new(NONE),
            last: AtomicU64::new(0),
            trimmed_to: PerClass::default(),
            retention: Mutex::new(retention),
            health: AtomicU8::new(0),
            stats: Mutex::default(),
        }
    }

    /// What the writer counts; locked once per batch.
    pub(super) fn stats(&self) -> MutexGuard<'_, Stats> {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn retention(&self) -> Retention {
        *self.locked_retention()
    }

    pub(super) fn set_retention(&self, retention: Retention) {
        *self.locked_retention() = retention;
    }

    fn locked_retention(&self) -> MutexGuard<'_, Retention> {
        self.retention
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The followers have everything up to the end of `meta`.
    pub(super) fn publish(&self, meta: &Meta) {
        self.last.store(meta.last(), Ordering::Release);
    }

    /// The oldest kept entry changed.
    pub(super) fn set_oldest(&self, oldest: Option<u64>) {
        self.oldest.store(oldest.unwrap_or(NONE), Ordering::Release);
    }

    /// Entries were appended from `first` on.
    pub(super) fn appended(&self, first: u64) {
        self.oldest.fetch_min(first, Ordering::AcqRel);
    }

    pub(super) fn bounds(&self) -> Bounds {
        // In this order, so that `first` never lies after a `last` that is older.
        let last = self.last.load(Ordering::Acquire);
        let first = self.oldest.load(Ordering::Acquire).min(last);
        Bounds {
            first: Position(first),
            last: Position(last),
        }
    }

    pub(super) fn set_trimmed_to(&self, meta: &Meta) {
        for class in Class::ALL {
            self.trimmed_to[class].store(meta.classes[class].trimmed_to, Ordering::Release);
        }
    }

    pub(super) fn trimmed_to(&self, class: Class) -> Position {
        Position(self.trimmed_to[class].load(Ordering::Acquire))
    }

    pub(super) fn set_health(&self, health: Health) {
        let number = match health {
            Health::Ok => 0,
            Health::Full => 1,
            Health::Failed => 2,
        };
        self.health.store(number, Ordering::Release);
    }

    pub(super) fn health(&self) -> Health {
        match self.health.load(Ordering::Acquire) {
            0 => Health::Ok,
            1 => Health::Full,
            _ => Health::Failed,
        }
    }
}
