//! A connection that reads history: slices in order, and the live lane beside them.

use std::sync::Arc;

use super::card::Card;
use super::chunk::Sent;
use super::connection::View;
use super::frame::Batch;
use super::history::Urgent;
use super::lane::Lane;
use super::place::Place;
use super::ring::Ring;

pub(crate) struct Behind {
    pub(crate) lane: Lane,
    /// Whether the lane knows what was stored before the connection fell behind.
    lane_is_filled: bool,
    /// Frames of the lane that neither the ring nor the slice has.
    fetched: Option<Arc<Batch>>,
    slice: Option<Slice>,
    /// Whether an answer of the readers is awaited.
    pub(crate) reading: bool,
}

/// Frames of history in order, and where the scan is when they are sent.
struct Slice {
    batch: Arc<Batch>,
    next: usize,
    upto: u64,
}

impl Behind {
    pub(crate) fn new(scan: u64) -> Self {
        Self {
            lane: Lane::new(scan),
            lane_is_filled: false,
            fetched: None,
            slice: None,
            reading: false,
        }
    }

    pub(crate) fn needs_lane(&self) -> bool {
        !self.lane_is_filled
    }

    pub(crate) fn fill_lane(&mut self, urgent: &Urgent) {
        self.lane.fill(&urgent.found, urgent.upto, urgent.complete);
        self.lane_is_filled = true;
    }

    pub(crate) fn set_fetched(&mut self, batch: Arc<Batch>, asked: &[u64]) {
        for position in asked {
            if batch.find(*position).is_none() {
                self.lane.remove(*position);
            }
        }
        self.fetched = Some(batch);
    }

    pub(crate) fn set_slice(&mut self, batch: Arc<Batch>, upto: u64) {
        self.slice = Some(Slice {
            batch,
            next: 0,
            upto,
        });
    }

    /// Where the scan is once the slice, all of it written, is given up.
    pub(crate) fn finish_slice(&mut self) -> Option<u64> {
        self.slice.take().map(|slice| slice.upto)
    }

    pub(crate) fn queued(&self) -> usize {
        self.lane.len()
            + self
                .slice
                .as_ref()
                .map_or(0, |slice| slice.batch.frames.len() - slice.next)
    }

    /// Chooses what overtakes; returns the positions to fetch first, if the next ones are nowhere in memory.
    pub(crate) fn choose_from_lane(
        &mut self,
        trial: &mut Place,
        card: &Card,
        view: &mut View<'_>,
    ) -> Vec<u64> {
        if !self.lane_is_filled {
            return Vec::new();
        }
        let mut unwanted = Vec::new();
        let mut missing = Vec::new();
        for position in self.lane.waiting() {
            if !trial.may_overtake() || view.chunk.is_full(view.limits.write_bytes) {
                break;
            }
            let Some((batch, index)) = self.find(position, view.ring) else {
                if view.chunk.is_empty() {
                    missing = self
                        .lane
                        .waiting()
                        .skip_while(|waiting| *waiting != position)
                        .filter(|waiting| self.find(*waiting, view.ring).is_none())
                        .collect();
                }
                break;
            };
            let frame = &batch.frames[index];
            if frame.expired(view.now.wall_ms) || !trial.awaits(frame) || !card.wants_frame(frame) {
                unwanted.push(position);
                continue;
            }
            trial.overtake(position);
            view.chunk
                .push(batch, index, trial, view.epoch, Sent::Lane { position });
        }
        for position in unwanted {
            self.lane.remove(position);
        }
        missing
    }

    /// Where the frame at `position` lies in memory. The store comes last: it may have lost meanwhile what the slice is
    /// going to send, and no later message of the lane may go before that.
    fn find<'a>(&'a self, position: u64, ring: &'a Ring) -> Option<(&'a Arc<Batch>, usize)> {
        let find_in = |batch: &'a Arc<Batch>| Some((batch, batch.find(position)?));
        ring.find(position)
            .or_else(|| find_in(&self.slice.as_ref()?.batch))
            .or_else(|| find_in(self.fetched.as_ref()?))
    }

    pub(crate) fn choose_from_slice(&mut self, trial: &mut Place, view: &mut View<'_>) {
        let Some(slice) = &self.slice else { return };
        for (index, frame) in slice.batch.frames.iter().enumerate().skip(slice.next) {
            if view.chunk.is_full(view.limits.write_bytes) {
                return;
            }
            if !trial.awaits(frame) {
                continue;
            }
            trial.advance(frame.position);
            let sent = Sent::Scan {
                position: frame.position,
                next: index + 1,
            };
            if frame.expired(view.now.wall_ms) {
                view.chunk.push_expired(&slice.batch, index, sent);
            } else {
                view.chunk
                    .push(&slice.batch, index, trial, view.epoch, sent);
            }
        }
    }

    /// The frame before `next` of the slice is on its way.
    pub(crate) fn scanned(&mut self, position: u64, next: usize) {
        if let Some(slice) = &mut self.slice {
            slice.next = next;
        }
        self.lane.pass(position);
    }

    /// The message of the lane at `position` is on its way.
    pub(crate) fn overtaken(&mut self, position: u64) {
        self.lane.remove(position);
        if self.lane.is_empty() {
            self.fetched = None;
        }
    }
}
