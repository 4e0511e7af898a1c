//! One subscription over many connections: what was received, and how each connection ended.

use std::io::{BufWriter, Stdout, Write as _};
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Response, StatusCode, Url};
use serde::Deserialize;
use tidings_protocol::sse::Decoder;
use tokio::time::{Instant, timeout, timeout_at};

use super::failure::Failure;
use super::remote::{Refusal, Remote, Trouble};
use super::render::{self, Received};
use super::seen::Seen;
use super::text::say;

/// From the request to the `connect` event: covers proxies that answer and then hold everything back.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Silence is judged by at least this, so that a short heartbeat does not turn a hiccup into a reconnect.
const SILENCE_MIN: Duration = Duration::from_secs(15);
/// Two heartbeats, and what the network may add.
const SILENCE_SLACK: Duration = Duration::from_secs(5);
/// Where the hub does not say how often it sends.
const HEARTBEAT_MS: u64 = 25_000;
/// A stream that lived this long was no accident, even if it carried nothing.
const GOOD_AFTER: Duration = Duration::from_secs(10);
/// Twice the largest message that a hub passes on.
const EVENT_BYTES_MAX: usize = 2 * 1024 * 1024;

const HUB: &str = "$hub";

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

#[derive(Debug)]
pub(super) struct Stream {
    remote: Remote,
    json: bool,
    output: BufWriter<Stdout>,
    seen: Seen,
    /// Of the last event that was printed.
    cursor: Option<String>,
    retry_ms: Option<u64>,
}

/// What is known of the present connection.
struct Connection {
    began: Instant,
    connected: bool,
    received: bool,
    silence_max: Duration,
    asked: Option<Duration>,
    stop: Option<Failure>,
    reason: Option<String>,
}

impl Stream {
    pub(super) fn new(remote: Remote, json: bool) -> Self {
        Self {
            remote,
            json,
            output: BufWriter::new(std::io::stdout()),
            seen: Seen::default(),
            cursor: None,
            retry_ms: None,
        }
    }

    pub(super) fn remote(&self) -> &Remote {
        &self.remote
    }

    pub(super) fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    pub(super) fn retry_ms(&self) -> Option<u64> {
        self.retry_ms
    }

    /// Opens a connection and prints what comes until it ends. An error means that nobody reads what is printed.
    pub(super) async fn connect(&mut self, url: Url) -> Result<End, Failure> {
        let began = Instant::now();
        let response = match self.open(url, began + CONNECT_TIMEOUT).await {
            Ok(response) => response,
            Err(end) => return Ok(end),
        };
        let connection = Connection {
            began,
            connected: false,
            received: false,
            silence_max: silence_max(0),
            asked: None,
            stop: None,
            reason: None,
        };
        self.read(response, connection).await
    }

    async fn open(&self, url: Url, deadline: Instant) -> Result<Response, End> {
        let request = self.remote.get(url).header(ACCEPT, "text/event-stream");
        let response = match timeout_at(deadline, request.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(refused(Trouble::of(&self.remote, &error))),
            Err(_) => return Err(lost(format!("no answer from {}", self.remote.shown()))),
        };
        match response.status() {
            StatusCode::OK if is_event_stream(&response) => Ok(response),
            StatusCode::OK => Err(lost(Refusal::foreign(StatusCode::OK).text)),
            StatusCode::NO_CONTENT => {
                let text = "the hub says that this client is not to come back".to_owned();
                Err(End::Stop(Failure::Refused(text)))
            }
            _ => match timeout_at(deadline, Refusal::read(response)).await {
                Ok(refusal) => Err(refused(Trouble::Refused(refusal))),
                Err(_) => Err(lost(format!("no answer from {}", self.remote.shown()))),
            },
        }
    }

    async fn read(
        &mut self,
        mut response: Response,
        mut connection: Connection,
    ) -> Result<End, Failure> {
        let mut decoder = Decoder::new(EVENT_BYTES_MAX);
        loop {
            let deadline = connection.deadline();
            let reason = match timeout(deadline, response.chunk()).await {
                Ok(Ok(Some(bytes))) => {
                    self.take(&bytes, &mut decoder, &mut connection)?;
                    if let Some(failure) = connection.stop {
                        return Ok(End::Stop(failure));
                    }
                    continue;
                }
                Ok(Ok(None)) => "the connection ended".to_owned(),
                Ok(Err(error)) => Trouble::of(&self.remote, &error).text().to_owned(),
                Err(_) if connection.connected => return Ok(End::Silent),
                Err(_) => format!("{} answers but sends nothing", self.remote.shown()),
            };
            return Ok(connection.lost(reason));
        }
    }

    /// Prints the events of some bytes, and only then moves the cursor over them.
    fn take(
        &mut self,
        bytes: &[u8],
        decoder: &mut Decoder,
        connection: &mut Connection,
    ) -> Result<(), Failure> {
        decoder.feed(bytes);
        for event in decoder.by_ref() {
            match event {
                Ok(event) => self.event(&event.data, connection)?,
                Err(_) => say(&format!(
                    "an event of more than {EVENT_BYTES_MAX} bytes was left out"
                )),
            }
        }
        self.output.flush()?;
        if !decoder.last_event_id().is_empty() {
            self.cursor = Some(decoder.last_event_id().to_owned());
        }
        self.retry_ms = decoder.retry_ms().or(self.retry_ms);
        Ok(())
    }

    fn event(&mut self, data: &str, connection: &mut Connection) -> Result<(), Failure> {
        let Ok(message) = serde_json::from_str::<Received<'_>>(data) else {
            say(&format!("an event that is no message was left out: {data}"));
            return Ok(());
        };
        if message.source == HUB && matches!(message.r#type.as_str(), "system" | "heartbeat") {
            if let Ok(system) = serde_json::from_str::<System>(message.payload.get()) {
                connection.system(system, self.remote.shown());
            }
            return Ok(());
        }
        connection.received = true;
        if self.seen.is_new(&message.source, &message.id) {
            let line = if self.json {
                data.to_owned()
            } else {
                render::line(&message)
            };
            writeln!(self.output, "{line}")?;
        }
        Ok(())
    }
}

#[derive(Debug, Deserialize)]
struct System {
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

impl Connection {
    /// How long the next bytes may take.
    fn deadline(&self) -> Duration {
        if self.connected {
            self.silence_max
        } else {
            CONNECT_TIMEOUT.saturating_sub(self.began.elapsed())
        }
    }

    /// Tells the user what the hub says about the connection, in plain words.
    fn system(&mut self, System { event, detail }: System, hub: &str) {
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

    fn lost(self, reason: String) -> End {
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

fn refused(trouble: Trouble) -> End {
    if trouble.retryable() {
        End::Lost {
            reason: trouble.text().to_owned(),
            asked: trouble.asked(),
            reached: Reached::Nothing,
        }
    } else {
        End::Stop(trouble.into())
    }
}

fn lost(reason: String) -> End {
    End::Lost {
        reason,
        asked: None,
        reached: Reached::Nothing,
    }
}

fn is_event_stream(response: &Response) -> bool {
    let kind = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind
        .and_then(|kind| kind.split(';').next())
        .unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("text/event-stream")
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
