//! How many connections there may be.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::{Resource, getrlimit, setrlimit};

use super::defaults::FILES_RESERVED;

/// The places for connections, streams included. A connection holds a [`Seat`] as long as its socket is open.
#[derive(Debug, Clone)]
pub(crate) struct Seats(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    taken: AtomicUsize,
    max: usize,
}

/// A place that is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Seat(Arc<Inner>);

impl Seats {
    pub(crate) fn new(max: usize) -> Self {
        let taken = AtomicUsize::new(0);
        Self(Arc::new(Inner { taken, max }))
    }

    /// `None` when all are taken.
    pub(crate) fn take(&self) -> Option<Seat> {
        let taken = self.0.taken.fetch_add(1, Ordering::Relaxed);
        let seat = Seat(Arc::clone(&self.0));
        (taken < self.0.max).then_some(seat)
    }

    pub(crate) fn taken(&self) -> usize {
        self.0.taken.load(Ordering::Relaxed)
    }

    pub(crate) fn max(&self) -> usize {
        self.0.max
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Raises the process's file limit to the hard one and returns how many connections fit into it.
pub(super) fn from_file_limit() -> io::Result<usize> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        setrlimit(Resource::Nofile, limit)?;
    }
    // No limit at all is more than any table of files holds.
    let files = limit.current.unwrap_or(u64::from(u32::MAX));
    let seats = files.saturating_sub(FILES_RESERVED).max(files / 2);
    Ok(usize::try_from(seats).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_is_free_again_when_dropped_and_a_refusal_takes_none() {
        let seats = Seats::new(1);
        let first = seats.take().expect("one seat");
        assert!(seats.take().is_none());
        assert_eq!(seats.taken(), 1);
        drop(first);
        assert!(seats.take().is_some());
        assert_eq!(seats.taken(), 0);
    }
}
