//! Both clocks of the hub.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A moment: the steady clock for durations, the wall clock for what is told and stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) mono_ms: u64,
    pub(crate) wall_ms: u64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    pub(crate) fn now(&self) -> Now {
        Now {
            mono_ms: as_ms(self.start.elapsed().as_millis()),
            wall_ms: Self::wall_ms(),
        }
    }

    /// Milliseconds since 1970.
    pub(crate) fn wall_ms() -> u64 {
        as_ms(
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .as_millis(),
        )
    }
}

fn as_ms(ms: u128) -> u64 {
    u64::try_from(ms).unwrap_or(u64::MAX)
}
