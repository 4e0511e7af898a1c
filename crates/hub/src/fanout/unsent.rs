//! Bytes that must go out before anything else: the hub's own events, and the rest of a frame that a socket took in part.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};
use std::ops::Range;
use std::sync::Arc;

use super::frame::Batch;

#[derive(Default)]
pub(crate) struct Unsent {
    rests: VecDeque<Rest>,
}

enum Rest {
    Own(Vec<u8>, usize),
    Shared(Arc<Batch>, Range<usize>),
}

impl Unsent {
    pub(crate) fn is_empty(&self) -> bool {
        self.rests.is_empty()
    }

    pub(crate) fn push(&mut self, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.rests.push_back(Rest::Own(bytes, 0));
        }
    }

    pub(crate) fn push_shared(&mut self, batch: &Arc<Batch>, range: Range<usize>) {
        if !range.is_empty() {
            self.rests.push_back(Rest::Shared(Arc::clone(batch), range));
        }
    }

    /// Writes once; returns how many bytes the socket took.
    pub(crate) fn write(&mut self, socket: &mut impl Write) -> io::Result<usize> {
        let slices: Vec<_> = self
            .rests
            .iter()
            .take(64)
            .map(|rest| IoSlice::new(rest.bytes()))
            .collect();
        let written = socket.write_vectored(&slices)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.consume(written);
        Ok(written)
    }

    fn consume(&mut self, mut written: usize) {
        while let Some(rest) = self.rests.front_mut() {
            let len = rest.bytes().len();
            if written < len {
                return rest.skip(written);
            }
            written -= len;
            self.rests.pop_front();
        }
        self.rests = VecDeque::new();
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
