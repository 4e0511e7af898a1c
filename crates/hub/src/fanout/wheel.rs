//! A timer wheel: a connection's next due moment costs a few bytes and no system call.

/// Milliseconds between two slots: finer than the finest heartbeat (250 ms) needs.
const TICK_MS: u64 = 32;
/// One turn is 65 s; a later moment is put back once for each turn.
const SLOTS: usize = 2_048;

/// Keys that are due at some moment, given back when it has come.
#[derive(Debug)]
pub(crate) struct Wheel<K> {
    slots: Vec<Vec<(u64, K)>>,
    /// The first tick that has not been handed out.
    next: u64,
    /// Slots before this tick are empty. Kept, because each turn of a shard asks how long it may sleep.
    idle_until: u64,
}

impl<K> Wheel<K> {
    pub(crate) fn new(now_ms: u64) -> Self {
        let mut slots = Vec::new();
        slots.resize_with(SLOTS, Vec::new);
        let next = now_ms / TICK_MS;
        Self {
            slots,
            next,
            idle_until: next + SLOTS as u64,
        }
    }

    /// Gives `key` back at `due_ms` or, at the latest, one tick after.
    pub(crate) fn insert(&mut self, due_ms: u64, key: K) {
        let tick = due_ms.div_ceil(TICK_MS).max(self.next);
        self.slots[(tick % SLOTS as u64) as usize].push((tick, key));
        let visited = self.next + (tick - self.next) % SLOTS as u64;
        self.idle_until = self.idle_until.min(visited);
    }

    /// Takes out what is due at `now_ms`.
    pub(crate) fn advance(&mut self, now_ms: u64, due: &mut Vec<K>) {
        let now = now_ms / TICK_MS;
        let first = self.next;
        // After a long pause each slot is visited once.
        for tick in first..=now.min(first.saturating_add(SLOTS as u64 - 1)) {
            let slot = &mut self.slots[(tick % SLOTS as u64) as usize];
            let mut kept = Vec::new();
            for (at, key) in slot.drain(..) {
                if at <= now {
                    due.push(key);
                } else {
                    kept.push((at, key));
                }
            }
            *slot = kept;
        }
        self.next = self.next.max(now + 1);
        if self.idle_until < self.next {
            let turn = self.next..self.next + SLOTS as u64;
            let has_any = |tick: &u64| !self.slots[(tick % SLOTS as u64) as usize].is_empty();
            self.idle_until = turn.clone().find(has_any).unwrap_or(turn.end);
        }
    }

    /// How long until something may be due; at most one turn.
    pub(crate) fn wait_ms(&self, now_ms: u64) -> u64 {
        (self.idle_until * TICK_MS).saturating_sub(now_ms).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_once_and_never_early() {
        let mut wheel = Wheel::new(0);
        for due in [0, 1, 250, 25_000, 300_000, 3_600_000] {
            wheel.insert(due, due);
        }
        let mut returned = Vec::new();
        let mut now = 0;
        while now < 3_700_000 {
            let mut due = Vec::new();
            wheel.advance(now, &mut due);
            for key in due {
                assert!(key <= now && now <= key + 2 * 1_000, "{key} at {now}");
                returned.push(key);
            }
            now += 1_000;
        }
        returned.sort_unstable();
        assert_eq!(returned, [0, 1, 250, 25_000, 300_000, 3_600_000]);
    }

    #[test]
    fn the_wait_ends_when_something_is_due_and_not_before() {
        let mut wheel = Wheel::new(0);
        wheel.insert(25_000, ());
        assert_eq!(wheel.wait_ms(0), 25_024);
        wheel.advance(24_000, &mut Vec::new());
        assert_eq!(wheel.wait_ms(24_000), 1_024);
        wheel.advance(26_000, &mut Vec::new());
        assert!(wheel.wait_ms(26_000) > 60_000);
    }

    #[test]
    fn whoever_sleeps_as_long_as_the_wheel_says_is_late_for_nothing() {
        let mut wheel = Wheel::new(0);
        for due in [0, 250, 65_000, 65_600, 131_000, 300_000] {
            wheel.insert(due, due);
        }
        let (mut now, mut due) = (0, Vec::new());
        let mut returned = Vec::new();
        while returned.len() < 8 {
            wheel.advance(now, &mut due);
            for key in due.drain(..) {
                assert!(key <= now && now < key + 2 * TICK_MS, "{key} at {now}");
                returned.push(key);
                if key == 250 {
                    // Put in on the way: sooner and later than what is there.
                    wheel.insert(now + 40, now + 40);
                    wheel.insert(now + 200_000, now + 200_000);
                }
            }
            now += wheel.wait_ms(now);
        }
    }

    #[test]
    fn after_a_pause_of_many_turns_everything_due_comes_at_once() {
        let mut wheel = Wheel::new(0);
        (0..5_000).for_each(|key| wheel.insert(key * 20, key));
        let mut due = Vec::new();
        wheel.advance(10_000_000, &mut due);
        assert_eq!(due.len(), 5_000);
        wheel.insert(5, 1);
        due.clear();
        wheel.advance(10_000_032, &mut due);
        assert_eq!(due, [1]);
    }
}
