//! The frames chosen for one write.

use std::io::IoSlice;
use std::ops::Range;
use std::sync::Arc;

use super::frame::{Batch, id_line};
use super::note::Awaited;
use super::place::Place;
use super::ring::Seq;
use super::unsent::Unsent;

/// As many pieces of memory as one write takes (the kernel's limit).
const IO_SLICES_MAX: usize = 1_024;

/// Frames in the order in which they go out, with what each means for its connection once it is on its way.
#[derive(Default)]
pub(crate) struct Chunk {
    pieces: Vec<Piece>,
    ids: Vec<u8>,
    bytes: usize,
}

pub(crate) struct Piece {
    batch: Arc<Batch>,
    index: usize,
    /// Empty where the message has expired: it is passed over.
    event: Range<usize>,
    /// An `id:` line of the connection's own, in [`Chunk::ids`].
    id: Range<usize>,
    pub(crate) sent: Sent,
}

/// What it means that a frame is on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sent {
    LiveOnly {
        seq: Seq,
    },
    /// From the pending queue; older ones wait.
    Overtaking {
        seq: Seq,
        position: u64,
    },
    /// From the pending queue; all up to `covered` has now been sent.
    InOrder {
        seq: Seq,
        covered: u64,
    },
    /// From the live lane of a connection that is behind.
    Lane {
        position: u64,
    },
    /// From a slice of history, whose next frame is `next`.
    Scan {
        position: u64,
        next: usize,
    },
}

impl Chunk {
    pub(crate) fn clear(&mut self) {
        self.pieces.clear();
        self.ids.clear();
        self.bytes = 0;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether it has all that one write is to take.
    pub(crate) fn is_full(&self, bytes_max: usize) -> bool {
        self.bytes >= bytes_max || self.pieces.len() * 2 >= IO_SLICES_MAX
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Piece> {
        self.pieces.iter()
    }

    /// Adds a frame; `place` is where the connection is once it is sent.
    pub(crate) fn push(
        &mut self,
        batch: &Arc<Batch>,
        index: usize,
        place: &Place,
        epoch: &str,
        sent: Sent,
    ) {
        let frame = &batch.frames[index];
        let start = self.ids.len();
        let event = if !frame.durable || place.is_plainly_at(frame.position) {
            frame.with_id()
        } else {
            id_line(&mut self.ids, |out| place.write(epoch, out));
            frame.without_id()
        };
        let id = start..self.ids.len();
        self.bytes += id.len() + event.len();
        self.pieces.push(Piece {
            batch: Arc::clone(batch),
            index,
            event,
            id,
            sent,
        });
    }

    /// Adds a message that is passed over.
    pub(crate) fn push_expired(&mut self, batch: &Arc<Batch>, index: usize, sent: Sent) {
        self.pieces.push(Piece {
            batch: Arc::clone(batch),
            index,
            event: 0..0,
            id: 0..0,
            sent,
        });
    }

    /// The bytes to write; neighbours in one arena are one slice.
    pub(crate) fn io_slices(&self) -> Vec<IoSlice<'_>> {
        let mut slices = Vec::with_capacity(self.pieces.len().min(16));
        let mut run: Option<(&Arc<Batch>, Range<usize>)> = None;
        for piece in self.pieces.iter().filter(|piece| !piece.event.is_empty()) {
            match &mut run {
                Some((batch, range))
                    if piece.id.is_empty()
                        && range.end == piece.event.start
                        && Arc::ptr_eq(batch, &piece.batch) =>
                {
                    range.end = piece.event.end;
                }
                _ => {
                    if let Some((batch, range)) = run.take() {
                        slices.push(IoSlice::new(batch.bytes(range)));
                    }
                    if !piece.id.is_empty() {
                        slices.push(IoSlice::new(&self.ids[piece.id.clone()]));
                    }
                    run = Some((&piece.batch, piece.event.clone()));
                }
            }
        }
        if let Some((batch, range)) = run {
            slices.push(IoSlice::new(batch.bytes(range)));
        }
        slices
    }

    /// Puts what a socket left of `piece`, after it took `taken` bytes of it, before everything else.
    pub(crate) fn keep_rest(&self, piece: &Piece, taken: usize, unsent: &mut Unsent) {
        let id = &self.ids[piece.id.clone()];
        unsent.push(id.get(taken..).unwrap_or_default().to_vec());
        unsent.push_shared(
            &piece.batch,
            piece.event.start + taken.saturating_sub(id.len())..piece.event.end,
            piece.awaited().cloned(),
        );
    }
}

impl Piece {
    pub(crate) fn len(&self) -> usize {
        self.id.len() + self.event.len()
    }

    /// Who waits for it to be written.
    pub(crate) fn awaited(&self) -> Option<&Arc<Awaited>> {
        self.batch.frames[self.index].awaited.as_ref()
    }

    /// Bytes that the frame counts in a pending queue.
    pub(crate) fn frame_len(&self) -> usize {
        self.batch.frames[self.index].with_id().len()
    }
}
