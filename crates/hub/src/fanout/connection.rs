//! One connection: what it still has to be sent, and in which order.
//!
//! A connection is either live, with references to frames of its shard's ring, or behind, reading history slice by
//! slice. A live one that can no longer hold what is pending falls behind; one that is behind and reaches the ring becomes
//! live. Nothing here knows what a socket is beyond [`Write`], or what time it is beyond what it is told.

use std::io::{self, Write};
use std::sync::Arc;

use tidings_protocol::api::{GapDetail, GapReason};
use tidings_store::{Lost, Position};

use super::behind::Behind;
use super::card::Card;
use super::chunk::{Chunk, Sent};
use super::clock::Now;
use super::events;
use super::frame::{Batch, Frame};
use super::history::{Answer, Request};
use super::lane::LANE_PRIORITY_MIN;
use super::losses::KnownLosses;
use super::metrics::Tally;
use super::note::Note;
use super::opening::{Opening, Repeat};
use super::pending::Pending;
use super::place::{Place, Reads};
use super::ring::{Ring, Seq};
use super::settings::Settings;
use super::unsent::Unsent;
use crate::kind::Kind;

pub(crate) struct Connection<S> {
    pub(crate) socket: S,
    pub(crate) card: Arc<Card>,
    place: Place,
    phase: Phase,
    /// A loss is reported once; up to here it has been, or is none to this client.
    losses_known: KnownLosses,
    unsent: Unsent,
    /// [`NOT_BLOCKED`], or since when the socket has taken nothing, though there is something to take.
    blocked_since: u64,
    closing: bool,
}

const NOT_BLOCKED: u64 = u64::MAX;

enum Phase {
    Live(Pending),
    Behind(Box<Behind>),
}

/// What a connection sees of its shard.
pub(crate) struct View<'a> {
    pub(crate) ring: &'a Ring,
    pub(crate) epoch: &'a str,
    /// The newest position released to this shard.
    pub(crate) released: u64,
    pub(crate) now: Now,
    pub(crate) limits: &'a Settings,
    pub(crate) tally: &'a mut Tally,
    /// What was written of messages that wait for their ack.
    pub(crate) notes: &'a mut Vec<Note>,
    /// Room for the frames that are being written, kept between writes.
    pub(crate) chunk: &'a mut Chunk,
}

/// What became of a visit.
pub(crate) enum Flow {
    /// Nothing to send until something new comes.
    Idle,
    /// The socket takes no more for now.
    Blocked,
    /// There is more, but others are to have their turn.
    Again,
    /// History is needed; [`Connection::receive`] takes the answer.
    Read(Request),
    Close,
}

impl<S: Write> Connection<S> {
    /// A connection that starts as `opening` says, with its greeting.
    pub(crate) fn new(socket: S, opening: Opening) -> Self {
        let mut unsent = Unsent::default();
        unsent.push(opening.greeting);
        for Repeat { event, awaited } in opening.repeats {
            unsent.push_awaited(event, awaited);
        }
        unsent.push(opening.gaps);
        Self {
            socket,
            card: opening.card,
            phase: Phase::Behind(Box::new(Behind::new(opening.place.scan()))),
            place: opening.place,
            losses_known: opening.losses_known,
            unsent,
            blocked_since: NOT_BLOCKED,
            closing: false,
        }
    }

    /// Takes note of a frame that it reads and that the ring now holds. `released` is the position before its batch.
    pub(crate) fn offer(&mut self, seq: Seq, frame: &Frame, released: u64, view: &mut View<'_>) {
        if let Phase::Live(pending) = &mut self.phase {
            let twice = pending.newest() == Some(seq);
            if twice || (frame.durable && !self.place.awaits(frame)) {
                return;
            }
            if pending.is_empty() {
                self.place.advance(released);
            }
            if pending.len() < view.limits.pending_max && pending.is_held_by(view.ring) {
                return pending.push(seq, frame);
            }
            self.fall_behind(view);
        }
        if let Phase::Behind(behind) = &mut self.phase {
            if !frame.durable {
                view.tally.live_only_dropped += 1;
            } else if self.place.awaits(frame) {
                behind.lane.offer(frame.position, frame.priority);
            }
        }
    }

    /// The shard did not get what was released after `released` up to `missed`: only history has it.
    pub(crate) fn miss(&mut self, released: u64, missed: u64, view: &mut View<'_>) {
        self.cursor(released);
        match &mut self.phase {
            Phase::Live(_) => self.fall_behind(view),
            Phase::Behind(behind) => behind.lane.close_until(missed),
        }
    }

