//! What the driver of a connection, its socket and its requests tell each other.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::fanout::Opening;

/// Where a connection stands. It is read and written by the one task that drives the connection; the atomics are
/// there because a task may move between threads.
#[derive(Debug)]
pub(super) struct Exchange {
    /// The phase in the low two bits; above them a count of changes, so that a whole request between two looks is
    /// noticed.
    state: AtomicU32,
    /// Left by a request for a stream; the driver then takes the socket away from hyper.
    opening: Mutex<Option<Opening>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// A request head is coming. A connection begins here, since its first byte has come by then.
    Head,
    /// A request is being answered.
    Request,
    /// Answered; nothing of a next request has come yet.
    Idle,
}

/// A moment of the exchange; equal when nothing changed in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment(u32);

impl Moment {
    pub(super) fn phase(self) -> Phase {
        match self.0 & PHASE_BITS {
            0 => Phase::Head,
            1 => Phase::Request,
            _ => Phase::Idle,
        }
    }
}

const PHASE_BITS: u32 = 0b11;

impl Exchange {
    pub(super) fn new() -> Self {
        Self {
            state: AtomicU32::new(Phase::Head as u32),
            opening: Mutex::new(None),
        }
    }

    pub(super) fn now(&self) -> Moment {
        Moment(self.state.load(Ordering::Relaxed))
    }

    pub(super) fn bytes_came(&self) {
        if self.now().phase() == Phase::Idle {
            self.enter(Phase::Head);
        }
    }

    pub(super) fn request_began(&self) {
        self.enter(Phase::Request);
    }

    pub(super) fn answered(&self) {
        self.enter(Phase::Idle);
    }

    pub(super) fn leave_opening(&self, opening: Opening) {
        *self.opening.lock().unwrap_or_else(PoisonError::into_inner) = Some(opening);
    }

    pub(super) fn take_opening(&self) -> Option<Opening> {
        self.opening
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn enter(&self, phase: Phase) {
        let changes = (self.now().0 & !PHASE_BITS).wrapping_add(PHASE_BITS + 1);
        self.state.store(changes | phase as u32, Ordering::Relaxed);
    }
}
