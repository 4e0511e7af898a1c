//! Where a stream starts: the rules of PROTOCOL.md, decided from what the store knows.

use tidings_protocol::api::{GapDetail, GapReason};
use tidings_protocol::{ClientId, Cursor, TopicPattern};
use tidings_store::{Lost, Position, ReadError, Reader, Store, Subject};

use super::card::selector;
use super::losses::KnownLosses;
use super::opening::Since;
use super::place::Place;
use crate::acks;

/// What the client brought.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) client: ClientId,
    pub(crate) topics: Vec<TopicPattern>,
    pub(crate) cursor: Option<String>,
    pub(crate) since: Option<Since>,
    pub(crate) device: Option<ClientId>,
}

/// Where it starts, and what it must be told.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) place: Place,
    pub(crate) gaps: Vec<GapDetail>,
    /// What is lost up to here has been told, or is no loss to this client.
    pub(crate) losses_known: KnownLosses,
    /// Whether it goes on from its own cursor.
    pub(crate) resumed: bool,
}

/// What a cursor's text says to this hub.
enum Known {
    /// All of it lies in the journal.
    Whole(Cursor),
    /// Of a known epoch, but beyond its end: cut to there.
    Beyond(Cursor),
    Unknown,
}

/// Decides the start. `now` is the newest position when the request came.
pub(crate) fn decide(
    store: &Store,
    reader: &mut Reader,
    asked: &Asked,
    now: Position,
) -> Result<Start, ReadError> {
    let Some(text) = &asked.cursor else {
        let (mailbox, ahead) = stored_place(reader, asked)?;
        let shared = since(reader, asked, asked.since.unwrap_or(Since::Now), now)?;
        let start = Start {
            place: Place::new(mailbox, shared, ahead),
            gaps: Vec::new(),
            losses_known: KnownLosses::default(),
            resumed: false,
        };
        return start.pass_losses(store.epoch(), reader, asked, false);
    };
    let (known, reason) = match recognise(store, text) {
        Known::Whole(cursor) => (Some(cursor), None),
        Known::Beyond(cursor) => (Some(cursor), Some(GapReason::UnknownEpoch)),
        Known::Unknown => (None, Some(GapReason::UnknownEpoch)),
    };
    let resumed = reason.is_none();
    let shared_counts = known.is_some();
    let place = match known {
        Some(cursor) => Place::new(cursor.mailbox, cursor.shared, cursor.ahead),
        None => {
            let (mailbox, ahead) = stored_place(reader, asked)?;
            Place::new(mailbox, Position::ZERO.0, ahead)
        }
    };
    let to = place.text(store.epoch());
    let gaps = reason
        .map(|reason| GapDetail {
            from: text.clone(),
            to,
            reason,
        })
        .into_iter()
        .collect();
    let start = Start {
        place,
        gaps,
        losses_known: KnownLosses::default(),
        resumed,
    };
    start.pass_losses(store.epoch(), reader, asked, shared_counts)
}

impl Start {
    /// Tells of what retention took after the start, and goes on behind it. What it took of topics and broadcast is no
    /// loss to a client that brought no cursor of theirs (`shared_counts`).
    fn pass_losses(
        mut self,
        epoch: &str,
        reader: &mut Reader,
        asked: &Asked,
        shared_counts: bool,
    ) -> Result<Self, ReadError> {
        let (at_mailbox, at_shared) = (self.place.mailbox(), self.place.shared());
        let mut lost = |of_mailbox: bool, after: u64| {
            let selector = selector(&asked.client, &asked.topics, of_mailbox, !of_mailbox);
            reader.lost_after(&selector, Position(after))
        };
        let (mailbox, shared) = (lost(true, at_mailbox)?, lost(false, at_shared)?);
        for lost in [mailbox, shared].into_iter().flatten() {
            self.losses_known.learn(&lost);
        }
        let shared = shared.filter(|_| shared_counts);
        if mailbox.is_none() && shared.is_none() {
            return Ok(self);
        }
        let from = asked
            .cursor
            .clone()
            .unwrap_or_else(|| self.place.text(epoch));
        let behind =
            |lost: Option<Lost>, at: u64| lost.map_or(at, |lost| lost.resume_after.0.max(at));
        self.place
            .restart(behind(mailbox, at_mailbox), behind(shared, at_shared));
        self.gaps.push(GapDetail {
            from,
            to: self.place.text(epoch),
            reason: GapReason::Expired,
        });
        Ok(self)
    }
}

/// Where a client without a cursor has got to in its mailbox: what it acknowledged, or nothing. A cursor that was
/// acknowledged may have been ahead in topics too; that says nothing about what another connection reads of them.
fn stored_place(reader: &mut Reader, asked: &Asked) -> Result<(u64, Vec<u64>), ReadError> {
    let client = &asked.client;
    let Some(acked) = acks::stored(reader, client, asked.device.as_ref())? else {
        return Ok((Position::ZERO.0, Vec::new()));
    };
    let ahead: Vec<_> = acked.ahead.into_iter().map(Position).collect();
    let of_mailbox = reader
        .at(&ahead)?
        .into_iter()
        .filter(|entry| matches!(&entry.subject, Subject::Client(id) if **id == *client.as_str()))
        .map(|entry| entry.position.0)
        .collect();
    Ok((acked.position, of_mailbox))
}

/// Where topics and broadcast start.
fn since(
    reader: &mut Reader,
    asked: &Asked,
    since: Since,
    now: Position,
) -> Result<u64, ReadError> {
    Ok(match since {
        Since::Now => now.0,
        Since::Earliest => Position::ZERO.0,
        Since::Time(at_ms) => reader.position_before(at_ms)?.0,
        Since::Last(0) => now.0,
        Since::Last(count) => {
            let selector = selector(&asked.client, &asked.topics, false, true);
            let newest = reader.newest(&selector, usize::from(count))?;
            // Just before the first of them; no entry lies between.
            newest.first().map_or(now.0, |first| first.0 - 1)
        }
    })
}

fn recognise(store: &Store, text: &str) -> Known {
    let Ok(mut cursor) = text.parse::<Cursor>() else {
        return Known::Unknown;
    };
    let Some(Position(end)) = store.lineage_end(cursor.epoch.as_str()) else {
        return Known::Unknown;
    };
    cursor.ahead.retain(|position| *position <= end);
    if cursor.mailbox <= end && cursor.shared <= end {
        return Known::Whole(cursor);
    }
    cursor.mailbox = cursor.mailbox.min(end);
    cursor.shared = cursor.shared.min(end);
    Known::Beyond(cursor)
}
