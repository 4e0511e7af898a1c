//! Bytes that must go out before anything else: the hub's own events, and the rest of a frame that a socket took in part.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};
use std::ops::Range;
use std::sync::Arc;

use super::frame::Batch;
use super::note::{Awaited, Note};

#[derive(Default)]
pub(crate) struct Unsent {
    /// Never an empty queue: nearly every connection has none nearly always.
    rests: Option<Box<Rests>>,
}

#[derive(Default)]
struct Rests(VecDeque<Unwritten>);

struct Unwritten {
    rest: Rest,
    /// What these bytes are the end of, if somebody wants to know that it is written.
    completes: Option<Arc<Awaited>>,
}

enum Rest {
    Own(Vec<u8>, usize),
    Shared(Arc<Batch>, Range<usize>),
}

impl Unsent {
    pub(crate) fn is_empty(&self) -> bool {
        self.rests.is_none()
    }

    pub(crate) fn push(&mut self, bytes: Vec<u8>) {
        self.push_rest(Rest::Own(bytes, 0), None);
    }

    /// Bytes whose end completes a message that is waited for.
    pub(crate) fn push_awaited(&mut self, bytes: Vec<u8>, awaited: Arc<Awaited>) {
        self.push_rest(Rest::Own(bytes, 0), Some(awaited));
    }

    pub(crate) fn push_shared(
        &mut self,
        batch: &Arc<Batch>,
        range: Range<usize>,
        completes: Option<Arc<Awaited>>,
    ) {
        self.push_rest(Rest::Shared(Arc::clone(batch), range), completes);
    }

    fn push_rest(&mut self, rest: Rest, completes: Option<Arc<Awaited>>) {
        if !rest.bytes().is_empty() {
            let rests = self.rests.get_or_insert_default();
            rests.0.push_back(Unwritten { rest, completes });
        }
    }

    /// Writes once, notes what that completed, and returns how many bytes the socket took.
    pub(crate) fn write(
        &mut self,
        socket: &mut impl Write,
        notes: &mut Vec<Note>,
    ) -> io::Result<usize> {
        let Some(rests) = &self.rests else {
            return Ok(0);
        };
        let slices: Vec<_> = rests
            .0
            .iter()
            .take(64)
            .map(|unwritten| IoSlice::new(unwritten.rest.bytes()))
            .collect();
        let written = socket.write_vectored(&slices)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.consume(written, notes);
        Ok(written)
    }

    fn consume(&mut self, mut written: usize, notes: &mut Vec<Note>) {
        let Some(rests) = &mut self.rests else {
            return;
        };
        while let Some(Unwritten { rest, completes }) = rests.0.front_mut() {
            let len = rest.bytes().len();
            if written < len {
                return rest.skip(written);
            }
            written -= len;
            notes.extend(completes.take().map(Note::Sent));
            rests.0.pop_front();
        }
        self.rests = None;
    }
}

impl Rest {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Own(bytes, from) => &bytes[*from..],
            Self::Shared(batch, range) => batch.bytes(range.clone()),
        }
    }

    fn skip(&mut self, bytes: usize) {
        match self {
            Self::Own(_, from) => *from += bytes,
            Self::Shared(_, range) => range.start += bytes,
        }
    }
}
