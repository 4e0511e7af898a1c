//! A shard: the only owner of its connections.
//!
//! It is a state machine without a thread, a clock or a poll of its own: the driver tells it what happened and when, and
//! takes from it what it asks of the store's readers.

mod control;
mod handle;
#[cfg(test)]
mod sizes;
mod timers;

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, PoisonError, RwLock};

use tidings_store::ReadError;

use super::chunk::Chunk;
use super::clock::Now;
use super::connection::{Connection, Flow, View};
use super::frame::Batch;
use super::history::{Answer, Request};
use super::inbox::as_gauge;
use super::index::{Slot, SubjectIndex};
use super::jitter::Jitter;
use super::metrics::{ClosedLabels, Metrics, Tally};
use super::note::Note;
use super::opening::Opening;
use super::registry::{Listings, Member, Registry};
use super::ring::Ring;
use super::settings::Settings;
use super::wheel::Wheel;

pub(crate) use self::handle::Handle;
use self::timers::End;

/// Names a connection for as long as it lives: a later one in its slot has another generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) slot: Slot,
    pub(crate) generation: u32,
}

/// Generations start again after this one, so that no key is the driver's own token.
const GENERATION_MAX: u32 = u32::MAX >> 1;

pub(crate) struct Shard<S> {
    settings: Settings,
    epoch: Arc<str>,
    index: Arc<RwLock<SubjectIndex>>,
    listings: Listings,
    metrics: Metrics,
    slots: Vec<Berth<S>>,
    free: Vec<Slot>,
    ring: Ring,
    /// The newest position released to this shard.
    released: u64,
    touched: VecDeque<Slot>,
    wheel: Wheel<Key>,
    due: Vec<Key>,
    jitter: Jitter,
    /// The heartbeat of this moment, for all that are caught up.
    heartbeat: Option<(Now, u64, Vec<u8>)>,
    /// While draining: when the last stream is to be closed.
    drain_until: Option<u64>,
    chunk: Chunk,
    tally: Tally,
    notes: Vec<Note>,
    requests: Vec<(Key, Request)>,
    /// Older connections, here or elsewhere, that gave way to one that attached.
    replaced: Vec<Member>,
}

/// What all shards of a hub start with.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) settings: Settings,
    pub(crate) epoch: Arc<str>,
    /// The newest position at this moment, before any batch comes.
    pub(crate) released: u64,
    pub(crate) registry: Arc<Registry>,
    pub(crate) metrics: Metrics,
}

struct Berth<S> {
    generation: u32,
    resident: Option<Resident<S>>,
}

struct Resident<S> {
    connection: Connection<S>,
    touched: bool,
    /// As the metric of streams that are behind counts it.
    counted_behind: bool,
    heartbeat_due: u64,
    end: Option<End>,
    /// The earliest moment for which the wheel holds this connection.
    armed: u64,
}

impl<S: Write> Shard<S> {
    /// `seed` spreads what happens to its connections.
    pub(crate) fn new(setup: Setup, handle: &Handle, now: Now, seed: u64) -> Self {
        let Setup {
            settings,
            epoch,
            released,
            registry,
            metrics,
        } = setup;
        Self {
            ring: Ring::new(released, settings.ring_bytes_max, settings.ring_frames_max),
            settings,
            epoch,
            index: Arc::clone(&handle.index),
            listings: Listings::new(registry, handle.number),
            metrics,
            slots: Vec::new(),
            free: Vec::new(),
            released,
            touched: VecDeque::new(),
            wheel: Wheel::new(now.mono_ms),
            due: Vec::new(),
            jitter: Jitter::new(seed),
            heartbeat: None,
            drain_until: None,
            chunk: Chunk::default(),
            tally: Tally::default(),
            notes: Vec::new(),
            requests: Vec::new(),
            replaced: Vec::new(),
        }
    }

