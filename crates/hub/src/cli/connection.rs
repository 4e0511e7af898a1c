//! What the hub says about a connection, and what follows from it.

use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::failure::Failure;
use super::text::say;

/// From the request to the `connect` event: covers proxies that answer and then hold everything back.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Silence is judged by at least this, so that a short heartbeat does not turn a hiccup into a reconnect.
const SILENCE_MIN: Duration = Duration::from_secs(15);
/// Two heartbeats, and what the network may add.
const SILENCE_SLACK: Duration = Duration::from_secs(5);
/// Where the hub does not say how often it sends.
const HEARTBEAT_MS: u64 = 25_000;
/// A stream that lived this long was no accident, even if it carried nothing.
const GOOD_AFTER: Duration = Duration::from_secs(10);

/// What is known of the present connection.
#[derive(Debug)]
pub(super) struct Connection {
    began: Instant,
    pub(super) connected: bool,
    /// Whether it carried a message.
    pub(super) received: bool,
    silence_max: Duration,
    asked: Option<Duration>,
    /// Set when the hub has said that this client is not to come back.
    pub(super) stop: Option<Failure>,
    reason: Option<String>,
}

/// How a connection ended.
#[derive(Debug)]
pub(super) enum End {
    Stop(Failure),
    Lost {
        reason: String,
        /// The pause that the hub asked for.
        asked: Option<Duration>,
        reached: Reached,
    },
    /// No byte came while heartbeats were due: the other side is gone and will not say so.
    Silent,
}

/// How far a connection got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reached {
    Nothing,
    /// The hub said hello, which a hub that fails right after it says too.
    Connected,
    /// It carried messages, or lived for a while.
    Good,
}

impl Connection {
    pub(super) fn new(began: Instant) -> Self {
        Self {
            began,
            connected: false,
            received: false,
            silence_max: silence_max(0),
            asked: None,
            stop: None,
            reason: None,
        }
    }

    /// How long the next bytes may take.
    pub(super) fn deadline(&self) -> Duration {
        if self.connected {
            self.silence_max
        } else {
            CONNECT_TIMEOUT.saturating_sub(self.began.elapsed())
        }
    }

    /// Tells the user what the hub says about the connection, in plain words.
    pub(super) fn system(&mut self, System { event, detail }: System, hub: &str) {
        let text = match event.as_str() {
            "connect" => {
                self.connected = true;
                self.silence_max = silence_max(detail.heartbeat_interval);
                connected(&detail, hub)
            }
            "gap" => gap(&detail),
            "maintenance" => {
                self.asked = detail.retry_after_ms.map(Duration::from_millis);
                self.reason = Some("the hub is shutting down".to_owned());
                return;
            }
            "disconnect" => {
                let text = format!("the hub ended the connection: {}", detail.reason);
                if detail.reconnect {
                    self.reason = Some(text);
                } else {
                    self.stop = Some(Failure::Refused(text));
                }
                return;
            }
            "error" => {
                self.asked = detail.retry_after_ms.map(Duration::from_millis);
                format!("the hub says: {}{}", detail.reason, detail.detail)
            }
            _ => return,
        };
        say(&text);
    }

    pub(super) fn lost(self, reason: String) -> End {
        let reached = match self.connected {
            true if self.received || self.began.elapsed() >= GOOD_AFTER => Reached::Good,
            true => Reached::Connected,
            false => Reached::Nothing,
        };
        End::Lost {
            reason: self.reason.unwrap_or(reason),
            asked: self.asked,
            reached,
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct System {
    event: String,
    #[serde(default)]
    detail: Detail,
}

/// The details of all system events, as far as they are used here.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Detail {
    client_id: String,
    resumed: bool,
    topics: Vec<String>,
    heartbeat_interval: u64,
    reason: String,
    reconnect: bool,
    from: String,
    to: String,
    retry_after_ms: Option<u64>,
    detail: String,
}

/// How long a stream may be silent; 0 when the time between heartbeats is not known.
fn silence_max(heartbeat_ms: u64) -> Duration {
    let heartbeat_ms = if heartbeat_ms == 0 {
        HEARTBEAT_MS
    } else {
        heartbeat_ms
    };
    let silence = Duration::from_millis(heartbeat_ms.saturating_mul(2));
    silence.saturating_add(SILENCE_SLACK).max(SILENCE_MIN)
}

fn connected(detail: &Detail, hub: &str) -> String {
    let resumed = if detail.resumed {
        ", going on where it was"
    } else {
        ""
    };
    let topics = match detail.topics.as_slice() {
        [] => String::new(),
        topics => format!(", topics {}", topics.join(", ")),
    };
    format!(
        "connected to {hub} as {}{topics}{resumed}",
        detail.client_id
    )
}

fn gap(detail: &Detail) -> String {
    let why = match detail.reason.as_str() {
        "expired" => "some messages were removed before they could be sent here",
        "unknown_epoch" => {
            "the hub's data is not what it was; some messages may be missing or come again"
        }
        other => other,
    };
    format!("gap: {why} (from {} to {})", detail.from, detail.to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_two_heartbeats_and_some_but_never_under_15_seconds() {
        for (heartbeat_ms, seconds) in [(25_000, 55), (0, 55), (250, 15), (60_000, 125)] {
            assert_eq!(silence_max(heartbeat_ms), Duration::from_secs(seconds));
        }
        assert!(silence_max(u64::MAX) > Duration::from_secs(3_600));
    }
}
