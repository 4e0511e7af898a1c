//! The time that entries are stamped with.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// How far wall clock and monotonic clock may drift apart before trimming by age waits: more than a slewed clock does,
/// less than any retention.
const DRIFT_MS_MAX: u64 = 60 * 1000;

/// Where a store reads the time: a wall clock and one that only goes forward, both in milliseconds.
#[derive(Clone)]
pub struct Clock {
    wall: Arc<dyn Fn() -> u64 + Send + Sync>,
    monotonic: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl Clock {
    /// The clocks of the machine.
    #[must_use]
    pub fn system() -> Self {
        Self::new(wall_ms, monotonic_ms())
    }

    /// Two clocks; `wall` counts from 1970, `monotonic` from anywhere.
    pub fn new(
        wall: impl Fn() -> u64 + Send + Sync + 'static,
        monotonic: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Self {
        Self {
            wall: Arc::new(wall),
            monotonic: Arc::new(monotonic),
        }
    }

    /// One clock that serves as both.
    pub fn single(now: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        let now = Arc::new(now);
        let wall = now.clone();
        Self::new(move || wall(), move || now())
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").finish_non_exhaustive()
    }
}

fn wall_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
}

/// Counts while the machine sleeps, too: else a laptop's night would look like a wall clock that was set ahead.
#[cfg(target_os = "linux")]
fn monotonic_ms() -> impl Fn() -> u64 + Send + Sync {
    || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        time.tv_sec.unsigned_abs() * 1000 + time.tv_nsec.unsigned_abs() / 1_000_000
    }
}

#[cfg(not(target_os = "linux"))]
fn monotonic_ms() -> impl Fn() -> u64 + Send + Sync {
    let start = std::time::Instant::now();
    move || u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// The time of one journal: the wall clock, but never going back, not even across an open.
pub(crate) struct Timeline {
    clock: Clock,
    latest: AtomicU64,
    opened_wall: u64,
    opened_monotonic: u64,
}

impl Timeline {
    /// Goes on after `latest`, the stored time of the newest entry.
    pub(crate) fn resume(clock: Clock, latest: u64) -> Self {
        let opened_wall = (clock.wall)();
        let opened_monotonic = (clock.monotonic)();
        Self {
            clock,
            latest: AtomicU64::new(latest),
            opened_wall,
            opened_monotonic,
        }
    }

    /// The larger of the wall clock and of what this returned before.
    pub(crate) fn now(&self) -> u64 {
        let wall = (self.clock.wall)();
        self.latest.fetch_max(wall, Ordering::Relaxed).max(wall)
    }

    /// Whether ages may be believed: a wall clock that was set since the open, or that had been ahead when the newest entry
    /// was stamped, would trim what is young.
    pub(crate) fn trusted(&self) -> bool {
        let now = (self.clock.wall)();
        let ahead = self.latest.load(Ordering::Relaxed).saturating_sub(now);
        let wall = i128::from(now) - i128::from(self.opened_wall);
        let monotonic = i128::from((self.clock.monotonic)()) - i128::from(self.opened_monotonic);
        ahead <= DRIFT_MS_MAX && (wall - monotonic).unsigned_abs() <= u128::from(DRIFT_MS_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clocks() -> (Arc<AtomicU64>, Arc<AtomicU64>, Clock) {
        let (wall, monotonic) = (
            Arc::new(AtomicU64::new(1_000_000)),
            Arc::new(AtomicU64::new(5)),
        );
        let (w, m) = (wall.clone(), monotonic.clone());
        let clock = Clock::new(
            move || w.load(Ordering::Relaxed),
            move || m.load(Ordering::Relaxed),
        );
        (wall, monotonic, clock)
    }

    #[test]
    fn time_never_goes_back() {
        let (wall, _, clock) = clocks();
        let timeline = Timeline::resume(clock, 2_000_000);
        assert_eq!(timeline.now(), 2_000_000);
        wall.store(3_000_000, Ordering::Relaxed);
        assert_eq!(timeline.now(), 3_000_000);
        wall.store(1, Ordering::Relaxed);
        assert_eq!(timeline.now(), 3_000_000);
    }

    #[test]
    fn a_wall_clock_set_by_more_than_a_minute_is_not_trusted() {
        let (wall, monotonic, clock) = clocks();
        let timeline = Timeline::resume(clock, 0);
        wall.fetch_add(600_000, Ordering::Relaxed);
        monotonic.fetch_add(540_000, Ordering::Relaxed);
        assert!(timeline.trusted());
        wall.fetch_add(1, Ordering::Relaxed);
        assert!(!timeline.trusted());
        wall.fetch_sub(120_001, Ordering::Relaxed);
        assert!(timeline.trusted());
        wall.fetch_sub(1, Ordering::Relaxed);
        assert!(!timeline.trusted());
    }

    #[test]
    fn a_wall_clock_that_lies_far_behind_the_newest_entry_is_not_trusted() {
        let (wall, monotonic, clock) = clocks();
        // The entry was stamped by a clock that was ahead, and the store was opened again since.
        let timeline = Timeline::resume(clock, 1_060_001);
        assert!(!timeline.trusted());
        wall.fetch_add(1, Ordering::Relaxed);
        monotonic.fetch_add(1, Ordering::Relaxed);
        assert!(timeline.trusted());
    }

    #[test]
    fn the_clocks_of_the_machine_agree() {
        let timeline = Timeline::resume(Clock::system(), 0);
        assert!(timeline.now() > 1_600_000_000_000);
        assert!(timeline.trusted());
    }
}