    /// Writes what there is and the socket takes, for a while.
    pub(crate) fn flush(&mut self, view: &mut View<'_>) -> Flow {
        for _ in 0..view.limits.writes_per_visit {
            match self.flush_once(view) {
                Ok(Some(flow)) => return flow,
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked_since = self.blocked_since.min(view.now.mono_ms);
                    return Flow::Blocked;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Flow::Close,
            }
        }
        Flow::Again
    }

    /// Takes what the readers found.
    pub(crate) fn receive(&mut self, answer: Answer, view: &mut View<'_>) {
        let Phase::Behind(behind) = &mut self.phase else {
            return;
        };
        behind.reading = false;
        match answer {
            Answer::Fetched { entries, asked } => {
                let newest = entries
                    .last()
                    .map_or(Position::ZERO, |entry| entry.position);
                behind.set_fetched(
                    Arc::new(Batch::encode(view.epoch, newest, &entries)),
                    &asked,
                );
            }
            Answer::Slice {
                entries,
                scanned_to,
                loss,
                urgent,
            } => {
                if let Some(urgent) = &urgent {
                    behind.fill_lane(urgent);
                }
                if let Some(loss) = loss {
                    self.report(loss, scanned_to, view);
                }
                let Phase::Behind(behind) = &mut self.phase else {
                    return;
                };
                let wanted = entries.iter().filter(|entry| {
                    self.card.wants(
                        &entry.subject,
                        Kind::stored(entry.kind),
                        entry.exclude.as_deref(),
                        entry.position.0,
                    )
                });
                let batch = Batch::encode(view.epoch, Position(scanned_to), wanted);
                behind.set_slice(Arc::new(batch), scanned_to);
            }
        }
    }

    /// Queues an event of the hub's own; an `id:` in it must be [`Connection::cursor`].
    pub(crate) fn send_own(&mut self, event: Vec<u8>) {
        self.unsent.push(event);
    }

    /// Closes once `event` has gone out.
    pub(crate) fn close_after(&mut self, event: Vec<u8>) {
        self.send_own(event);
        self.closing = true;
    }

    /// Where the connection is; a live one that has nothing pending is where its shard is.
    pub(crate) fn cursor(&mut self, released: u64) -> &Place {
        if matches!(&self.phase, Phase::Live(pending) if pending.is_empty()) {
            self.place.advance(released);
        }
        &self.place
    }

    /// Whether all that was released is written, so that its cursor is the shard's.
    pub(crate) fn is_caught_up(&self) -> bool {
        self.unsent.is_empty() && matches!(&self.phase, Phase::Live(pending) if pending.is_empty())
    }

    pub(crate) fn is_behind(&self) -> bool {
        matches!(self.phase, Phase::Behind(_))
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing
    }

    /// Since when the socket has taken nothing, though there is something to take.
    pub(crate) fn blocked_since(&self) -> Option<u64> {
        Some(self.blocked_since).filter(|since| *since != NOT_BLOCKED)
    }

    /// Messages that wait for it in memory.
    pub(crate) fn queued(&self) -> usize {
        match &self.phase {
            Phase::Live(pending) => pending.len(),
            Phase::Behind(behind) => behind.queued(),
        }
    }

    fn fall_behind(&mut self, view: &mut View<'_>) {
        view.tally.fell_behind += 1;
        self.phase = Phase::Behind(Box::new(Behind::new(self.place.scan())));
    }

    /// Tells the client of a loss, once, and goes on behind it, but not beyond what the slice looked at: a slice of some of
    /// the subjects says nothing about the others.
    fn report(&mut self, loss: Lost, scanned_to: u64, view: &mut View<'_>) {
        let Phase::Behind(behind) = &mut self.phase else {
            return;
        };
        if !self.losses_known.learn(&loss) {
            return;
        }
        let from = self.place.text(view.epoch);
        self.place.advance(loss.resume_after.0.min(scanned_to));
        behind.lane.pass(self.place.scan());
        view.tally.gaps += 1;
        let to = self.place.text(view.epoch);
        let detail = GapDetail {
            from,
            to,
            reason: GapReason::Expired,
        };
        self.unsent.push(events::gap(&self.card, detail, view.now));
    }

    /// `Ok(None)`: something was done, and there may be more.
    fn flush_once(&mut self, view: &mut View<'_>) -> io::Result<Option<Flow>> {
        if !self.unsent.is_empty() {
            let written = self.unsent.write(&mut self.socket, view.notes)?;
            self.note_written(written, view);
            return Ok(None);
        }
        if self.closing {
            return Ok(Some(Flow::Close));
        }
        view.chunk.clear();
        let flow = match &self.phase {
            Phase::Live(pending) if pending.is_empty() => return Ok(Some(Flow::Idle)),
            Phase::Live(pending) if pending.is_held_by(view.ring) => {
                pending.choose(&self.place, view);
                None
            }
            Phase::Live(_) => {
                self.fall_behind(view);
                None
            }
            Phase::Behind(_) => self.choose_behind(view),
        };
        self.write_chunk(view)?;
        Ok(flow)
    }

