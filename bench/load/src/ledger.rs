//! Who must get which message, and who got it: losses, duplicates and disorder, exactly.

use std::collections::HashMap;

use serde::Serialize;

/// For each client and each stream of messages, the number that has to come next.
#[derive(Debug)]
pub(crate) struct Ledger {
    streams: usize,
    next: Vec<u32>,
    /// Numbers that were passed over, as ranges with exclusive end. Lost, unless they still come.
    skipped: HashMap<(u32, u16), Vec<(u32, u32)>>,
    faults: Faults,
}

/// What must be all zero after a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Faults {
    pub(crate) lost: u64,
    pub(crate) duplicates: u64,
    pub(crate) out_of_order: u64,
    /// Came to a client that it was not sent to.
    pub(crate) misrouted: u64,
    /// Came from an earlier run.
    pub(crate) stale: u64,
    /// The text of the marker was damaged.
    pub(crate) garbled: u64,
    /// Connections that ended, or answers that were no 2xx.
    pub(crate) failures: u64,
}

impl Faults {
    pub(crate) fn none(self) -> bool {
        self == Self::default()
    }
}

/// Whether a message came for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    New,
    Again,
}

impl Ledger {
    pub(crate) fn new(clients: usize, streams: usize) -> Self {
        Self {
            streams,
            next: vec![0; clients * streams],
            skipped: HashMap::new(),
            faults: Faults::default(),
        }
    }

    pub(crate) fn arrived(&mut self, client: usize, stream: u16, seq: u32) -> Arrival {
        let Some(next) = self
            .next
            .get_mut(client * self.streams + usize::from(stream))
        else {
            self.faults.garbled += 1;
            return Arrival::Again;
        };
        if seq == *next {
            *next += 1;
            return Arrival::New;
        }
        let key = (client as u32, stream);
        if seq > *next {
            self.skipped.entry(key).or_default().push((*next, seq));
            *next = seq + 1;
            return Arrival::New;
        }
        match self.skipped.get_mut(&key).and_then(|gaps| fill(gaps, seq)) {
            Some(()) => {
                self.faults.out_of_order += 1;
                Arrival::New
            }
            None => {
                self.faults.duplicates += 1;
                Arrival::Again
            }
        }
    }

    /// The client listens from here on: what was sent before is not for it.
    pub(crate) fn starts_at(&mut self, client: usize, stream: u16, seq: u32) {
        self.next[client * self.streams + usize::from(stream)] = seq;
    }

    /// How many of the first `sent` messages of a stream have not come to this client.
    pub(crate) fn lacking(&self, client: usize, stream: u16, sent: u32) -> u64 {
        let next = self.next[client * self.streams + usize::from(stream)];
        let tail = u64::from(sent.saturating_sub(next));
        let gaps = self.skipped.get(&(client as u32, stream));
        tail + gaps.map_or(0, |gaps| {
            gaps.iter().map(|(from, to)| u64::from(to - from)).sum()
        })
    }

    pub(crate) fn faults(&mut self) -> &mut Faults {
        &mut self.faults
    }
}

/// Takes one number out of the gaps, if it is in one.
fn fill(gaps: &mut Vec<(u32, u32)>, seq: u32) -> Option<()> {
    let at = gaps
        .iter()
        .position(|&(from, to)| (from..to).contains(&seq))?;
    let (from, to) = gaps.swap_remove(at);
    gaps.extend(
        [(from, seq), (seq + 1, to)]
            .into_iter()
            .filter(|(a, b)| a < b),
    );
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger_after(arrivals: &[u32], sent: u32) -> Faults {
        let mut ledger = Ledger::new(2, 2);
        for &seq in arrivals {
            ledger.arrived(1, 1, seq);
        }
        let lost = ledger.lacking(1, 1, sent);
        ledger.faults().lost = lost;
        *ledger.faults()
    }

    #[test]
    fn everything_in_order_has_no_fault() {
        assert!(ledger_after(&[0, 1, 2, 3], 4).none());
    }

    #[test]
    fn a_hole_and_a_missing_end_are_losses() {
        let faults = ledger_after(&[0, 2, 5], 8);
        assert_eq!((faults.lost, faults.out_of_order), (5, 0));
    }

    #[test]
    fn a_late_one_is_out_of_order_once_and_a_duplicate_the_second_time() {
        let faults = ledger_after(&[0, 4, 2, 2, 1, 3], 5);
        assert_eq!(
            (faults.lost, faults.out_of_order, faults.duplicates),
            (0, 3, 1)
        );
    }

    #[test]
    fn who_joins_late_lacks_nothing_of_before() {
        let mut ledger = Ledger::new(1, 1);
        ledger.starts_at(0, 0, 10);
        ledger.arrived(0, 0, 10);
        assert_eq!(ledger.lacking(0, 0, 11), 0);
    }
}
