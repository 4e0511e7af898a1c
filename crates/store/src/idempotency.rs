//! Which identities were stored lately, and where.
//!
//! A million identities are remembered in a few words each, so only a hash of (source, id) is kept; a hit is verified
//! against the entry itself. The window lives in memory and is filled again from the newest entries at open.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::entry::{Position, Record};
use crate::journal::random_bits;
use crate::options::IdempotencyWindow;

/// The identities of the newest entries, within the bounds of an [`IdempotencyWindow`].
pub(crate) struct Window {
    bounds: IdempotencyWindow,
    /// Random, so that nobody can prepare identities that collide.
    seed: u64,
    places: HashMap<u64, Position, BuildHasherDefault<AsItIs>>,
    /// Ascending by position and time; the front is forgotten first.
    order: VecDeque<Remembered>,
    /// How many were ever remembered, less those taken back.
    remembered: u64,
}

struct Remembered {
    key: Key,
    position: Position,
    stored_at: u64,
}

/// Stands for an identity in one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(u64);

/// A state of the window to go back to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark(u64);

/// What lies at a position of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Retention removed it.
    Gone,
    /// An entry of another identity.
    Other,
    /// An entry of the identity that is looked for.
    Same { fingerprint: u128 },
}

/// What a record is to the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// To be stored, and then remembered under this key.
    New(Key),
    Duplicate(Position),
    /// The identity is taken by other contents.
    Conflict,
}

impl Window {
    pub(crate) fn new(bounds: IdempotencyWindow) -> Self {
        Self {
            bounds,
            seed: random_bits(),
            places: HashMap::default(),
            order: VecDeque::new(),
            remembered: 0,
        }
    }

    /// Judges a record at the time `now`; `look` tells what lies at a position, of entries that wait for their commit too.
    /// An entry that is gone counts as a copy: its identity holds for the whole window, however short retention is.
    pub(crate) fn judge<E>(
        &mut self,
        record: &Record,
        now: u64,
        look: impl FnOnce(Position) -> Result<Found, E>,
    ) -> Result<Verdict, E> {
        self.forget_before(now);
        let key = self.key(&record.source, &record.id);
        let Some(&position) = self.places.get(&key.0) else {
            return Ok(Verdict::New(key));
        };
        Ok(match look(position)? {
            Found::Other => Verdict::New(key),
            Found::Gone => Verdict::Duplicate(position),
            Found::Same { fingerprint } if fingerprint == record.fingerprint => {
                Verdict::Duplicate(position)
            }
            Found::Same { .. } => Verdict::Conflict,
        })
    }

    pub(crate) fn key(&self, source: &str, id: &str) -> Key {
        Key(xxh3_64_with_seed(
            id.as_bytes(),
            xxh3_64_with_seed(source.as_bytes(), self.seed),
        ))
    }

    /// Remembers an entry; positions and times ascend.
    pub(crate) fn remember(&mut self, key: Key, position: Position, stored_at: u64) {
        self.places.insert(key.0, position);
        self.order.push_back(Remembered {
            key,
            position,
            stored_at,
        });
        self.remembered += 1;
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark(self.remembered)
    }

    /// Takes back what was remembered since the mark: its commit did not happen.
    pub(crate) fn rollback(&mut self, mark: Mark) {
        while self.remembered > mark.0 {
            self.remembered -= 1;
            if let Some(last) = self.order.pop_back() {
                self.remove(&last);
            }
        }
    }

    /// Forgets what exceeds the bound of ids. Called once what was remembered is committed: until then a rollback would
    /// leave the window short.
    pub(crate) fn settle(&mut self) {
        while self.order.len() > self.bounds.ids {
            self.forget_oldest();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    fn forget_before(&mut self, now: u64) {
        let ms = self.bounds.ms;
        let past = |oldest: &Remembered| now.saturating_sub(oldest.stored_at) >= ms;
        while self.order.front().is_some_and(past) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.order.pop_front() {
            self.remove(&oldest);
        }
    }

    /// A later entry may have taken the place: an identity that came again after the window, or a collision.
    fn remove(&mut self, remembered: &Remembered) {
        if self.places.get(&remembered.key.0) == Some(&remembered.position) {
            self.places.remove(&remembered.key.0);
        }
    }
}

/// The keys are hashes already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are written as numbers");
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
#[path = "idempotency_tests.rs"]
mod tests;
