//! Which entries retention removes: the decision alone, from numbers.

use crate::entry::Entry;
use crate::options::{Keep, PerClass, Retention};

/// What a class keeps now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) count: u64,
    pub(crate) bytes: u64,
}

/// What one class has to give up. Its entries are shown oldest first; the first one that stays ends the trim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Excess {
    stored_before: u64,
    count: u64,
    bytes: u64,
}

/// What each class has to give up at the time `now`; without a trusted time nothing goes by age.
pub(crate) fn excess(
    retention: &Retention,
    kept: &PerClass<Kept>,
    now: Option<u64>,
) -> PerClass<Excess> {
    PerClass::from_fn(|class| Excess::of(retention[class], kept[class], now))
}

impl Excess {
    fn of(keep: Keep, kept: Kept, now: Option<u64>) -> Self {
        let over = |kept: u64, bound: u64| {
            if bound == 0 {
                0
            } else {
                kept.saturating_sub(bound)
            }
        };
        let stored_before = match now {
            Some(now) if keep.age_ms > 0 => now.saturating_sub(keep.age_ms),
            _ => 0,
        };
        Self {
            stored_before,
            count: over(kept.count, keep.count),
            bytes: over(kept.bytes, keep.bytes),
        }
    }

    /// Whether the next oldest entry goes; counts it if so.
    pub(crate) fn takes(&mut self, stored_at: u64, weight: u64) -> bool {
        let goes = stored_at < self.stored_before || self.count > 0 || self.bytes > 0;
        if goes {
            self.count = self.count.saturating_sub(1);
            self.bytes = self.bytes.saturating_sub(weight);
        }
        goes
    }
}

/// What an entry counts towards a bound of bytes.
pub(crate) fn weight(source: &str, id: &str, body: &[u8]) -> u64 {
    (source.len() + id.len() + body.len()) as u64
}

/// Whether the time to live has passed: nobody gets the entry any more.
pub(crate) fn is_expired(expires_at: Option<u64>, now: u64) -> bool {
    expires_at.is_some_and(|expires_at| expires_at <= now)
}

/// Whether an expired entry may be removed: it stays while its identity is remembered, so that the window can be filled
/// again at open.
pub(crate) fn is_spent(entry: &Entry, window_ms: u64, now: u64) -> bool {
    is_expired(entry.expires_at, now) && entry.stored_at.saturating_add(window_ms) <= now
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries of weight 10, stored at 0, 10, 20, ...
    fn taken(keep: Keep, entries: u64, now: Option<u64>) -> u64 {
        let kept = Kept {
            count: entries,
            bytes: entries * 10,
        };
        let mut excess = Excess::of(keep, kept, now);
        (0..entries)
            .take_while(|n| excess.takes(n * 10, 10))
            .count() as u64
    }

    const NO_BOUND: Keep = Keep {
        age_ms: 0,
        bytes: 0,
        count: 0,
    };

    #[test]
    fn nothing_goes_without_a_bound() {
        assert_eq!(taken(NO_BOUND, 100, Some(u64::MAX)), 0);
    }

    #[test]
    fn what_is_older_than_the_age_goes() {
        assert_eq!(
            taken(
                Keep {
                    age_ms: 50,
                    ..NO_BOUND
                },
                10,
                Some(100)
            ),
            5
        );
        assert_eq!(
            taken(
                Keep {
                    age_ms: 50,
                    ..NO_BOUND
                },
                10,
                Some(49)
            ),
            0
        );
    }

    #[test]
    fn nothing_goes_by_age_without_a_trusted_time() {
        assert_eq!(
            taken(
                Keep {
                    age_ms: 50,
                    ..NO_BOUND
                },
                10,
                None
            ),
            0
        );
        assert_eq!(
            taken(
                Keep {
                    age_ms: 50,
                    count: 7,
                    ..NO_BOUND
                },
                10,
                None
            ),
            3
        );
    }

    #[test]
    fn the_newest_within_the_bounds_stay() {
        assert_eq!(
            taken(
                Keep {
                    count: 4,
                    ..NO_BOUND
                },
                10,
                Some(0)
            ),
            6
        );
        assert_eq!(
            taken(
                Keep {
                    bytes: 41,
                    ..NO_BOUND
                },
                10,
                Some(0)
            ),
            6
        );
        assert_eq!(
            taken(
                Keep {
                    bytes: 40,
                    ..NO_BOUND
                },
                10,
                Some(0)
            ),
            6
        );
        assert_eq!(
            taken(
                Keep {
                    bytes: 39,
                    ..NO_BOUND
                },
                10,
                Some(0)
            ),
            7
        );
        assert_eq!(
            taken(
                Keep {
                    bytes: 100,
                    count: 10,
                    ..NO_BOUND
                },
                10,
                Some(0)
            ),
            0
        );
    }

    #[test]
    fn a_time_to_live_has_passed_at_its_end() {
        assert!(!is_expired(None, u64::MAX));
        assert!(!is_expired(Some(10), 9));
        assert!(is_expired(Some(10), 10));
    }
}
