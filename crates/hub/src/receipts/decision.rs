//! What becomes of one message that waits for its ack. No clock, no I/O.

use crate::config;
use crate::fanout::Now;

/// When a message is sent again, and how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(super) first_delay_ms: u64,
    pub(super) delay_max_ms: u64,
    /// The first sending counts as one.
    pub(super) attempts_max: u32,
    /// Repeats to one client at the same moment; the others follow a little later. More than its connections can hold would
    /// put them behind, and repeats, being live only, do not go to a connection that is behind: none would ever arrive.
    pub(super) at_once: usize,
}

/// How much later repeats are made that are too many at once.
const SPREAD_MS: u64 = 250;

/// A message that waits for its ack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) position: u64,
    /// By the wall clock.
    pub(super) expires_at: Option<u64>,
    /// By the wall clock; when it was first written to a socket.
    pub(super) delivered_at: Option<u64>,
    /// How often it was really sent: each repeat counts once, to however many connections it went.
    pub(super) attempts: u32,
    /// By the steady clock, when it is to be looked at again; `None` while nothing can be done: it was not sent yet, or the
    /// client is away.
    pub(super) due: Option<u64>,
}

/// What it means that a socket took it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// The first time.
    Delivered,
    /// One more attempt.
    Repeated,
    /// Another connection took the same attempt before.
    Known,
}

/// What is to be done when it is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Its time, or its attempts, are used up, or retention removed it.
    Expire,
    /// Send it again, as this repeat.
    Repeat(u32),
    Nothing,
}

impl Rules {
    pub(super) fn new(settings: &config::Receipts, at_once: usize) -> Self {
        Self {
            first_delay_ms: settings.first_delay_ms,
            delay_max_ms: settings.delay_max_ms,
            attempts_max: u32::try_from(settings.attempts_max).unwrap_or(u32::MAX),
            at_once,
        }
    }

    /// How long to wait for the ack after so many attempts: doubling, up to a bound.
    fn delay_ms(&self, attempts: u32) -> u64 {
        let doublings = attempts.saturating_sub(1).min(63);
        let delay = u128::from(self.first_delay_ms) << doublings;
        u64::try_from(delay)
            .unwrap_or(u64::MAX)
            .min(self.delay_max_ms.max(self.first_delay_ms))
    }

    fn next(&self, attempts: u32, now: Now) -> Option<u64> {
        Some(now.mono_ms.saturating_add(self.delay_ms(attempts)))
    }
}

impl Pending {
    pub(super) fn new(position: u64, expires_at: Option<u64>) -> Self {
        Self {
            position,
            expires_at,
            delivered_at: None,
            attempts: 0,
            due: None,
        }
    }

    /// As it was read at a start: nobody is connected yet, so it waits, unless its last attempt was made.
    pub(super) fn resume(&mut self, now: Now, rules: &Rules) {
        self.due = if self.is_used_up(rules) {
            rules.next(self.attempts, now)
        } else {
            None
        };
    }

    /// A socket has taken its last byte, as the message itself (0) or as a repeat of this number.
    pub(super) fn sent(&mut self, number: u32, now: Now, rules: &Rules) -> Sent {
        if number < self.attempts {
            return Sent::Known;
        }
        self.attempts = number + 1;
        self.due = rules.next(self.attempts, now);
        if self.delivered_at.is_some() {
            return Sent::Repeated;
        }
        self.delivered_at = Some(now.wall_ms);
        Sent::Delivered
    }

    /// The client has a new connection. What was sent before is looked at again after the delay; what never was sent comes
    /// in the replay.
    pub(super) fn attached(&mut self, now: Now, rules: &Rules) {
        if self.due.is_none() && self.attempts > 0 {
            self.due = rules.next(self.attempts, now);
        }
    }

    /// It may have been sent without a word of it: it is looked at again after the delay.
    pub(super) fn unsure(&mut self, now: Now, rules: &Rules) {
        if self.due.is_none() {
            self.due = rules.next(self.attempts, now);
        }
    }

    /// The number of a repeat that is made now; `None` when no attempt is left.
    pub(super) fn next_repeat(&self, rules: &Rules) -> Option<u32> {
        (!self.is_used_up(rules)).then(|| self.attempts.max(1))
    }

    /// `trimmed_to`: up to here retention removed every mailbox message.
    pub(super) fn is_lost(&self, now: Now, trimmed_to: u64) -> bool {
        self.position <= trimmed_to || self.expires_at.is_some_and(|at| at <= now.wall_ms)
    }

    /// Decides what is to be done now. A repeat is no attempt yet: it counts once it was really sent.
    pub(super) fn act(&mut self, now: Now, connected: bool, trimmed_to: u64, rules: &Rules) -> Due {
        if self.is_lost(now, trimmed_to) {
            return Due::Expire;
        }
        if self.due.is_none_or(|due| due > now.mono_ms) {
            return Due::Nothing;
        }
        match self.next_repeat(rules) {
            None => Due::Expire,
            Some(_) if !connected => {
                self.due = None;
                Due::Nothing
            }
            Some(number) => {
                self.due = rules.next(self.attempts, now);
                Due::Repeat(number)
            }
        }
    }

    /// The repeat that was decided is made a little later.
    pub(super) fn postpone(&mut self, now: Now) {
        self.due = Some(now.mono_ms.saturating_add(SPREAD_MS));
    }