    /// Chooses frames, or says what is needed before any can be chosen.
    fn choose_behind(&mut self, view: &mut View<'_>) -> Option<Flow> {
        let Phase::Behind(behind) = &mut self.phase else {
            return None;
        };
        if behind.reading {
            return Some(Flow::Idle);
        }
        let mut trial = self.place.clone();
        let missing = behind.choose_from_lane(&mut trial, &self.card, view);
        if !missing.is_empty() {
            behind.reading = true;
            return Some(Flow::Read(Request::Fetch { positions: missing }));
        }
        behind.choose_from_slice(&mut trial, view);
        if !view.chunk.is_empty() {
            return None;
        }
        if let Some(upto) = behind.finish_slice() {
            self.place.advance(upto);
            behind.lane.pass(upto);
        }
        self.read_on(view)
    }

    /// Goes live where the ring has all that is missing, else asks for the next slice.
    fn read_on(&mut self, view: &mut View<'_>) -> Option<Flow> {
        if let Some(pending) = self.pending_from_ring(view) {
            self.phase = Phase::Live(pending);
            return None;
        }
        let Phase::Behind(behind) = &mut self.phase else {
            return None;
        };
        behind.reading = true;
        let reads = self.place.reads();
        let upto = match reads {
            Reads::All => view.released,
            Reads::MailboxUpTo(upto) | Reads::SharedUpTo(upto) => upto.min(view.released),
        };
        let lane = behind
            .needs_lane()
            .then(|| (self.card.selector(Reads::All), view.released));
        Some(Flow::Read(Request::Slice {
            selector: self.card.selector(reads),
            after: self.place.scan(),
            upto,
            lane,
        }))
    }

    /// All that is missing, if the ring has it and it is no more than may be pending. An urgent message that was overtaken
    /// may be one that retention took and the ring still has: then only history tells what is to come.
    fn pending_from_ring(&self, view: &View<'_>) -> Option<Pending> {
        let mut pending = Pending::default();
        for (seq, frame) in view.ring.after(self.place.scan())? {
            if frame.durable && self.place.awaits(frame) && self.card.wants_frame(frame) {
                let overtaken =
                    frame.priority >= LANE_PRIORITY_MIN && self.place.is_behind_one(frame.position);
                if overtaken || pending.len() >= view.limits.pending_max {
                    return None;
                }
                pending.push(seq, frame);
            }
        }
        Some(pending)
    }

    fn write_chunk(&mut self, view: &mut View<'_>) -> io::Result<()> {
        let mut left = 0;
        if view.chunk.bytes() > 0 {
            left = match view.chunk.io_slices().as_slice() {
                [one] => self.socket.write(one)?,
                many => self.socket.write_vectored(many)?,
            };
            if left == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.note_written(left, view);
        }
        for piece in view.chunk.iter() {
            if left == 0 && piece.len() > 0 {
                break;
            }
            if piece.len() > left {
                view.chunk.keep_rest(piece, left, &mut self.unsent);
            } else if piece.len() > 0 {
                view.notes.extend(piece.awaited().cloned().map(Note::Sent));
            }
            left = left.saturating_sub(piece.len());
            match piece.len() {
                0 => view.tally.expired += 1,
                _ => view.tally.deliveries += 1,
            }
            self.place.apply(piece.sent);
            match (&mut self.phase, piece.sent) {
                (
                    Phase::Live(pending),
                    Sent::LiveOnly { seq }
                    | Sent::Overtaking { seq, .. }
                    | Sent::InOrder { seq, .. },
                ) => {
                    pending.remove(seq, piece.frame_len());
                }
                (Phase::Behind(behind), Sent::Lane { position }) => behind.overtaken(position),
                (Phase::Behind(behind), Sent::Scan { position, next }) => {
                    behind.scanned(position, next);
                }
                _ => unreachable!("a chunk is chosen and written in the same phase"),
            }
        }
        Ok(())
    }

    fn note_written(&mut self, bytes: usize, view: &mut View<'_>) {
        view.tally.writes += 1;
        view.tally.bytes += bytes as u64;
        self.blocked_since = NOT_BLOCKED;
        self.card.touch(view.now.wall_ms);
    }
}