    /// Takes over a socket. The connection has its live place before the first byte goes out.
    pub(crate) fn attach(
        &mut self,
        opening: Opening,
        now: Now,
        socket: impl FnOnce(Key) -> S,
    ) -> Key {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Berth {
                generation: 0,
                resident: None,
            });
            Slot::try_from(self.slots.len() - 1)
                .expect("the file limit bounds connections far below 2^32")
        });
        let key = Key {
            slot,
            generation: self.slots[slot as usize].generation,
        };
        let card = Arc::clone(&opening.card);
        self.write_index()
            .insert(slot, &card.client, &card.topics, card.kinds);
        self.notes.push(Note::Attached(card.client.clone()));
        let older = self.listings.add(&card, key, now.wall_ms);
        self.replaced.extend(older);
        self.metrics.opened.inc();
        self.metrics.connections.inc();
        self.metrics.connections_behind.inc();
        let resident = Resident {
            heartbeat_due: now.mono_ms + Settings::keep_alive_ms(card.heartbeat_ms),
            end: self.end_of(opening.expires_at, now),
            touched: false,
            counted_behind: true,
            armed: u64::MAX,
            connection: Connection::new(socket(key), opening),
        };
        self.slots[slot as usize].resident = Some(resident);
        self.arm(key, now);
        self.touch(slot);
        key
    }

    /// Takes a batch and offers each message to those that read it.
    pub(crate) fn release(&mut self, batch: &Arc<Batch>, now: Now) {
        let before = self.released;
        let first = self.ring.push(batch);
        self.released = before.max(batch.last.0);
        let Self {
            slots,
            ring,
            index,
            touched,
            settings,
            epoch,
            tally,
            notes,
            chunk,
            released,
            ..
        } = self;
        let index = index.read().unwrap_or_else(PoisonError::into_inner);
        let mut view = View {
            ring,
            epoch,
            released: *released,
            now,
            limits: settings,
            tally,
            notes,
            chunk,
        };
        for (frame, seq) in batch.frames.iter().zip(first..) {
            index.each_reader(
                &frame.subject,
                frame.kind,
                frame.exclude.as_deref(),
                |slot| {
                    let Some(resident) = &mut slots[slot as usize].resident else {
                        return;
                    };
                    resident.connection.offer(seq, frame, before, &mut view);
                    if !resident.touched && resident.connection.blocked_since().is_none() {
                        resident.touched = true;
                        touched.push_back(slot);
                    }
                },
            );
        }
    }

    /// Batches up to `upto` did not come: history has them.
    pub(crate) fn miss(&mut self, upto: u64, now: Now) {
        let before = self.released;
        self.ring.restart(upto);
        self.released = before.max(upto);
        for slot in 0..self.slots.len() {
            self.with(slot as Slot, now, |resident, view| {
                resident.connection.miss(before, upto, view);
            });
            self.touch(slot as Slot);
        }
    }

    /// The readers' answer for a connection, if it is still there.
    pub(crate) fn answer(&mut self, key: Key, answer: Result<Answer, ReadError>, now: Now) {
        if !self.is_current(key) {
            return;
        }
        match answer {
            Ok(answer) => {
                self.with(key.slot, now, |resident, view| {
                    resident.connection.receive(answer, view);
                });
                self.touch(key.slot);
            }
            Err(error) => {
                tracing::error!(%error, "read history for a stream; it is closed and resumes");
                self.metrics.history_failures.inc();
                self.close(key, "history_failed");
            }
        }
    }

    /// The socket takes bytes again.
    pub(crate) fn writable(&mut self, key: Key) {
        if self.is_current(key) {
            self.touch(key.slot);
        }
    }

    /// Removes a connection; its socket closes.
    pub(crate) fn close(&mut self, key: Key, reason: &'static str) {
        if !self.is_current(key) {
            return;
        }
        let berth = &mut self.slots[key.slot as usize];
        let Some(resident) = berth.resident.take() else {
            return;
        };
        berth.generation = (berth.generation + 1) & GENERATION_MAX;
        self.free.push(key.slot);
        let card = &resident.connection.card;
        self.write_index()
            .remove(key.slot, &card.client, &card.topics);
        self.listings.remove(card);
        self.metrics.connections.dec();
        self.metrics.queued.dec_by(as_gauge(card.queued()));
        if resident.counted_behind {
            self.metrics.connections_behind.dec();
        }
        self.metrics
            .closed
            .get_or_create(&ClosedLabels { reason })
            .inc();
    }

    /// Lets up to `visits` connections write; whether more wait for their turn.
    pub(crate) fn sweep(&mut self, visits: usize, now: Now) -> bool {
        for _ in 0..visits {
            let Some(slot) = self.touched.pop_front() else {
                break;
            };
            self.visit(slot, now);
        }
        !self.touched.is_empty()
    }

    /// What the readers are asked.
    pub(crate) fn take_requests(&mut self) -> impl Iterator<Item = (Key, Request)> {
        std::mem::take(&mut self.requests).into_iter()
    }

    /// Connections that gave way and are to be told so.
    pub(crate) fn take_replaced(&mut self) -> impl Iterator<Item = Member> {
        std::mem::take(&mut self.replaced).into_iter()
    }

    /// What happened to messages that wait for their ack.
    pub(crate) fn notes(&mut self) -> &mut Vec<Note> {
        &mut self.notes
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn socket(&mut self, key: Key) -> Option<&mut S> {
        let resident = self
            .is_current(key)
            .then(|| self.slots[key.slot as usize].resident.as_mut())??;
        Some(&mut resident.connection.socket)
    }

    /// Milliseconds until something may be due.
    pub(crate) fn wait_ms(&self, now: Now) -> u64 {
        self.wheel.wait_ms(now.mono_ms)
    }

    /// Connections here.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn publish_metrics(&mut self) {
        self.metrics.add(&mut self.tally);
    }

    fn visit(&mut self, slot: Slot, now: Now) {
        let key = Key {
            slot,
            generation: self.slots[slot as usize].generation,
        };
        let flow = self.with(slot, now, |resident, view| {
            resident.touched = false;
            let flow = resident.connection.flush(view);
            (flow, resident.connection.is_closing())
        });
        self.count(slot);
        match flow {
            None | Some((Flow::Idle, _)) => {}
            Some((Flow::Blocked, _)) => self.arm(key, now),
            Some((Flow::Again, _)) => self.touch(slot),
            Some((Flow::Read(request), _)) => {
                self.metrics.history_reads.inc();
                self.requests.push((key, request));
            }
            Some((Flow::Close, said_goodbye)) => {
                self.close(key, if said_goodbye { "hub" } else { "socket" });
            }
        }
    }

    /// Says what waits for the connection, and whether it is behind.
    fn count(&mut self, slot: Slot) {
        let Some(resident) = &mut self.slots[slot as usize].resident else {
            return;
        };
        let queued = resident.connection.queued();
        let before = resident.connection.card.set_queued(queued);
        self.metrics
            .queued
            .inc_by(as_gauge(queued) - as_gauge(before));
        let behind = resident.connection.is_behind();
        match (
            std::mem::replace(&mut resident.counted_behind, behind),
            behind,
        ) {
            (true, false) => _ = self.metrics.connections_behind.dec(),
            (false, true) => _ = self.metrics.connections_behind.inc(),
            _ => {}
        }
    }

    fn touch(&mut self, slot: Slot) {
        if let Some(resident) = &mut self.slots[slot as usize].resident
            && !resident.touched
        {
            resident.touched = true;
            self.touched.push_back(slot);
        }
    }

    fn with<R>(
        &mut self,
        slot: Slot,
        now: Now,
        act: impl FnOnce(&mut Resident<S>, &mut View<'_>) -> R,
    ) -> Option<R> {
        let Self {
            slots,
            ring,
            settings,
            epoch,
            tally,
            notes,
            chunk,
            released,
            ..
        } = self;
        let resident = slots[slot as usize].resident.as_mut()?;
        let mut view = View {
            ring,
            epoch,
            released: *released,
            now,
            limits: settings,
            tally,
            notes,
            chunk,
        };
        Some(act(resident, &mut view))
    }

    fn is_current(&self, key: Key) -> bool {
        self.slots
            .get(key.slot as usize)
            .is_some_and(|berth| berth.generation == key.generation && berth.resident.is_some())
    }

    fn write_index(&self) -> std::sync::RwLockWriteGuard<'_, SubjectIndex> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }
}