    fn is_used_up(&self, rules: &Rules) -> bool {
        self.attempts >= rules.attempts_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules {
        first_delay_ms: 10_000,
        delay_max_ms: 300_000,
        attempts_max: 10,
        at_once: 64,
    };
    const START: u64 = 1_700_000_000_000;

    fn at(ms: u64) -> Now {
        Now {
            mono_ms: ms,
            wall_ms: START + ms,
        }
    }

    fn sent_once() -> Pending {
        let mut pending = Pending::new(5, None);
        assert_eq!(pending.sent(0, at(0), &RULES), Sent::Delivered);
        pending
    }

    #[test]
    fn redelivery_comes_after_10_s_doubling_to_5_min_and_ends_after_10_attempts() {
        let mut pending = sent_once();
        let (mut now, mut delays) = (0, Vec::new());
        let end = loop {
            let due = pending.due.expect("connected");
            assert_eq!(pending.act(at(due - 1), true, 0, &RULES), Due::Nothing);
            delays.push((due - now) / 1_000);
            now = due;
            match pending.act(at(now), true, 0, &RULES) {
                Due::Repeat(number) => {
                    assert_eq!(number as usize, delays.len());
                    assert_eq!(pending.sent(number, at(now), &RULES), Sent::Repeated);
                }
                end => break end,
            }
        };
        assert_eq!(delays, [10, 20, 40, 80, 160, 300, 300, 300, 300, 300]);
        assert_eq!((end, pending.attempts), (Due::Expire, 10));
    }

    #[test]
    fn a_message_that_was_never_sent_is_not_due() {
        let mut pending = Pending::new(5, None);
        assert_eq!(pending.act(at(1 << 40), true, 0, &RULES), Due::Nothing);
        pending.attached(at(0), &RULES);
        assert_eq!(pending.due, None);
    }

    #[test]
    fn what_was_not_really_sent_costs_no_attempt() {
        let mut pending = sent_once();
        for n in 1..100 {
            assert_eq!(pending.act(at(n * 10_000), true, 0, &RULES), Due::Repeat(1));
        }
        assert_eq!(pending.attempts, 1);
    }

    #[test]
    fn one_repeat_to_three_connections_is_one_attempt() {
        let mut pending = sent_once();
        assert_eq!(pending.act(at(10_000), true, 0, &RULES), Due::Repeat(1));
        let outcomes = [0; 3].map(|_| pending.sent(1, at(10_001), &RULES));
        assert_eq!(outcomes, [Sent::Repeated, Sent::Known, Sent::Known]);
        assert_eq!(pending.attempts, 2);
    }

    #[test]
    fn the_message_itself_on_a_second_connection_is_no_second_attempt() {
        let mut pending = sent_once();
        assert_eq!(pending.sent(0, at(1), &RULES), Sent::Known);
        assert_eq!((pending.attempts, pending.due), (1, Some(10_000)));
    }

    #[test]
    fn nothing_is_repeated_while_the_client_is_away_and_the_delay_begins_anew_when_it_is_back() {
        let mut pending = sent_once();
        assert_eq!(pending.act(at(10_000), false, 0, &RULES), Due::Nothing);
        assert_eq!(pending.due, None);
        pending.attached(at(500_000), &RULES);
        assert_eq!(pending.act(at(509_999), true, 0, &RULES), Due::Nothing);
        assert_eq!(pending.act(at(510_000), true, 0, &RULES), Due::Repeat(1));
    }

    #[test]
    fn the_first_repeat_has_the_number_1_even_if_the_first_sending_was_not_noted() {
        let mut pending = Pending::new(5, None);
        assert_eq!(pending.next_repeat(&RULES), Some(1));
        pending.unsure(at(0), &RULES);
        assert_eq!(pending.act(at(10_000), true, 0, &RULES), Due::Repeat(1));
        assert_eq!(pending.sent(1, at(10_000), &RULES), Sent::Delivered);
        assert_eq!(pending.attempts, 2);
    }

    #[test]
    fn it_expires_with_its_time_to_live_connected_or_not() {
        for connected in [true, false] {
            let mut pending = Pending::new(5, Some(START + 100));
            assert_eq!(pending.act(at(99), connected, 0, &RULES), Due::Nothing);
            assert_eq!(pending.act(at(100), connected, 0, &RULES), Due::Expire);
        }
    }

    #[test]
    fn it_expires_when_retention_removed_it() {
        let mut pending = sent_once();
        assert_eq!(pending.act(at(1), true, 4, &RULES), Due::Nothing);
        assert_eq!(pending.act(at(1), true, 5, &RULES), Due::Expire);
    }

    #[test]
    fn after_the_last_attempt_it_expires_also_when_the_client_is_away_or_the_hub_was_restarted() {
        let mut pending = Pending {
            attempts: 10,
            ..sent_once()
        };
        assert_eq!(pending.next_repeat(&RULES), None);
        pending.resume(at(1_000), &RULES);
        assert_eq!(pending.act(at(300_999), false, 0, &RULES), Due::Nothing);
        assert_eq!(pending.act(at(301_000), false, 0, &RULES), Due::Expire);
    }

    #[test]
    fn after_a_restart_it_waits_for_the_client() {
        let mut pending = sent_once();
        pending.resume(at(77), &RULES);
        assert_eq!(pending.due, None);
    }
}
