//! The newest frames of a shard, kept for its connections' pending references and for short replays.

use std::collections::VecDeque;
use std::sync::Arc;

use super::frame::{Batch, Frame};

/// Number of a frame in the order in which its shard received it.
pub(crate) type Seq = u64;

/// A run of consecutive frames. What falls out of it is read from history, so its size bounds what all slow
/// connections of a shard can hold together.
pub(crate) struct Ring {
    frames: VecDeque<(Arc<Batch>, u32)>,
    /// Number of the first frame in the ring.
    base: Seq,
    /// Every durable message after this position and up to the newest one is in the ring.
    complete_after: u64,
    bytes: usize,
    bytes_max: usize,
    frames_max: usize,
}

impl Ring {
    pub(crate) fn new(complete_after: u64, bytes_max: usize, frames_max: usize) -> Self {
        Self {
            frames: VecDeque::new(),
            base: 0,
            complete_after,
            bytes: 0,
            bytes_max,
            frames_max,
        }
    }

    /// Adds a batch; returns the number of its first frame.
    pub(crate) fn push(&mut self, batch: &Arc<Batch>) -> Seq {
        let first = self.next();
        self.bytes += batch.weight();
        for index in 0..batch.frames.len() {
            self.frames.push_back((Arc::clone(batch), index as u32));
        }
        self.evict();
        first
    }

    /// Forgets everything; what was released up to `position` is only in history from here on.
    pub(crate) fn restart(&mut self, position: u64) {
        self.base = self.next();
        self.frames.clear();
        self.bytes = 0;
        self.complete_after = position;
    }

    /// The number that the next frame will get.
    pub(crate) fn next(&self) -> Seq {
        self.base + self.frames.len() as Seq
    }

    pub(crate) fn base(&self) -> Seq {
        self.base
    }

    /// The frame's batch and its index there.
    pub(crate) fn get(&self, seq: Seq) -> Option<(&Arc<Batch>, usize)> {
        let (batch, index) = self
            .frames
            .get(usize::try_from(seq.checked_sub(self.base)?).ok()?)?;
        Some((batch, *index as usize))
    }

    /// The frames after `position`, if the ring still has all of them.
    pub(crate) fn after(&self, position: u64) -> Option<impl Iterator<Item = (Seq, &Frame)>> {
        (position >= self.complete_after).then(|| {
            let skip = self.first_after(position);
            (self.base + skip as Seq..).zip(
                self.frames
                    .range(skip..)
                    .map(|(batch, index)| &batch.frames[*index as usize]),
            )
        })
    }

    /// The batch that has the durable frame at `position`, and its index there.
    pub(crate) fn find(&self, position: u64) -> Option<(&Arc<Batch>, usize)> {
        // A live-only frame has the position that it follows, so it may stand before and after the durable one.
        let (batch, _) = self
            .frames
            .get(self.first_after(position).checked_sub(1)?)?;
        let found = |batch: &Arc<Batch>| batch.find(position);
        if let Some(index) = found(batch) {
            return Some((batch, index));
        }
        let first = self
            .frames
            .partition_point(|(batch, index)| batch.frames[*index as usize].position < position);
        let (batch, _) = self.frames.get(first)?;
        found(batch).map(|index| (batch, index))
    }

    /// Index of the first frame whose position is greater. A live-only frame has the position that it follows.
    fn first_after(&self, position: u64) -> usize {
        self.frames
            .partition_point(|(batch, index)| batch.frames[*index as usize].position <= position)
    }

    /// Drops whole batches from the old end; the newest batch always stays.
    fn evict(&mut self) {
        while self.bytes > self.bytes_max || self.frames.len() > self.frames_max {
            let Some((oldest, _)) = self.frames.front() else {
                return;
            };
            let count = oldest.frames.len();
            if count == self.frames.len() {
                return;
            }
            self.bytes -= oldest.weight();
            self.complete_after = oldest.last.0;
            self.frames.drain(..count);
            self.base += count as Seq;
        }
    }
}
