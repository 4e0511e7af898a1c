//! What a connection needs when time passes: heartbeats, timeouts, and its end.

use std::io::Write;

use tidings_protocol::api::DisconnectReason;
use tidings_protocol::sse;

use super::{Berth, Key, Resident, Shard};
use crate::fanout::clock::Now;
use crate::fanout::events;
use crate::fanout::index::Slot;
use crate::fanout::settings::{Settings, Timing};

/// When and why a stream ends by itself.
#[derive(Clone, Copy)]
pub(super) struct End {
    due: u64,
    reason: Goodbye,
}

#[derive(Clone, Copy)]
pub(super) enum Goodbye {
    Disconnect(DisconnectReason),
    Maintenance,
}

impl<S: Write> Shard<S> {
    /// Tells every stream to go, spread over `over_ms`.
    pub(crate) fn drain(&mut self, over_ms: u64, now: Now) {
        self.drain_until = Some(now.mono_ms + over_ms);
        for slot in 0..self.slots.len() {
            let due = now.mono_ms + self.jitter.below(over_ms);
            let Berth {
                generation,
                resident: Some(resident),
            } = &mut self.slots[slot]
            else {
                continue;
            };
            resident.end = Some(End {
                due,
                reason: Goodbye::Maintenance,
            });
            let key = Key {
                slot: slot as Slot,
                generation: *generation,
            };
            self.arm(key, now);
        }
    }

    /// Handles what is due by now.
    pub(crate) fn advance(&mut self, now: Now) {
        let mut due = std::mem::take(&mut self.due);
        self.wheel.advance(now.mono_ms, &mut due);
        for key in due.drain(..) {
            self.handle_due(key, now);
        }
        self.due = due;
    }

    fn handle_due(&mut self, key: Key, now: Now) {
        if !self.is_current(key) {
            return;
        }
        let write_timeout_ms = self.settings.timing.write_timeout_ms;
        let Some(resident) = &mut self.slots[key.slot as usize].resident else {
            return;
        };
        if resident.armed > now.mono_ms {
            return;
        }
        resident.armed = u64::MAX;
        if resident
            .connection
            .blocked_since()
            .is_some_and(|since| now.mono_ms >= since + write_timeout_ms)
        {
            return self.close(key, "write_timeout");
        }
        if let Some(end) = resident.end.filter(|end| end.due <= now.mono_ms) {
            resident.end = None;
            self.say_goodbye(key.slot, end.reason, now);
        } else if resident.heartbeat_due <= now.mono_ms {
            self.beat(key.slot, now);
        }
        self.arm(key, now);
    }

    /// Sends a heartbeat, unless bytes that wait for the socket say as much.
    fn beat(&mut self, slot: Slot, now: Now) {
        let Self {
            slots,
            heartbeat,
            epoch,
            released,
            ..
        } = self;
        let Some(resident) = &mut slots[slot as usize].resident else {
            return;
        };
        let Resident {
            connection,
            heartbeat_due,
            ..
        } = resident;
        *heartbeat_due = now.mono_ms + Settings::keep_alive_ms(connection.card.heartbeat_ms);
        if connection.is_closing() || connection.blocked_since().is_some() {
            return;
        }
        if connection.card.heartbeat_ms == 0 {
            let mut comment = Vec::new();
            sse::comment(&mut comment, "");
            connection.send_own(comment);
        } else if connection.is_caught_up() {
            let is_current = |(at, position, _): &(Now, u64, Vec<u8>)| {
                at.mono_ms == now.mono_ms && position == released
            };
            let made = heartbeat.take_if(|made| is_current(made));
            let (.., beat) = heartbeat.insert(made.unwrap_or_else(|| {
                let cursor = connection.cursor(*released).text(epoch);
                (now, *released, events::heartbeat(&cursor, now))
            }));
            connection.send_own(beat.clone());
        } else {
            let cursor = connection.cursor(*released).text(epoch);
            connection.send_own(events::heartbeat(&cursor, now));
        }
        self.touch(slot);
    }

    /// From now on; what is set for a connection already stays.
    pub(crate) fn retime(&mut self, timing: Timing) {
        self.settings.timing = timing;
    }

    pub(super) fn say_goodbye(&mut self, slot: Slot, reason: Goodbye, now: Now) {
        let retry_after_ms =
            self.settings.timing.retry_ms + self.jitter.below(self.settings.timing.retry_ms.max(1));
        let Some(resident) = &mut self.slots[slot as usize].resident else {
            return;
        };
        let connection = &mut resident.connection;
        let event = match reason {
            Goodbye::Maintenance => events::maintenance(&connection.card, retry_after_ms, now),
            Goodbye::Disconnect(reason) => events::disconnect(&connection.card, reason.into(), now),
        };
        connection.close_after(event);
        self.touch(slot);
    }

    /// Puts the connection on the wheel for the next moment at which it may need something.
    pub(super) fn arm(&mut self, key: Key, now: Now) {
        let Some(resident) = &mut self.slots[key.slot as usize].resident else {
            return;
        };
        let blocked = resident
            .connection
            .blocked_since()
            .map(|since| since + self.settings.timing.write_timeout_ms);
        let end = resident.end.map(|end| end.due);
        let due = [Some(resident.heartbeat_due), blocked, end]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(u64::MAX);
        if due < resident.armed {
            resident.armed = due.max(now.mono_ms);
            self.wheel.insert(due, key);
        }
    }

    pub(super) fn end_of(&mut self, expires_at: Option<u64>, now: Now) -> Option<End> {
        let reason = Goodbye::Disconnect;
        let lifetime = (self.settings.timing.lifetime_ms > 0).then(|| {
            let lifetime_ms = self.settings.timing.lifetime_ms;
            let lives_ms = lifetime_ms - self.jitter.below(lifetime_ms / 5 + 1);
            let due = now.mono_ms.saturating_add(lives_ms);
            End {
                due,
                reason: reason(DisconnectReason::Lifetime),
            }
        });
        let expiry = expires_at.map(|at| End {
            due: now.mono_ms.saturating_add(at.saturating_sub(now.wall_ms)),
            reason: reason(DisconnectReason::TokenExpired),
        });
        let drain = self.drain_until.map(|until| End {
            due: now.mono_ms + self.jitter.below(until.saturating_sub(now.mono_ms) + 1),
            reason: Goodbye::Maintenance,
        });
        [lifetime, expiry, drain]
            .into_iter()
            .flatten()
            .min_by_key(|end| end.due)
    }
}
