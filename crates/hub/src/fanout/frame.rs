//! Frames: messages encoded once as SSE events, whose bytes all connections share.
//!
//! The frames of one journal batch lie one behind the other in one arena, so that neighbours that go to the same
//! connection become one `iovec`. Each frame starts with its `id:` line, which a connection leaves out and replaces by
//! its own where its cursor is not the plain one.

use std::ops::Range;
use std::sync::Arc;

use tidings_protocol::{MessageType, cursor, sse};
use tidings_store::{Entry, Position, Subject};

use super::note::Awaited;
use crate::kind::Kind;

/// The messages of one journal batch, or of one slice of history, in order.
#[derive(Debug)]
pub(crate) struct Batch {
    /// The newest position that this batch covers.
    pub(crate) last: Position,
    pub(crate) frames: Vec<Frame>,
    arena: Vec<u8>,
}

/// One message of a [`Batch`], without its body: that lies encoded in the arena.
#[derive(Debug)]
pub(crate) struct Frame {
    start: u32,
    event: u32,
    end: u32,
    pub(crate) kind: Kind,
    pub(crate) priority: u8,
    /// False for a live-only message: it has no `id:` line and no place in any cursor.
    pub(crate) durable: bool,
    pub(crate) position: u64,
    expires_at: u64,
    pub(crate) subject: Subject,
    pub(crate) exclude: Option<Arc<str>>,
    /// Of a message that waits for its ack: whoever waits is told once it is written.
    pub(crate) awaited: Option<Arc<Awaited>>,
}

impl Batch {
    /// Encodes `entries`, each with the plain cursor of its position as `id:`.
    pub(crate) fn encode<'a>(
        epoch: &str,
        last: Position,
        entries: impl IntoIterator<Item = &'a Arc<Entry>>,
    ) -> Self {
        let mut arena = Vec::new();
        let mut frames = Vec::new();
        for entry in entries {
            let start = offset(&arena);
            if entry.durable {
                id_line(&mut arena, |out| {
                    cursor::write(out, epoch, entry.position.0, entry.position.0, &[]);
                });
            }
            let event = offset(&arena);
            let kind = Kind::stored(entry.kind);
            sse::body(&mut arena, event_name(kind), &entry.body);
            frames.push(Frame {
                start,
                event,
                end: offset(&arena),
                kind,
                priority: entry.priority,
                durable: entry.durable,
                position: entry.position.0,
                expires_at: entry.expires_at.unwrap_or(u64::MAX),
                subject: entry.subject.clone(),
                exclude: entry.exclude.clone(),
                awaited: Awaited::of(entry),
            });
        }
        Self {
            last,
            frames,
            arena,
        }
    }

    pub(crate) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.arena[range]
    }

    /// Index of the durable frame at `position`.
    pub(crate) fn find(&self, position: u64) -> Option<usize> {
        let start = self
            .frames
            .partition_point(|frame| frame.position < position);
        let same = self.frames[start..]
            .iter()
            .take_while(|frame| frame.position == position);
        same.zip(start..)
            .find(|(frame, _)| frame.durable)
            .map(|(_, index)| index)
    }

    /// Bytes of memory that this batch keeps alive.
    pub(crate) fn weight(&self) -> usize {
        self.arena.capacity() + self.frames.capacity() * size_of::<Frame>()
    }
}

impl Frame {
    /// The whole frame in its batch's arena: the plain `id:` line and the event.
    pub(crate) fn with_id(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The frame without its `id:` line.
    pub(crate) fn without_id(&self) -> Range<usize> {
        self.event as usize..self.end as usize
    }

    pub(crate) fn is_mailbox(&self) -> bool {
        matches!(self.subject, Subject::Client(_))
    }

    pub(crate) fn expired(&self, wall_ms: u64) -> bool {
        self.expires_at <= wall_ms
    }
}

/// Appends an `id:` line with the cursor that `write` appends.
pub(crate) fn id_line(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(b"id: ");
    write(out);
    out.push(b'\n');
}

fn event_name(kind: Kind) -> &'static str {
    kind.message_type()
        .map_or("message", MessageType::event_name)
}

fn offset(arena: &[u8]) -> u32 {
    u32::try_from(arena.len()).expect("the store bounds a commit far below 4 GiB")
}
